//! What S3's signatures are made of, by OpenSSL. Deliberately absent: RSA, which only other stores sign with.

use object_store::client::{
    CryptoProvider, DigestAlgorithm, DigestContext, HmacContext, Signer as RsaSigner, SigningAlgorithm,
};
use object_store::{Error, Result};
use openssl::error::ErrorStack;
use openssl::hash::{Hasher, MessageDigest};
use openssl::pkey::PKey;
use openssl::sign::Signer;

/// The system's OpenSSL.
#[derive(Debug)]
pub(super) struct OpenSsl;

impl CryptoProvider for OpenSsl {
    fn digest(&self, algorithm: DigestAlgorithm) -> Result<Box<dyn DigestContext>> {
        let hasher = Hasher::new(known(&algorithm)?).map_err(failed)?;
        Ok(Box::new(Digest { hasher, failed: None, digest: Vec::new() }))
    }

    fn hmac(&self, algorithm: DigestAlgorithm, secret: &[u8]) -> Result<Box<dyn HmacContext>> {
        let digest = known(&algorithm)?;
        let signer = PKey::hmac(secret).and_then(|key| Signer::new(digest, &key)).map_err(failed)?;
        Ok(Box::new(Hmac { signer, failed: None, code: Vec::new() }))
    }

    fn sign(&self, algorithm: SigningAlgorithm, _pem: &[u8]) -> Result<Box<dyn RsaSigner>> {
        Err(not_supported(format!("{algorithm:?}")))
    }
}

struct Digest {
    hasher: Hasher,
    /// Feeding cannot fail; ending tells.
    failed: Option<ErrorStack>,
    digest: Vec<u8>,
}

impl DigestContext for Digest {
    fn update(&mut self, data: &[u8]) {
        self.failed = self.failed.take().or(self.hasher.update(data).err());
    }

    fn finish(&mut self) -> Result<&[u8]> {
        self.failed.take().map_or(Ok(()), Err).map_err(failed)?;
        self.digest = self.hasher.finish().map_err(failed)?.to_vec();
        Ok(&self.digest)
    }
}

struct Hmac {
    signer: Signer<'static>,
    failed: Option<ErrorStack>,
    code: Vec<u8>,
}

impl HmacContext for Hmac {
    fn update(&mut self, data: &[u8]) {
        self.failed = self.failed.take().or(self.signer.update(data).err());
    }

    fn finish(&mut self) -> Result<&[u8]> {
        self.failed.take().map_or(Ok(()), Err).map_err(failed)?;
        self.code = self.signer.sign_to_vec().map_err(failed)?;
        Ok(&self.code)
    }
}

fn known(algorithm: &DigestAlgorithm) -> Result<MessageDigest> {
    match algorithm {
        DigestAlgorithm::Sha256 => Ok(MessageDigest::sha256()),
        other => Err(not_supported(format!("{other:?}"))),
    }
}

fn not_supported(what: String) -> Error {
    Error::NotSupported { source: what.into() }
}

fn failed(error: ErrorStack) -> Error {
    Error::Generic { store: "OpenSSL", source: error.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// FIPS 180-4's example, and the second test case of RFC 4231.
    #[test]
    fn digests_and_codes_are_those_of_the_standards() {
        let mut digest = OpenSsl.digest(DigestAlgorithm::Sha256).unwrap();
        digest.update(b"a");
        digest.update(b"bc");
        assert!(hex(digest.finish().unwrap()).starts_with("ba7816bf8f01cfea414140de5dae2223"));
        let mut code = OpenSsl.hmac(DigestAlgorithm::Sha256, b"Jefe").unwrap();
        code.update(b"what do ya want ");
        code.update(b"for nothing?");
        assert!(hex(code.finish().unwrap()).starts_with("5bdcc146bf60754e6a042426089575c7"));
        assert!(OpenSsl.sign(SigningAlgorithm::RS256, b"").is_err());
    }
}
