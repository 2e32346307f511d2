//! Encrypted connections to Postgres, with libpq's `sslmode`, through the system's OpenSSL.
//!
//! | mode | server without TLS | certificate | name |
//! |---|---|---|---|
//! | `disable` | taken | | |
//! | `prefer` | taken | looked at if `sslrootcert` is given | not |
//! | `require` | refused | looked at if `sslrootcert` is given | not |
//! | `verify-ca` | refused | by `sslrootcert` | not |
//! | `verify-full` | refused | by `sslrootcert`, or the system's authorities | must be the host's |
//!
//! Meant as <https://www.postgresql.org/docs/current/libpq-ssl.html> says. Stricter in one point: where a server offers
//! TLS and the handshake fails, `prefer` does not try again without. Deliberately absent: revocation lists.

use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Arc, OnceLock};

use openssl::error::ErrorStack;
use openssl::pkey::{PKey, Private};
use openssl::ssl::{SslConnector, SslConnectorBuilder, SslMethod, SslVerifyMode, SslVersion};
use openssl::x509::store::X509StoreBuilder;
use openssl::x509::{X509, X509Ref, X509StoreContextRef};
use postgres_openssl::TlsStream;
use tokio_postgres::Socket;
use tokio_postgres::tls::{MakeTlsConnect, TlsConnect};

/// What an `sslmode` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SslMode {
    Disable,
    Prefer,
    Require,
    VerifyCa,
    VerifyFull,
}

impl SslMode {
    pub(crate) const ALL: [Self; 5] = [Self::Disable, Self::Prefer, Self::Require, Self::VerifyCa, Self::VerifyFull];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Disable => "disable",
            Self::Prefer => "prefer",
            Self::Require => "require",
            Self::VerifyCa => "verify-ca",
            Self::VerifyFull => "verify-full",
        }
    }

    /// Whether the driver may, or must, begin with TLS.
    pub(crate) fn of_driver(self) -> tokio_postgres::config::SslMode {
        use tokio_postgres::config::SslMode as Driver;
        match self {
            Self::Disable => Driver::Disable,
            Self::Prefer => Driver::Prefer,
            Self::Require | Self::VerifyCa | Self::VerifyFull => Driver::Require,
        }
    }
}

impl fmt::Display for SslMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Whose signature on a server's certificate counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Roots {
    /// Of those that this machine trusts.
    System,
    /// Of those in this file, and of no other.
    File(PathBuf),
}

/// By what a server knows this client.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
    pub(crate) password: Option<String>,
}

/// How to encrypt, and whom to trust.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct TlsSettings {
    pub(crate) mode: SslMode,
    pub(crate) roots: Option<Roots>,
    pub(crate) identity: Option<Identity>,
}

/// Why TLS is not to be had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TlsError {
    /// A file of the connection string cannot be used.
    #[error("{option}={path}: {reason}")]
    File {
        /// Which option names it.
        option: &'static str,
        /// Its path.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The server's certificate is not good enough for the `sslmode`.
    #[error("the server's certificate is refused: {0}")]
    Certificate(String),
    /// Server and client do not come to terms.
    #[error("the TLS handshake failed: {0}")]
    Handshake(String),
    /// OpenSSL does not take a setting.
    #[error("TLS cannot be set up: {0}")]
    Setup(String),
}

impl From<ErrorStack> for TlsError {
    fn from(stack: ErrorStack) -> Self {
        Self::Setup(reasons(&stack))
    }
}

/// OpenSSL's errors without its file names and numbers.
fn reasons(stack: &ErrorStack) -> String {
    let all: Vec<&str> = stack.errors().iter().filter_map(openssl::error::Error::reason).collect();
    if all.is_empty() { stack.to_string() } else { all.join(", ") }
}

/// Makes TLS connections for the driver, as a [`crate::ConnectionString`] asks.
#[derive(Clone)]
pub struct Tls {
    connector: SslConnector,
    verifies: bool,
    compares_name: bool,
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").field("verifies", &self.verifies).field("compares_name", &self.compares_name).finish()
    }
}

impl Tls {
    pub(crate) fn new(settings: &TlsSettings) -> Result<Self, TlsError> {
        let mut builder = SslConnector::builder(SslMethod::tls_client())?;
        builder.set_min_proto_version(Some(SslVersion::TLS1_2))?;
        if let Some(Roots::File(path)) = &settings.roots {
            trust_only(&mut builder, path)?;
        }
        if let Some(identity) = &settings.identity {
            identify(&mut builder, identity)?;
        }
        let compares_name = settings.mode == SslMode::VerifyFull;
        Ok(Self { connector: builder.build(), verifies: compares_name || settings.roots.is_some(), compares_name })
    }
}

fn failed(option: &'static str, path: &Path) -> impl Fn(String) -> TlsError {
    let path = path.display().to_string();
    move |reason| TlsError::File { option, path: path.clone(), reason }
}

fn certificates(option: &'static str, path: &Path) -> Result<Vec<X509>, TlsError> {
    let failed = failed(option, path);
    let pem = std::fs::read(path).map_err(|error| failed(error.to_string()))?;
    let found = X509::stack_from_pem(&pem).map_err(|stack| failed(reasons(&stack)))?;
    if found.is_empty() { Err(failed("it holds no certificate in PEM form".to_owned())) } else { Ok(found) }
}

