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

#[cfg(test)]
mod tests {
    use super::*;

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
