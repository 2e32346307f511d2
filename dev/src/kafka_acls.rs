//! Access lists of a secured broker, given as command lines of Kafka's own tool `kafka-acls`.
//!
//! That tool starts a Java machine for each line; here all lines of a file are one request. Only what adds permissions is
//! understood: `--add --allow-principal P`, operations, topics, groups, `--cluster`, and whether names are prefixes.

use std::time::Duration;

use crate::error::{Error, Result};
use crate::kafka_wire::{Door, Request, text};

const CREATE_ACLS: i16 = 30;
/// The last version without tagged fields.
const CREATE_ACLS_VERSION: i16 = 1;
const LIMIT: Duration = Duration::from_secs(10);
const ALLOW: u8 = 3;
const LITERAL: u8 = 3;
const PREFIXED: u8 = 4;
const TOPIC: u8 = 2;
const GROUP: u8 = 3;
const CLUSTER: u8 = 4;

/// One permission, in the protocol's numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Permission {
    resource: u8,
    name: String,
    pattern: u8,
    principal: String,
    operation: u8,
}

/// Adds what these lines say; how many permissions that are.
pub(crate) fn add(door: &Door, commands: &str) -> Result<usize> {
    let mut permissions = Vec::new();
    for command in commands.replace("\\\n", " ").lines().map(str::trim) {
        // What a shell does with a failure is nothing to the broker.
        let is_for_the_shell = command.is_empty() || command.starts_with('#') || command == "set -e";
        if !is_for_the_shell {
            permissions.extend(parse(command).map_err(|reason| refused(format!("{reason}: {command}")))?);
        }
    }
    let failed = |error: std::io::Error| refused(format!("the broker does not answer: {error}"));
    let request = Request { key: CREATE_ACLS, version: CREATE_ACLS_VERSION, body: body(&permissions) };
    let answer = door.ask(&request, LIMIT).map_err(failed)?;
    match first_failure(&answer) {
        None => Ok(permissions.len()),
        Some(reason) => Err(refused(reason)),
    }
}

fn refused(reason: String) -> Error {
    Error::Acls { reason }
}

fn parse(command: &str) -> Result<Vec<Permission>, String> {
    let words: Vec<String> = command.split_whitespace().map(|word| word.trim_matches(['\'', '"']).to_owned()).collect();
    let (mut principal, mut pattern) = (None, LITERAL);
    let (mut operations, mut resources) = (Vec::new(), Vec::new());
    let mut words = words.into_iter().skip(1);
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or_else(|| format!("{word} needs a value"));
        match word.as_str() {
            "--add" => {}
            // Whom to ask and as whom is known here.
            "--bootstrap-server" | "--command-config" => drop(value()?),
            "--allow-principal" => principal = Some(value()?),
            "--operation" => operations.push(operation(&value()?)?),
            "--topic" => resources.push((TOPIC, value()?)),
            "--group" => resources.push((GROUP, value()?)),
            "--cluster" => resources.push((CLUSTER, "kafka-cluster".to_owned())),
            "--resource-pattern-type" => match value()?.as_str() {
                "literal" => pattern = LITERAL,
                "prefixed" => pattern = PREFIXED,
                other => return Err(format!("no pattern type that adds permissions is called {other}")),
            },
            other => return Err(format!("{other} is not understood")),
        }
    }
    let principal = principal.ok_or("--allow-principal is missing")?;
    if operations.is_empty() || resources.is_empty() {
        return Err("an operation or a resource is missing".to_owned());
    }
    let one = |(resource, name): &(u8, String), operation: u8| Permission {
        resource: *resource,
        name: name.clone(),
        pattern,
        principal: principal.clone(),
        operation,
    };
    Ok(resources.iter().flat_map(|resource| operations.iter().map(move |number| one(resource, *number))).collect())
}

/// The protocol's number of an operation.
fn operation(name: &str) -> Result<u8, String> {
    const NAMES: [(&str, u8); 11] = [
        ("All", 2),
        ("Read", 3),
        ("Write", 4),
        ("Create", 5),
        ("Delete", 6),
        ("Alter", 7),
        ("Describe", 8),
        ("ClusterAction", 9),
        ("DescribeConfigs", 10),
        ("AlterConfigs", 11),
        ("IdempotentWrite", 12),
    ];
    let found = NAMES.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
    found.map(|(_, number)| *number).ok_or_else(|| format!("no operation is called {name}"))
}

fn body(permissions: &[Permission]) -> Vec<u8> {
    let mut body = i32::try_from(permissions.len()).unwrap_or(0).to_be_bytes().to_vec();
    for permission in permissions {
        body.push(permission.resource);
        text(&mut body, &permission.name);
        body.push(permission.pattern);
        text(&mut body, &permission.principal);
        text(&mut body, "*");
        body.extend([permission.operation, ALLOW]);
    }
    body
}

/// Throttle time, then for each permission an error code and perhaps words.
fn first_failure(answer: &[u8]) -> Option<String> {
    let mut rest = answer.get(8..)?;
    while let [a, b, c, d, more @ ..] = rest {
        let (code, length) = (i16::from_be_bytes([*a, *b]), i16::from_be_bytes([*c, *d]));
        let words = usize::try_from(length).unwrap_or(0);
        if code != 0 {
            let said = String::from_utf8_lossy(more.get(..words).unwrap_or_default()).into_owned();
            return Some(format!("the broker refuses (error code {code}): {said}"));
        }
        rest = more.get(words..)?;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_kafkas_tool_is_every_operation_on_every_resource() {
        let line = "kafka-acls --bootstrap-server b:1 --command-config a.properties --add --allow-principal 'User:a' \
                    --operation Read --operation DescribeConfigs --topic x --topic y";
        let permissions = parse(line).unwrap();
        assert_eq!(permissions.len(), 4);
        let last = Permission {
            resource: TOPIC,
            name: "y".into(),
            pattern: LITERAL,
            principal: "User:a".into(),
            operation: 10,
        };
        assert_eq!(permissions[3], last);
        let prefixed = "kafka-acls --add --allow-principal User:a --operation Read --group g- \
                        --resource-pattern-type prefixed";
        assert_eq!(parse(prefixed).unwrap()[0].pattern, PREFIXED);
        for wrong in ["kafka-acls --add --operation Read --topic x", "kafka-acls --remove", "kafka-acls --topic"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_refusal_is_found_behind_what_was_taken() {
        let mut answer = vec![0; 4];
        answer.extend(2_i32.to_be_bytes());
        answer.extend([0, 0, 255, 255]);
        assert_eq!(first_failure(&answer), None);
        answer.extend(31_i16.to_be_bytes());
        text(&mut answer, "no");
        assert_eq!(first_failure(&answer).unwrap(), "the broker refuses (error code 31): no");
    }
}
