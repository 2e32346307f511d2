//! The rules: each takes a file and gives its complaints.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use crate::source::{self, Source};

/// The most lines of a file, and of a function.
const FILE_LINES: usize = 450;
const FUNCTION_LINES: usize = 70;

/// In `workers`, SQL is in what makes statements from the tables' descriptions, in the services' stores, and in what changes
/// schemas on purpose.
pub(crate) fn sql_is_in_the_files_for_it(source: &Source) -> Vec<String> {
    const AT_HOME: [&str; 4] = ["/tables/src/statements.rs", "/store.rs", "/plan_tests.rs", "/postgres.rs"];
    const SQL: [&str; 8] = [
        "\"select ",
        "\"insert into ",
        "\"update ",
        "\"delete from ",
        "\"with ",
        "\"create table ",
        "\"alter table ",
        "\"lock table",
    ];
    let is_consumer = source.is_in("workers/src/") || source.is_in("outbox/consumer/src/");
    if !is_consumer || AT_HOME.iter().any(|name| source.path.ends_with(name)) {
        return Vec::new();
    }
    source.lines_with(&SQL, "SQL belongs into a store")
}

/// Nobody but `outbox` names its tables and functions: who reads or changes them calls the crate, which knows their version.
/// Anybody may send through `outbox_sends`. Tests spoil tables on purpose, and a measurement reads one as the relay does.
pub(crate) fn only_the_outbox_names_its_tables(source: &Source) -> Vec<String> {
    const EXEMPT: [&str; 3] = ["outbox/", "tests/", "bench/src/alone/ceiling.rs"];
    if EXEMPT.iter().any(|path| source.is_in(path)) {
        return Vec::new();
    }
    let text = if source.path.ends_with(".sql") { &source.text } else { &source.code };
    let word = |c: char| !(c.is_ascii_alphanumeric() || c == '_');
    let named = |line: &str| line.split(word).find(|word| OF_THE_OUTBOX.contains(*word)).map(str::to_owned);
    let complain = |(number, line): (usize, &str)| {
        named(line).map(|name| format!("{}:{}: {name}: only the outbox names its tables", source.path, number + 1))
    };
    text.lines().enumerate().filter_map(complain).collect()
}

/// What the outbox' migrations create, but for what other programs send through.
static OF_THE_OUTBOX: LazyLock<BTreeSet<String>> = LazyLock::new(|| {
    let migrations = source::all().iter().filter(|source| source.is_in("outbox/src/migrate/"));
    let created = migrations.flat_map(|source| source.text.lines()).filter(|line| line.starts_with("create "));
    let name = |line: &str| {
        let rest = line.split_once("{schema}.")?.1;
        rest.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).next().map(str::to_owned)
    };
    let names: BTreeSet<String> = created.filter_map(name).filter(|name| !name.starts_with("outbox_send")).collect();
    assert!(names.contains("inbox_offsets") && names.contains("outbox_messages_0"), "not understood: {names:?}");
    names.into_iter().chain(["outbox_version".to_owned()]).collect()
});

/// A module begins with what it is and why.
pub(crate) fn every_module_says_what_it_is(source: &Source) -> Vec<String> {
    let says = source.text.lines().next().is_some_and(|line| line.starts_with("//! ") && line.len() > 8);
    if !source.is_rust() || says { Vec::new() } else { vec![format!("{}: no //! at its beginning", source.path)] }
}

/// A file is read from top to bottom.
pub(crate) fn files_are_short(source: &Source) -> Vec<String> {
    let lines = source.text.lines().count();
    if !source.is_rust() || lines <= FILE_LINES {
        return Vec::new();
    }
    vec![format!("{}: {lines} lines; at most {FILE_LINES}", source.path)]
}

/// A function fits on a screen. Formatted code ends one at its beginning's indentation. A store's `prepare` is a list of
/// statements, not a course of action.
pub(crate) fn functions_are_short(source: &Source) -> Vec<String> {
    if !source.is_rust() || !source.path.contains("/src/") {
        return Vec::new();
    }
    let lines: Vec<&str> = source.text.lines().collect();
    let mut complaints = Vec::new();
    for (start, line) in lines.iter().enumerate() {
        let bare = line.trim_start();
        let indentation = &line[..line.len() - bare.len()];
        let is_function =
            bare.starts_with("fn ") || (bare.starts_with("pub") || bare.starts_with("async")) && bare.contains(" fn ");
        let end = format!("{indentation}}}");
        let length = lines[start..].iter().position(|line| *line == end).map_or(0, |length| length + 1);
        let is_one_line = bare.ends_with(';') || bare.ends_with('}');
        if is_function && !is_one_line && !bare.contains("fn prepare(") && length > FUNCTION_LINES {
            complaints.push(format!("{}:{}: a function of {length} lines", source.path, start + 1));
        }
    }
    complaints
}

