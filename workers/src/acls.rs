//! `topics acls`: the least rights of every program on a secured cluster, derived from who reads and writes what.
//!
//! As command lines of Kafka's own `kafka-acls`, or as Strimzi's `KafkaUser`. Nothing is asked of a broker: whoever may alter
//! access lists looks at them first. Not listed, because Kafka implies it: Describe, where a topic or group is read or
//! written; and IdempotentWrite, which brokers since 2.8 grant with Write on a topic.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use clap::{Args, ValueEnum};
use provision::topics::archive_group;
use schemas::{ServiceName, TopicName};

/// Options of `topics acls`.
#[derive(Debug, Clone, Args)]
pub(crate) struct Options {
    /// How they are written.
    #[arg(long, value_enum, default_value_t = Format::Commands)]
    format: Format,
    /// How the brokers call a user; {} stands for the name. With mutual TLS, unless ssl.principal.mapping.rules says
    /// otherwise, the certificate's whole subject: User:CN={},O=Shop.
    #[arg(long, default_value = "User:{}", value_name = "PATTERN", value_parser = pattern)]
    principal: String,
    /// The file that lets kafka-acls in as an administrator, written into the command lines.
    #[arg(long, default_value = "admin.properties", value_name = "FILE")]
    command_config: String,
    /// The name of Strimzi's Kafka resource.
    #[arg(long, default_value = "my-cluster", value_name = "NAME")]
    cluster: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Command lines of Kafka's own tool
    Commands,
    /// Strimzi's KafkaUser resources
    Strimzi,
}

/// The rights of one program.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Principal {
    name: String,
    /// What it does.
    what: String,
    rights: Vec<Right>,
}

/// What may be done with these.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Right {
    kind: Kind,
    names: Vec<String>,
    operations: &'static [&'static str],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Topic,
    Group,
}

impl Kind {
    fn as_str(self) -> &'static str {
        match self {
            Kind::Topic => "topic",
            Kind::Group => "group",
        }
    }
}

/// The rights of all programs, as text.
pub(crate) fn text(options: &Options, brokers: &str, prefix: &str) -> String {
    let principals = principals(prefix);
    match options.format {
        Format::Commands => commands(options, brokers, &principals),
        Format::Strimzi => strimzi(options, &principals),
    }
}

fn principals(prefix: &str) -> Vec<Principal> {
    let mut principals = of_services(prefix);
    principals.extend(of_strangers(prefix));
    principals.extend(of_operators(prefix));
    principals
}

fn topics(prefix: &str, names: Vec<String>, operations: &'static [&'static str]) -> Right {
    Right { kind: Kind::Topic, names: named(prefix, names), operations }
}

fn group(prefix: &str, name: String, operations: &'static [&'static str]) -> Right {
    Right { kind: Kind::Group, names: named(prefix, vec![name]), operations }
}

/// The group by which an archive says how far it is.
fn archive(prefix: &str, operations: &'static [&'static str]) -> Right {
    Right { kind: Kind::Group, names: vec![archive_group(prefix)], operations }
}

fn named(prefix: &str, names: Vec<String>) -> Vec<String> {
    names.into_iter().map(|name| format!("{prefix}{name}")).collect()
}

fn plain(topics: &[TopicName]) -> Vec<String> {
    topics.iter().map(|topic| topic.as_str().to_owned()).collect()
}

/// Where anybody may ask for something.
fn open() -> Vec<String> {
    plain(&TopicName::open().collect::<Vec<_>>())
}

fn dead() -> Vec<String> {
    TopicName::ALL.into_iter().map(TopicName::dead_letter).collect()
}

fn worker(service: ServiceName) -> String {
    format!("{service}-worker")
}

fn of_services(prefix: &str) -> Vec<Principal> {
    let workers = ServiceName::ALL.into_iter().map(|service| Principal {
        name: worker(service),
        what: format!("the {service} service; it also reads back what it has written, when it takes over"),
        rights: vec![
            topics(prefix, plain(service.inputs()), &["Read"]),
            topics(prefix, service.written_names(), &["Read", "Write"]),
            topics(prefix, TopicName::all_names(), &["Describe", "DescribeConfigs"]),
            group(prefix, worker(service), &["Read"]),
            archive(prefix, &["Describe"]),
        ],
    });
    let relays = ServiceName::ALL.into_iter().map(|service| Principal {
        name: format!("{service}-relay"),
        what: format!("outbox-relay on the {service} service's outbox, if one runs beside the workers' own"),
        rights: vec![topics(prefix, service.written_names(), &["Read", "Write", "DescribeConfigs"])],
    });
    workers.chain(relays).collect()
}

fn of_strangers(prefix: &str) -> Vec<Principal> {
    let publisher = Principal {
        name: "publisher".to_owned(),
        what: "whoever only publishes commands".to_owned(),
        rights: vec![topics(prefix, open(), &["Write"])],
    };
    let orders = Principal {
        name: "orders".to_owned(),
        what: "the program orders: publishes commands, and looks what became of them".to_owned(),
        rights: vec![topics(prefix, open(), &["Write"]), topics(prefix, client::reads(), &["Read"])],
    };
    let what = "the door: as orders, and it keeps a read model, its console shows dead letters, and it looks how far the \
                order service is";
    let read: BTreeSet<String> = client::reads().into_iter().chain(dead()).collect();
    let door = Principal {
        name: "order-api".to_owned(),
        what: what.to_owned(),
        rights: vec![
            topics(prefix, open(), &["Write"]),
            topics(prefix, read.into_iter().collect(), &["Read"]),
            group(prefix, "order-api".to_owned(), &["Read"]),
            group(prefix, worker(ServiceName::Order), &["Describe"]),
        ],
    };
    vec![publisher, orders, door]
}

