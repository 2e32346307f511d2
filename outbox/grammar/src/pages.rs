//! A program's pages of help, kept in a file: a change of one is seen where it is reviewed.

use std::path::Path;

use clap::Command;

use crate::layout::layout;

/// For tests: whether a program's definition is consistent, and its pages of help are those in the file; with `KEEP_SHOWN=1`
/// in the environment they are written there instead.
///
/// # Errors
/// They differ, and where first; or the file cannot be read.
pub fn help_is_kept(command: Command, file: &Path) -> Result<(), String> {
    layout(command.clone()).debug_assert();
    let text = pages(command);
    let named = |error: std::io::Error| format!("{}: {error}; KEEP_SHOWN=1 writes it", file.display());
    if std::env::var_os("KEEP_SHOWN").is_some() {
        return std::fs::write(file, text).map_err(named);
    }
    compared(file, &std::fs::read_to_string(file).map_err(named)?, &text)
}

/// Every page of a program's help, its own first, then those of its verbs.
fn pages(command: Command) -> String {
    let mut command = layout(command);
    command.build();
    let mut text = String::new();
    put(&mut command, &mut text);
    text
}

fn put(command: &mut Command, text: &mut String) {
    // At the end of a line, where nothing stands to the right, clap leaves spaces.
    let page = command.render_help().to_string();
    let lines: Vec<&str> = page.lines().map(str::trim_end).collect();
    text.push_str(&format!("==== {}\n{}\n\n", command.get_bin_name().unwrap_or(command.get_name()), lines.join("\n")));
    command.get_subcommands_mut().filter(|verb| verb.get_name() != "help").for_each(|verb| put(verb, text));
}

fn compared(file: &Path, kept: &str, text: &str) -> Result<(), String> {
    let mut lines = kept.lines().zip(text.lines()).enumerate();
    match lines.find(|(_, (kept, shown))| kept != shown) {
        Some((number, (kept, shown))) => Err(format!(
            "{}:{}: kept is\n  {kept}\nand shown\n  {shown}\nKEEP_SHOWN=1 keeps what is shown",
            file.display(),
            number + 1
        )),
        None if kept.lines().count() != text.lines().count() => {
            Err(format!("{} is longer or shorter than what is shown; KEEP_SHOWN=1 keeps that", file.display()))
        }
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_named_with_its_line() {
        let compared = |kept, shown| compared(Path::new("help.txt"), kept, shown);
        assert_eq!(compared("one\ntwo\n", "one\ntwo\n"), Ok(()));
        let error = compared("one\ntwo\n", "one\nthree\n").unwrap_err();
        assert!(error.contains("help.txt:2: kept is\n  two\nand shown\n  three"), "{error}");
        assert!(compared("one\ntwo\n", "one\n").unwrap_err().contains("longer or shorter"));
    }

    #[test]
    fn all_verbs_have_a_page_of_the_same_layout() {
        let verb = Command::new("verb").about("Does.").arg(clap::Arg::new("x").long("x").env("X_OF_TESTS").help("It."));
        let text = pages(Command::new("program").about("A program.").subcommand(verb));
        assert!(text.starts_with("==== program\nA program.\n\nUsage: program"), "{text}");
        assert!(text.contains("==== program verb\nDoes.\n\nUsage: program verb [OPTIONS]\n\nOptions:\n"), "{text}");
        assert!(text.contains("  -h, --help   Print help\n") && text.contains("It. [env: X_OF_TESTS]"), "{text}");
    }
}
