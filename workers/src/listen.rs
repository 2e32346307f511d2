//! The address of the health port as people write it: `127.0.0.1:8081`, `:8081` (every interface), `localhost:8081`.

use std::net::{Ipv4Addr, SocketAddr, ToSocketAddrs};
use std::str::FromStr;

use serde::Serialize;

/// An address to listen on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Listen(pub SocketAddr);

impl FromStr for Listen {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let hint = "give HOST:PORT, for instance 127.0.0.1:8081, or :8081 for every interface";
        if let Some(port) = text.strip_prefix(':') {
            let port = port.parse().map_err(|_| format!("{text:?} has no port number: {hint}"))?;
            return Ok(Listen((Ipv4Addr::UNSPECIFIED, port).into()));
        }
        let found: Vec<SocketAddr> =
            text.to_socket_addrs().map_err(|error| format!("{text:?}: {error}; {hint}"))?.collect();
        // A name may have both kinds of address, and other programs are told the name.
        let address = found.iter().find(|address| address.is_ipv4()).or(found.first());
        address.copied().map(Listen).ok_or_else(|| format!("{text:?} has no address: {hint}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> String {
        text.parse::<Listen>().map_or_else(|error| error, |listen| listen.0.to_string())
    }

    #[test]
    fn addresses_are_taken_as_people_write_them() {
        assert_eq!(parsed("127.0.0.1:8081"), "127.0.0.1:8081");
        assert_eq!(parsed("[::1]:8081"), "[::1]:8081");
        assert_eq!(parsed(":8081"), "0.0.0.0:8081");
        assert_eq!(parsed("localhost:8081"), "127.0.0.1:8081");
        for wrong in ["8081", "127.0.0.1", ":", ":x", "127.0.0.1:70000", ""] {
            assert!(parsed(wrong).contains(":8081"), "{wrong:?}: {}", parsed(wrong));
        }
    }
}
