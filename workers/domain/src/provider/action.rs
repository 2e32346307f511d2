//! Where a customer goes who has to act: asked of the provider when somebody wants to know, and handed on.
//!
//! Whoever has the address can act for the customer. So it is shown nowhere, and has no form in which it could be stored. Deliberately
//! absent: opening it.

use std::fmt;

/// No address is longer, in bytes.
const LONGEST: usize = 4096;

/// What a log shows of an address.
const NOT_SHOWN: &str = "(the customer's address)";

/// Where a customer goes to act.
#[derive(Clone, PartialEq, Eq)]
pub struct ActionUrl(String);

impl ActionUrl {
    /// The address, if it is one that a browser can be sent to: of the web, in printable characters.
    pub fn new(text: &str) -> Option<Self> {
        let is_of_the_web = text.starts_with("https://") || text.starts_with("http://");
        let is_plain = text.len() <= LONGEST && text.bytes().all(|byte| byte.is_ascii_graphic());
        (is_of_the_web && is_plain).then(|| ActionUrl(text.to_owned()))
    }

    /// For the customer, and for nobody else.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for ActionUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(NOT_SHOWN)
    }
}

impl fmt::Display for ActionUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(NOT_SHOWN)
    }
}

/// What a provider says when it is asked where the customer goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Directions {
    /// There.
    Url(ActionUrl),
    /// The customer has nothing to do, or nothing any more.
    NoActionNeeded,
    /// There is something to do, and no address to do it at.
    Refused {
        /// Why, for people.
        detail: String,
    },
    /// It is not known now.
    Unavailable {
        /// Why, for people.
        detail: String,
        /// How long the provider asks to wait, in milliseconds.
        after_ms: Option<i64>,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_shown_to_nobody_who_does_not_ask_for_it() {
        let url = ActionUrl::new("https://bank.example/planted").unwrap();
        let shown = [format!("{url}"), format!("{url:?}"), format!("{:?}", Directions::Url(url.clone()))];
        assert!(shown.iter().all(|text| !text.contains("planted")), "{shown:?}");
        assert_eq!(url.expose(), "https://bank.example/planted");
    }

    #[test]
    fn an_address_is_one_of_the_web() {
        assert!(ActionUrl::new("http://127.0.0.1:1/act?a=b").is_some());
        let long = format!("https://{}", "x".repeat(LONGEST));
        for wrong in ["", "javascript:alert(1)", "data:text/html,x", "https://a b", "https://a\r\nb", long.as_str()] {
            assert_eq!(ActionUrl::new(wrong), None, "{wrong}");
        }
    }
}
