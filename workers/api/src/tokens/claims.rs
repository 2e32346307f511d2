//! Who a token is of, and which roles it has, out of its claims.
//!
//! Providers put roles in different places: a list or a text of words, under one name, or within other claims
//! (`realm_access.roles`). A role that this door has not is somebody else's, and passed over.

use schemas::CommandId;
use serde_json::{Map, Value};

use super::Refusal;
use crate::keys::Role;

/// Where roles are where the claim of roles is not: OAuth's own word for what may be done.
const SCOPE: &str = "scope";

/// Which claims say what.
#[derive(Debug, Clone)]
pub(super) struct Reading {
    pub(super) name_claim: String,
    pub(super) roles_claim: String,
}

impl Reading {
    /// The name, which is what a key's name is.
    pub(super) fn name(&self, claims: &Map<String, Value>) -> Result<String, Refusal> {
        let claim = || self.name_claim.clone();
        let name = found(claims, &self.name_claim).and_then(Value::as_str).ok_or_else(|| Refusal::Claim(claim()))?;
        CommandId::new(name).map(|name| name.to_string()).map_err(|_| Refusal::Name(claim()))
    }

    /// The roles; those of `scope` where there is no claim of roles.
    pub(super) fn roles(&self, claims: &Map<String, Value>) -> Vec<Role> {
        let roles = found(claims, &self.roles_claim).filter(|roles| !roles.is_null());
        let words = match roles.or_else(|| claims.get(SCOPE)) {
            Some(Value::String(text)) => text.split_whitespace().collect(),
            Some(Value::Array(values)) => values.iter().filter_map(Value::as_str).collect(),
            Some(Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_)) | None => Vec::new(),
        };
        Role::ALL.into_iter().filter(|role| words.contains(&role.as_str())).collect()
    }
}

/// The claim of this name; else the one that its parts lead to. Some providers have dots in names, others claims in claims.
fn found<'c>(claims: &'c Map<String, Value>, name: &str) -> Option<&'c Value> {
    claims.get(name).or_else(|| {
        let (first, rest) = name.split_once('.')?;
        rest.split('.').try_fold(claims.get(first)?, |value, part| value.get(part))
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn reading(name: &str, roles: &str) -> Reading {
        Reading { name_claim: name.to_owned(), roles_claim: roles.to_owned() }
    }

    fn map(value: Value) -> Map<String, Value> {
        value.as_object().unwrap().clone()
    }

    #[test]
    fn roles_are_found_wherever_providers_put_them() {
        let of = |claim: &str, claims: Value| reading("sub", claim).roles(&map(claims));
        let both = [Role::OrdersRead, Role::OpsAct];
        for (claim, claims) in [
            ("roles", json!({ "roles": ["ops:act", "orders:read", "somebody:else"] })),
            ("roles", json!({ "roles": "orders:read ops:act" })),
            ("roles", json!({ "scope": "openid orders:read ops:act" })),
            ("roles", json!({ "roles": null, "scope": "orders:read ops:act" })),
            ("scope", json!({ "roles": ["stock:write"], "scope": "orders:read ops:act" })),
            ("scp", json!({ "scp": ["orders:read", "ops:act"] })),
            ("realm_access.roles", json!({ "realm_access": { "roles": ["orders:read", "ops:act"] } })),
            ("https://shop.example/roles", json!({ "https://shop.example/roles": ["orders:read", "ops:act"] })),
        ] {
            assert_eq!(of(claim, claims.clone()), both, "{claim} of {claims}");
        }
        // A claim of roles that is there says all: scope adds nothing to it. Words are whole words.
        for claims in [
            json!({ "roles": [], "scope": "ops:act" }),
            json!({ "roles": ["orders:readers", "xops:act", 7, null] }),
            json!({ "roles": { "ops:act": true } }),
            json!({}),
        ] {
            assert_eq!(of("roles", claims.clone()), [], "{claims}");
        }
    }

    #[test]
    fn a_name_is_one_that_a_key_could_have() {
        let name = |claims: Value| reading("sub", "roles").name(&map(claims));
        assert_eq!(name(json!({ "sub": "auth0|507f1f77" })), Ok("auth0|507f1f77".to_owned()));
        assert_eq!(name(json!({ "name": "ada" })), Err(Refusal::Claim("sub".to_owned())));
        assert_eq!(name(json!({ "sub": 7 })), Err(Refusal::Claim("sub".to_owned())));
        for wrong in ["", "a\nb", &"n".repeat(65)] {
            assert_eq!(name(json!({ "sub": wrong })), Err(Refusal::Name("sub".to_owned())), "{wrong:?}");
        }
        let nested = reading("act.sub", "roles").name(&map(json!({ "act": { "sub": "batch" } })));
        assert_eq!(nested, Ok("batch".to_owned()));
    }
}
