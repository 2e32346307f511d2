//! Both notations mean the same, what is wrong is named, and no secret is ever in an answer.

use std::path::PathBuf;

use tokio_postgres::config::{Host, SslMode as Driver};

use super::*;

fn parse(text: &str) -> ConnectionString {
    ConnectionString::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn refusal(text: &str) -> String {
    match ConnectionString::parse(text) {
        Ok(read) => panic!("{text} was read as {read}"),
        Err(error) => error.to_string(),
    }
}

/// A URL, and the words that say the same.
const PAIRS: [(&str, &str); 19] = [
    ("postgres://db", "host=db"),
    ("postgresql://u@db:5433/shop", "host=db port=5433 user=u dbname=shop"),
    ("postgres://u:p@db/shop", "dbname = shop  user= u password =p host=db"),
    (
        "postgres://a%40b:p%3A%2F%3F%26%25%20%27%5C@db/my%20shop",
        r"host=db user=a@b password='p:/?&% \'\\' dbname='my shop'",
    ),
    ("postgres://u:a?b#c&d=e+f@db", "host=db user=u password='a?b#c&d=e+f'"),
    ("postgres://u:%C3%BC@db", r"host=db user=u password=\ü"),
    ("postgres://a:1,b,c:3/d", "host=a,b,c port=1,,3 dbname=d"),
    ("postgres://a,b/d?port=7", "host=a,b port=7 dbname=d"),
    ("postgres://[::1]:7,[fe80::2]", "host=::1,fe80::2 port=7,"),
    ("postgres://%2Fvar%2Frun%2Fpostgresql/d", "host=/var/run/postgresql dbname=d"),
    ("postgres:///d?host=/var/run/postgresql&user=u", "host=/var/run/postgresql user=u dbname=d"),
    ("postgres://db/a?dbname=b&host=c", "host=c dbname=b"),
    ("postgres://db/?application_name=x%20y@z", "host=db application_name='x y@z'"),
    ("postgres://db/?sslmode=disable", "host=db sslmode=disable"),
    ("postgres://db/?sslmode=require", "host=db sslmode=require"),
    (
        "postgres://db/?sslmode=verify-ca&sslrootcert=/a%20b/ca.pem",
        "host=db sslmode=verify-ca sslrootcert='/a b/ca.pem'",
    ),
    ("postgres://db/?sslrootcert=system", "host=db sslmode=verify-full sslrootcert=system"),
    (
        "postgres://db/?sslcert=c.pem&sslkey=k.pem&sslpassword=s%20t",
        "host=db sslcert=c.pem sslkey=k.pem sslpassword='s t'",
    ),
    ("postgres://db/?hostaddr=10.0.0.1&options=-c%20geqo%3Doff", "host=db hostaddr=10.0.0.1 options='-c geqo=off'"),
];

#[test]
fn both_notations_give_the_same() {
    for (url, words) in PAIRS {
        // sslrootcert=system raises the mode by itself; the rest is equal to the letter.
        let (of_url, of_words) = (parse(url), parse(words));
        assert_eq!(of_url.config(), of_words.config(), "{url} and {words}");
        assert!(of_url.tls == of_words.tls, "{url} and {words}");
        let shown = of_url.to_string();
        if !shown.contains(HIDDEN) {
            assert_eq!(parse(&shown).config(), of_url.config(), "{shown} is {url} again");
        }
    }
}

#[test]
fn what_a_string_means() {
    let read = parse("postgres://u%40x:p%2Fw@a:1,b/shop?sslmode=verify-full&sslrootcert=ca.pem&connect_timeout=3");
    let config = read.config();
    assert_eq!((config.get_user(), config.get_password()), (Some("u@x"), Some(&b"p/w"[..])));
    assert_eq!(config.get_hosts(), [Host::Tcp("a".into()), Host::Tcp("b".into())]);
    assert_eq!((config.get_ports(), config.get_dbname()), (&[1, 5432][..], Some("shop")));
    assert_eq!((config.get_ssl_mode(), config.get_connect_timeout()), (Driver::Require, Some(&Duration::from_secs(3))));
    assert!(
        read.tls
            == TlsSettings { mode: SslMode::VerifyFull, roots: Some(Roots::File("ca.pem".into())), identity: None }
    );
}

#[test]
fn every_option_arrives() {
    let read = parse(
        "host=h hostaddr=10.0.0.1 port=1 user=u password=p dbname=d application_name=n options=o connect_timeout=2 \
         tcp_user_timeout=1500 keepalives=0 keepalives_idle=3 keepalives_interval=4 keepalives_count=5 \
         target_session_attrs=read-write load_balance_hosts=random channel_binding=require sslmode=require \
         sslrootcert=r sslcert=c sslkey=k sslpassword=s",
    );
    let mut expected = Config::new();
    expected.host("h").hostaddr([10, 0, 0, 1].into()).port(1).user("u").password("p").dbname("d").application_name("n");
    expected.options("o").connect_timeout(Duration::from_secs(2)).tcp_user_timeout(Duration::from_millis(1500));
    expected.keepalives(false).keepalives_idle(Duration::from_secs(3)).keepalives_interval(Duration::from_secs(4));
    expected.keepalives_retries(5).target_session_attrs(TargetSessionAttrs::ReadWrite);
    expected.load_balance_hosts(LoadBalanceHosts::Random).channel_binding(ChannelBinding::Require);
    expected.ssl_mode(Driver::Require);
    assert_eq!(read.config(), &expected);
    let identity = Identity { certificate: PathBuf::from("c"), key: PathBuf::from("k"), password: Some("s".into()) };
    let roots = Some(Roots::File(PathBuf::from("r")));
    assert!(read.tls == TlsSettings { mode: SslMode::Require, roots, identity: Some(identity) });
    assert!(OPTIONS.iter().all(|option| read.given.0.contains_key(option)), "this test names every option");
}

#[test]
fn a_local_socket_has_no_tls_to_ask_for() {
    for mode in ["prefer", "require", "verify-full"] {
        let read = parse(&format!("host=/run/postgresql sslmode={mode}"));
        assert_eq!(read.config().get_ssl_mode(), Driver::Disable);
    }
    assert!(refusal("host=/run/postgresql,db sslmode=require").contains("local socket"));
    assert_eq!(parse("host=/run/postgresql,db").config().get_ssl_mode(), Driver::Prefer);
}

#[test]
fn an_address_alone_is_its_own_name() {
    let read = parse("hostaddr=10.0.0.1 sslmode=require");
    assert_eq!(read.config().get_hosts(), [Host::Tcp("10.0.0.1".into())]);
    assert!(refusal("hostaddr=10.0.0.1 sslmode=verify-full").contains("give host"));
}

#[test]
fn what_cannot_be_used_is_named() {
    for (text, named) in [
        ("", "empty"),
        ("mysql://db/x", "postgres://"),
        ("postgres", "neither a URL"),
        ("dbname=x", "host in the connection string: it is missing"),
        ("postgres:///x", "host in the connection string: it is missing"),
        ("host=db gssencmode=disable", "unknown option gssencmode"),
        ("postgres://db?keepalives_retries=1", "keepalives_count"),
        ("postgres://db?sslmode", "name=value"),
        ("host=db sslmode=sometimes", "\"sometimes\" is unknown; use disable, prefer, require, verify-ca, verify-full"),
        ("host=db sslmode=", "sslmode"),
        ("host=db sslmode=allow", "prefer"),
        ("postgres://db?sslmode=verify-ca", "sslrootcert"),
        ("host=db sslmode=require sslrootcert=system", "verify-full"),
        ("host=db sslcert=c", "sslkey"),
        ("host=db sslkey=k", "sslcert"),
        ("host=db connect_timeout=soon", "connect_timeout"),
        ("host=db target_session_attrs=primary", "read-write"),
        ("host=a,b port=1,2,3", "port"),
        ("host=a,b hostaddr=10.0.0.1", "1 addresses for 2 hosts"),
        ("hostaddr=db", "IP address"),
        ("postgres://a,,b", "empty"),
        ("postgres://[::1", "IPv6"),
        ("postgres://db/%zz", "dbname: after %"),
        ("postgres://db/%00", "%00"),
        ("postgres://db/%FF", "UTF-8"),
        ("host='db", "never closed"),
        ("host=db port", "without ="),
    ] {
        let said = refusal(text);
        assert!(said.contains(named), "{text}: {said}");
    }
}

#[test]
fn no_secret_is_ever_said() {
    let read = parse("postgres://u:hush@db/x?sslcert=c&sslkey=k&sslpassword=hush");
    for shown in [format!("{read}"), format!("{read:?}"), format!("{:?}", read.clone().with_password("hush2"))] {
        assert!(
            !shown.contains("hush") && shown.contains("host=db") && shown.contains("password=[redacted]"),
            "{shown}"
        );
    }
    for text in [
        "postgres://u:hu%sh@db",
        "postgres://u:a@hush@db/x",
        "postgres://u:hush/1@db/x",
        "postgres://u:hush",
        "host=db password=a hush",
        "host=db password=a hush=1",
        "password=a hush",
        "password=hush",
        "password='hush",
        "host=db password=hush sslmode=no",
        "hush",
    ] {
        let said = refusal(text);
        assert!(!said.contains("hush"), "{text}: {said}");
    }
}

#[test]
fn a_file_that_cannot_be_used_is_named() {
    for option in ["sslrootcert=no/such.pem", "sslcert=no/such.pem sslkey=k"] {
        let error = parse(&format!("host=db {option}")).tls().unwrap_err().to_string();
        assert!(error.contains("no/such.pem") && error.starts_with("ssl"), "{error}");
    }
}
