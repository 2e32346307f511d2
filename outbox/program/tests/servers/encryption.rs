//! Every `sslmode`, in both notations of a connection string, against servers with and without TLS.

use std::process::{Command, Output};
use std::sync::OnceLock;

use dev_stack::{Stack, StackConfig};
use outbox::Database;

use crate::certificates::Authority;

/// Who needs a certificate of ours to log in.
const KNOWN_BY_CERTIFICATE: &str = "certified";

/// A server with TLS and one without, and what a client may trust.
struct Servers {
    right: Authority,
    wrong: Authority,
    with_tls: Stack,
    without: Stack,
}

fn servers() -> &'static Servers {
    static SERVERS: OnceLock<Servers> = OnceLock::new();
    SERVERS.get_or_init(|| {
        let config = StackConfig::in_project();
        let folder = config.folder.join("certificates");
        let without = Stack::start_postgres(config).unwrap();
        let right = Authority::new(&folder.join("right"), "the right authority");
        let wrong = Authority::new(&folder.join("wrong"), "another authority");
        right.sign("server", "db.example", "DNS:db.example, IP:10.9.8.7");
        right.sign("client", KNOWN_BY_CERTIFICATE, "DNS:client.example");
        right.encrypt("client.key", "client-encrypted.key", "for the key");
        wrong.sign("client", KNOWN_BY_CERTIFICATE, "DNS:client.example");
        let mut config = StackConfig::in_project();
        let settings =
            [("ssl", "on"), ("ssl_cert_file", "s.pem"), ("ssl_key_file", "s.key"), ("ssl_ca_file", "ca.pem")];
        config.postgres_settings = settings.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let access = format!(
            "hostssl all {KNOWN_BY_CERTIFICATE} 127.0.0.1/32 scram-sha-256 clientcert=verify-ca\n\
             host all all 127.0.0.1/32 scram-sha-256\n"
        );
        config.postgres_files = vec![
            ("s.pem".to_owned(), right.text("server.pem")),
            ("s.key".to_owned(), right.text("server.key")),
            ("ca.pem".to_owned(), right.text("ca.pem")),
            ("pg_hba.conf".to_owned(), access),
        ];
        let with_tls = Stack::start_postgres(config).unwrap();
        Servers { right, wrong, with_tls, without }
    })
}

