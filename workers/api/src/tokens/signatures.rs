//! Signatures of tokens, by the system's OpenSSL, which is the one cryptographic library here; `jsonwebtoken` would bring another.
//!
//! RS256, PS256, ES256 and EdDSA (Ed25519). Deliberately absent: everything with a shared secret, and signing.

use jsonwebtoken::crypto::{CryptoProvider, JwtSigner, JwtVerifier, KeyUtils};
use jsonwebtoken::errors::{ErrorKind, Result};
use jsonwebtoken::signature::{Error, Verifier};
use jsonwebtoken::{Algorithm, DecodingKey, DecodingKeyKind, EncodingKey};
use openssl::bn::BigNum;
use openssl::bn::BigNumContext;
use openssl::ec::{EcGroup, EcKey, EcPoint};
use openssl::ecdsa::EcdsaSig;
use openssl::error::ErrorStack;
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{Id, PKey, Public};
use openssl::rsa::{Padding, Rsa};
use openssl::sign::RsaPssSaltlen;

/// Shorter keys of RSA can be broken.
const RSA_BITS: u32 = 2048;

/// Each half of a signature by ES256.
const ES256_HALF: usize = 32;

static OPENSSL: CryptoProvider =
    CryptoProvider { signer_factory: no_signer, verifier_factory: verifier, key_utils: KeyUtils::new_unimplemented() };

/// From here on `jsonwebtoken` verifies with OpenSSL.
pub(super) fn install() {
    // An error means that it is installed already.
    _ = OPENSSL.install_default();
}

/// Whether signatures can be verified with the key.
pub(super) fn is_usable(key: &DecodingKey, algorithm: Algorithm) -> bool {
    verifier(&algorithm, key).is_ok()
}

fn no_signer(_: &Algorithm, _: &EncodingKey) -> Result<Box<dyn JwtSigner>> {
    Err(ErrorKind::UnsupportedAlgorithm.into())
}

#[expect(clippy::wildcard_enum_match_arm, reason = "another crate's, which may grow: what is not named is refused")]
fn verifier(algorithm: &Algorithm, key: &DecodingKey) -> Result<Box<dyn JwtVerifier>> {
    let key = match algorithm {
        Algorithm::RS256 | Algorithm::PS256 => rsa(key)?,
        Algorithm::ES256 => p256(key.try_get_as_bytes()?).map_err(not_a_key)?,
        Algorithm::EdDSA => PKey::public_key_from_raw_bytes(key.try_get_as_bytes()?, Id::ED25519).map_err(not_a_key)?,
        _ => return Err(ErrorKind::UnsupportedAlgorithm.into()),
    };
    Ok(Box::new(Known { algorithm: *algorithm, key }))
}

fn not_a_key(error: ErrorStack) -> jsonwebtoken::errors::Error {
    ErrorKind::Provider(error.to_string()).into()
}

fn rsa(key: &DecodingKey) -> Result<PKey<Public>> {
    let DecodingKeyKind::RsaModulusExponent { n, e } = key.kind() else {
        return Err(ErrorKind::InvalidKeyFormat.into());
    };
    let read = || PKey::from_rsa(Rsa::from_public_components(BigNum::from_slice(n)?, BigNum::from_slice(e)?)?);
    let key = read().map_err(not_a_key)?;
    match key.bits() >= RSA_BITS {
        true => Ok(key),
        false => Err(ErrorKind::InvalidRsaKey(format!("fewer than {RSA_BITS} bits")).into()),
    }
}

fn p256(point: &[u8]) -> std::result::Result<PKey<Public>, ErrorStack> {
    let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1)?;
    let point = EcPoint::from_bytes(&group, point, &mut *BigNumContext::new()?)?;
    PKey::from_ec_key(EcKey::from_public_key(&group, &point)?)
}

/// An issuer's key, for one algorithm.
struct Known {
    algorithm: Algorithm,
    key: PKey<Public>,
}

impl Known {
    fn is_signed(&self, message: &[u8], signature: &[u8]) -> std::result::Result<bool, ErrorStack> {
        if self.algorithm == Algorithm::EdDSA {
            return openssl::sign::Verifier::new_without_digest(&self.key)?.verify_oneshot(signature, message);
        }
        let mut verifier = openssl::sign::Verifier::new(MessageDigest::sha256(), &self.key)?;
        if self.algorithm == Algorithm::PS256 {
            verifier.set_rsa_padding(Padding::PKCS1_PSS)?;
            verifier.set_rsa_pss_saltlen(RsaPssSaltlen::DIGEST_LENGTH)?;
            verifier.set_rsa_mgf1_md(MessageDigest::sha256())?;
        }
        if self.algorithm != Algorithm::ES256 {
            return verifier.verify_oneshot(signature, message);
        }
        if signature.len() != 2 * ES256_HALF {
            return Ok(false);
        }
        let (r, s) = signature.split_at(ES256_HALF);
        let signature = EcdsaSig::from_private_components(BigNum::from_slice(r)?, BigNum::from_slice(s)?)?.to_der()?;
        verifier.verify_oneshot(&signature, message)
    }
}

impl Verifier<Vec<u8>> for Known {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> std::result::Result<(), Error> {
        // What OpenSSL cannot read is no signature.
        if self.is_signed(message, signature).unwrap_or(false) { Ok(()) } else { Err(Error::new()) }
    }
}

impl JwtVerifier for Known {
    fn algorithm(&self) -> Algorithm {
        self.algorithm
    }
}
