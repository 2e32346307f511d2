//! The broker of `docker-compose.kafka.yml`, started for real with exactly the settings that are written there.
//!
//! Beside it what people forget: that each program is in the image, and that it knows the settings that it is given.
//!
//! No container engine is needed: the image turns `KAFKA_*` variables into server.properties by a fixed rule, and so
//! does this test. Only host names, ports and the data folder are replaced by ones that exist here.

mod broker;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{self, Command};
use std::thread;
use std::time::Duration;

use dev_stack::{dev_folder, free_port, start_broker_with};
use rdkafka::consumer::{BaseConsumer, Consumer};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace")
}

fn compose_file() -> String {
    fs::read_to_string(root().join("docker-compose.kafka.yml")).expect("the file")
}

/// The lines below `key`, as far as they are indented more than it; the keys lead from the outermost to the wanted one.
fn block(text: &str, keys: &[&str]) -> Vec<String> {
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    for key in keys {
        let indent = |line: &str| line.len() - line.trim_start().len();
        let is_key = |line: &String| {
            line.trim_start().split(" &").next().unwrap_or_default().trim_end().trim_end_matches(':') == *key
        };
        let start = lines.iter().position(is_key).unwrap_or_else(|| panic!("no `{key}`"));
        let depth = indent(&lines[start]);
        lines = lines[start + 1..]
            .iter()
            .take_while(|line| line.trim().is_empty() || indent(line) > depth)
            .cloned()
            .collect();
    }
    lines
}

fn mapping(text: &str, keys: &[&str]) -> BTreeMap<String, String> {
    let lines = block(text, keys);
    let pairs = lines.iter().map(|line| line.trim()).filter(|line| !line.is_empty() && !line.starts_with('#'));
    pairs
        .map(|line| line.split_once(": ").expect("two parts"))
        .map(|(key, value)| (key.to_owned(), value.trim_matches('"').to_owned()))
        .collect()
}

/// The image's rule: three underscores are a dash, two an underscore, one a dot.
fn property_name(variable: &str) -> Option<String> {
    let name = variable.strip_prefix("KAFKA_")?.to_ascii_lowercase();
    Some(name.replace("___", "-").replace("__", "\u{1}").replace('_', ".").replace('\u{1}', "_"))
}

/// `name -> host:port` of a list of listeners.
fn listeners(list: &str) -> BTreeMap<&str, &str> {
    list.split(',').map(|listener| listener.split_once("://").expect("two parts")).collect()
}

#[test]
fn the_image_has_the_version_that_the_tests_run() {
    let pom = fs::read_to_string(root().join("dev/pom.xml")).unwrap();
    let version = pom.split("<kafka.version>").nth(1).unwrap().split('<').next().unwrap();
    assert!(compose_file().contains(&format!("image: apache/kafka:{version}\n")));
}

#[test]
fn names_of_variables_become_names_of_properties() {
    assert_eq!(property_name("KAFKA_LOG_DIRS").unwrap(), "log.dirs");
    assert_eq!(property_name("KAFKA_A__B_C___D").unwrap(), "a_b.c-d");
    assert_eq!(property_name("CLUSTER_ID"), None);
}

#[test]
fn every_client_is_told_an_address_that_it_can_reach() {
    let text = compose_file();
    let kafka = mapping(&text, &["services", "kafka", "environment"]);
    let bound = listeners(&kafka["KAFKA_LISTENERS"]);
    let advertised = listeners(&kafka["KAFKA_ADVERTISED_LISTENERS"]);
    let workers = mapping(&text, &["x-worker", "environment"]);
    // Inside: the service's name, which is what the workers use.
    assert_eq!(advertised[kafka["KAFKA_INTER_BROKER_LISTENER_NAME"].as_str()], workers["KAFKA_BROKERS"]);
    assert_eq!(workers["KAFKA_BROKERS"].split(':').next(), Some("kafka"));
    // Outside: the published port, under the name by which it is reached there.
    let (host, port) = advertised["PLAINTEXT_HOST"].split_once(':').unwrap();
    assert_eq!(host, "localhost");
    let published = block(&text, &["services", "kafka", "ports"]).concat();
    assert!(published.contains(&format!(":{port}:{port}\"")), "{published}");
    // Each bound on all interfaces of the container, at the port that is advertised.
    for (name, address) in &advertised {
        assert_eq!(bound[name], format!(":{}", address.split_once(':').unwrap().1), "{name}");
    }
    let protocols = &kafka["KAFKA_LISTENER_SECURITY_PROTOCOL_MAP"];
    assert!(bound.keys().all(|name| protocols.split(',').any(|entry| entry == format!("{name}:PLAINTEXT"))));
}