/// A file is named for what is in it.
pub(crate) fn names_say_something(source: &Source) -> Vec<String> {
    const EMPTY: [&str; 7] = ["utils", "util", "common", "helpers", "helper", "manager", "misc"];
    let mut parts = source.path.split('/').flat_map(|part| part.trim_end_matches(".rs").split(['_', '-']));
    match parts.find(|part| EMPTY.contains(part)) {
        Some(name) => vec![format!("{}: {name} says nothing", source.path)],
        None => Vec::new(),
    }
}

/// Locks, positions, writes and messages go together because only one place begins.
pub(crate) fn one_file_opens_the_transaction(source: &Source) -> Vec<String> {
    let is_consumer = source.is_in("workers/src/") || source.is_in("outbox/consumer/src/");
    if !is_consumer || source.path == "outbox/consumer/src/process.rs" {
        return Vec::new();
    }
    source.lines_with(&[".begin(", ".transaction()", ".build_transaction()"], "only process.rs opens a transaction")
}

/// Time is an input.
pub(crate) fn one_file_reads_the_clock(source: &Source) -> Vec<String> {
    // A consumer of somebody else's has the host's clock unless its builder is given another.
    const CLOCKS: [&str; 2] = ["workers/src/clock.rs", "outbox/consumer/src/builder.rs"];
    let is_consumer = source.is_in("workers/src/") || source.is_in("outbox/consumer/src/");
    if !is_consumer || CLOCKS.contains(&source.path.as_str()) {
        return Vec::new();
    }
    source.lines_with(&["Timestamp::now", "SystemTime::now"], "only clock.rs and the consumer's builder read the clock")
}

/// A metric's name, labels and meaning stand together.
pub(crate) fn metrics_are_named_in_one_file(source: &Source) -> Vec<String> {
    if !source.is_rust() || source.path.ends_with("/metrics.rs") || source.is_in("tests/") {
        return Vec::new();
    }
    source.lines_with(&["counter!(", "gauge!(", "histogram!("], "metrics are recorded in metrics.rs")
}

/// Only what starts processes needs it, and what the Kafka client does only through its C interface: a question, a token.
pub(crate) fn unsafe_is_only_where_it_must_be(source: &Source) -> Vec<String> {
    const INTERFACE: [&str; 2] = ["outbox/consumer/src/topic_id.rs", "outbox/src/kafka/token.rs"];
    let is_exempt = source.is_in("dev/") || source.is_in("tests/tidy/") || INTERFACE.contains(&source.path.as_str());
    if !source.is_rust() || is_exempt {
        return Vec::new();
    }
    source.lines_with(&["unsafe {", "unsafe fn", "unsafe impl"], "only dev, topic_id.rs and token.rs may")
}

/// Lints are expected with a reason or kept; and what is in the repository is finished.
pub(crate) fn nothing_is_allowed_nothing_is_left_to_do(source: &Source) -> Vec<String> {
    if !source.is_rust() {
        return Vec::new();
    }
    let forbidden = [concat!("#[", "allow("), concat!("TO", "DO"), concat!("FIX", "ME")];
    let found = |(number, line): (usize, &str)| {
        let words = forbidden.iter().find(|words| line.contains(**words))?;
        Some(format!("{}:{}: {words}", source.path, number + 1))
    };
    source.text.lines().enumerate().filter_map(found).collect()
}

/// Tests run, all of them, and wait for conditions.
pub(crate) fn no_test_is_ignored_or_sleeps(source: &Source) -> Vec<String> {
    let mut complaints = source.lines_with(&[concat!("#[", "ignore")], "no test is left out");
    if source.is_in("tests/") {
        let sleep = concat!("thread::", "sleep");
        complaints.extend(source.lines_with(&[sleep], "wait for a condition"));
    }
    complaints
}

/// What is committed is the same on every machine.
pub(crate) fn no_path_of_a_machine(source: &Source) -> Vec<String> {
    let forbidden = [concat!("/ro", "ot/"), concat!("/ho", "me/"), concat!("/wo", "rk/"), concat!("/Us", "ers/")];
    let found = |(number, line): (usize, &str)| {
        let words = forbidden.iter().find(|words| line.contains(**words))?;
        Some(format!("{}:{}: {words}", source.path, number + 1))
    };
    source.text.lines().enumerate().filter_map(found).collect()
}
