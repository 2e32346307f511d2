//! Every documented setting arrives, as a flag, from the environment, and secrets on each of their roads.

use std::collections::BTreeSet;
use std::process::{Command, Output};

use tests::{Outcome, Pipeline, Servers, Settings, trouble};

use crate::DAEMON;

/// Flag, environment variable, where `config` shows it, and a value that is no default; of a list, its only item as it is shown.
const SETTINGS: [(&str, &str, &[&str], &str); 46] = [
    ("--brokers", "KAFKA_BROKERS", &["brokers"], "broker:1"),
    ("--database-url", "DATABASE_URL", &["database_url"], "host=db user=shop dbname=shop"),
    ("--schema", "DATABASE_SCHEMA", &["schema"], "elsewhere"),
    ("--topic-prefix", "TOPIC_PREFIX", &["topic_prefix"], "eu-"),
    ("--instance-id", "INSTANCE_ID", &["instance_id"], "order-7"),
    ("--listen", "LISTEN", &["listen"], "127.0.0.1:4711"),
    ("--log-format", "LOG_FORMAT", &["log_format"], "json"),
    ("--log", "LOG", &["log"], "workers=debug"),
    ("--partitions", "TOPIC_PARTITIONS", &["partitions"], "7"),
    ("--replicas", "TOPIC_REPLICAS", &["replicas"], "3"),
    ("--max-batch-items", "MAX_BATCH_ITEMS", &["max_batch_items"], "17"),
    ("--max-pace-us", "MAX_PACE_US", &["max_pace_us"], "18"),
    ("--timer-period-ms", "TIMER_PERIOD_MS", &["timer_period_ms"], "38"),
    ("--relay-linger-us", "RELAY_LINGER_US", &["relay_linger_us"], "19"),
    ("--start-timeout-s", "START_TIMEOUT_S", &["start_timeout_s"], "20"),
    ("--shutdown-timeout-s", "SHUTDOWN_TIMEOUT_S", &["shutdown_timeout_s"], "21"),
    ("--schema-directory", "SCHEMA_DIRECTORY", &["schema_directory"], "/further"),
    ("--confirm-within-ms", "CONFIRM_WITHIN_MS", &["confirm_within_ms"], "22"),
    ("--ship-within-ms", "SHIP_WITHIN_MS", &["ship_within_ms"], "24"),
    ("--hold-within-ms", "HOLD_WITHIN_MS", &["hold_within_ms"], "25"),
    ("--return-within-ms", "RETURN_WITHIN_MS", &["return_within_ms"], "26"),
    ("--hold-above-minor", "HOLD_ABOVE_MINOR", &["hold_above_minor"], "27"),
    ("--hold-customers", "HOLD_CUSTOMERS", &["hold_customers"], "[\"c-1\"]"),
    ("--parked-messages", "PARKED_MESSAGES", &["parked_messages"], "28"),
    ("--parked-messages-of-key", "PARKED_MESSAGES_OF_KEY", &["parked_messages_of_key"], "29"),
    ("--parked-flood-keys", "PARKED_FLOOD_KEYS", &["parked_flood_keys"], "30"),
    ("--parked-pause-s", "PARKED_PAUSE_S", &["parked_pause_s"], "31"),
    ("--parked-longest-pause-s", "PARKED_LONGEST_PAUSE_S", &["parked_longest_pause_s"], "32"),
    ("--parked-alarm-s", "PARKED_ALARM_S", &["parked_alarm_s"], "33"),
    ("--provider", "PROVIDER", &["provider"], "stripe"),
    ("--stripe-url", "STRIPE_URL", &["stripe_url"], "http://127.0.0.1:1"),
    ("--stripe-key-file", "STRIPE_KEY_FILE", &["stripe_key_file"], "/key"),
    ("--stripe-account", "STRIPE_ACCOUNTS", &["stripe_account"], "[\"eu=/key\"]"),
    ("--stripe-test-token", "STRIPE_TEST_TOKEN", &["stripe_test_token"], "pm_card_visa"),
    ("--stripe-return-url", "STRIPE_RETURN_URL", &["stripe_return_url"], "https://shop.example/back"),
    ("--stripe-requests", "STRIPE_REQUESTS", &["stripe_requests"], "34"),
    ("--stripe-timeout-ms", "STRIPE_TIMEOUT_MS", &["stripe_timeout_ms"], "3500"),
    ("--stripe-breaker-after", "STRIPE_BREAKER_AFTER", &["stripe_breaker_after"], "36"),
    ("--stripe-breaker-pause-ms", "STRIPE_BREAKER_PAUSE_MS", &["stripe_breaker_pause_ms"], "3700"),
    ("--provider-calls", "PROVIDER_CALLS", &["provider_calls"], "39"),
    ("--customer-action-timeout-ms", "CUSTOMER_ACTION_TIMEOUT_MS", &["customer_action_timeout_ms"], "4000"),
    ("--action-secret-file", "ACTION_SECRET_FILE", &["action_secret_file"], "/secret"),
    ("--webhook-listen", "WEBHOOK_LISTEN", &["webhook_listen"], "127.0.0.1:4712"),
    ("--webhook-secrets-file", "WEBHOOK_SECRETS_FILE", &["webhook_secrets_file"], "/secrets"),
    ("--simulator-decline-per-million", "SIMULATOR_DECLINE_PER_MILLION", &["simulator", "decline_per_million"], "23"),
    ("--simulator-statement", "SIMULATOR_STATEMENT", &["simulator", "statement"], "/statement.jsonl"),
];

