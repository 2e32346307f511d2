//! One GET to a daemon's own HTTP port.
//!
//! A few lines instead of a client library: the answer is short, and the connection is for one question.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::{Outcome, trouble};

const LIMIT: Duration = Duration::from_secs(10);

/// The status and the body.
pub(crate) async fn get(address: SocketAddr, path: &str) -> Outcome<(u16, String)> {
    let asked = async {
        let mut stream = TcpStream::connect(address).await?;
        let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        Outcome::Ok(answer)
    };
    let answer =
        timeout(LIMIT, asked).await.map_err(|_| trouble(format!("{address}{path}: no answer in {LIMIT:?}")))??;
    let (head, body) = answer.split_once("\r\n\r\n").ok_or_else(|| trouble("the answer has no body"))?;
    let status = head.split_whitespace().nth(1).and_then(|code| code.parse().ok());
    Ok((status.ok_or_else(|| trouble(format!("no status in {head:?}")))?, body.to_owned()))
}
