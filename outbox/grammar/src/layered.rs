//! Settings from four places: flag over environment over file over default.
//!
//! A setting is one field of a struct that derives clap's `Args`. clap knows flags, environment and defaults; what a file has
//! is handed to it as a default, and so goes through the same reading and the same checks. The file's keys are the names of
//! the fields.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::parser::ArgMatches;
use clap::{Command, Parser};

use crate::exit::Exit;
use crate::layout::{layout, told};
use crate::output::complain;
use crate::properties::{SettingError, as_text};

/// The option that names the file.
const CONFIG: &str = "config";

/// What a program does with a key that is none of its settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StrangeKeys {
    /// The file is this program's: the key is a mistake.
    Refuse,
    /// The file is another program's too: the key is passed over.
    PassOver,
}

/// Which keys a file may have.
#[derive(Debug, Clone, Copy)]
pub struct Layered {
    /// Settings that a file may not have: secrets that have a file of their own, and what belongs to one run.
    pub never: &'static [&'static str],
    /// Tables that the program reads itself.
    pub tables: &'static [&'static str],
    /// And all others.
    pub strange: StrangeKeys,
}

/// A configuration file, as it was read.
#[derive(Debug, Clone, Default)]
pub struct SettingsFile {
    table: toml::Table,
}

impl SettingsFile {
    /// Reads it.
    ///
    /// # Errors
    /// It cannot be read, or is no TOML.
    pub fn read(path: &Path) -> Result<Self, SettingError> {
        let text = std::fs::read_to_string(path).map_err(|error| wrong(path, error.to_string()))?;
        Ok(SettingsFile { table: text.parse().map_err(|error: toml::de::Error| wrong(path, error.to_string()))? })
    }

    /// One of its tables; empty if it has none.
    pub fn table(&self, name: &str) -> toml::Table {
        self.table.get(name).and_then(toml::Value::as_table).cloned().unwrap_or_default()
    }

    /// librdkafka's properties, of `[kafka]`.
    ///
    /// # Errors
    /// One is neither a text nor a whole number nor a boolean.
    pub fn kafka(&self) -> Result<BTreeMap<String, String>, SettingError> {
        let text = |(key, value): (&String, &toml::Value)| Ok((key.clone(), as_text(key, value)?));
        let read: Result<_, String> = self.table("kafka").iter().map(text).collect();
        read.map_err(|words| SettingError::Setting(format!("[kafka] {words}")))
    }

    /// The command with what stands here as its defaults.
    fn under(&self, command: Command, given: &ArgMatches, layered: &Layered) -> Result<Command, String> {
        let mut command = command;
        for (key, value) in &self.table {
            if layered.tables.contains(&key.as_str()) {
                if !value.is_table() {
                    return Err(format!("{key}: expected a table"));
                }
                continue;
            }
            let is_setting = !layered.never.contains(&key.as_str())
                && command.get_arguments().any(|arg| arg.get_id() == key.as_str() && arg.get_long().is_some());
            match (is_setting, layered.strange) {
                (false, StrangeKeys::PassOver) => continue,
                (false, StrangeKeys::Refuse) => return Err(format!("{key} is no setting")),
                (true, _) => {}
            }
            // A secret's own file is nearer than this one.
            if has_value(given, &format!("{key}_file")) {
                continue;
            }
            let text = as_text(key, value)?;
            command = command.mut_arg(key, |arg| arg.default_value(text));
        }
        Ok(command)
    }
}

/// Reads arguments and, where they or the environment name one, the configuration file.
///
/// # Errors
/// How it ends, and all is told: help and version were asked for, the usage is wrong, or the file cannot be used.
pub fn parse_layered<P: Parser>(
    command: Command,
    arguments: impl IntoIterator<Item = OsString>,
    layered: &Layered,
) -> Result<(P, SettingsFile), Exit> {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let command = layout(command);
    let name = command.get_name().to_owned();
    let given = command.clone().try_get_matches_from(&arguments).map_err(|error| told(&error))?;
    let Some(path) = given.get_one::<PathBuf>(CONFIG).cloned() else {
        return Ok((P::from_arg_matches(&given).map_err(|error| told(&error))?, SettingsFile::default()));
    };
    let read = || {
        let file = SettingsFile::read(&path)?;
        let command = file.under(command, &given, layered).map_err(|words| wrong(&path, words))?;
        // The arguments were understood before: what is wrong now stands in the file.
        let matches = command.try_get_matches_from(&arguments);
        let read = matches.and_then(|matches| P::from_arg_matches(&matches));
        Ok((read.map_err(|error| wrong(&path, first_line(&error)))?, file))
    };
    read().map_err(|error: SettingError| {
        complain(&name, error);
        Exit::Failed
    })
}

