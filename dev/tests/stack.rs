//! The stack as its users see it: two at once, servers killed and brought back, paused and resumed, nothing left behind.

mod broker;
mod processes;

use std::process;
use std::thread;
use std::time::Duration;

use dev_stack::{Error, Stack, StackConfig, dev_folder};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use processes::Process;
use tokio_postgres::{Client, NoTls};

const LIMIT: Duration = Duration::from_secs(10);

fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(work)
}

async fn connect(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.expect("a connection");
    tokio::spawn(connection);
    client
}

#[test]
fn two_stacks_start_at_the_same_time_and_leave_nothing() {
    let work = || {
        let stack = Stack::start(StackConfig::in_project()).unwrap();
        broker::create_topic(&stack.brokers(), "first");
        broker::write(&stack.brokers(), "first", 3, "none");
        assert_eq!(broker::read(&stack.brokers(), "first", 3), ["0", "1", "2"]);
        let url = stack.new_database("shop").unwrap();
        let name: String =
            block_on(async { connect(&url).await.query_one("select current_database()", &[]).await.unwrap().get(0) });
        assert_eq!(name, "shop");
        assert!(matches!(stack.new_database("shop"), Err(Error::Sql { .. })), "it exists");
        assert!(matches!(stack.new_database("no-name"), Err(Error::DatabaseName { .. })));
        stack
    };
    let (one, other) = thread::scope(|scope| {
        let one = scope.spawn(work);
        (one.join(), work())
    });
    let stacks = [one.unwrap(), other];
    assert_ne!(stacks[0].brokers(), stacks[1].brokers());
    assert_ne!(stacks[0].database_url(), stacks[1].database_url());
    for stack in stacks {
        let folder = stack.folder().unwrap().to_path_buf();
        let servers = [stack.kafka().unwrap().pid().unwrap(), stack.postgres().unwrap().pid().unwrap()];
        let running: Vec<Process> = servers.into_iter().flat_map(Process::tree).collect();
        assert!(running.len() > 2, "Postgres has processes of its own: {running:?}");
        assert!(folder.is_dir());
        stack.stop().unwrap();
        processes::wait_until_gone(&running, LIMIT);
        assert!(!folder.exists());
    }
}

#[test]
fn a_killed_server_comes_back_with_all_it_had_acknowledged() {
    // A comma would split the broker's list of folders, and a space has its own traps.
    let folder = dev_folder().join(format!("run-a path, with both-{}", process::id()));
    let stack = Stack::start(StackConfig::in_folder(&folder)).unwrap();

    let kafka = stack.kafka().unwrap();
    broker::create_topic(&stack.brokers(), "kept");
    // The codecs need the broker's temporary folder for their native parts.
    broker::write(&stack.brokers(), "kept", 500, "zstd");
    let first = kafka.pid().unwrap();
    kafka.kill().unwrap();
    assert!(kafka.pid().is_none() && !kafka.is_ready());
    assert!(matches!(kafka.kill(), Err(Error::NotRunning { .. })));
    kafka.restart().unwrap();
    assert_ne!(kafka.pid().unwrap(), first);
    broker::write(&stack.brokers(), "kept", 500, "lz4");
    assert_eq!(broker::read(&stack.brokers(), "kept", 1000).len(), 1000);

    let postgres = stack.postgres().unwrap();
    block_on(async {
        let client = connect(&stack.database_url()).await;
        client.batch_execute("create table kept(id int); insert into kept values (1)").await.unwrap();
        postgres.kill().unwrap();
        assert!(!postgres.is_ready());
        assert!(client.batch_execute("insert into kept values (2)").await.is_err());
        postgres.restart().unwrap();
        let client = connect(&stack.database_url()).await;
        client.batch_execute("insert into kept values (3)").await.unwrap();
        // Killed by somebody else this time, with a busy backend left to itself.
        let busy = connect(&stack.database_url()).await;
        let busy = tokio::spawn(async move { busy.batch_execute("select pg_sleep(60)").await });
        kill(Pid::from_raw(postgres.pid().unwrap()), Signal::SIGKILL).unwrap();
        processes::wait_until("the killed server is noticed", LIMIT, || postgres.pid().is_none());
        postgres.restart().unwrap();
        assert!(busy.await.unwrap().is_err());
        let rows = connect(&stack.database_url()).await.query("select id from kept order by id", &[]).await.unwrap();
        assert_eq!(rows.iter().map(|row| row.get(0)).collect::<Vec<i32>>(), [1, 3]);
    });
}

#[test]
fn a_paused_server_stands_still_and_then_goes_on() {
    let stack = Stack::start(StackConfig::in_project()).unwrap();
    let (kafka, postgres) = (stack.kafka().unwrap(), stack.postgres().unwrap());
    block_on(async {
        let client = connect(&stack.database_url()).await;
        client.batch_execute("select 1").await.unwrap();
        postgres.pause().unwrap();
        postgres.pause().unwrap();
        // The backend of an open connection stands too, not only the process that would accept new ones.
        let query = client.query_one("select 42", &[]);
        tokio::pin!(query);
        assert!(tokio::time::timeout(Duration::from_millis(300), &mut query).await.is_err());
        postgres.resume().unwrap();
        let answer: i32 = tokio::time::timeout(LIMIT, query).await.unwrap().unwrap().get(0);
        assert_eq!(answer, 42);
        postgres.resume().unwrap();
    });

    kafka.pause().unwrap();
    assert!(!kafka.is_ready());
    kafka.resume().unwrap();
    kafka.wait_ready().unwrap();

    // A paused server can be killed, and can be brought back.
    postgres.pause().unwrap();
    postgres.kill().unwrap();
    postgres.restart().unwrap();
    block_on(async { connect(&stack.database_url()).await.batch_execute("select 1").await.unwrap() });

    // And a stack with a paused server can be stopped.
    postgres.pause().unwrap();
    kafka.pause().unwrap();
    let running: Vec<Process> =
        [kafka.pid(), postgres.pid()].into_iter().flat_map(|pid| Process::tree(pid.unwrap())).collect();
    stack.stop().unwrap();
    processes::wait_until_gone(&running, LIMIT);
}