/// Flags whose files hold a librdkafka secret, and the property that it becomes.
const SECRET_FILES: [(&str, &str); 2] =
    [("--kafka-sasl-password-file", "sasl.password"), ("--kafka-sasl-token-file", "sasl.oauthbearer.config")];

/// What other tests show to arrive: the database's secrets below, the file in `workers::config`, colour in `grammar`.
const ELSEWHERE: [&str; 6] =
    ["--database-url-file", "--database-password-file", "--config", "--color", "--help", "--version"];

/// The order daemon's command without anything of this process's environment.
fn daemon(arguments: &[&str]) -> Command {
    daemon_of("order", arguments)
}

fn daemon_of(service: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(DAEMON);
    command.env_clear().arg(service).args(arguments);
    command
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&[output.stdout.as_slice(), output.stderr.as_slice()].concat()).into_owned()
}

/// What `config` shows at this place.
fn shown(mut command: Command, place: &[&str]) -> Outcome<String> {
    let output = command.output()?;
    let settings: toml::Table = String::from_utf8_lossy(&output.stdout).parse().map_err(|_| trouble(said(&output)))?;
    let mut value = toml::Value::Table(settings);
    for name in place {
        value = value.get(*name).cloned().ok_or_else(|| trouble(format!("no {place:?}: {}", said(&output))))?;
    }
    Ok(value.as_str().map_or_else(|| value.to_string(), str::to_owned))
}

#[test]
fn every_setting_arrives_as_a_flag_and_from_the_environment() -> Outcome {
    for (flag, variable, place, value) in SETTINGS {
        let mut needed = vec!["config", "--brokers", "b:1", "--database-url", "postgres://x@y/z"];
        if let Some(given) = needed.iter().position(|word| *word == flag) {
            needed.drain(given..given + 2);
        }
        // The simulated provider is the payment service's.
        let service = if place.contains(&"simulator") { "payment" } else { "order" };
        let mut by_flag = daemon_of(service, &needed);
        let given = value.trim_matches(['[', ']', '"']);
        by_flag.args([flag, given]);
        assert_eq!(shown(by_flag, place)?, value, "{flag}");
        let mut by_environment = daemon_of(service, &needed);
        by_environment.env(variable, given);
        assert_eq!(shown(by_environment, place)?, value, "{variable}");
    }
    Ok(())
}

