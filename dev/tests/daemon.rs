//! Daemons: started, asked whether they are ready, drained. What listens is this test, so that nothing is left to chance.

mod scripts;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::thread;
use std::time::Duration;

use dev_stack::{Child, Daemon, Error};
use scripts::{forget, log, shell};

const LIMIT: Duration = Duration::from_secs(20);
const NOT_YET: &str = "HTTP/1.1 503 Service Unavailable\r\n\r\nno partitions\n";
/// For what is not to happen.
const BRIEF: Duration = Duration::from_millis(300);

/// Answers questions with these, one after the other, and then no more.
fn answering(answers: &'static [&'static str]) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    thread::spawn(move || {
        for answer in answers {
            let (mut stream, _) = listener.accept().expect("a question");
            let mut asked = [0; 256];
            let length = stream.read(&mut asked).expect("read");
            assert!(asked[..length].starts_with(b"GET /readyz HTTP/1.1\r\n"));
            stream.write_all(answer.as_bytes()).expect("written");
        }
    });
    address
}

#[test]
fn it_is_waited_for_until_it_says_that_it_is_ready() {
    let log = log("ready");
    let address = answering(&[NOT_YET, NOT_YET, "HTTP/1.1 200 OK\r\n\r\n", NOT_YET]);
    let daemon = Daemon::spawn(shell("sleep 600"), "worker", &log, address).unwrap();
    daemon.wait_ready(LIMIT).unwrap();
    assert_eq!(daemon.get("/readyz").unwrap(), (503, "no partitions\n".to_owned()));
    assert!(daemon.is_running());
    forget(&log);
}

#[test]
fn one_that_is_never_ready_says_why_and_one_that_ends_shows_its_last_words() {
    let log = log("never");
    let nobody = SocketAddr::from(([127, 0, 0, 1], dev_stack::free_port().unwrap()));
    let daemon = Daemon::spawn(shell("echo it waits; sleep 600"), "worker", &log, nobody).unwrap();
    daemon.wait_for_line("it waits", LIMIT).unwrap().unwrap();
    let late = daemon.wait_ready(BRIEF).unwrap_err();
    assert!(
        matches!(&late, Error::NotReady { said, tail, .. } if said.contains("refused") && tail == "it waits"),
        "{late}"
    );
    let daemon = Daemon::spawn(shell("echo no such schema; exit 3"), "worker", &log, nobody).unwrap();
    let ended = daemon.wait_ready(LIMIT).unwrap_err();
    assert!(matches!(&ended, Error::Ended { tail, .. } if tail.ends_with("no such schema")), "{ended}");
    forget(&log);
}

#[test]
fn the_address_that_it_logs_is_its_address() {
    let log = log("announced");
    let announced = |script: &str, limit| Daemon::spawn_announced(shell(script), "worker", &log, "listening", limit);
    let daemon = announced("echo listening address=127.0.0.1:7 since=now; sleep 600", LIMIT).unwrap();
    assert_eq!(daemon.address(), SocketAddr::from(([127, 0, 0, 1], 7)));
    assert!(matches!(announced("exit 3", LIMIT), Err(Error::Ended { .. })));
    assert!(matches!(announced("sleep 600", BRIEF), Err(Error::NotReady { .. })));
    forget(&log);
}

#[test]
fn all_drain_at_once_and_who_does_not_is_killed() {
    let log = log("drain");
    let address = SocketAddr::from(([127, 0, 0, 1], 7));
    let start = |script: &str| {
        let daemon = Daemon::spawn(shell(script), "worker", &log, address).unwrap();
        daemon.wait_for_line("up", LIMIT).unwrap().unwrap();
        daemon
    };
    let drains = || start("trap 'kill $!; exit 7' TERM; sleep 600 & echo up; while :; do wait; done");
    let ended = Child::drain([&*drains(), &*drains()], LIMIT).unwrap();
    let codes: Vec<_> = ended.iter().map(|status| status.and_then(|status| status.code())).collect();
    assert_eq!(codes, [Some(7), Some(7)]);
    let stubborn = start("trap '' TERM; echo up; while :; do sleep 600; done");
    assert_eq!(Child::drain([&*stubborn], BRIEF).unwrap(), [None]);
    assert!(!stubborn.is_running());
    forget(&log);
}

#[test]
fn what_ends_by_itself_is_to_end_well_and_in_time() {
    let log = log("success");
    let run = |script: &str, limit| Child::spawn(shell(script), "migrate", &log).unwrap().wait_success(limit);
    run("exit 0", LIMIT).unwrap();
    let failed = run("echo no database; exit 2", LIMIT).unwrap_err();
    assert!(
        matches!(&failed, Error::Program { outcome, tail, .. } if outcome.contains('2') && tail.contains("no database")),
        "{failed}"
    );
    assert!(matches!(run("sleep 600", BRIEF), Err(Error::Program { outcome, .. }) if outcome.contains("longer")));
    forget(&log);
}