/// The options of a connection string, which both notations are made of.
#[derive(Clone)]
struct Options(Vec<(&'static str, String)>);

impl Options {
    /// This server under the name that its certificate has, as its superuser.
    fn of(stack: &Stack) -> Self {
        let address = stack.postgres().unwrap().address();
        let url = stack.database_url();
        let password = url.split([':', '@']).nth(2).unwrap().to_owned();
        Self(vec![
            ("host", "db.example".to_owned()),
            ("hostaddr", address.ip().to_string()),
            ("port", address.port().to_string()),
            ("user", "postgres".to_owned()),
            ("password", password),
            ("dbname", "postgres".to_owned()),
        ])
    }

    fn with(&self, more: &[(&'static str, &str)]) -> Self {
        let kept = self.0.iter().filter(|(name, _)| !more.iter().any(|(new, _)| new == name)).cloned();
        Self(kept.chain(more.iter().map(|(name, value)| (*name, (*value).to_owned()))).collect())
    }

    fn words(&self) -> String {
        self.0.iter().map(|(name, value)| format!("{name}='{value}' ")).collect()
    }

    fn url(&self) -> String {
        let encode = |value: &str| value.replace('%', "%25").replace('&', "%26").replace(' ', "%20");
        let query: Vec<String> = self.0.iter().map(|(name, value)| format!("{name}={}", encode(value))).collect();
        format!("postgres:///?{}", query.join("&"))
    }

    /// Whether the connection is encrypted, or why there is none; the same in both notations.
    async fn outcome(&self) -> Result<bool, String> {
        let of_words = connect(&self.words()).await;
        assert_eq!(connect(&self.url()).await, of_words, "{} and {}", self.url(), self.words());
        of_words
    }

    async fn refusal(&self) -> String {
        let outcome = self.outcome().await;
        outcome.expect_err("no connection, but there is one")
    }
}

async fn connect(text: &str) -> Result<bool, String> {
    let database = Database::from_connection_string(text).map_err(|error| error.to_string())?;
    let client = database.connect().await.map_err(|error| error.to_string())?;
    let row = client.query_one("select ssl from pg_stat_ssl where pid = pg_backend_pid()", &[]).await.unwrap();
    Ok(row.get(0))
}

async fn started() -> &'static Servers {
    tokio::task::spawn_blocking(servers).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_mode_asks_of_a_server_what_it_says() {
    let Servers { right, wrong, with_tls, .. } = started().await;
    let (right, wrong) = (right.path("ca.pem"), wrong.path("ca.pem"));
    let (right, wrong) = (right.to_str().unwrap(), wrong.to_str().unwrap());
    let (named, misnamed) = (Options::of(with_tls), Options::of(with_tls).with(&[("host", "db2.example")]));
    let addressed = Options::of(with_tls).with(&[("host", "127.0.0.1")]);

    assert_eq!(named.outcome().await, Ok(true), "prefer is the default");
    for (mode, encrypted) in [("disable", false), ("prefer", true), ("require", true)] {
        assert_eq!(
            misnamed.with(&[("sslmode", mode)]).outcome().await,
            Ok(encrypted),
            "{mode} looks at no certificate"
        );
    }
    for mode in ["prefer", "require", "verify-ca", "verify-full"] {
        let trusting = |roots| named.with(&[("sslmode", mode), ("sslrootcert", roots)]);
        assert_eq!(trusting(right).outcome().await, Ok(true), "{mode}");
        let said = trusting(wrong).refusal().await;
        assert!(said.contains("the server's certificate is refused"), "{mode}: {said}");
        assert!(said.contains("issued by the right authority"), "{mode}: {said}");
    }
    for mode in ["prefer", "require", "verify-ca"] {
        let trusting = misnamed.with(&[("sslmode", mode), ("sslrootcert", right)]);
        assert_eq!(trusting.outcome().await, Ok(true), "{mode} does not look at the name");
    }
    let full = [("sslmode", "verify-full"), ("sslrootcert", right)];
    for (other, name) in [(&misnamed, "db2.example"), (&addressed, "127.0.0.1")] {
        let said = other.with(&full).refusal().await;
        assert!(said.contains(&format!("it is for db.example, 10.9.8.7, not for {name}")), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_tls_is_taken_only_where_the_mode_allows_it() {
    let Servers { right, without, .. } = started().await;
    let right = right.path("ca.pem");
    let options = Options::of(without);
    assert_eq!(options.outcome().await, Ok(false));
    for mode in ["disable", "prefer"] {
        assert_eq!(options.with(&[("sslmode", mode)]).outcome().await, Ok(false), "{mode}");
    }
    for mode in ["require", "verify-ca", "verify-full"] {
        let said = options.with(&[("sslmode", mode), ("sslrootcert", right.to_str().unwrap())]).refusal().await;
        assert!(said.contains("server does not support TLS") && said.contains("sslmode"), "{mode}: {said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_is_known_by_its_certificate() {
    let Servers { right, wrong, with_tls, .. } = started().await;
    let admin = Database::from_connection_string(&Options::of(with_tls).words()).unwrap().connect().await.unwrap();
    let create = format!("create role {KNOWN_BY_CERTIFICATE} login password 'hush'");
    admin.batch_execute(&create).await.unwrap();
    let roots = right.path("ca.pem").display().to_string();
    let user =
        [("user", KNOWN_BY_CERTIFICATE), ("password", "hush"), ("sslmode", "verify-full"), ("sslrootcert", &roots)];
    let options = Options::of(with_tls).with(&user);
    let said = options.refusal().await;
    assert!(said.contains("valid client certificate"), "{said}");
    let path = |authority: &Authority, file| authority.path(file).display().to_string();
    let (certificate, key) = (path(right, "client.pem"), path(right, "client.key"));
    assert_eq!(options.with(&[("sslcert", &certificate), ("sslkey", &key)]).outcome().await, Ok(true));
    let encrypted = path(right, "client-encrypted.key");
    let options_encrypted = options.with(&[("sslcert", &certificate), ("sslkey", &encrypted)]);
    assert_eq!(options_encrypted.with(&[("sslpassword", "for the key")]).outcome().await, Ok(true));
    let (wrong_certificate, wrong_key) = (path(wrong, "client.pem"), path(wrong, "client.key"));
    for (refused, named) in [
        (options_encrypted.clone(), "it is encrypted: give sslpassword"),
        (options_encrypted.with(&[("sslpassword", "hush")]), "not with sslpassword"),
        (options.with(&[("sslcert", &certificate), ("sslkey", &wrong_key)]), "not the key of the certificate"),
        (options.with(&[("sslcert", &certificate), ("sslkey", &certificate)]), "no private key"),
        (options.with(&[("sslcert", &key), ("sslkey", &key)]), "no certificate in PEM form"),
    ] {
        let said = refused.refusal().await;
        assert!(said.contains(named) && !said.contains("hush"), "{said}");
    }
    let distrusted = options.with(&[("sslcert", &wrong_certificate), ("sslkey", &wrong_key)]);
    for notation in [distrusted.words(), distrusted.url()] {
        let said = connect(&notation).await.expect_err("no connection, but there is one");
        // In TLS 1.3 a client is done before its certificate is looked at. What it sends meanwhile meets a closed socket, and
        // where it meets it before the alert is read, the kernel throws the alert away.
        let is_told = said.contains("does not trust the authority") || said.contains("Connection reset by peer");
        assert!(is_told && !said.contains("hush"), "{said}");
    }
}

/// OpenSSL finds the system's authorities by itself; for this process alone they are others.
#[tokio::test(flavor = "multi_thread")]
async fn the_systems_authorities_are_asked_for_by_name() {
    let Servers { right, wrong, with_tls, .. } = started().await;
    let options = Options::of(with_tls);
    let named = options.with(&[("sslrootcert", "system")]);
    for (number, options) in [named, options.with(&[("sslmode", "verify-full")])].iter().enumerate() {
        for text in [options.words(), options.url()] {
            let schema = format!("system_{number}");
            let refused = migrate(&text, &schema, wrong).await;
            let said = String::from_utf8_lossy(&refused.stderr).into_owned();
            assert!(!refused.status.success() && said.contains("certificate is refused"), "{said}");
            let done = migrate(&text, &schema, right).await;
            assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        }
    }
}

/// Runs `outbox-relay migrate` on a machine that trusts this authority alone.
async fn migrate(database: &str, schema: &str, trusted: &Authority) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_outbox-relay"));
    command.args(["migrate", "--schema", schema]).env("DATABASE_URL", database);
    command.env("SSL_CERT_FILE", trusted.path("ca.pem")).env("SSL_CERT_DIR", "/nowhere");
    tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn several_servers_are_tried_in_turn() {
    let Servers { without, .. } = started().await;
    let free = dev_stack::free_port().unwrap().to_string();
    let address = without.postgres().unwrap().address().port().to_string();
    let hosts = [("host", "a.example,b.example"), ("hostaddr", "127.0.0.1,127.0.0.1")];
    let both = Options::of(without).with(&hosts);
    assert_eq!(both.with(&[("port", &format!("{free},{address}"))]).outcome().await, Ok(false));
    let said = both.with(&[("port", &free)]).refusal().await;
    assert!(said.contains("refused"), "{said}");
}
