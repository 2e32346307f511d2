//! One shell for all blocks, in an empty folder, with the programs of this build under the names that people use.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use dev_stack::{Child, dev_folder};
use tests::{Outcome, trouble};

use crate::block::Block;

/// All blocks together, on a machine that is slow and busy.
const LIMIT: Duration = Duration::from_secs(900);

static SHELLS: AtomicU32 = AtomicU32::new(0);
/// One at a time: `demo stop` ends the demos of the whole workspace.
static TURN: Mutex<()> = Mutex::new(());

const PROGRAMS: [(&str, &str); 5] = [
    ("demo", env!("CARGO_BIN_EXE_demo-program")),
    ("orders", env!("CARGO_BIN_EXE_orders-program")),
    ("order-api", env!("CARGO_BIN_EXE_api-program")),
    ("replay-tool", env!("CARGO_BIN_EXE_replay-program")),
    ("pipeline-daemon", env!("CARGO_BIN_EXE_pipeline-daemon")),
];

/// Cargo compiles nothing here: the programs are there.
const CARGO: &str = "#!/bin/sh\n\
    [ \"$1\" = demo ] || { echo \"cargo $1: not a command of this README\" >&2; exit 101; }\n\
    shift; exec demo \"$@\"\n";

/// Where the blocks run.
pub(crate) struct Shell {
    folder: PathBuf,
    _turn: MutexGuard<'static, ()>,
}

impl Shell {
    /// Fails when a demo is kept in this workspace: the README's `cargo demo stop` would end it.
    pub(crate) fn open() -> Outcome<Self> {
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let number = SHELLS.fetch_add(1, Ordering::Relaxed);
        let folder = dev_folder().join("tests").join(format!("readme-{}-{number}", std::process::id()));
        let bin = folder.join("bin");
        fs::create_dir_all(&bin)?;
        let shell = Self { folder, _turn: turn };
        for (name, program) in PROGRAMS {
            // Not a symbolic link: the demo tells the folder that its program lies in.
            fs::hard_link(program, bin.join(name)).or_else(|_| fs::copy(program, bin.join(name)).map(drop))?;
        }
        write_program(&bin.join("cargo"), CARGO)?;
        for service in ["order", "inventory", "payment"] {
            let daemon = format!("#!/bin/sh\nexec pipeline-daemon {service} \"$@\"\n");
            write_program(&bin.join(format!("{service}-worker")), &daemon)?;
        }
        if shell.command("demo").arg("env").output()?.status.success() {
            return Err(trouble("a demo is kept running in this workspace; stop it first: cargo demo stop"));
        }
        Ok(shell)
    }

    /// Runs the blocks; gives all that was printed. Fails with the first command that ends badly.
    pub(crate) fn run(&self, blocks: &[Block]) -> Outcome<String> {
        let mut script = "set -e\n".to_owned();
        for Block { line, text, .. } in blocks {
            script.push_str(&format!("echo '== README.md:{line}'\nset -x\n{text}{{ set +x; }} 2>/dev/null\n"));
        }
        let number = SHELLS.fetch_add(1, Ordering::Relaxed);
        let file = self.folder.join(format!("{number}.sh"));
        fs::write(&file, script)?;
        let mut command = self.command("bash");
        command.arg(&file);
        let child = Child::spawn(command, "the README's shell", &self.folder.join(format!("{number}.log")))?;
        let status = child.wait_timeout(LIMIT)?;
        let output = child.output()?;
        match status {
            Some(status) if status.success() => Ok(output),
            Some(status) => Err(trouble(format!("{status} in the last of these commands:\n{output}"))),
            None => Err(trouble(format!("not done within {LIMIT:?}:\n{output}"))),
        }
    }

    /// A program of the folder, or of the system, as in a shell that nobody has prepared.
    fn command(&self, program: &str) -> Command {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let folders = std::iter::once(self.folder.join("bin")).chain(std::env::split_paths(&path));
        let mut command = Command::new("env");
        command.arg(program).current_dir(&self.folder);
        command.env("PATH", std::env::join_paths(folders).unwrap_or(path));
        // The default ports may be somebody's.
        command.env("LISTEN", "127.0.0.1:0");
        for name in ["KAFKA_BROKERS", "DATABASE_URL", "TOPIC_PREFIX", "PIPELINE_CONFIG", "DATABASE_SCHEMA"] {
            command.env_remove(name);
        }
        command
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        // A failed run leaves no server either.
        let _ = self.command("demo").arg("stop").output();
        if !std::thread::panicking() {
            let _ = fs::remove_dir_all(&self.folder);
        }
    }
}

/// Another process writes it: a file that this one has open for writing is inherited by whatever another test starts in that
/// moment, and cannot be run until that is over ("text file busy").
fn write_program(path: &Path, text: &str) -> Outcome {
    let write = "printf %s \"$1\" > \"$0\" && chmod 755 \"$0\"";
    let written = Command::new("sh").args(["-c", write]).arg(path).arg(text).status()?;
    if written.success() { Ok(()) } else { Err(trouble(format!("{}: {written}", path.display()))) }
}
