//! The two notations of a connection string, taken apart into the same pairs: a URL, and `name=value` words.
//!
//! Grammar: <https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNSTRING>. What a pair means is decided
//! elsewhere. No error repeats a text in which a password can be: only names of options are said, and places.

use super::ConnectionStringError;

/// An option's name as it was written, and its value, decoded.
pub(super) type Pair = (String, String);

const SCHEMES: [&str; 2] = ["postgres://", "postgresql://"];

/// The pairs of either notation, in the order in which they were written.
pub(super) fn pairs(text: &str) -> Result<Vec<Pair>, ConnectionStringError> {
    let text = text.trim();
    if text.is_empty() {
        return Err(syntax("it is empty"));
    }
    if let Some(rest) = SCHEMES.iter().find_map(|scheme| text.strip_prefix(scheme)) {
        return url(rest);
    }
    let before_value = text.split(['=', ' ']).next().unwrap_or_default();
    if before_value.contains("://") {
        return Err(syntax("a URL begins with postgres:// or postgresql://"));
    }
    words(text)
}

fn syntax(reason: impl Into<String>) -> ConnectionStringError {
    ConnectionStringError::Syntax { reason: reason.into() }
}

/// What follows the scheme: `[user[:password]@][host[:port][,…]][/dbname][?name=value[&…]]`.
fn url(rest: &str) -> Result<Vec<Pair>, ConnectionStringError> {
    let mut pairs = Vec::new();
    let mut put = |name: &str, encoded: &str| -> Result<(), ConnectionStringError> {
        if !encoded.is_empty() {
            pairs.push((name.to_owned(), decoded(name, encoded)?));
        }
        Ok(())
    };
    // As in libpq, an @ before the first slash ends the credentials, whatever else is in them.
    let slash = rest.find('/').unwrap_or(rest.len());
    let (credentials, rest) = match rest[..slash].find('@') {
        Some(at) => (&rest[..at], &rest[at + 1..]),
        None => ("", rest),
    };
    let (user, password) = credentials.split_once(':').unwrap_or((credentials, ""));
    put("user", user)?;
    put("password", password)?;
    let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, dbname) = place.split_once('/').unwrap_or((place, ""));
    let (hosts, ports) = hosts_and_ports(authority)?;
    put("host", &hosts)?;
    put("port", &ports)?;
    put("dbname", dbname)?;
    for parameter in query.split('&').filter(|parameter| !parameter.is_empty()) {
        let (name, value) = parameter.split_once('=').ok_or_else(|| syntax("after ? each part is name=value"))?;
        pairs.push((decoded("a name after ?", name)?, decoded(name, value)?));
    }
    Ok(pairs)
}

/// The hosts, and their ports if any is given: two lists of equal length, separated by commas.
fn hosts_and_ports(authority: &str) -> Result<(String, String), ConnectionStringError> {
    let (mut hosts, mut ports) = (Vec::new(), Vec::new());
    for place in authority.split(',') {
        let (host, port) = match place.strip_prefix('[') {
            Some(address) => {
                let unclosed = || syntax("an IPv6 address in a URL is closed by ], and a port follows after a colon");
                let (host, port) = address.split_once(']').ok_or_else(unclosed)?;
                (host, if port.is_empty() { port } else { port.strip_prefix(':').ok_or_else(unclosed)? })
            }
            None => place.split_once(':').unwrap_or((place, "")),
        };
        hosts.push(host);
        ports.push(port);
    }
    let ports = if ports.iter().all(|port| port.is_empty()) { String::new() } else { ports.join(",") };
    // A list of one that is empty is none; of several, each is the default's.
    let hosts = if hosts.iter().all(|host| host.is_empty()) { String::new() } else { hosts.join(",") };
    Ok((hosts, ports))
}

/// Percent-decodes. A plus sign stays one, as in libpq.
fn decoded(name: &str, encoded: &str) -> Result<String, ConnectionStringError> {
    let wrong = |why: &str| syntax(format!("{name}: {why}"));
    let mut bytes = Vec::with_capacity(encoded.len());
    let mut rest = encoded.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        if *first != b'%' {
            bytes.push(*first);
            rest = after;
            continue;
        }
        let digits = after.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        let byte = digits
            .filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()))
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        let byte = byte.ok_or_else(|| wrong("after % come two hexadecimal digits; a percent sign itself is %25"))?;
        if byte == 0 {
            return Err(wrong("%00 cannot be part of it"));
        }
        bytes.push(byte);
        rest = &after[2..];
    }
    String::from_utf8(bytes).map_err(|_| wrong("what is decoded is not UTF-8"))
}

/// `name = value` words, separated by white space; a value with white space is in single quotes, and a backslash makes the
/// next character an ordinary one.
fn words(text: &str) -> Result<Vec<Pair>, ConnectionStringError> {
    let mut pairs: Vec<Pair> = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let end = rest.find(|c: char| c == '=' || c.is_whitespace()).unwrap_or(rest.len());
        let (name, after) = rest.split_at(end);
        let Some(after) = after.trim_start().strip_prefix('=') else { return Err(no_value(&pairs)) };
        if name.is_empty() {
            return Err(syntax("a name is missing before ="));
        }
        let (value, after) = value(name, after.trim_start())?;
        pairs.push((name.to_owned(), value));
        rest = after.trim_start();
    }
    Ok(pairs)
}

/// A word without `=`: not repeated, because it can be the second half of a password.
fn no_value(pairs: &[Pair]) -> ConnectionStringError {
    match pairs.last() {
        Some((name, _)) => syntax(format!(
            "after the value of {name} comes a word without =; a value with blanks is written {name}='…'"
        )),
        None => syntax("it is neither a URL, postgres://user@host/name, nor name=value words, host=… user=… dbname=…"),
    }
}

/// The value at the beginning of `text`, and what follows it.
fn value<'t>(name: &str, text: &'t str) -> Result<(String, &'t str), ConnectionStringError> {
    let (is_quoted, inner) = text.strip_prefix('\'').map_or((false, text), |inner| (true, inner));
    let mut value = String::new();
    let mut characters = inner.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '\'' if is_quoted => return Ok((value, &inner[at + 1..])),
            '\\' => value.extend(characters.next().map(|(_, next)| next)),
            _ if !is_quoted && character.is_whitespace() => return Ok((value, &inner[at..])),
            _ => value.push(character),
        }
    }
    if is_quoted {
        return Err(syntax(format!("the quote that opens the value of {name} is never closed")));
    }
    Ok((value, ""))
}
