//! Kafka's own protocol, as far as this package speaks it: one request, one answer, in the open or with a certificate.
//!
//! No client library is used, so that this package stays small and quick to build.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use openssl::ssl::{SslConnector, SslFiletype, SslMethod};
use serde::{Deserialize, Serialize};

use crate::access::{ADMIN, Access};

const LARGEST_ANSWER: usize = 1 << 20;
const CORRELATION: i32 = 1;

/// Where a broker is asked: in the open, or at a secured one as its administrator.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum Door {
    Open(SocketAddr),
    Secured(Access),
}

/// A request without its frame and header.
pub(crate) struct Request {
    pub(crate) key: i16,
    pub(crate) version: i16,
    pub(crate) body: Vec<u8>,
}

impl Door {
    /// What comes back after the answer's correlation id.
    pub(crate) fn ask(&self, request: &Request, limit: Duration) -> io::Result<Vec<u8>> {
        let address = match self {
            Door::Open(address) => *address,
            Door::Secured(access) => access.mutual_tls(),
        };
        let stream = TcpStream::connect_timeout(&address, limit)?;
        stream.set_read_timeout(Some(limit))?;
        stream.set_write_timeout(Some(limit))?;
        match self {
            Door::Open(_) => exchange(stream, request),
            Door::Secured(access) => {
                let connected = connector(access)?.connect("localhost", stream);
                exchange(connected.map_err(io::Error::other)?, request)
            }
        }
    }
}

fn connector(access: &Access) -> io::Result<SslConnector> {
    let mut builder = SslConnector::builder(SslMethod::tls_client())?;
    builder.set_ca_file(access.authority())?;
    builder.set_certificate_file(access.certificate(ADMIN), SslFiletype::PEM)?;
    builder.set_private_key_file(access.key(ADMIN), SslFiletype::PEM)?;
    Ok(builder.build())
}

fn exchange(mut stream: impl Read + Write, request: &Request) -> io::Result<Vec<u8>> {
    stream.write_all(&framed(request))?;
    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    let length = usize::try_from(i32::from_be_bytes(length)).unwrap_or(usize::MAX);
    if !(4..=LARGEST_ANSWER).contains(&length) {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "not an answer of a broker"));
    }
    let mut answer = vec![0; length];
    stream.read_exact(&mut answer)?;
    Ok(answer.split_off(4))
}

fn framed(request: &Request) -> Vec<u8> {
    let mut whole = Vec::new();
    whole.extend(request.key.to_be_bytes());
    whole.extend(request.version.to_be_bytes());
    whole.extend(CORRELATION.to_be_bytes());
    text(&mut whole, "dev-stack");
    whole.extend(&request.body);
    let mut framed = i32::try_from(whole.len()).unwrap_or(0).to_be_bytes().to_vec();
    framed.extend(whole);
    framed
}

/// A text as the protocol writes it; longer ones than it can hold are cut.
pub(crate) fn text(to: &mut Vec<u8>, text: &str) {
    let length = i16::try_from(text.len()).unwrap_or(i16::MAX);
    to.extend(length.to_be_bytes());
    to.extend(text.bytes().take(usize::try_from(length).unwrap_or(0)));
}
