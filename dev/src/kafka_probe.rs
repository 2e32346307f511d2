//! Asks a broker, over its own protocol, how many live brokers it knows.
//!
//! An open port is not readiness: after a crash the broker listens while it is still fenced, and then its Metadata
//! answer names no broker. No client library is used, so that this package stays small and quick to build.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

const METADATA: i16 = 3;
/// The last version without tagged fields.
const METADATA_VERSION: i16 = 4;
const LARGEST_ANSWER: usize = 1 << 20;

/// Number of brokers that the broker at this address would send clients to.
pub(crate) fn live_brokers(address: SocketAddr, limit: Duration) -> io::Result<i32> {
    let mut stream = TcpStream::connect_timeout(&address, limit)?;
    stream.set_read_timeout(Some(limit))?;
    stream.set_write_timeout(Some(limit))?;
    stream.write_all(&request())?;
    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    let length = usize::try_from(i32::from_be_bytes(length)).unwrap_or(usize::MAX);
    // Correlation id, throttle time, number of brokers.
    if !(12..=LARGEST_ANSWER).contains(&length) {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "not a Metadata answer"));
    }
    let mut head = [0; 12];
    stream.read_exact(&mut head)?;
    let [.., a, b, c, d] = head;
    Ok(i32::from_be_bytes([a, b, c, d]))
}

fn request() -> Vec<u8> {
    let client = b"dev-stack";
    let mut body = Vec::new();
    body.extend(METADATA.to_be_bytes());
    body.extend(METADATA_VERSION.to_be_bytes());
    body.extend(1_i32.to_be_bytes());
    body.extend(9_i16.to_be_bytes());
    body.extend(client);
    // No topics, and none to be created.
    body.extend(0_i32.to_be_bytes());
    body.push(0);
    let mut framed = i32::try_from(body.len()).unwrap_or(0).to_be_bytes().to_vec();
    framed.extend(body);
    framed
}
