//! What the door asks of other servers: an issuer for its keys, daemons for their status, the payment service for where customers go.
//! None leads it elsewhere, and no answer is longer than it may be.

use std::time::Duration;

use reqwest::redirect::Policy;
use reqwest::{Client, ClientBuilder, Response, Url};

/// A client that follows nobody, and waits so long for an answer.
pub(crate) fn client(limit: Duration) -> ClientBuilder {
    Client::builder().timeout(limit).redirect(Policy::none())
}

/// The body; none where it is longer than so many bytes.
pub(crate) async fn body_within(mut response: Response, longest: usize) -> Result<Option<Vec<u8>>, reqwest::Error> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        if body.len() + chunk.len() > longest {
            return Ok(None);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Some(body))
}

/// An address that nobody on the way can answer for.
pub(crate) fn safe(address: &str) -> Result<Url, String> {
    let url = Url::parse(address).map_err(|error| format!("{address}: {error}"))?;
    let is_here = matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
    if !url.username().is_empty() || url.password().is_some() {
        return Err("an address with a user in it would stand in logs".to_owned());
    }
    match url.scheme() {
        "https" => Ok(url),
        "http" if is_here => Ok(url),
        _ => Err(format!("{address}: give one that begins with https://; http:// only of this machine")),
    }
}
