//! A caller's librdkafka properties, copied with their real values.
//!
//! [`ClientConfig::config_map`] shows a text in the place of every secret (passwords of SASL, of keys and of key stores):
//! it is for looking. Only names may be taken from there.

use rdkafka::config::ClientConfig;

/// Sets every property of `from` whose name is wanted in `to`.
pub(crate) fn copy(from: &ClientConfig, to: &mut ClientConfig, is_wanted: impl Fn(&str) -> bool) {
    for name in from.config_map().into_keys().filter(|name| is_wanted(name)) {
        if let Some(value) = from.get(name) {
            to.set(name, value);
        }
    }
}

/// Whether a property's value is not to be shown. By the words in its name, so that a misspelt one is not shown either.
pub fn is_secret(name: &str) -> bool {
    const WORDS: [&str; 8] =
        ["pas", "secret", "token", "key.pem", "keystore.pem", "jaas", "bearer.config", "assertion"];
    let name = name.to_ascii_lowercase();
    WORDS.iter().any(|word| name.contains(word)) && !name.ends_with(".location") && !name.ends_with(".url")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_secret_is_told_by_its_name() {
        for name in [
            "sasl.password",
            "SASL.Password",
            "sasl.pasword",
            "ssl.key.password",
            "ssl.key.pem",
            "ssl.keystore.password",
            "sasl.oauthbearer.client.secret",
            "sasl.oauthbearer.client.credentials.client.secret",
            "sasl.oauthbearer.config",
            "sasl.oauthbearer.assertion.private.key.passphrase",
        ] {
            assert!(is_secret(name), "{name}");
        }
        for name in ["sasl.mechanism", "sasl.username", "ssl.key.location", "sasl.oauthbearer.token.endpoint.url"] {
            assert!(!is_secret(name), "{name}");
        }
    }

    #[test]
    fn secrets_arrive_as_they_were_given() {
        let mut from = ClientConfig::new();
        let secrets =
            ["sasl.password", "ssl.key.password", "ssl.keystore.password", "sasl.oauthbearer.client.secret", "acks"];
        for name in secrets {
            from.set(name, format!("the {name}"));
        }
        let mut to = ClientConfig::new();
        copy(&from, &mut to, |name| name != "acks");
        assert_eq!(
            secrets.map(|name| to.get(name)),
            [
                Some("the sasl.password"),
                Some("the ssl.key.password"),
                Some("the ssl.keystore.password"),
                Some("the sasl.oauthbearer.client.secret"),
                None,
            ]
        );
    }
}
