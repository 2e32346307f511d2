//! Completions and man pages, made from the same definition as `--help`.

use std::io;
use std::path::PathBuf;

use clap::{Command, Subcommand};
use clap_complete::Shell;

use crate::output::say;

/// What a shell and a packager want of a program.
#[derive(Debug, Clone, Subcommand)]
pub enum ShellVerb {
    /// Print a completion script for a shell.
    #[command(after_help = "For bash: PROGRAM completions bash > ~/.local/share/bash-completion/completions/PROGRAM")]
    Completions {
        /// Which shell.
        #[arg(value_enum)]
        shell: Shell,
    },
    /// Write man pages, one for each verb.
    Man {
        /// The folder to write them to; it is made if it is not there.
        #[arg(value_name = "DIR")]
        folder: PathBuf,
    },
}

impl ShellVerb {
    /// Does it for the program of this definition.
    ///
    /// # Errors
    /// The script or a page cannot be written.
    pub fn run(&self, mut command: Command) -> io::Result<()> {
        match self {
            ShellVerb::Completions { shell } => {
                let name = command.get_name().to_owned();
                let mut script = Vec::new();
                clap_complete::generate(*shell, &mut command, name, &mut script);
                say(&String::from_utf8_lossy(&script))
            }
            ShellVerb::Man { folder } => {
                std::fs::create_dir_all(folder)?;
                clap_mangen::generate_to(command, folder)
            }
        }
    }
}
