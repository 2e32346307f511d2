//! `kill -9` of the process that owns a stack: every server and every backend ends, paused and busy ones too.
//!
//! A program of its own instead of test functions: it starts itself again as the owner that is to be killed.

mod processes;

use std::env;
use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use dev_stack::{Child, Stack, StackConfig};
use processes::Process;
use tokio_postgres::NoTls;

const LIMIT: Duration = Duration::from_secs(15);
const OWNER: &str = "owner-of-a-stack";

fn main() {
    let mut arguments = env::args().skip(1);
    let first = arguments.next();
    if first.as_deref() == Some(OWNER) {
        return own(arguments.next().as_deref() == Some("paused"));
    }
    // The two are independent; together they take as long as one.
    let folders = thread::scope(|scope| {
        let threads = ["busy", "paused"].map(|state| (state, scope.spawn(move || killed_while(state))));
        threads.map(|(state, thread)| {
            println!("test the_owner_is_killed_while_its_servers_are_{state} ...");
            let folder = thread.join().expect(state);
            println!("ok");
            folder
        })
    });
    println!("test the_next_start_removes_what_the_dead_left ...");
    removed_by_the_next_start(&folders);
    println!("ok");
}

/// Owns a stack and a child, makes them busy or pauses them, says so, and waits to be killed.
fn own(paused: bool) {
    let stack = Stack::start(StackConfig::in_project()).expect("a stack");
    let mut sleep = Command::new("sleep");
    sleep.arg("600");
    let child = Child::spawn(sleep, "a child", &stack.folder().expect("a folder").join("child.log")).expect("a child");
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    let url = stack.database_url();
    runtime.spawn(async move {
        let (client, connection) = tokio_postgres::connect(&url, NoTls).await.expect("a connection");
        tokio::spawn(connection);
        // Never looks up from its work by itself.
        client.batch_execute("select count(*) from generate_series(1, 1000000000000)").await.expect("killed before");
    });
    let postgres = stack.postgres().expect("own");
    let watched = postgres.pid().expect("running");
    let backend = || Process::tree(watched).len();
    let idle = backend();
    processes::wait_until("the backend works", LIMIT, || backend() > idle || backend() > 6);
    if paused {
        postgres.pause().expect("paused");
        stack.kafka().expect("own").pause().expect("paused");
        child.stop().expect("paused");
    }
    println!("folder {}", stack.folder().expect("a folder").display());
    loop {
        thread::park();
    }
}

/// The folder that the killed owner left.
fn killed_while(state: &str) -> String {
    let program = env::current_exe().expect("this program");
    let mut owner = Command::new(program).args([OWNER, state]).stdout(Stdio::piped()).spawn().expect("an owner");
    let output = BufReader::new(owner.stdout.take().expect("piped"));
    let line = output.lines().map_while(Result::ok).find(|line| line.starts_with("folder ")).expect("a running stack");
    let folder = line.trim_start_matches("folder ").to_owned();
    let pid = i32::try_from(owner.id()).expect("an id");
    let processes = Process::tree(pid);
    // The owner, the broker, the child, the postmaster and its five helpers, the busy backend.
    assert!(processes.len() >= 9, "{processes:?}");
    let segment = segment_of(&folder);
    assert!(segment_exists(&segment));

    owner.kill().expect("killed");
    owner.wait().expect("buried");
    processes::wait_until_gone(&processes, LIMIT);
    if state == "busy" {
        // A paused Postgres cannot tidy up; its segment is a few bytes and goes with the next start on its data.
        processes::wait_until("the shared memory is gone", LIMIT, || !segment_exists(&segment));
    }
    folder
}

/// Only when both owners are dead: any start removes what all dead ones left, so that of the one would take the other's.
fn removed_by_the_next_start(folders: &[String]) {
    assert!(folders.iter().all(|folder| fs::metadata(folder).is_ok()), "{folders:?}");
    let stack = Stack::start(StackConfig::in_project()).expect("the next stack");
    assert!(folders.iter().all(|folder| fs::metadata(folder).is_err()), "{folders:?}");
    stack.stop().expect("stopped");
}

/// The id of the System V segment that the postmaster of this stack made.
fn segment_of(folder: &str) -> String {
    let text = fs::read_to_string(format!("{folder}/postgres/data/postmaster.pid")).expect("a running postmaster");
    text.lines().nth(6).and_then(|line| line.split_ascii_whitespace().nth(1)).expect("a segment").to_owned()
}

fn segment_exists(id: &str) -> bool {
    let table = fs::read_to_string("/proc/sysvipc/shm").expect("shared memory");
    table.lines().any(|line| line.split_ascii_whitespace().nth(1) == Some(id))
}
