//! Somebody at a browser: finds things by what is written on them, as people do, and waits until they are there.
//!
//! That a field is found by its label and a button by its words is a part of the proof.

use std::future::Future;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::browser::{Browser, Element};
use crate::pipeline::Outcome;

/// Longer than anything takes that happens at all.
const PATIENCE: Duration = Duration::from_secs(45);

/// Somebody who looks at the console.
pub(crate) struct Person {
    pub(crate) browser: Browser,
    /// Where the console is, without a slash at its end.
    origin: String,
    pictures: AtomicUsize,
}

/// What can be clicked, by its words or by what it is called for those who do not see it.
fn control(name: &str) -> String {
    let name = quoted(name);
    format!(
        "//*[self::a or self::button or self::summary or self::label][normalize-space()={name} or @aria-label={name}]"
    )
}

/// A field by its label.
fn field(label: &str) -> String {
    let label = quoted(label);
    format!(
        "//*[self::input or self::select or self::textarea][not(@type='hidden')]\
         [@id=//label[normalize-space()={label}]/@for or @aria-label={label} or ancestor::label[normalize-space()={label}]]"
    )
}

/// A text within an XPath, which knows no way to escape a quotation mark.
fn quoted(text: &str) -> String {
    let parts: Vec<String> = text.split('"').map(|part| format!("\"{part}\"")).collect();
    if parts.len() == 1 { parts.concat() } else { format!("concat({})", parts.join(", '\"', ")) }
}

impl Person {
    /// Somebody with this browser.
    pub(crate) fn new(browser: Browser, origin: String) -> Self {
        Person { browser, origin, pictures: AtomicUsize::new(0) }
    }

    /// Goes to a page.
    pub(crate) async fn goes_to(&self, path: &str) -> Outcome {
        self.browser.load(&format!("{}{path}", self.origin)).await
    }

    /// The path of what is shown, with its query.
    pub(crate) async fn path(&self) -> Outcome<String> {
        let address = self.browser.address().await?;
        Ok(address.strip_prefix(&self.origin).unwrap_or(&address).to_owned())
    }

    /// Gives a key, and waits until it is taken or refused: a click does not wait for the page that comes of it.
    pub(crate) async fn signs_in(&self, key: &str) -> Outcome {
        self.goes_to("/console/login").await?;
        self.fills("Key or token", key).await?;
        self.clicks("Sign in").await?;
        self.until("the key is taken or refused", async || {
            let told = self.runs("return document.querySelector('[name=signature], [role=alert]') !== null").await?;
            if told == true { Ok(()) } else { Err("it is neither".into()) }
        })
        .await
    }

