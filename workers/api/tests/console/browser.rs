//! Chromium, driven by its `chromedriver`: the few calls of WebDriver that the scenarios need, and of DevTools where WebDriver has none.
//!
//! A browser has a profile of its own in a temporary folder, no window, and no way to any address but this machine's. Deliberately
//! absent: a library for WebDriver, whose calls are JSON over HTTP, and which would bring forty crates more into every build.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use dev_stack::Child;
use reqwest::{Client, Method};
use serde_json::{Value, json};

use crate::pipeline::Outcome;

/// Longer than a call takes.
const LIMIT: Duration = Duration::from_secs(60);

/// The name under which WebDriver refers to an element.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// `chromedriver` at work, and what its browsers leave; all of it ends with this.
pub(crate) struct Driver {
    chromium: PathBuf,
    base: String,
    client: Client,
    profiles: Arc<Profiles>,
    // Its browsers are of its process group, and end with it.
    _program: Child,
}

struct Profiles(PathBuf);

impl Drop for Profiles {
    fn drop(&mut self) {
        // What is left in a temporary folder is in nobody's way.
        drop(std::fs::remove_dir_all(&self.0));
    }
}

/// A browser.
pub(crate) struct Browser {
    client: Client,
    session: String,
}

/// An element of the page that is shown now.
#[derive(Debug, Clone)]
pub(crate) struct Element(String);

fn program(variable: &str, name: &str) -> Outcome<PathBuf> {
    let named = std::env::var_os(variable).map(PathBuf::from);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found =
        named.or_else(|| std::env::split_paths(&path).map(|folder| folder.join(name)).find(|path| path.is_file()));
    found.ok_or_else(|| {
        format!("{name} is not there: `cargo setup --install` installs it, or {variable} names it").into()
    })
}

impl Driver {
    /// Starts it, on a port that is free.
    pub(crate) fn start() -> Outcome<Self> {
        let chromium = program("CHROMIUM", "chromium")?;
        let profiles = std::env::temp_dir().join(format!("console-{}", std::process::id()));
        std::fs::create_dir_all(&profiles)?;
        let profiles = Profiles(profiles);
        let mut command = Command::new(program("CHROMEDRIVER", "chromedriver")?);
        command.args(["--port=0", "--allowed-ips=127.0.0.1"]).env("HOME", &profiles.0);
        let started = Child::spawn(command, "chromedriver", &profiles.0.join("chromedriver.log"))?;
        let line = started.wait_for_line("started successfully on port", LIMIT)?;
        let port = line.as_deref().and_then(|line| line.trim_end_matches('.').rsplit(' ').next()?.parse::<u16>().ok());
        let port = port.ok_or_else(|| format!("chromedriver did not start: {}", started.tail()))?;
        let client = Client::builder().no_proxy().timeout(LIMIT).build()?;
        let base = format!("http://127.0.0.1:{port}/session");
        Ok(Driver { chromium, base, client, profiles: Arc::new(profiles), _program: started })
    }

    /// Opens a browser that knows nothing of any other.
    pub(crate) async fn open(&self, name: &str) -> Outcome<Browser> {
        let profile = self.profiles.0.join(name);
        let arguments = [
            "--headless=new".to_owned(),
            "--no-sandbox".to_owned(),
            "--no-first-run".to_owned(),
            "--disable-gpu".to_owned(),
            "--disable-dev-shm-usage".to_owned(),
            "--disable-background-networking".to_owned(),
            "--disable-component-update".to_owned(),
            "--disable-breakpad".to_owned(),
            "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1".to_owned(),
            format!("--user-data-dir={}", profile.display()),
        ];
        let wanted = json!({ "capabilities": { "alwaysMatch": {
            "browserName": "chrome",
            "goog:loggingPrefs": { "browser": "ALL" },
            "goog:chromeOptions": { "binary": self.chromium, "args": arguments },
        } } });
        let opened = ask(&self.client, Method::POST, &self.base, Some(&wanted)).await?;
        let id = opened["sessionId"].as_str().ok_or("chromedriver names no session")?;
        Ok(Browser { client: self.client.clone(), session: format!("{}/{id}", self.base) })
    }
}

/// Its answer; an error in its own words.
async fn ask(client: &Client, method: Method, url: &str, body: Option<&Value>) -> Outcome<Value> {
    let mut request = client.request(method, url);
    if let Some(body) = body {
        request = request.body(body.to_string());
    }
    let text = request.send().await?.text().await?;
    let mut answer: Value = serde_json::from_str(&text)?;
    let value = answer["value"].take();
    match value["error"].as_str() {
        Some(error) => Err(format!("{error}: {}", value["message"].as_str().unwrap_or_default()).into()),
        None => Ok(value),
    }
}

impl Browser {
    async fn post(&self, path: &str, body: Value) -> Outcome<Value> {
        ask(&self.client, Method::POST, &format!("{}/{path}", self.session), Some(&body)).await
    }

    async fn get(&self, path: &str) -> Outcome<Value> {
        ask(&self.client, Method::GET, &format!("{}/{path}", self.session), None).await
    }

    /// Loads an address and waits until it is loaded.
    pub(crate) async fn load(&self, url: &str) -> Outcome {
        self.post("url", json!({ "url": url })).await.map(drop)
    }

