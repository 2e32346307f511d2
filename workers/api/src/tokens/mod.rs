//! Tokens of an identity provider (JWT, OIDC): whose they are, and what they may do.
//!
//! A token is believed when its signature is by a key that the issuer shows (`issuer`), by one of four algorithms (`signatures`), and it
//! is for this door, of this issuer, and of now; then its claims say who it is (`claims`). Each is verified on each request: that costs
//! less than a look into the database. Deliberately absent: secrets shared with the issuer, sessions, log-in, asking the issuer about
//! single tokens; so a token that is withdrawn is good until it expires.

mod claims;
mod issuer;
mod options;
mod refusal;
mod signatures;
mod source;

use std::sync::Arc;

use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, DecodingKey, TokenData, Validation, decode, decode_header};
use serde_json::{Map, Value};

pub use issuer::Keeper;
pub use options::TokenOptions;
pub use refusal::Refusal;

use crate::keys::{Allowances, Caller};
use claims::Reading;
use issuer::Issuer;

/// How far the issuer's clock may be from this one, in seconds.
const LEEWAY_S: u64 = 30;

/// No identity provider makes longer ones.
const LONGEST: usize = 16 * 1024;

/// The algorithms that are accepted; the issuer's keys say which of them each is for.
const ACCEPTED: [Algorithm; 4] = [Algorithm::RS256, Algorithm::PS256, Algorithm::ES256, Algorithm::EdDSA];

/// Reads tokens; cheap to clone.
#[derive(Debug, Clone)]
pub struct Tokens {
    issuer: Issuer,
    audience: String,
    reading: Reading,
    /// A token is read anew with each request: what its caller may ask is kept by name.
    allowances: Option<Arc<Allowances>>,
}

impl Tokens {
    /// Whoever the token is of.
    ///
    /// # Errors
    /// It is not to be believed, and why.
    pub async fn caller(&self, token: &str) -> Result<Caller, Refusal> {
        if token.len() > LONGEST {
            return Err(Refusal::Malformed);
        }
        let header = decode_header(token).map_err(|error| self.refusal(error.kind()))?;
        if !ACCEPTED.contains(&header.alg) {
            return Err(Refusal::Algorithm);
        }
        let key = self.issuer.key(header.kid.as_deref(), header.alg).await?;
        let claims = self.claims(token, &key, header.alg)?;
        let name = self.reading.name(&claims)?;
        let allowance = self.allowances.as_ref().map(|allowances| allowances.named(&name));
        Ok(Caller::bounded(name, self.reading.roles(&claims), allowance))
    }

    fn claims(&self, token: &str, key: &DecodingKey, algorithm: Algorithm) -> Result<Map<String, Value>, Refusal> {
        let mut rules = Validation::new(algorithm);
        rules.leeway = LEEWAY_S;
        rules.validate_nbf = true;
        rules.set_required_spec_claims(&["exp", "iss", "aud"]);
        rules.set_issuer(&[self.issuer.name()]);
        rules.set_audience(&[&self.audience]);
        let read: Result<TokenData<Map<String, Value>>, _> = decode(token, key, &rules);
        read.map(|token| token.claims).map_err(|error| self.refusal(error.kind()))
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "another crate's, which may grow: what is not named is refused")]
    fn refusal(&self, wrong: &ErrorKind) -> Refusal {
        match wrong {
            ErrorKind::ExpiredSignature => Refusal::Expired,
            ErrorKind::ImmatureSignature => Refusal::NotYet,
            ErrorKind::InvalidAudience => Refusal::Audience(self.audience.clone()),
            ErrorKind::InvalidIssuer => Refusal::Issuer(self.issuer.name().to_owned()),
            ErrorKind::MissingRequiredClaim(name) | ErrorKind::InvalidClaimFormat(name) => Refusal::Claim(name.clone()),
            ErrorKind::InvalidSignature => Refusal::Signature,
            // A header with an algorithm that has no name here, `none` among them, does not even parse.
            ErrorKind::Json(_) | ErrorKind::InvalidAlgorithm | ErrorKind::UnsupportedAlgorithm => Refusal::Algorithm,
            _ => Refusal::Malformed,
        }
    }

    /// What the issuer's keys lack: in the way, where there is none at all; else for a person to know.
    pub fn trouble(&self) -> Option<Trouble> {
        self.issuer.trouble()
    }
}

/// What is wrong with the issuer's keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// In words.
    pub words: String,
    /// Whether there are keys, of an earlier look.
    pub has_keys: bool,
}
