//! One grammar for all programs: the same option, the same word, the same exit code for the same thing.
//!
//! `orders`, the workers, `replay-tool` and `outbox-relay` take from here what a person meets in each of them: options for
//! brokers, secrets, the database, waiting, JSON and colour; settings of a file under flags and environment; how a run ends;
//! how a record's place, money, numbers of things and tables are written; the layout of `--help`; completions and man pages.
//! Each program adds its verbs.
//!
//! Deliberately absent: anything of the shop's contract, so that `outbox-relay` has the same grammar; logs and signals, which
//! only daemons have; what a verb does.

mod access;
mod database;
mod exit;
mod layered;
mod layout;
mod output;
mod pages;
mod place;
mod properties;
mod secret;
mod shell;
mod table;
mod text;
mod user;
mod waiting;

pub use access::{DEFAULT_BROKERS, KafkaAccess};
pub use database::DatabaseOptions;
pub use exit::{Exit, exit_codes};
pub use layered::{Layered, SettingsFile, StrangeKeys, parse_layered};
pub use layout::{layout, parse};
pub use output::{Color, ColorOptions, JsonOption, Tone, complain, is_colored_log, paint, plain, say, say_json};
pub use pages::help_is_kept;
pub use place::Place;
pub use properties::{SettingError, as_text};
pub use secret::{HIDDEN, Secret};
pub use shell::ShellVerb;
pub use table::{Table, terminal_width, wrapped};
pub use text::{counted, decimals, grouped, harmless, harmless_lines, minor_units, money};
pub use user::os_user;
pub use waiting::WaitOption;