#[test]
fn the_broker_starts_with_these_settings_and_both_listeners_serve() {
    let variables = mapping(&compose_file(), &["services", "kafka", "environment"]);
    let mut properties: BTreeMap<String, String> =
        variables.iter().filter_map(|(name, value)| Some((property_name(name)?, value.clone()))).collect();
    assert!(Path::new(&properties["log.dirs"]).is_absolute());
    properties.insert("log.dirs".to_owned(), "data".to_owned());
    let ports: BTreeMap<&str, u16> = ["19092", "9092", "19093"].map(|port| (port, free_port().unwrap())).into();
    for name in ["listeners", "advertised.listeners", "controller.quorum.voters"] {
        let here = |value: String, (port, free): (&&str, &u16)| value.replace(&format!(":{port}"), &format!(":{free}"));
        let value = properties[name]
            .replace("kafka:", "127.0.0.1:")
            .replace("localhost:", "127.0.0.1:")
            .replace("//:", "//127.0.0.1:");
        properties.insert(name.to_owned(), ports.iter().fold(value, here));
    }
    let folder = TemporaryFolder(dev_folder().join(format!("test-compose-{}", process::id())));
    let server = start_broker_with(&folder.0, &properties, ports["19092"]).unwrap();

    let [inside, outside] = ["19092", "9092"].map(|port| format!("127.0.0.1:{}", ports[port]));
    for brokers in [&inside, &outside] {
        let client: BaseConsumer = broker::config(brokers).create().unwrap();
        let metadata = client.fetch_metadata(None, Duration::from_secs(10)).unwrap();
        let told: Vec<String> =
            metadata.brokers().iter().map(|broker| format!("{}:{}", broker.host(), broker.port())).collect();
        assert_eq!(told, [brokers.as_str()], "a client is sent to the listener that it came by");
    }
    broker::create_topic(&inside, "both");
    broker::write(&inside, "both", 10, "zstd");
    assert_eq!(broker::read(&outside, "both", 10).len(), 10);
    server.stop().unwrap();
}

#[test]
fn the_health_check_believes_only_a_worker_that_is_ready() {
    let lines = block(&compose_file(), &["x-worker", "healthcheck", "test"]);
    let start = lines.iter().position(|line| line.trim() == "- >-").unwrap();
    let script = lines[start + 1..].iter().map(|line| line.trim()).collect::<Vec<_>>().join(" ").replace("$$", "$");
    for (status, healthy) in [("200 OK", true), ("503 Service Unavailable", false)] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let here = script.replace("/8080", &format!("/{}", listener.local_addr().unwrap().port()));
        let answer = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let request: Vec<String> = BufReader::new(stream.try_clone().unwrap())
                .lines()
                .map_while(Result::ok)
                .take_while(|line| !line.is_empty())
                .collect();
            write!(stream, "HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n").unwrap();
            request
        });
        let outcome = Command::new("bash").args(["-c", &here]).status().unwrap();
        assert_eq!(outcome.success(), healthy, "{status}");
        assert_eq!(answer.join().unwrap()[0], "GET /readyz HTTP/1.1");
    }
    let nobody = script.replace("/8080", &format!("/{}", free_port().unwrap()));
    assert!(!Command::new("bash").args(["-c", &nobody]).output().unwrap().status.success());
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The programs of ours that services run, and the scripts of services.
fn programs(compose: &str) -> BTreeSet<String> {
    const OF_THE_SYSTEM: [&str; 9] = ["postgres", "sh", "umask", "if", "fi", "sed", "grep", "rm", "mv"];
    let listed = compose.lines().filter_map(|line| {
        let (key, list) = line.trim().split_once(": [\"")?;
        ["command", "entrypoint"].contains(&key).then(|| list.split('"').next().unwrap_or_default().to_owned())
    });
    let script = block(compose, &["services", "set-up", "command"]).into_iter().skip_while(|line| line.trim() != "- |");
    let commands = script.skip(1).filter_map(|line| line.split_whitespace().next().map(str::to_owned));
    let named = listed.chain(commands).filter(|word| !word.starts_with('#'));
    named.filter(|word| !OF_THE_SYSTEM.contains(&word.as_str())).collect()
}

#[test]
fn every_program_that_is_run_is_in_the_image() {
    let (programs, dockerfile) = (programs(&compose_file()), read("Dockerfile"));
    assert!(["order-api", "order-worker", "orders"].iter().all(|name| programs.contains(*name)), "{programs:?}");
    let copied: Vec<&str> =
        dockerfile.split_whitespace().filter_map(|word| word.strip_prefix("target/release/")).collect();
    for program in programs {
        assert!(copied.contains(&program.as_str()), "{program} is not in the image");
    }
}

#[test]
fn every_setting_is_one_of_its_program() {
    let text = compose_file();
    let known = |help: &str| read(help).split_whitespace().collect::<Vec<_>>().join(" ");
    let (workers, api) = (known("workers/src/help.txt"), known("workers/api/src/help.txt"));
    let is_known = |help: &str, name: &str| help.contains(&format!("[env: {name}]"));
    for name in mapping(&text, &["x-worker", "environment"]).keys() {
        assert!(is_known(&workers, name) && is_known(&api, name), "{name} is no setting of theirs");
    }
    let own = mapping(&text, &["services", "order-api", "environment"]);
    for name in own.keys().filter(|name| *name != "<<") {
        assert!(is_known(&api, name), "{name} is no setting of order-api");
    }
    // What is open to other machines lets in who has a key, which it can only read.
    assert!(own["API_LISTEN"].starts_with("0.0.0.0:") && own["API_KEYS_FILE"].starts_with("/keys/"), "{own:?}");
    assert!(block(&text, &["services", "order-api", "volumes"]).concat().contains("api-keys:/keys:ro"));
    // It tells of each worker, at the port where all of them answer.
    let all = mapping(&text, &["x-worker", "environment"]);
    let port = all["LISTEN"].rsplit(':').next().unwrap();
    for service in ["order", "inventory", "payment"] {
        let daemon = format!("{service}={service}-worker:{port}");
        assert!(own["DAEMONS"].split(',').any(|one| one == daemon), "{daemon}: {own:?}");
    }
    assert!(block(&text, &["services", "set-up", "volumes"]).concat().contains("api-keys:/keys"));
    assert!(
        text.split("\nvolumes:\n").nth(1).is_some_and(|all| all.contains("api-keys:"))
            && read("Dockerfile").contains(" /keys")
    );
}

struct TemporaryFolder(PathBuf);

impl Drop for TemporaryFolder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
