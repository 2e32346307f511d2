//! Postgres: which binaries, as whom, where, and with which settings.
//!
//! The system's own version ≥ 15 if there is one, else the binaries named in the pom. As root it runs in a user
//! namespace, because it refuses to run as root; where that is forbidden, as another user. Nothing here weakens
//! durability unless `durable` is false.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nix::sys::signal::Signal;
use nix::unistd::{User, geteuid};

use crate::artefacts;
use crate::error::{Error, Result};
use crate::ports::free_port;
use crate::postgres_data;
use crate::programs;
use crate::project;
use crate::server::{Kind, Launch, Server};
use crate::spawner::{self, ParentDeath, RunAs};
use crate::stack::{Profile, StackConfig};

const DATA: &str = "data";
const OLDEST: u32 = 15;
const CLASHES: usize = 5;

/// A running Postgres, its superuser's URL, and its folder if that had to be outside the stack's.
pub(crate) struct Started {
    pub(crate) server: Server,
    pub(crate) url: String,
    pub(crate) folder: PathBuf,
}

/// Starts Postgres with fresh data, or with the data that an earlier stack kept in this folder.
pub(crate) fn start(config: &StackConfig) -> Result<Started> {
    let installation = Installation::find(&project::dev_folder())?;
    start_as(config, &installation, run_as()?, &mut free_port)
}

/// Fetches the binaries that it would need, and says so before.
pub(crate) fn fetch_missing(tell: &mut dyn FnMut(&str)) -> Result<()> {
    let cache = project::dev_folder();
    if Installation::of_system().is_some() { Ok(()) } else { artefacts::fetch_postgres(&cache, tell) }
}

fn start_as(
    config: &StackConfig,
    installation: &Installation,
    run_as: RunAs,
    next_port: &mut dyn FnMut() -> Result<u16>,
) -> Result<Started> {
    let folder = place(&config.folder, run_as);
    let password = prepare(config, installation, run_as, &folder)?;
    let mut clashes = 0;
    loop {
        let port = next_port()?;
        let launch = Launch {
            kind: Kind::Postgres,
            program: installation.bin.join("postgres"),
            arguments: arguments(config, port),
            folder: folder.clone(),
            data: folder.join(DATA),
            port,
            access: None,
            run_as,
        };
        match Server::start(launch) {
            Ok(server) => {
                let url = format!("postgres://postgres:{password}@127.0.0.1:{port}/postgres");
                return Ok(Started { server, url, folder });
            }
            Err(error) if error.is_port_clash() && clashes < CLASHES => clashes += 1,
            Err(error) => return Err(error),
        }
    }
}

/// Makes the data folder if there is none yet; returns the superuser's password.
fn prepare(config: &StackConfig, installation: &Installation, run_as: RunAs, folder: &Path) -> Result<String> {
    fs::create_dir_all(folder).map_err(Error::file("create", folder))?;
    let password_file = folder.join("password");
    if !folder.join(DATA).exists() {
        // Shared by all stacks, unless the server's user cannot reach the shared place.
        let shared = project::dev_folder();
        let cache = if folder.starts_with(&config.folder) { &shared } else { folder };
        let template = postgres_data::template(cache, &installation.bin, &installation.version, run_as)?;
        postgres_data::write_private(&password_file, &template.password)?;
        project::copy_whole(&template.data, &folder.join(DATA), |data| {
            config
                .postgres_files
                .iter()
                .try_for_each(|(name, text)| postgres_data::write_private(&data.join(name), text))
        })?;
        postgres_data::give_to(folder, run_as)?;
    }
    fs::read_to_string(&password_file).map_err(Error::file("read", &password_file))
}

