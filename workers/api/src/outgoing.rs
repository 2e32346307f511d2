//! What the door asks of other servers: an issuer for its keys, daemons for their status. Neither leads it elsewhere, and no answer is
//! longer than it may be.

use std::time::Duration;

use reqwest::redirect::Policy;
use reqwest::{Client, ClientBuilder, Response};

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
