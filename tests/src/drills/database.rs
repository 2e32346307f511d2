//! The database takes no writes for a while: it is away, read-only, full, or out of connections.
//!
//! Nobody touches the workers: they have to find back by themselves once the cause is gone.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::Path;

use provision::Database;
use schemas::ServiceName;
use tokio::time::Instant;
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, NoTls};

use super::Shown;
use super::scene::Scene;
use crate::{LONG, Outcome, Servers, trouble, until};

/// Names a folder on a disk that is small enough to be filled; the program `drills` makes one.
pub const SMALL_DISK: &str = "DRILLS_SMALL_DISK";

/// Its server is killed, and started again once every worker has said so.
pub(super) async fn away(program: &str) -> Outcome<Shown> {
    let servers = Servers::own().await?;
    let mut scene = Scene::open(program, &servers, Scene::settings()).await?;
    let stack = servers.clone();
    tokio::task::spawn_blocking(move || Outcome::Ok(stack.stack().postgres()?.kill()?)).await??;
    scene.loses("kill -9 of the database's server");
    // The relay says it where the service has nothing to write.
    scene.sees(&ServiceName::ALL, &["Connection refused"]).await?;
    scene.does("start the server");
    tokio::task::spawn_blocking(move || Outcome::Ok(servers.stack().postgres()?.restart()?)).await??;
    comes_back(scene).await
}

/// As a standby is, or a server whose disk is nearly full is made.
pub(super) async fn read_only(program: &str) -> Outcome<Shown> {
    let servers = Servers::own().await?;
    let mut scene = Scene::open(program, &servers, Scene::settings()).await?;
    change(&servers, "alter system set default_transaction_read_only = on").await?;
    scene.loses("default_transaction_read_only = on");
    scene.sees(&ServiceName::ALL, &["read-only transaction"]).await?;
    scene.does("default_transaction_read_only = off");
    change(&servers, "alter system reset default_transaction_read_only").await?;
    comes_back(scene).await
}

/// The disk on which the services' tables are.
pub(super) async fn full(program: &str) -> Outcome<Shown> {
    let disk = std::env::var(SMALL_DISK).map_err(|_| trouble(format!("{SMALL_DISK} names no small disk")))?;
    let (tables, ballast) = (Path::new(&disk).join("tables"), Path::new(&disk).join("ballast"));
    fs::create_dir_all(&tables)?;
    let servers = Servers::own().await?;
    change(&servers, &format!("create tablespace small location '{}'", tables.display())).await?;
    change(&servers, "alter system set default_tablespace = small").await?;
    let mut scene = Scene::open(program, &servers, Scene::settings()).await?;
    fill(&ballast)?;
    scene.loses("the disk of the services' tables is full");
    // The others have room in their tables' last pages, and nothing to write once this one stands.
    scene.sees(&[ServiceName::Order], &["No space left on device", "53100"]).await?;
    scene.does("make room on the disk");
    fs::remove_file(&ballast)?;
    comes_back(scene).await
}

/// All are taken by somebody else.
pub(super) async fn out_of_connections(program: &str) -> Outcome<Shown> {
    let servers = Servers::own().await?;
    let mut scene = Scene::open(program, &servers, Scene::settings()).await?;
    let taken = take_all_connections(&servers.stack().database_url()).await?;
    scene.loses(&format!("somebody takes all connections, {} of them", taken.len()));
    scene.sees(&ServiceName::ALL, &["53300"]).await?;
    scene.does("end those sessions");
    drop(taken);
    comes_back(scene).await
}

async fn comes_back(mut scene: Scene) -> Outcome<Shown> {
    scene.works(Instant::now()).await?;
    scene.rests().await?;
    scene.holds("nothing").await
}

/// A statement on the whole server, in force when this returns.
async fn change(servers: &Servers, statement: &str) -> Outcome {
    let server = Database::open(&servers.stack().database_url(), None, "public", "drills")?;
    let client = server.client().await?;
    client.batch_execute(statement).await?;
    Ok(client.batch_execute("select pg_reload_conf()").await?)
}

fn fill(file: &Path) -> Outcome {
    let mut ballast = File::create(file)?;
    loop {
        match ballast.write(&[0; 4096]) {
            Ok(_) => {}
            Err(full) if full.kind() == ErrorKind::StorageFull => return Ok(()),
            Err(other) => return Err(other.into()),
        }
    }
}

/// Connections until there is none for the workers, and theirs are ended.
async fn take_all_connections(url: &str) -> Outcome<Vec<Client>> {
    let mut taken = vec![connect(url).await?];
    let workers =
        "from pg_stat_activity where application_name like '%-worker' or application_name like 'outbox-relay%'";
    until("the workers have none", LONG, async || {
        taken[0].batch_execute(&format!("select pg_terminate_backend(pid) {workers}")).await?;
        loop {
            match connect(url).await {
                Ok(another) => taken.push(another),
                Err(refused) if refused.code() == Some(&SqlState::TOO_MANY_CONNECTIONS) => break,
                Err(other) => return Err(other.into()),
            }
        }
        match taken[0].query_one(&format!("select count(*) {workers}"), &[]).await?.get::<_, i64>(0) {
            0 => Ok(()),
            left => Err(trouble(format!("they have {left}"))),
        }
    })
    .await?;
    Ok(taken)
}

async fn connect(url: &str) -> Result<Client, tokio_postgres::Error> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
    // It ends with its client.
    tokio::spawn(connection);
    Ok(client)
}