    /// The address of what is shown.
    pub(crate) async fn address(&self) -> Outcome<String> {
        Ok(self.get("url").await?.as_str().unwrap_or_default().to_owned())
    }

    /// What a function's body returns in the page.
    pub(crate) async fn run(&self, script: &str, arguments: Value) -> Outcome<Value> {
        self.post("execute/sync", json!({ "script": script, "args": arguments })).await
    }

    /// What a function's body hands to its last argument.
    pub(crate) async fn run_until_told(&self, script: &str, arguments: Value) -> Outcome<Value> {
        self.post("execute/async", json!({ "script": script, "args": arguments })).await
    }

    /// All elements that this XPath finds.
    pub(crate) async fn all(&self, xpath: &str) -> Outcome<Vec<Element>> {
        let found = self.post("elements", json!({ "using": "xpath", "value": xpath })).await?;
        let id = |one: &Value| Some(Element(one[ELEMENT].as_str()?.to_owned()));
        Ok(found.as_array().into_iter().flatten().filter_map(id).collect())
    }

    /// The element that has the focus.
    pub(crate) async fn focused(&self) -> Outcome<Element> {
        let found = self.get("element/active").await?;
        Ok(Element(found[ELEMENT].as_str().ok_or("nothing has the focus")?.to_owned()))
    }

    /// Whether a person sees it.
    pub(crate) async fn is_shown(&self, element: &Element) -> Outcome<bool> {
        Ok(self.get(&format!("element/{}/displayed", element.0)).await? == Value::Bool(true))
    }

    /// Its text as it is shown.
    pub(crate) async fn text(&self, element: &Element) -> Outcome<String> {
        Ok(self.get(&format!("element/{}/text", element.0)).await?.as_str().unwrap_or_default().to_owned())
    }

    /// Clicks on it, and waits for what is loaded then.
    pub(crate) async fn click(&self, element: &Element) -> Outcome {
        self.post(&format!("element/{}/click", element.0), json!({})).await.map(drop)
    }

    /// Empties it.
    pub(crate) async fn clear(&self, element: &Element) -> Outcome {
        self.post(&format!("element/{}/clear", element.0), json!({})).await.map(drop)
    }

    /// Types into it.
    pub(crate) async fn type_into(&self, element: &Element, text: &str) -> Outcome {
        self.post(&format!("element/{}/value", element.0), json!({ "text": text })).await.map(drop)
    }

    /// Presses and releases a key, wherever the focus is.
    pub(crate) async fn press(&self, key: char) -> Outcome {
        let actions = [json!({ "type": "keyDown", "value": key }), json!({ "type": "keyUp", "value": key })];
        let source = json!({ "type": "key", "id": "keyboard", "actions": actions });
        self.post("actions", json!({ "actions": [source] })).await.map(drop)
    }

    /// Forgets who was signed in.
    pub(crate) async fn forget(&self) -> Outcome {
        let url = format!("{}/cookie", self.session);
        ask(&self.client, Method::DELETE, &url, None).await.map(drop)
    }

    /// What the browser complained of since it was last asked: blocked files, errors of scripts, answers that are errors. Its advice
    /// to authors is no complaint.
    pub(crate) async fn complaints(&self) -> Outcome<Vec<String>> {
        let log = self.post("se/log", json!({ "type": "browser" })).await?;
        let is_complaint = |entry: &&Value| entry["level"] == "SEVERE" || entry["level"] == "WARNING";
        let text = |entry: &Value| entry["message"].as_str().unwrap_or_default().to_owned();
        Ok(log.as_array().into_iter().flatten().filter(is_complaint).map(text).collect())
    }

    /// Whether pages may run scripts from now on.
    pub(crate) async fn allow_scripts(&self, are_allowed: bool) -> Outcome {
        self.devtools("Emulation.setScriptExecutionDisabled", json!({ "value": !are_allowed })).await.map(drop)
    }

    /// Lays pages out in this width.
    pub(crate) async fn resize(&self, width: u32, height: u32) -> Outcome {
        let metrics = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false });
        self.devtools("Emulation.setDeviceMetricsOverride", metrics).await.map(drop)
    }

    /// As somebody has it who likes pages dark, or light.
    pub(crate) async fn prefer(&self, scheme: &str) -> Outcome {
        let features = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
        self.devtools("Emulation.setEmulatedMedia", features).await.map(drop)
    }

    /// Writes a picture of the whole page, also of what is below the window.
    pub(crate) async fn draw(&self, file: &Path) -> Outcome {
        let size =
            self.run("const e = document.documentElement; return [e.clientWidth, e.scrollHeight]", json!([])).await?;
        let clip = json!({ "x": 0, "y": 0, "width": size[0], "height": size[1], "scale": 1 });
        let wanted = json!({ "format": "png", "captureBeyondViewport": true, "clip": clip });
        let drawn = self.devtools("Page.captureScreenshot", wanted).await?;
        let bytes = openssl::base64::decode_block(drawn["data"].as_str().unwrap_or_default())?;
        std::fs::create_dir_all(file.parent().ok_or("no folder")?)?;
        Ok(std::fs::write(file, bytes)?)
    }

    async fn devtools(&self, command: &str, parameters: Value) -> Outcome<Value> {
        self.post("goog/cdp/execute", json!({ "cmd": command, "params": parameters })).await
    }
}
