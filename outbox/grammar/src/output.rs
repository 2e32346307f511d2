//! What a program says: results on stdout, complaints on stderr, colour on terminals only.
//!
//! Texts are painted wherever they are made; the stream takes the escape codes out again where nobody wants them: in a pipe or
//! a file, under `NO_COLOR`, with `--color never`.

use std::io::{self, Write as _};

use anstream::{AutoStream, ColorChoice};
use anstyle::{AnsiColor, Style};
use clap::{Args, ValueEnum};
use serde::Serialize;

use crate::text::harmless_lines;

/// When to colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Color {
    // On a terminal, unless `NO_COLOR` is set.
    #[default]
    #[expect(
        missing_docs,
        reason = "a documented value would change the layout of --help; the option's help tells them"
    )]
    Auto,
    #[expect(missing_docs, reason = "as above")]
    Always,
    #[expect(missing_docs, reason = "as above")]
    Never,
}

/// Whether output is coloured.
#[derive(Debug, Clone, Copy, Default, Args)]
pub struct ColorOptions {
    /// Whether to colour: auto is on a terminal only, and not under NO_COLOR.
    #[arg(long, global = true, value_enum, value_name = "WHEN", default_value_t)]
    color: Color,
}

impl ColorOptions {
    /// From here on, in this process.
    pub fn apply(self) {
        let choice = match self.color {
            Color::Auto => ColorChoice::Auto,
            Color::Always => ColorChoice::Always,
            Color::Never => ColorChoice::Never,
        };
        choice.write_global();
    }
}

/// Whether results are for programs.
#[derive(Debug, Clone, Copy, Default, Args)]
pub struct JsonOption {
    /// Print JSON: one object on one line, or a line for each where there are many.
    #[arg(long, global = true)]
    pub json: bool,
}

/// What a text is to the person who reads it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// As it should be.
    Good,
    /// To be looked at.
    Warning,
    /// Not as it should be.
    Bad,
    /// Beside the point.
    Faint,
}

/// The text in the colour of its tone.
pub fn paint(tone: Tone, text: impl std::fmt::Display) -> String {
    let style = match tone {
        Tone::Good => AnsiColor::Green.on_default(),
        Tone::Warning => AnsiColor::Yellow.on_default(),
        Tone::Bad => AnsiColor::Red.on_default(),
        Tone::Faint => Style::new().dimmed(),
    };
    format!("{style}{text}{style:#}")
}

/// The text as a pipe gets it.
pub fn plain(text: &str) -> String {
    anstream::adapter::strip_str(text).to_string()
}

/// Whether logs, which go to stderr, are coloured.
pub fn is_colored_log() -> bool {
    AutoStream::choice(&io::stderr()) != ColorChoice::Never
}

/// Writes a result to stdout, with an end of line.
///
/// # Errors
/// Whoever read it has gone, or the disk is full.
pub fn say(text: &str) -> io::Result<()> {
    let mut stdout = anstream::stdout().lock();
    writeln!(stdout, "{}", text.trim_end_matches('\n'))?;
    stdout.flush()
}

/// Writes a result for programs: one line.
///
/// # Errors
/// As [`say`]; or it has no JSON.
pub fn say_json(value: &impl Serialize) -> io::Result<()> {
    say(&serde_json::to_string(value).map_err(io::Error::other)?)
}

/// Says on stderr what went wrong. There is nobody to tell when stderr is closed.
pub fn complain(program: &str, words: impl std::fmt::Display) {
    let prefix = paint(Tone::Bad, format_args!("{program}:"));
    let words = harmless_lines(&words.to_string());
    let mut stderr = anstream::stderr().lock();
    drop(writeln!(stderr, "{prefix} {words}"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pipe_gets_the_text_without_its_colour() {
        let painted = paint(Tone::Bad, "stuck");
        assert_eq!((painted.as_str(), plain(&painted).as_str()), ("\u{1b}[31mstuck\u{1b}[0m", "stuck"));
    }
}
