//! How users get into a secured broker: what each of them proves itself with, by three mechanisms under one name.
//!
//! A folder beside the broker's data holds, per user, a certificate with its key (mutual TLS), a password (SCRAM) and an
//! unsigned token (OAUTHBEARER), all made when the broker is first started. Deliberately absent: a token's signature. The
//! broker takes whatever token names a user, as its manual allows for development; certificates and passwords are real.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use openssl::base64::encode_block;
use serde::{Deserialize, Serialize};

use crate::certificates::Authority;
use crate::error::{Error, Result};

/// The user that may do everything.
pub(crate) const ADMIN: &str = "admin";
/// The broker's own name, which no client has.
pub(crate) const BROKER: &str = "broker";
/// How long a token is good for that comes with the stack.
const TOKEN_LIFETIME: Duration = Duration::from_secs(24 * 3600);

/// The door of a secured broker, and its users' credentials.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Access {
    folder: PathBuf,
    mutual_tls: SocketAddr,
}

impl Access {
    /// Makes what is missing in this folder; what is there stays, but for tokens, which are made anew.
    pub(crate) fn prepare(folder: &Path, users: &[String], mutual_tls: SocketAddr) -> Result<Self> {
        let access = Self { folder: folder.to_path_buf(), mutual_tls };
        if !folder.exists() {
            let partial = folder.with_extension("partial");
            crate::project::remove_folder(&partial)?;
            fs::create_dir_all(&partial).map_err(Error::file("create", &partial))?;
            Self { folder: partial.clone(), mutual_tls }.make(users)?;
            fs::rename(&partial, folder).map_err(Error::file("rename", &partial))?;
        }
        for user in access.users(users) {
            if !access.certificate(user).exists() {
                let words = format!(
                    "user {user} was not made with the broker in {}; remove its data first (dev-stack down --remove-data)",
                    folder.display()
                );
                return Err(Error::Detached(words));
            }
            access.issue_token(user, TOKEN_LIFETIME)?;
        }
        Ok(access)
    }

    /// The certificate that clients have to trust.
    pub fn authority(&self) -> PathBuf {
        self.folder.join("ca.pem")
    }

    /// A certificate of somebody else, whom the broker's certificate is not signed by.
    pub fn other_authority(&self) -> PathBuf {
        self.folder.join("other-ca.pem")
    }

    /// A user's certificate.
    pub fn certificate(&self, user: &str) -> PathBuf {
        self.folder.join(format!("{user}.pem"))
    }

    /// The key of that certificate, not encrypted.
    pub fn key(&self, user: &str) -> PathBuf {
        self.folder.join(format!("{user}.key"))
    }

    /// The file of a user's SCRAM password.
    pub fn password(&self, user: &str) -> PathBuf {
        self.folder.join(format!("{user}.password"))
    }

    /// The file of a user's token.
    pub fn token(&self, user: &str) -> PathBuf {
        self.folder.join(format!("{user}.token"))
    }

    /// Where clients with a certificate connect to; the broker's address is that of SASL.
    pub fn mutual_tls_brokers(&self) -> String {
        self.mutual_tls.to_string()
    }

    pub(crate) fn mutual_tls(&self) -> SocketAddr {
        self.mutual_tls
    }

