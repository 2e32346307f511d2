//! Postgres: which binaries, as whom, where, and with which settings.
//!
//! The system's own version ≥ 15 if there is one, else the binaries named in the pom. As root it runs in a user
//! namespace, because it refuses to run as root; where that is forbidden, as another user. Nothing here weakens
//! durability unless `durable` is false.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use nix::unistd::{User, geteuid};

use crate::artefacts;
use crate::error::{Error, Result};
use crate::ports::free_port;
use crate::postgres_data;
use crate::programs;
use crate::project;
use crate::server::{Kind, Launch, Server};
use crate::spawner::RunAs;
use crate::stack::{Profile, StackConfig};

const OLDEST: u32 = 15;
const CLASHES: usize = 5;
const PROBE_LIMIT: Duration = Duration::from_secs(30);

/// A running Postgres, its superuser's URL, and its folder if that had to be outside the stack's.
pub(crate) struct Started {
    pub(crate) server: Server,
    pub(crate) url: String,
    pub(crate) folder: PathBuf,
}

/// Starts Postgres with fresh data, or with the data that an earlier stack kept in this folder.
pub(crate) fn start(config: &StackConfig) -> Result<Started> {
    start_on(config, &mut free_port)
}

fn start_on(config: &StackConfig, next_port: &mut dyn FnMut() -> Result<u16>) -> Result<Started> {
    let cache = project::dev_folder();
    let (bin, version) = binaries(&cache)?;
    let run_as = run_as(&config.folder)?;
    let folder = place(&config.folder, run_as);
    fs::create_dir_all(&folder).map_err(Error::file("create", &folder))?;
    let template = postgres_data::template(&template_cache(&cache, &folder, config), &bin, &version, run_as)?;
    let data = folder.join("data");
    let password_file = folder.join("password");
    if !data.join("PG_VERSION").exists() {
        project::copy_folder(&template.data, &data)?;
        fs::write(&password_file, &template.password).map_err(Error::file("write", &password_file))?;
        fs::set_permissions(&password_file, fs::Permissions::from_mode(0o600))
            .map_err(Error::file("protect", &password_file))?;
        postgres_data::give_to(&folder, run_as)?;
    }
    let password = fs::read_to_string(&password_file).map_err(Error::file("read", &password_file))?;
    let mut clashes = 0;
    loop {
        let port = next_port()?;
        let launch = Launch {
            kind: Kind::Postgres,
            program: bin.join("postgres"),
            arguments: arguments(config, port),
            folder: folder.clone(),
            data: data.clone(),
            port,
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

fn arguments(config: &StackConfig, port: u16) -> Vec<String> {
    let port = port.to_string();
    let on = if config.durable { "on" } else { "off" };
    let (buffers, wal, shared_memory) = match config.profile {
        // Files instead of /dev/shm: they go with the folder even if the server is killed.
        Profile::Test => ("64MB", "1GB", "mmap"),
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
    let mut arguments = vec!["-D".to_owned(), "data".to_owned()];
    for setting in own.chain(wanted) {
        arguments.extend(["-c".to_owned(), setting]);
    }
    arguments
}

/// The folder with `postgres` and `initdb`, and their version.
fn binaries(cache: &Path) -> Result<(PathBuf, String)> {
    let mut folders = programs::search_path();
    if let Ok(versions) = fs::read_dir("/usr/lib/postgresql") {
        folders.extend(versions.filter_map(|entry| Some(entry.ok()?.path().join("bin"))));
    }
    let newest =
        folders.iter().filter_map(|folder| Some((version_in(folder)?, folder))).max_by_key(|(found, _)| found.0);
    if let Some(((major, version), folder)) = newest
        && major >= OLDEST
    {
        return Ok((folder.clone(), version));
    }
    let folder = artefacts::postgres_binaries(cache)?.join("bin");
    Ok((folder, format!("embedded-{}", artefacts::fingerprint())))
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

fn run_as(folder: &Path) -> Result<RunAs> {
    if !geteuid().is_root() {
        return Ok(RunAs::Ourselves);
    }
    let probe = Command::new("/bin/true");
    let log = folder.join("namespace.log");
    if programs::run(probe, "a user namespace", &log, RunAs::UserNamespace, PROBE_LIMIT).is_ok() {
        return Ok(RunAs::UserNamespace);
    }
    let user = ["postgres", "nobody"].iter().find_map(|name| User::from_name(name).ok().flatten());
    user.map(|user| RunAs::User(user.uid, user.gid)).ok_or_else(|| {
        Error::Detached(
            "Postgres cannot run as root, and there is neither a user namespace nor a user `nobody`".to_owned(),
        )
    })
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

/// Where the template lies: shared, unless the server's user cannot reach the shared place.
fn template_cache(cache: &Path, folder: &Path, config: &StackConfig) -> PathBuf {
    if folder.starts_with(&config.folder) { cache.to_path_buf() } else { folder.to_path_buf() }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn a_port_that_somebody_took_meanwhile_is_replaced() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut ports = vec![free_port().unwrap(), taken.local_addr().unwrap().port()];
        let config = StackConfig::in_project();
        fs::create_dir_all(&config.folder).unwrap();
        let started = start_on(&config, &mut || Ok(ports.pop().unwrap())).unwrap();
        assert!(started.server.is_ready());
        started.server.discard().unwrap();
        project::remove_folder(&config.folder).unwrap();
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