fn arguments(config: &StackConfig, port: u16) -> Vec<String> {
    let port = port.to_string();
    let on = if config.durable { "on" } else { "off" };
    let (buffers, wal, shared_memory) = match config.profile {
        // Files instead of /dev/shm: they go with the folder even if the server is killed.
        Profile::Test | Profile::Secure => ("64MB", "1GB", "mmap"),
        // So much WAL that a measurement is not about checkpoints.
        Profile::Bench => ("512MB", "4GB", "posix"),
    };
    let settings = [
        ("listen_addresses", "127.0.0.1"),
        ("port", &port),
        // A path in a deep folder is longer than a socket's address may be.
        ("unix_socket_directories", ""),
        ("max_connections", "200"),
        ("wal_level", "replica"),
        ("fsync", on),
        // After a crash: one flush of the file system instead of one of each of a thousand files; as safe, and 1 s faster.
        ("recovery_init_sync_method", "syncfs"),
        ("synchronous_commit", on),
        ("shared_buffers", buffers),
        ("max_wal_size", wal),
        ("checkpoint_timeout", "15min"),
        ("dynamic_shared_memory_type", shared_memory),
        // A backend whose client died stops working for nobody.
        ("client_connection_check_interval", "1s"),
        ("logging_collector", "off"),
        ("log_timezone", "UTC"),
        ("timezone", "UTC"),
    ];
    let own = settings.iter().map(|(name, value)| format!("{name}={value}"));
    let wanted = config.postgres_settings.iter().map(|(name, value)| format!("{name}={value}"));
    let mut arguments = vec!["-D".to_owned(), DATA.to_owned()];
    for setting in own.chain(wanted) {
        arguments.extend(["-c".to_owned(), setting]);
    }
    arguments
}

/// A folder with `postgres` and `initdb`, and their version.
struct Installation {
    bin: PathBuf,
    version: String,
}

impl Installation {
    /// The newest of this machine, or the one of the pom if that is too old.
    fn find(cache: &Path) -> Result<Self> {
        Self::of_system().map_or_else(|| Self::embedded(cache), Ok)
    }

    fn of_system() -> Option<Self> {
        let mut folders = programs::search_path();
        if let Ok(versions) = fs::read_dir("/usr/lib/postgresql") {
            folders.extend(versions.filter_map(|entry| Some(entry.ok()?.path().join("bin"))));
        }
        let found = folders.into_iter().filter_map(|bin| Some((version_in(&bin)?, bin)));
        let ((major, version), bin) = found.max_by_key(|((major, _), _)| *major)?;
        (major >= OLDEST).then_some(Self { bin, version })
    }

    fn embedded(cache: &Path) -> Result<Self> {
        let bin = artefacts::postgres_binaries(cache)?.join("bin");
        Ok(Self { bin, version: format!("embedded-{}", artefacts::fingerprint()) })
    }
}

/// Major version and full version of the server in this folder, if both programs are there.
fn version_in(folder: &Path) -> Option<(u32, String)> {
    let server = folder.join("postgres");
    if !programs::is_executable(&server) || !programs::is_executable(&folder.join("initdb")) {
        return None;
    }
    let output = Command::new(server).arg("--version").output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let version = text.split_ascii_whitespace().nth(2)?;
    let major = version.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()?;
    Some((major, version.to_owned()))
}

fn run_as() -> Result<RunAs> {
    if !geteuid().is_root() {
        return Ok(RunAs::Ourselves);
    }
    if user_namespaces_work() {
        return Ok(RunAs::UserNamespace);
    }
    another_user().ok_or(Error::NoUser)
}

fn user_namespaces_work() -> bool {
    let mut probe = Command::new("/bin/true");
    probe.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let process = spawner::spawn(probe, RunAs::UserNamespace, ParentDeath::Signal(Signal::SIGKILL));
    process.and_then(|mut process| process.wait()).is_ok_and(|status| status.success())
}

fn another_user() -> Option<RunAs> {
    let user = ["postgres", "nobody"].iter().find_map(|name| User::from_name(name).ok().flatten());
    user.map(|user| RunAs::User(user.uid, user.gid))
}

/// The stack's folder, or one that the server's user can reach if that one is closed to it.
fn place(folder: &Path, run_as: RunAs) -> PathBuf {
    let reachable = match run_as {
        RunAs::Ourselves => true,
        // Root without its privileges: what belongs to root is open, the rest by its mode.
        RunAs::UserNamespace => is_reachable(folder, Some(0)),
        RunAs::User(..) => is_reachable(folder, None),
    };
    if reachable {
        return folder.join("postgres");
    }
    let name = folder.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    std::env::temp_dir().join(format!("dev-stack-{name}-{}", std::process::id()))
}

