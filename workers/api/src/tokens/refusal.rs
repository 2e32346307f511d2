//! Why somebody is not believed, in words for whoever is refused: never with anything out of what was sent.

use thiserror::Error;

/// Why a key or a token is not believed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Refusal {
    /// It has not the form of a token, and is no key.
    #[error("this door knows no such key, and it is no token of an issuer that it trusts")]
    Unknown,
    /// It begins as a token, and is none.
    #[error("the token cannot be read: it has three parts of base64url, with dots between them")]
    Malformed,
    /// By no algorithm that is accepted.
    #[error("the token's header names no algorithm that is accepted: RS256, PS256, ES256 or EdDSA")]
    Algorithm,
    /// By a key that nobody knows.
    #[error("the token is signed with a key that its issuer does not show")]
    KeyNotShown,
    /// Changed, or of somebody else.
    #[error("the token's signature is not by its issuer's key")]
    Signature,
    /// Too late.
    #[error("the token has expired")]
    Expired,
    /// Too early.
    #[error("the token is not valid yet")]
    NotYet,
    /// For somebody else.
    #[error("the token is not for the audience {0}")]
    Audience(String),
    /// Of somebody else.
    #[error("the token is not of the issuer {0}")]
    Issuer(String),
    /// A claim is missing, or is no number or text.
    #[error("the token has no {0}, or not in its form")]
    Claim(String),
    /// The name is none that commands can say.
    #[error("the token's {0} has to be 1 to 64 printable bytes: it is the name that commands say")]
    Name(String),
    /// Somebody else has this name already.
    #[error("the token's name is that of a key of this door, which would be the same caller")]
    NameOfKey,
    /// Nobody can tell for now.
    #[error("the issuer's keys cannot be looked up for now, so nobody can tell whether the token is good")]
    CannotTell,
}