    /// All text that is shown, with its spaces as one.
    pub(crate) async fn reads(&self) -> Outcome<String> {
        let text = self.browser.run("return document.body.innerText", json!([])).await?;
        Ok(text.as_str().unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" "))
    }

    /// Waits until this text is shown.
    pub(crate) async fn sees(&self, text: &str) -> Outcome {
        self.until(&format!("“{text}” is shown"), async || {
            let shown = self.reads().await?;
            if shown.contains(text) { Ok(()) } else { Err(format!("what is shown: {shown}").into()) }
        })
        .await
    }

    /// Loads the page again until this text is shown: for what is not live.
    pub(crate) async fn sees_in_time(&self, path: &str, text: &str) -> Outcome {
        self.until(&format!("“{text}” is shown at {path}"), async || {
            self.goes_to(path).await?;
            let shown = self.reads().await?;
            if shown.contains(text) { Ok(()) } else { Err(format!("what is shown: {shown}").into()) }
        })
        .await
    }

    /// Whether there is a control of this name to be seen.
    pub(crate) async fn is_offered(&self, name: &str) -> Outcome<bool> {
        Ok(self.shown(&control(name)).await?.is_some())
    }

    /// Clicks on the first control of this name.
    pub(crate) async fn clicks(&self, name: &str) -> Outcome {
        self.clicks_at(&control(name)).await
    }

    /// Clicks on the first control of this name below an element that an XPath finds.
    pub(crate) async fn clicks_in(&self, place: &str, name: &str) -> Outcome {
        self.clicks_at(&format!("{place}{}", control(name))).await
    }

    /// Clicks on what an XPath finds.
    pub(crate) async fn clicks_at(&self, xpath: &str) -> Outcome {
        let click = async || self.browser.click(&self.one(xpath).await?).await;
        self.until(&format!("{xpath} can be clicked"), click).await
    }

    /// Types into the field of this label, in place of what is there.
    pub(crate) async fn fills(&self, label: &str, text: &str) -> Outcome {
        self.fills_at(&field(label), text).await
    }

    /// The same below an element that an XPath finds.
    pub(crate) async fn fills_in(&self, place: &str, label: &str, text: &str) -> Outcome {
        self.fills_at(&format!("{place}{}", field(label)), text).await
    }

    async fn fills_at(&self, xpath: &str, text: &str) -> Outcome {
        self.until(&format!("{xpath} can be filled"), async || {
            let element = self.one(xpath).await?;
            self.browser.clear(&element).await?;
            self.browser.type_into(&element, text).await
        })
        .await
    }

    /// Chooses what is written so in the list of this label.
    pub(crate) async fn chooses(&self, label: &str, option: &str) -> Outcome {
        self.chooses_at(&format!("{}//option[normalize-space()={}]", field(label), quoted(option))).await
    }

    async fn chooses_at(&self, option: &str) -> Outcome {
        let choose = async || {
            let found = self.browser.all(option).await?;
            self.browser.click(found.first().ok_or("there is no such choice")?).await
        };
        self.until(&format!("{option} can be chosen"), choose).await
    }

    /// The same below an element that an XPath finds.
    pub(crate) async fn chooses_in(&self, place: &str, label: &str, option: &str) -> Outcome {
        self.chooses_at(&format!("{place}{}//option[normalize-space()={}]", field(label), quoted(option))).await
    }

    /// What a script's function returns here.
    pub(crate) async fn runs(&self, script: &str) -> Outcome<Value> {
        self.browser.run(script, json!([])).await
    }

    /// Fails where the browser has complained of anything but what is expected, in parts of its words.
    pub(crate) async fn has_no_complaint_but(&self, expected: &[&str]) -> Outcome {
        let complaints = self.browser.complaints().await?;
        let unexpected: Vec<_> =
            complaints.iter().filter(|one| !expected.iter().any(|words| one.contains(words))).collect();
        if unexpected.is_empty() { Ok(()) } else { Err(format!("the browser complains: {unexpected:#?}").into()) }
    }

    /// Draws what is shown.
    pub(crate) async fn draws(&self, name: &str) -> Outcome {
        self.pictures.fetch_add(1, Ordering::Relaxed);
        let folder = dev_stack::workspace().join("target/console");
        self.browser.draw(&folder.join(format!("{name}.png"))).await
    }

    /// How many pictures were drawn.
    pub(crate) fn drawn(&self) -> usize {
        self.pictures.load(Ordering::Relaxed)
    }

    /// The first that is shown of what an XPath finds.
    pub(crate) async fn one(&self, xpath: &str) -> Outcome<Element> {
        Ok(self.shown(xpath).await?.ok_or_else(|| format!("nothing is at {xpath}"))?)
    }

    async fn shown(&self, xpath: &str) -> Outcome<Option<Element>> {
        for element in self.browser.all(xpath).await? {
            if self.browser.is_shown(&element).await? {
                return Ok(Some(element));
            }
        }
        Ok(None)
    }

    /// Tries until it succeeds; the last complaint says what was missing.
    pub(crate) async fn until<F: Future<Output = Outcome>>(
        &self,
        what: &str,
        mut attempt: impl FnMut() -> F,
    ) -> Outcome {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match attempt().await {
                Ok(()) => return Ok(()),
                Err(error) if Instant::now() >= deadline => return Err(format!("{what}: not in time: {error}").into()),
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
    }
}
