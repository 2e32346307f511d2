//! Rules of the code that a machine can check, over every source file of the workspace.
//!
//! A rule is a function from a file to complaints; each is shown an example of what it forbids, so that it can fail.

mod dependencies;
mod image;
mod manifest;
mod rooms;
mod rules;
#[cfg(test)]
mod sbom;
mod source;

use source::Source;

/// A file's complaints.
type Rule = fn(&Source) -> Vec<String>;

/// Fails with every complaint of a rule.
fn assert_kept(rule: Rule) {
    let complaints: Vec<String> = source::all().iter().flat_map(rule).collect();
    assert!(complaints.is_empty(), "{} complaints:\n{}", complaints.len(), complaints.join("\n"));
}

macro_rules! kept {
    ($($name:ident)+) => {
        $(#[test]
        fn $name() {
            assert_kept(rules::$name);
        })+
    };
}

kept! {
    sql_is_in_the_files_for_it
    only_the_outbox_names_its_tables
    every_module_says_what_it_is
    files_are_short
    functions_are_short
    names_say_something
    one_file_opens_the_transaction
    one_file_reads_the_clock
    metrics_are_named_in_one_file
    unsafe_is_only_where_it_must_be
    nothing_is_allowed_nothing_is_left_to_do
    no_test_is_ignored_or_sleeps
    no_path_of_a_machine
}

#[test]
fn members_depend_as_they_should() {
    let complaints = manifest::complaints();
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

#[test]
fn cores_are_pure() {
    let complaints = manifest::impurities();
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

#[test]
fn no_room_reaches_itself_again() {
    let complaints = rooms::complaints(source::all());
    assert!(complaints.is_empty(), "{} complaints:\n{}", complaints.len(), complaints.join("\n"));
}

#[test]
fn dependencies_keep_the_rules_of_deny_toml() {
    let complaints = dependencies::rules().complaints(&dependencies::metadata());
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

#[test]
fn the_image_has_every_program_and_runs_as_nobody() {
    let complaints = image::complaints(&image::dockerfile(), &dependencies::metadata());
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

#[test]
fn every_rule_sees_its_breach() {
    // Written in two parts where this very file would be a breach.
    let cases: [(Rule, &str, &str); 17] = [
        (rules::sql_is_in_the_files_for_it, "workers/src/order/mod.rs", "const A: &str = \"select 1 from orders\";\n"),
        (rules::sql_is_in_the_files_for_it, "outbox/consumer/src/x.rs", "q(\"insert into t values (1)\");\n"),
        (rules::only_the_outbox_names_its_tables, "workers/src/x.rs", "q(\"delete from orders.inbox_positions\");\n"),
        (rules::only_the_outbox_names_its_tables, "replay-tool/src/x.rs", "const A: &str = \"from outbox_lanes l\";\n"),
        (rules::only_the_outbox_names_its_tables, "workers/migrations/x.sql", "drop view outbox_messages;\n"),
        (rules::every_module_says_what_it_is, "demo/src/x.rs", "use a;\n"),
        (rules::files_are_short, "bench/src/x.rs", &"\n".repeat(451)),
        (rules::functions_are_short, "a/src/x.rs", &format!("    fn f() {{\n{}    }}\n", "        a();\n".repeat(70))),
        (rules::names_say_something, "workers/src/helpers.rs", ""),
        (rules::one_file_opens_the_transaction, "workers/src/order/mod.rs", "outbox.begin(client)\n"),
        (rules::one_file_reads_the_clock, "workers/src/order/mod.rs", "Timestamp::now()\n"),
        (rules::metrics_are_named_in_one_file, "workers/src/order/mod.rs", "counter!(\"x\")\n"),
        (rules::unsafe_is_only_where_it_must_be, "outbox/src/x.rs", "unsafe { f() }\n"),
        (rules::nothing_is_allowed_nothing_is_left_to_do, "a/src/x.rs", concat!("#[", "allow(dead_code)]\n")),
        (rules::nothing_is_allowed_nothing_is_left_to_do, "a/src/x.rs", concat!("// TO", "DO: more\n")),
        (rules::no_test_is_ignored_or_sleeps, "tests/pipeline/x.rs", concat!("std::thread::", "sleep(d);\n")),
        (rules::no_path_of_a_machine, "docs/x.md", concat!("see /ro", "ot/x\n")),
    ];
    for (number, (rule, path, text)) in cases.into_iter().enumerate() {
        assert!(!rule(&Source::new(path, text)).is_empty(), "case {number}: nobody complains of {path}: {text}");
        assert!(rule(&Source::new("a/src/fine.rs", "//! Fine.\n")).is_empty(), "case {number} complains of nothing");
    }
}