fn has_value(given: &ArgMatches, id: &str) -> bool {
    given.try_contains_id(id).unwrap_or(false)
}

fn first_line(error: &clap::Error) -> String {
    let text = error.to_string();
    let line = text.lines().next().unwrap_or_default();
    line.strip_prefix("error: ").unwrap_or(line).to_owned()
}

fn wrong(path: &Path, reason: String) -> SettingError {
    SettingError::File { what: "the configuration file", path: path.display().to_string(), reason }
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory as _, FromArgMatches as _};

    use super::*;

    #[derive(Debug, Parser)]
    #[command(name = "program")]
    struct Program {
        #[arg(long, global = true)]
        config: Option<PathBuf>,
        #[arg(long, global = true, default_value_t = 6)]
        partitions: u32,
        #[arg(long, global = true)]
        url: Option<String>,
        #[arg(long, global = true)]
        url_file: Option<PathBuf>,
    }

    const LAYERED: Layered = Layered { never: &["config"], tables: &["kafka"], strange: StrangeKeys::Refuse };

    fn parsed(file: &str, arguments: &[&str], layered: Layered) -> Result<(Program, SettingsFile), String> {
        let command = layout(Program::command());
        let words = || std::iter::once("program").chain(arguments.iter().copied());
        let given = command.clone().try_get_matches_from(words()).map_err(|error| error.to_string())?;
        let file = SettingsFile { table: file.parse().map_err(|error: toml::de::Error| error.to_string())? };
        let matches = file.under(command, &given, &layered)?.try_get_matches_from(words());
        let program = matches.and_then(|matches| Program::from_arg_matches(&matches));
        Ok((program.map_err(|error| first_line(&error))?, file))
    }

    #[test]
    fn a_flag_wins_over_the_file_and_the_file_over_the_default() {
        let file = "partitions = 3\nurl = \"of-file\"\n[kafka]\n\"linger.ms\" = 20\n";
        let (program, read) = parsed(file, &[], LAYERED).unwrap();
        assert_eq!((program.partitions, program.url.as_deref()), (3, Some("of-file")));
        assert_eq!(read.kafka().unwrap()["linger.ms"], "20");
        let (program, _) = parsed(file, &["--partitions", "9"], LAYERED).unwrap();
        assert_eq!(program.partitions, 9);
        assert_eq!(parsed("", &[], LAYERED).unwrap().0.partitions, 6);
    }

    #[test]
    fn a_secret_s_own_file_is_nearer_than_the_configuration_file() {
        let (program, _) = parsed("url = \"of-file\"", &["--url-file", "x"], LAYERED).unwrap();
        assert_eq!((program.url, program.url_file), (None, Some("x".into())));
    }

    #[test]
    fn what_is_wrong_in_the_file_is_named() {
        for (file, words) in [
            ("partition = 3", "partition is no setting"),
            ("config = \"x\"", "config is no setting"),
            ("partitions = \"three\"", "invalid value 'three' for '--partitions"),
            ("partitions = [3]", "partitions: give a text, a whole number or a boolean"),
            ("kafka = 3", "kafka: expected a table"),
        ] {
            let error = parsed(file, &[], LAYERED).unwrap_err();
            assert!(error.starts_with(words), "{file}: {error}");
        }
        let of_others = Layered { strange: StrangeKeys::PassOver, ..LAYERED };
        assert_eq!(parsed("partition = 3", &[], of_others).unwrap().0.partitions, 6);
        let nested = SettingsFile { table: "[kafka]\nlinger.ms = 1\n".parse().unwrap() };
        assert!(nested.kafka().unwrap_err().to_string().contains("quote names"));
    }
}
