//! How each daemon is, by its own word: all are asked for their `GET /status` beside one another, every two seconds.
//!
//! Whoever asks the door is told what was heard last, and when, so no caller makes it ask a daemon once more. One that does not answer
//! is told so, since when and why. Deliberately absent: a look for daemons that nobody has named, redirects, proxies.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use grammar::SettingError;
use jiff::Timestamp;
use reqwest::{Client, Url};
use tokio::sync::watch;
use workers::status::Status;

use crate::outgoing;

/// Between two rounds.
const PERIOD: Duration = Duration::from_secs(2);

/// How long one answer may take.
const LIMIT: Duration = Duration::from_secs(1);

/// The longest answer, in bytes: some thousand feeds.
const LONGEST: usize = 4 * 1024 * 1024;

/// Where a daemon answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// What people call it.
    pub name: String,
    /// Where its status is.
    pub url: Url,
}

/// What was heard of a daemon last.
#[derive(Debug, Clone, PartialEq)]
pub struct Heard {
    /// Which daemon.
    pub daemon: Address,
    /// When it was asked last; none before the first time.
    pub at: Option<Timestamp>,
    /// Since when it answers, or does not; none before the first time.
    pub since: Option<Timestamp>,
    /// What it said, or why it said nothing.
    pub answer: Result<Box<Status>, String>,
}

/// How the daemons are; cheap to clone.
#[derive(Debug, Clone)]
pub struct Daemons {
    heard: Arc<Mutex<Vec<Heard>>>,
    client: Client,
}

/// The addresses of a setting: `name=host:port`, `name=URL` or a URL, several with commas.
///
/// # Errors
/// In words, which one is none.
pub fn addresses(setting: &str) -> Result<Vec<Address>, SettingError> {
    let each = setting.split(',').map(str::trim).filter(|text| !text.is_empty());
    each.map(address).collect()
}

fn address(text: &str) -> Result<Address, SettingError> {
    let (name, place) = match text.split_once('=') {
        Some((name, place)) if !name.contains("://") => (Some(name.trim()), place.trim()),
        Some(_) | None => (None, text),
    };
    let full = if place.contains("://") { place.to_owned() } else { format!("http://{place}") };
    let mut url = Url::parse(&full)
        .ok()
        .filter(|url| ["http", "https"].contains(&url.scheme()) && url.has_host())
        // A secret would be in every answer that shows the address.
        .filter(|url| url.username().is_empty() && url.password().is_none())
        .filter(|_| name != Some(""))
        .ok_or_else(|| {
            let words = "no daemon: give name=host:port or a URL without a password, several with commas, as in --daemons \
                         order=127.0.0.1:8081,payment=127.0.0.1:8083";
            SettingError::Setting(words.to_owned())
        })?;
    if url.path() == "/" {
        url.set_path("/status");
    }
    let own = || format!("{}:{}", url.host_str().unwrap_or_default(), url.port_or_known_default().unwrap_or_default());
    Ok(Address { name: name.map_or_else(own, str::to_owned), url })
}

impl Daemons {
    /// Of these, none of which was asked yet.
    ///
    /// # Errors
    /// The system's TLS cannot be used.
    pub fn new(addresses: Vec<Address>) -> Result<Self, reqwest::Error> {
        let unheard = |daemon| Heard { daemon, at: None, since: None, answer: Err("it was not asked yet".to_owned()) };
        let heard = Arc::new(Mutex::new(addresses.into_iter().map(unheard).collect()));
        let client = outgoing::client(LIMIT).no_proxy().build()?;
        Ok(Daemons { heard, client })
    }

    /// What was heard last.
    pub fn heard(&self) -> Vec<Heard> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Asks until asked to stop.
    pub async fn keep_asking(self, mut stopping: watch::Receiver<bool>) {
        loop {
            let round = join_all(self.heard().into_iter().map(|heard| self.hear(heard)));
            tokio::select! {
                // An error means that the sender is gone, which is an end as well.
                _ = stopping.wait_for(|stopped| *stopped) => return,
                heard = round => *self.heard.lock().unwrap_or_else(PoisonError::into_inner) = heard,
            }
            tokio::select! {
                _ = stopping.wait_for(|stopped| *stopped) => return,
                () = tokio::time::sleep(PERIOD) => {}
            }
        }
    }

    async fn hear(&self, before: Heard) -> Heard {
        let (now, answer) = (Timestamp::now(), self.ask(&before.daemon.url).await);
        let since = before.since.filter(|_| answer.is_ok() == before.answer.is_ok()).or(Some(now));
        Heard { at: Some(now), since, answer: answer.map(Box::new), ..before }
    }

    async fn ask(&self, url: &Url) -> Result<Status, String> {
        let response = self.client.get(url.clone()).send().await.map_err(|error| in_words(&error))?;
        if !response.status().is_success() {
            return Err(format!("it answers {}", response.status()));
        }
        let body = outgoing::body_within(response, LONGEST).await.map_err(|error| in_words(&error))?;
        let body = body.ok_or_else(|| format!("its answer is longer than {LONGEST} bytes"))?;
        serde_json::from_slice(&body).map_err(|error| format!("what it answers is no status: {error}"))
    }
}

/// The innermost cause, which says what is wrong; those around it repeat the address.
fn in_words(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return format!("no answer within {LIMIT:?}");
    }
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_a_name_and_leads_to_a_status() {
        let read = |text: &str| {
            let shown = |address: Address| format!("{} {}", address.name, address.url);
            addresses(text).unwrap().into_iter().map(shown).collect::<Vec<_>>()
        };
        assert_eq!(read(""), [""; 0]);
        assert_eq!(
            read("order=127.0.0.1:8081, https://ops.example/pay/status,a=https://b.example:9/,[::1]:80"),
            [
                "order http://127.0.0.1:8081/status",
                "ops.example:443 https://ops.example/pay/status",
                "a https://b.example:9/status",
                "[::1]:80 http://[::1]/status",
            ]
        );
        for wrong in ["=a:1", "order=", "order=ftp://a", "a=http://me:secret@b", "a=http://me@b", "a=b:port", "a=:1"] {
            let said = addresses(wrong).unwrap_err().to_string();
            assert!(said.contains("--daemons") && !said.contains("secret"), "{wrong}: {said}");
        }
    }
}
