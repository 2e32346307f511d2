//! Whether the Rust toolchain is new enough for the workspace.
//!
//! Named and not installed: a toolchain of somebody's own is not ours to change.

use std::env;
use std::process::Command;

use crate::machine::said;

/// The workspace's manifest, which says how new.
const MANIFEST: &str = include_str!("../../../Cargo.toml");

/// Fails, in words, if it is too old.
pub(crate) fn check() -> Result<(), String> {
    let program = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let text = said(Command::new(program).arg("--version")).ok_or("rustc does not run; install Rust with rustup")?;
    compare(&text, wanted(MANIFEST).ok_or("Cargo.toml names no rust-version")?)
}

/// `text` is what `rustc --version` says.
fn compare(text: &str, wanted: &str) -> Result<(), String> {
    let found = text.split_whitespace().nth(1).unwrap_or("of unknown version");
    if minor(found).ok_or(format!("rustc says {:?}", text.trim()))? >= minor(wanted).unwrap_or_default() {
        return Ok(());
    }
    Err(format!("Rust {} is too old, {} or later is needed: rustup update (or install rustup)", found, wanted))
}

fn wanted(manifest: &str) -> Option<&str> {
    manifest.lines().find_map(|line| line.strip_prefix("rust-version = \"")?.strip_suffix('"'))
}

/// Major and minor number.
fn minor(version: &str) -> Option<(u32, u32)> {
    let mut numbers = version.split(|letter: char| !letter.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_old_toolchain_is_told_and_a_newer_one_is_not() {
        let words = compare("rustc 1.63.0 (4b91a6ea7 2022-08-08)", "1.89").unwrap_err();
        assert_eq!(words, "Rust 1.63.0 is too old, 1.89 or later is needed: rustup update (or install rustup)");
        for new in ["rustc 1.89.0 (x)", "rustc 1.100.0 (x)", "rustc 1.97.0-nightly (x)", "rustc 2.0.0"] {
            compare(new, "1.89").unwrap();
        }
        assert!(compare("gibberish", "1.89").is_err());
    }

    #[test]
    fn the_workspace_names_a_version() {
        assert!(wanted(MANIFEST).and_then(minor).is_some());
    }
}