#[test]
fn a_secret_in_a_file_that_a_flag_names_arrives_and_is_not_shown() -> Outcome {
    let file = std::env::temp_dir().join(format!("arrival-{}", std::process::id()));
    std::fs::write(&file, "hush\n")?;
    for (flag, property) in SECRET_FILES {
        let needed = ["config", "--brokers", "b:1", "--database-url", "postgres://x@y/z"];
        assert!(shown(daemon(&needed), &["kafka", property]).is_err(), "{property} without {flag}");
        let mut by_flag = daemon(&needed);
        by_flag.arg(flag).arg(&file);
        assert_eq!(shown(by_flag, &["kafka", property])?, "[redacted]", "{flag}");
    }
    std::fs::remove_file(&file)?;
    Ok(())
}

#[test]
fn no_setting_is_documented_and_left_out_here() -> Outcome {
    let help = said(&daemon(&["--help"]).output()?);
    let words = help.split(|letter: char| letter.is_whitespace() || letter == ',');
    let flags: BTreeSet<&str> = words.filter(|word| word.starts_with("--") && word.len() > 2).collect();
    let secrets = SECRET_FILES.iter().map(|(flag, _)| *flag);
    let known: BTreeSet<&str> = SETTINGS.iter().map(|(flag, ..)| *flag).chain(secrets).chain(ELSEWHERE).collect();
    let flags: BTreeSet<&str> = flags.into_iter().map(|flag| flag.trim_end_matches(['`', '.', ';'])).collect();
    assert_eq!(flags.difference(&known).collect::<Vec<_>>(), Vec::<&&str>::new(), "{help}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_databases_password_arrives_on_each_of_its_roads() -> Outcome {
    let servers = Servers::shared().await?;
    let pipeline = Pipeline::prepare(DAEMON, &servers, Settings::default()).await?;
    let url = pipeline.database_url();
    let (scheme, rest) = url.split_once("://").ok_or_else(|| trouble(url))?;
    let (user, host) = rest.rsplit_once('@').ok_or_else(|| trouble(url))?;
    let (user, password) = user.split_once(':').ok_or_else(|| trouble("the stack gives a password"))?;
    let without = format!("{scheme}://{user}@{host}");
    let (url_file, password_file) = (pipeline.folder().join("url"), pipeline.folder().join("password"));
    std::fs::write(&url_file, format!("{url}\n"))?;
    std::fs::write(&password_file, format!("{password}\n"))?;
    let (url_file, password_file) = (url_file.display().to_string(), password_file.display().to_string());
    let roads: [&[(&str, &str)]; 4] = [
        &[("DATABASE_URL", url)],
        &[("DATABASE_URL_FILE", &url_file)],
        &[("DATABASE_URL", &without), ("DATABASE_PASSWORD", password)],
        &[("DATABASE_URL", &without), ("DATABASE_PASSWORD_FILE", &password_file)],
    ];
    for road in roads {
        let output = daemon(&["migrate", "--brokers", "b:1"]).envs(road.iter().copied()).output()?;
        let said = said(&output);
        assert_eq!(output.status.code(), Some(0), "{said}");
        assert!(said.contains("is at version") && !said.contains(password), "{said}");
    }
    let by_flags: [&[&str]; 2] = [
        &["--database-url-file", &url_file],
        &["--database-url", &without, "--database-password-file", &password_file],
    ];
    for road in by_flags {
        let output = daemon(&["migrate", "--brokers", "b:1"]).args(road).output()?;
        let said = said(&output);
        assert_eq!(output.status.code(), Some(0), "{said}");
        assert!(said.contains("is at version") && !said.contains(password), "{said}");
    }
    let refused = daemon(&["migrate", "--brokers", "b:1"]).env("DATABASE_URL", &without).output()?;
    assert_ne!(refused.status.code(), Some(0), "without the password nothing goes: {}", said(&refused));
    pipeline.accept();
    Ok(())
}