fn of_operators(prefix: &str) -> Vec<Principal> {
    let all = TopicName::all_names;
    let replay = Principal {
        name: "replay-tool".to_owned(),
        what: "replay-tool's verbs that read: verify, rebuild, trace, archive; archive run commits how far it is"
            .to_owned(),
        rights: vec![topics(prefix, all(), &["Read"]), archive(prefix, &["Read"])],
    };
    let operator = Principal {
        name: "operator".to_owned(),
        what: "replay-tool dead-letters: publishes commands again, and notes beside the letters".to_owned(),
        rights: vec![topics(prefix, all(), &["Read"]), topics(prefix, [open(), dead()].concat(), &["Write"])],
    };
    let admin = Principal {
        name: "topic-admin".to_owned(),
        what: "topics create and topics check".to_owned(),
        rights: vec![topics(prefix, all(), &["Create", "Describe", "DescribeConfigs"]), archive(prefix, &["Describe"])],
    };
    vec![replay, operator, admin]
}

fn commands(options: &Options, brokers: &str, principals: &[Principal]) -> String {
    let mut text = String::from("#!/bin/sh\n# The least rights of the order pipeline's programs.\nset -e\n");
    for principal in principals {
        let user = options.principal.replace("{}", &principal.name);
        // Writing to a string cannot fail.
        let _ = writeln!(text, "\n# {}: {}", principal.name, principal.what);
        for right in &principal.rights {
            let _ = write!(
                text,
                "${{KAFKA_ACLS:-kafka-acls.sh}} --bootstrap-server {brokers} --command-config {} --add \
                 --allow-principal '{user}'",
                options.command_config
            );
            right.operations.iter().for_each(|operation| {
                let _ = write!(text, " --operation {operation}");
            });
            for name in &right.names {
                let _ = write!(text, " \\\n  --{} {name}", right.kind.as_str());
            }
            text.push('\n');
        }
    }
    text
}

fn strimzi(options: &Options, principals: &[Principal]) -> String {
    let mut text = String::new();
    for principal in principals {
        let _ = write!(
            text,
            "---\n# {}\napiVersion: kafka.strimzi.io/v1\nkind: KafkaUser\nmetadata:\n  name: {}\n  labels:\n    \
             strimzi.io/cluster: {}\nspec:\n  authentication:\n    type: scram-sha-512\n  authorization:\n    \
             type: simple\n    acls:\n",
            principal.what, principal.name, options.cluster
        );
        for right in &principal.rights {
            for name in &right.names {
                let _ = write!(
                    text,
                    "      - resource:\n          type: {}\n          name: {name}\n          patternType: literal\n        \
                     operations: [{}]\n",
                    right.kind.as_str(),
                    right.operations.join(", ")
                );
            }
        }
    }
    text
}

fn pattern(text: &str) -> Result<String, String> {
    let is_plain = !text.contains(['\'', '\n']);
    if text.contains("{}") && is_plain { Ok(text.to_owned()) } else { Err("give a text with {} in it".to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Who may do this with this topic.
    fn who(operation: &str, topic: &str) -> Vec<String> {
        let may = |principal: &Principal| {
            principal
                .rights
                .iter()
                .any(|right| right.names.iter().any(|name| name == topic) && right.operations.contains(&operation))
        };
        principals("").into_iter().filter(may).map(|principal| principal.name).collect()
    }

    #[test]
    fn what_a_service_writes_nobody_else_may_write() {
        for topic in TopicName::ALL {
            let writers = who("Write", topic.as_str());
            match topic.written_by() {
                Some(service) => assert_eq!(writers, [format!("{service}-worker"), format!("{service}-relay")]),
                None => assert_eq!(writers, ["publisher", "orders", "order-api", "operator"], "{topic}"),
            }
        }
    }

    #[test]
    fn whoever_shows_dead_letters_may_read_them() {
        for topic in TopicName::ALL {
            let readers = who("Read", &topic.dead_letter());
            for name in ["order-api", "replay-tool", "operator"] {
                assert!(readers.iter().any(|reader| reader == name), "{name}: {topic}");
            }
            assert!(!who("Write", &topic.dead_letter()).iter().any(|writer| writer == "order-api"), "{topic}");
        }
    }

    #[test]
    fn the_development_broker_and_the_documents_know_every_program() {
        let (stack, page) = (include_str!("../../dev/src/main.rs"), include_str!("../../docs/security.md"));
        for principal in principals("") {
            assert!(stack.contains(&format!("\"{}\"", principal.name)), "{}", principal.name);
            assert!(page.contains(&format!("`{}`", principal.name)), "{}", principal.name);
        }
    }

    #[test]
    fn names_carry_the_prefix_and_the_pattern_of_the_brokers() {
        let options = Options {
            format: Format::Commands,
            principal: "User:CN={},O=Shop".into(),
            command_config: "admin.properties".into(),
            cluster: "c".into(),
        };
        let commands = text(&options, "b:1", "eu-");
        for words in [
            "--allow-principal 'User:CN=order-worker,O=Shop' --operation Read",
            "--topic eu-order.commands.v1-dlt",
            "--group eu-order-worker",
            "--bootstrap-server b:1 --command-config admin.properties --add",
        ] {
            assert!(commands.contains(words), "{words}: {commands}");
        }
        let users = text(&Options { format: Format::Strimzi, ..options }, "b:1", "eu-");
        assert_eq!(users.matches("kind: KafkaUser").count(), principals("").len());
        assert!(users.contains("name: eu-order-worker\n          patternType: literal\n        operations: [Read]"));
    }
}
