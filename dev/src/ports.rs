//! Free loopback ports for servers.
//!
//! Chosen below the range from which the system takes ports for outgoing connections: a server that was killed can
//! come back on its port, because no connection can have taken it meanwhile. Two starters may still choose the same
//! one at the same time; whoever loses tries again with another (see `Error::is_port_clash`).

use std::fs;
use std::hash::{BuildHasher, RandomState};
use std::net::{Ipv4Addr, TcpListener};

use crate::error::{Error, Result};

const FIRST: u16 = 15_000;
const TRIES: u64 = 200;

/// A port on 127.0.0.1 that nobody listens on right now.
///
/// # Errors
/// When none of many tried was free.
pub fn free_port() -> Result<u16> {
    let last = first_outgoing_port().saturating_sub(1).max(FIRST + 1000);
    let random = RandomState::new();
    for attempt in 0..TRIES {
        let offset = random.hash_one(attempt) % u64::from(last - FIRST);
        // Below `last - FIRST`, so it fits.
        let port = FIRST + u16::try_from(offset).unwrap_or(0);
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return Ok(port);
        }
    }
    Err(Error::NoFreePort { first: FIRST, last })
}

fn first_outgoing_port() -> u16 {
    fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range")
        .ok()
        .and_then(|text| text.split_ascii_whitespace().next()?.parse().ok())
        .unwrap_or(32_768)
}
