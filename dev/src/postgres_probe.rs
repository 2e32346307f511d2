//! Asks Postgres, over its own protocol, whether it takes connections.
//!
//! While it starts, shuts down or recovers it answers a start-up packet with an error; when it is ready it asks for
//! authentication. Nothing is authenticated here.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

const PROTOCOL: i32 = 196_608;

/// Whether Postgres at this address takes connections now.
pub(crate) fn takes_connections(address: SocketAddr, limit: Duration) -> io::Result<bool> {
    let mut stream = TcpStream::connect_timeout(&address, limit)?;
    stream.set_read_timeout(Some(limit))?;
    stream.set_write_timeout(Some(limit))?;
    let parameters = b"user\0postgres\0database\0postgres\0\0";
    let mut packet = Vec::new();
    packet.extend(i32::try_from(8 + parameters.len()).unwrap_or(0).to_be_bytes());
    packet.extend(PROTOCOL.to_be_bytes());
    packet.extend(parameters);
    stream.write_all(&packet)?;
    let mut kind = [0];
    stream.read_exact(&mut kind)?;
    Ok(kind == *b"R")
}