fn trust_only(builder: &mut SslConnectorBuilder, path: &Path) -> Result<(), TlsError> {
    let mut store = X509StoreBuilder::new()?;
    for certificate in certificates("sslrootcert", path)? {
        store.add_cert(certificate)?;
    }
    builder.set_cert_store(store.build());
    Ok(())
}

fn identify(builder: &mut SslConnectorBuilder, identity: &Identity) -> Result<(), TlsError> {
    let mut chain = certificates("sslcert", &identity.certificate)?.into_iter();
    if let Some(own) = chain.next() {
        builder.set_certificate(&own)?;
    }
    for authority in chain {
        builder.add_extra_chain_cert(authority)?;
    }
    let failed = failed("sslkey", &identity.key);
    let key = private_key(identity).map_err(&failed)?;
    let fits = builder.set_private_key(&key).and_then(|()| builder.check_private_key());
    fits.map_err(|stack| failed(format!("it is not the key of the certificate in sslcert ({})", reasons(&stack))))
}

fn private_key(identity: &Identity) -> Result<PKey<Private>, String> {
    let pem = std::fs::read(&identity.key).map_err(|error| error.to_string())?;
    let mut was_asked = false;
    let read = PKey::private_key_from_pem_callback(&pem, |room| {
        was_asked = true;
        let password = identity.password.as_deref().unwrap_or_default().as_bytes();
        let fits = room.get_mut(..password.len()).map(|room| room.copy_from_slice(password));
        Ok(fits.map_or(0, |()| password.len()))
    });
    read.map_err(|stack| match (was_asked, &identity.password) {
        (true, None) => "it is encrypted: give sslpassword".to_owned(),
        (true, Some(_)) => "it is encrypted, and not with sslpassword".to_owned(),
        (false, _) => format!("it holds no private key in PEM form ({})", reasons(&stack)),
    })
}

impl MakeTlsConnect<Socket> for Tls {
    type Stream = TlsStream<Socket>;
    type TlsConnect = Handshake;
    type Error = TlsError;

    fn make_tls_connect(&mut self, host: &str) -> Result<Handshake, TlsError> {
        let mut ssl = self.connector.configure()?;
        ssl.set_verify_hostname(self.compares_name);
        let refusal: Refusal = Arc::default();
        if self.verifies {
            let (to_tell, host) = (refusal.clone(), host.to_owned());
            ssl.set_verify_callback(SslVerifyMode::PEER, move |is_good, context| {
                if !is_good {
                    // The first reason is the one that ends the handshake.
                    let _ = to_tell.set(why(context, &host));
                }
                is_good
            });
        } else {
            ssl.set_verify(SslVerifyMode::NONE);
        }
        Ok(Handshake { inner: postgres_openssl::TlsConnector::new(ssl, host), refusal })
    }
}

/// Why the server's certificate was refused, once it was.
type Refusal = Arc<OnceLock<String>>;

/// One handshake that is about to begin.
pub struct Handshake {
    inner: postgres_openssl::TlsConnector,
    refusal: Refusal,
}

impl TlsConnect<Socket> for Handshake {
    type Stream = TlsStream<Socket>;
    type Error = TlsError;
    type Future = Pin<Box<dyn Future<Output = Result<TlsStream<Socket>, TlsError>> + Send>>;

    fn connect(self, socket: Socket) -> Self::Future {
        let Self { inner, refusal } = self;
        Box::pin(async move {
            inner.connect(socket).await.map_err(|error| match refusal.get() {
                Some(why) => TlsError::Certificate(why.clone()),
                None => TlsError::Handshake(error.to_string()),
            })
        })
    }
}

/// `X509_V_ERR_HOSTNAME_MISMATCH` and `X509_V_ERR_IP_ADDRESS_MISMATCH` of OpenSSL's `x509_vfy.h`.
const HOSTNAME_MISMATCH: i32 = 62;
const IP_ADDRESS_MISMATCH: i32 = 64;

/// In words: the certificate at hand and what is wrong with it.
fn why(context: &X509StoreContextRef, host: &str) -> String {
    let result = context.error();
    let Some(certificate) = context.current_cert() else { return result.error_string().to_owned() };
    if [HOSTNAME_MISMATCH, IP_ADDRESS_MISMATCH].contains(&result.as_raw()) {
        return format!("it is for {}, not for {host}", names(certificate).join(", "));
    }
    let issuer = name_of(certificate.issuer_name());
    format!("{} (issued by {issuer}; sslrootcert says whose signature counts)", result.error_string())
}

/// Whom a certificate is for.
fn names(certificate: &X509Ref) -> Vec<String> {
    let alternatives = certificate.subject_alt_names();
    let alternatives = alternatives.iter().flatten().filter_map(|name| {
        let address = |bytes: &[u8]| match <[u8; 4]>::try_from(bytes) {
            Ok(four) => Some(IpAddr::from(four).to_string()),
            Err(_) => <[u8; 16]>::try_from(bytes).ok().map(|sixteen| IpAddr::from(sixteen).to_string()),
        };
        name.dnsname().map(str::to_owned).or_else(|| name.ipaddress().and_then(address))
    });
    let found: Vec<String> = alternatives.collect();
    if found.is_empty() { vec![name_of(certificate.subject_name())] } else { found }
}

fn name_of(name: &openssl::x509::X509NameRef) -> String {
    let texts = name.entries().filter_map(|entry| entry.data().to_string().ok());
    texts.collect::<Vec<_>>().join(", ")
}