    /// Everything: credentials, keys, the authority.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Writes a new token for a user, good for so long from now; whoever reads the file sees the old one or the new one.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn issue_token(&self, user: &str, lifetime: Duration) -> Result<()> {
        let now = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
        let claims = serde_json::json!({ "sub": user, "iat": now.as_secs(), "exp": (now + lifetime).as_secs() });
        let token = format!("{}.{}.", url_base64(br#"{"alg":"none"}"#), url_base64(claims.to_string().as_bytes()));
        let (file, partial) = (self.token(user), self.folder.join(format!("{user}.token.partial")));
        write_secret(&partial, token.as_bytes())?;
        fs::rename(&partial, &file).map_err(Error::file("rename", &partial))
    }

    fn users<'u>(&self, users: &'u [String]) -> impl Iterator<Item = &'u str> {
        users.iter().map(String::as_str).chain([ADMIN])
    }

    fn make(&self, users: &[String]) -> Result<()> {
        let authority = Authority::new("dev-stack")?;
        write_secret(&self.authority(), &authority.certificate()?)?;
        write_secret(&self.other_authority(), &Authority::new("somebody else")?.certificate()?)?;
        let broker = authority.issue(BROKER)?;
        // Kafka takes key and certificate from one file.
        write_secret(&self.key_store(), &[broker.key, broker.certificate].concat())?;
        for user in self.users(users) {
            let issued = authority.issue(user)?;
            write_secret(&self.certificate(user), &issued.certificate)?;
            write_secret(&self.key(user), &issued.key)?;
            write_secret(&self.password(user), new_password()?.as_bytes())?;
        }
        Ok(())
    }

    fn key_store(&self) -> PathBuf {
        self.folder.join("broker.keystore.pem")
    }

    /// What the broker is told, its listeners aside.
    pub(crate) fn properties(&self) -> Vec<(String, String)> {
        const MODULES: &str = "org.apache.kafka.common.security";
        let text = |path: PathBuf| path.display().to_string();
        let scram = format!("{MODULES}.scram.ScramLoginModule required;");
        let token = format!(
            "{MODULES}.oauthbearer.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub=\"{BROKER}\";"
        );
        let fixed = [
            ("listener.security.protocol.map", "SASL_SSL:SASL_SSL,SSL:SSL,CONTROLLER:SSL"),
            ("inter.broker.listener.name", "SSL"),
            ("listener.name.ssl.ssl.client.auth", "required"),
            ("listener.name.controller.ssl.client.auth", "required"),
            ("ssl.keystore.type", "PEM"),
            ("ssl.truststore.type", "PEM"),
            ("ssl.principal.mapping.rules", "RULE:^CN=(.*)$/$1/"),
            ("sasl.enabled.mechanisms", "SCRAM-SHA-512,OAUTHBEARER"),
            ("authorizer.class.name", "org.apache.kafka.metadata.authorizer.StandardAuthorizer"),
            ("allow.everyone.if.no.acl.found", "false"),
        ];
        let fixed = fixed.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let own = [
            ("ssl.keystore.location", text(self.key_store())),
            ("ssl.truststore.location", text(self.authority())),
            ("super.users", format!("User:{BROKER};User:{ADMIN}")),
            ("listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config", scram),
            ("listener.name.sasl_ssl.oauthbearer.sasl.jaas.config", token),
        ];
        fixed.into_iter().chain(own.map(|(name, value)| (name.to_owned(), value))).collect()
    }

    /// The users' passwords, as Kafka's StorageTool takes them when it formats.
    pub(crate) fn format_arguments(&self, users: &[String]) -> Result<Vec<String>> {
        let mut arguments = Vec::new();
        for user in self.users(users) {
            let file = self.password(user);
            let password = fs::read_to_string(&file).map_err(Error::file("read", &file))?;
            arguments.extend([
                "--add-scram".to_owned(),
                format!("SCRAM-SHA-512=[name={user},password={password},iterations=4096]"),
            ]);
        }
        Ok(arguments)
    }
}

fn new_password() -> Result<String> {
    let mut bytes = [0; 16];
    openssl::rand::rand_bytes(&mut bytes)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Base64 for URLs, without padding (RFC 7515).
fn url_base64(bytes: &[u8]) -> String {
    encode_block(bytes).replace('+', "-").replace('/', "_").trim_end_matches('=').to_owned()
}

/// A file that only its owner reads.
fn write_secret(path: &Path, content: &[u8]) -> Result<()> {
    let opened = OpenOptions::new().create(true).write(true).truncate(true).mode(0o600).open(path);
    opened.and_then(|mut file| file.write_all(content)).map_err(Error::file("write", path))
}
