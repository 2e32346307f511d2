//! Certificates for a secured broker and its users, made when it starts: nothing of them is in the repository.
//!
//! An authority issues one certificate for the broker and one for each user, whose common name is the user's name. Keys are
//! P-256 in PKCS#8, the one form of PEM that Kafka's key stores and OpenSSL both read.

use openssl::asn1::Asn1Time;
use openssl::bn::BigNum;
use openssl::ec::{EcGroup, EcKey};
use openssl::error::ErrorStack;
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::x509::extension::{BasicConstraints, ExtendedKeyUsage, KeyUsage, SubjectAlternativeName};
use openssl::x509::{X509, X509Builder, X509Name, X509NameBuilder, X509NameRef};

use crate::error::Result;

/// How long certificates are good for, in days from now.
const VALID_DAYS: u32 = 30;

/// Who signs.
pub(crate) struct Authority {
    certificate: X509,
    key: PKey<Private>,
}

/// A certificate and its key, both as PEM.
pub(crate) struct Issued {
    pub(crate) certificate: Vec<u8>,
    pub(crate) key: Vec<u8>,
}

impl Authority {
    /// A new one, which nobody trusts yet.
    pub(crate) fn new(name: &str) -> Result<Self> {
        let key = new_key()?;
        let subject = common_name(name)?;
        let mut builder = begun(subject.as_ref(), subject.as_ref(), &key)?;
        builder.append_extension(BasicConstraints::new().critical().ca().build()?)?;
        builder.append_extension(KeyUsage::new().critical().key_cert_sign().crl_sign().build()?)?;
        builder.sign(&key, MessageDigest::sha256())?;
        Ok(Self { certificate: builder.build(), key })
    }

    /// The certificate that others have to trust, as PEM.
    pub(crate) fn certificate(&self) -> Result<Vec<u8>> {
        Ok(self.certificate.to_pem()?)
    }

    /// A certificate for this name; good for both sides of a connection, as a server only on this machine.
    pub(crate) fn issue(&self, name: &str) -> Result<Issued> {
        let key = new_key()?;
        let mut builder = begun(common_name(name)?.as_ref(), self.certificate.subject_name(), &key)?;
        builder.append_extension(BasicConstraints::new().critical().build()?)?;
        builder.append_extension(KeyUsage::new().critical().digital_signature().key_agreement().build()?)?;
        builder.append_extension(ExtendedKeyUsage::new().server_auth().client_auth().build()?)?;
        let context = builder.x509v3_context(Some(&self.certificate), None);
        let here = SubjectAlternativeName::new().dns("localhost").ip("127.0.0.1").build(&context)?;
        builder.append_extension(here)?;
        builder.sign(&self.key, MessageDigest::sha256())?;
        Ok(Issued { certificate: builder.build().to_pem()?, key: key.private_key_to_pem_pkcs8()? })
    }
}

fn new_key() -> Result<PKey<Private>, ErrorStack> {
    PKey::from_ec_key(EcKey::generate(EcGroup::from_curve_name(Nid::X9_62_PRIME256V1)?.as_ref())?)
}

fn common_name(name: &str) -> Result<X509Name, ErrorStack> {
    let mut builder = X509NameBuilder::new()?;
    builder.append_entry_by_nid(Nid::COMMONNAME, name)?;
    Ok(builder.build())
}

/// Everything but extensions and signature.
fn begun(subject: &X509NameRef, issuer: &X509NameRef, key: &PKey<Private>) -> Result<X509Builder, ErrorStack> {
    let mut serial = BigNum::new()?;
    serial.rand(127, openssl::bn::MsbOption::MAYBE_ZERO, false)?;
    let mut builder = X509::builder()?;
    builder.set_version(2)?;
    builder.set_serial_number(serial.to_asn1_integer()?.as_ref())?;
    builder.set_subject_name(subject)?;
    builder.set_issuer_name(issuer)?;
    builder.set_pubkey(key)?;
    builder.set_not_before(Asn1Time::days_from_now(0)?.as_ref())?;
    builder.set_not_after(Asn1Time::days_from_now(VALID_DAYS)?.as_ref())?;
    Ok(builder)
}

#[cfg(test)]
mod tests {
    use std::cmp::Ordering;

    use super::*;

    #[test]
    fn what_an_authority_issues_is_trusted_through_it_and_through_no_other() {
        let (ours, other) = (Authority::new("ours").unwrap(), Authority::new("other").unwrap());
        let issued = X509::from_pem(&ours.issue("somebody").unwrap().certificate).unwrap();
        assert!(issued.verify(&ours.key).unwrap());
        assert!(!issued.verify(&other.key).unwrap());
        assert_eq!(issued.not_after().compare(&Asn1Time::days_from_now(1).unwrap()).unwrap(), Ordering::Greater);
    }
}
