//! `outbox-relay` and a broker that asks who comes: it is let in by the documented roads, or told why not, at once.

use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use dev_stack::{Access, Child, Profile, Stack, StackConfig};

use crate::rig::Rig;

const USER: &str = "shop-relay";
/// Longer than a start needs on a busy machine, and shorter than any wait for a broker that is away.
const AT_ONCE: Duration = Duration::from_secs(45);

fn secured() -> Stack {
    let mut config = StackConfig::in_project().with_profile(Profile::Secure);
    config.kafka_users = vec![USER.to_owned()];
    Stack::start(config).unwrap()
}

/// The program as this user, whose password or token the test gives.
fn program(rig: &Rig, stack: &Stack, access: &Access, verb: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_outbox-relay"));
    command
        .arg(verb)
        .env("DATABASE_URL", &rig.url)
        .env("KAFKA_BROKERS", stack.brokers())
        .env("OUTBOX_SCHEMA", "shop")
        .env_remove("PLANTED_BUG")
        .args(["--kafka", "security.protocol=SASL_SSL", "--kafka", &format!("sasl.username={USER}")])
        .args(["--kafka", &format!("ssl.ca.location={}", access.authority().display())]);
    command
}

#[tokio::test(flavor = "multi_thread")]
async fn the_relay_is_let_in_or_told_why_not() {
    let rig = Rig::new("secured").await;
    let stack = tokio::task::spawn_blocking(secured).await.unwrap();
    let access = stack.kafka().unwrap().access().unwrap().clone();
    let password = std::fs::read_to_string(access.password(USER)).unwrap();
    let other = format!("ssl.ca.location={}", access.other_authority().display());
    let scram = ["--kafka", "sasl.mechanism=SCRAM-SHA-512"];

    for verb in ["run", "doctor"] {
        let begun = Instant::now();
        let refused =
            program(&rig, &stack, &access, verb).args(scram).env("KAFKA_SASL_PASSWORD", "hush-hush").output().unwrap();
        let said = String::from_utf8_lossy(&[refused.stdout, refused.stderr].concat()).into_owned();
        assert!(said.contains("refuse the credentials") && !said.contains("hush-hush"), "{verb}: {said}");
        assert!(!refused.status.success() && begun.elapsed() < AT_ONCE, "{verb}: {said}");
        let distrusted = program(&rig, &stack, &access, verb)
            .args(scram)
            .args(["--kafka", &other])
            .env("KAFKA_SASL_PASSWORD", &password)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&[distrusted.stdout, distrusted.stderr].concat()).into_owned();
        assert!(said.contains("certificate is not trusted") && said.contains("ssl.ca.location"), "{verb}: {said}");
    }

    let roads = [
        ("KAFKA_SASL_PASSWORD", password.clone(), "SCRAM-SHA-512"),
        ("KAFKA_SASL_PASSWORD_FILE", access.password(USER).display().to_string(), "SCRAM-SHA-512"),
        ("KAFKA_SASL_TOKEN_FILE", access.token(USER).display().to_string(), "OAUTHBEARER"),
    ];
    for (variable, value, mechanism) in roads {
        let mut doctor = program(&rig, &stack, &access, "doctor");
        let looked =
            doctor.args(["--kafka", &format!("sasl.mechanism={mechanism}")]).env(variable, value).output().unwrap();
        let said = String::from_utf8_lossy(&[looked.stdout, looked.stderr].concat()).into_owned();
        assert!(said.contains("does not exist") && said.contains("let this user describe it"), "{variable}: {said}");
    }

    let mut running = program(&rig, &stack, &access, "run");
    running.args(scram).env("KAFKA_SASL_PASSWORD", &password);
    let log = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{}-secured.log", rig.topic));
    let relay = Child::spawn(running, "relay", &log).unwrap();
    let told = relay.wait_for_line("this user has no permission on the topic", AT_ONCE).unwrap();
    assert!(told.is_some(), "{}", relay.tail());
    relay.kill9().unwrap();
}