fn is_reachable(folder: &Path, owner: Option<u32>) -> bool {
    folder.ancestors().filter_map(|part| fs::metadata(part).ok()).all(|data| {
        let by_owner = Some(data.uid()) == owner && data.mode() & 0o100 != 0;
        by_owner || data.mode() & 0o001 != 0
    })
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::sql;

    fn start_and_discard(installation: &Installation, run_as: RunAs, ports: &[u16]) {
        // Not `in_project`: nobody holds the lock of this folder, so the next start would take it for one left behind.
        let folder = project::dev_folder().join(format!("test-postgres-{}", ports[ports.len() - 1]));
        let config = StackConfig::in_folder(folder);
        fs::create_dir_all(&config.folder).unwrap();
        let mut ports = ports.iter().copied();
        let started = start_as(&config, installation, run_as, &mut || Ok(ports.next().unwrap())).unwrap();
        sql::execute(&started.url, "create table works(yes int)").unwrap();
        let pid = started.server.pid().unwrap();
        let owner = fs::metadata(format!("/proc/{pid}")).unwrap().uid();
        let map = fs::read_to_string(format!("/proc/{pid}/uid_map")).unwrap();
        match run_as {
            RunAs::Ourselves => assert_eq!(owner, geteuid().as_raw()),
            RunAs::UserNamespace => {
                assert_eq!(
                    map.split_ascii_whitespace().collect::<Vec<_>>(),
                    ["65534", "0", "1"],
                    "root is nobody there"
                );
            }
            RunAs::User(uid, _) => assert_eq!(owner, uid.as_raw()),
        }
        for setting in ["fsync", "synchronous_commit", "full_page_writes"] {
            let check = format!("do $$ begin assert current_setting('{setting}') = 'on'; end $$");
            sql::execute(&started.url, &check).unwrap();
        }
        started.server.discard().unwrap();
        project::remove_folder(&config.folder).unwrap();
        project::remove_folder(&started.folder).unwrap();
    }

    #[test]
    fn a_port_that_somebody_took_meanwhile_is_replaced() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let ports = [taken.local_addr().unwrap().port(), free_port().unwrap()];
        let installation = Installation::find(&project::dev_folder()).unwrap();
        start_and_discard(&installation, run_as().unwrap(), &ports);
    }

    #[test]
    fn without_user_namespaces_root_hands_postgres_to_another_user() {
        let installation = Installation::find(&project::dev_folder()).unwrap();
        let instead = another_user().unwrap();
        let chosen = if geteuid().is_root() { instead } else { RunAs::Ourselves };
        start_and_discard(&installation, chosen, &[free_port().unwrap()]);
    }

    #[test]
    fn the_binaries_of_the_pom_serve_where_the_machine_has_none() {
        let installation = Installation::embedded(&project::dev_folder()).unwrap();
        start_and_discard(&installation, run_as().unwrap(), &[free_port().unwrap()]);
    }

    #[test]
    fn a_folder_that_the_servers_user_cannot_reach_is_not_used() {
        let closed = project::dev_folder().join(format!("test-closed-{}", std::process::id()));
        fs::create_dir_all(closed.join("stack")).unwrap();
        let stack = closed.join("stack");
        let user = another_user().unwrap();
        fs::set_permissions(&closed, fs::Permissions::from_mode(0o700)).unwrap();
        assert_eq!(place(&stack, RunAs::Ourselves), stack.join("postgres"));
        assert!(!place(&stack, user).starts_with(&closed));
        let ours = fs::metadata(&closed).unwrap().uid() == 0;
        assert_eq!(place(&stack, RunAs::UserNamespace).starts_with(&closed), ours);
        project::remove_folder(&closed).unwrap();
    }

    #[test]
    fn durability_is_on_unless_it_is_switched_off() {
        for profile in [Profile::Test, Profile::Bench] {
            let config = StackConfig { profile, ..StackConfig::in_project() };
            assert!(arguments(&config, 1).contains(&"fsync=on".to_owned()));
            let config = StackConfig { durable: false, ..config };
            assert!(arguments(&config, 1).contains(&"fsync=off".to_owned()));
        }
    }
}
