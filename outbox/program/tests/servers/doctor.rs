//! `outbox-relay doctor`: what it finds, and who it names.

use std::time::Duration;

use outbox::operate::{self, Check, DoctorConfig, Level};
use tokio_postgres::config::Host;
use uuid::Uuid;

use crate::pooler::Pooler;
use crate::rig::{PARTITIONS, Rig};
use crate::topic;

async fn look(rig: &Rig, change: impl FnOnce(&mut DoctorConfig)) -> Vec<Check> {
    let mut config = DoctorConfig::new("shop", topic::kafka());
    change(&mut config);
    operate::doctor(&rig.way(), &config).await.unwrap().checks
}

/// Everything that is not well, of this name or of any.
fn complaints<'c>(checks: &'c [Check], name: &str) -> Vec<&'c Check> {
    checks.iter().filter(|check| check.level != Level::Ok && (name.is_empty() || check.name == name)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_healthy_outbox_has_nothing_but_its_single_replica() {
    let rig = Rig::new("healthy").await;
    topic::create(&rig.topic).await;
    let relay = rig.relay(&rig.outbox);
    relay.until_leading().await;
    let checks = look(&rig, |config| config.writer_role = Some(rig.user())).await;
    // The test's servers may trade safety for speed.
    let allowed = |check: &&Check| ["fsync", "full_page_writes", "synchronous_commit"].contains(&check.name);
    let rest: Vec<&Check> = complaints(&checks, "").into_iter().filter(|check| !allowed(check)).collect();
    assert!(rest.len() == 1 && rest[0].found.contains("replication factor 1"), "{rest:?}");
    assert!(rest[0].level == Level::Warning && rest[0].advice.is_some());
    let (code, text, _) = rig.run_verb(&["doctor", "--strict"]).await;
    assert!(
        code == 1 && text.contains("ok       connection: direct") && text.contains("leader: pid"),
        "{code}: {text}"
    );
    relay.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_that_hold_up_others_are_named() {
    let rig = Rig::new("held").await;
    topic::create(&rig.topic).await;
    let checks = look(&rig, |_| {}).await;
    assert!(complaints(&checks, "leader")[0].found.contains("nobody leads"), "{checks:?}");

    let holder = rig.client().await;
    holder
        .batch_execute("set application_name = 'slowpoke'; set idle_in_transaction_session_timeout = 0")
        .await
        .unwrap();
    let pid: i32 = holder.query_one("select pg_backend_pid()", &[]).await.unwrap().get(0);
    let space = "('shop.outbox_lanes'::regclass::oid::int8 - 2147483648)::int4";
    let lane = "(select max(lane) from shop.outbox_lanes)";
    let begin =
        format!("begin; select count(*) from shop.outbox_messages; select pg_advisory_xact_lock({space}, {lane})");
    holder.batch_execute(&begin).await.unwrap();
    let waiter = rig.client().await;
    let wait = format!("select pg_advisory_lock({space}, {lane})");
    let waiting = tokio::spawn(async move { waiter.batch_execute(&wait).await });
    let old = |config: &mut DoctorConfig| config.old_transaction = Duration::from_millis(500);
    rig.until("telling of the lane", async || {
        let checks = look(&rig, old).await;
        let (lanes, transactions) = (complaints(&checks, "lanes"), complaints(&checks, "transactions"));
        let names = |check: &Check| {
            check.found.contains("slowpoke")
                && check.found.contains(&format!("pid {pid}"))
                && check.advice.as_ref().is_some_and(|advice| advice.contains(&format!("pg_terminate_backend({pid})")))
        };
        lanes.iter().any(|check| {
            names(check)
                && check.level == Level::Problem
                && check.found.contains(&format!("{} partition {}", rig.topic, PARTITIONS - 1))
                && check.found.contains("1 sessions wait")
        }) && transactions.iter().any(|check| names(check) && check.found.contains("cannot be truncated"))
    })
    .await;
    holder.batch_execute("rollback").await.unwrap();
    waiting.await.unwrap().unwrap();
    let checks = look(&rig, old).await;
    assert_eq!((complaints(&checks, "lanes").len(), complaints(&checks, "transactions").len()), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pooler_that_shares_sessions_is_noticed() {
    let rig = Rig::new("pooled").await;
    topic::create(&rig.topic).await;
    let Host::Tcp(host) = rig.database.get_hosts()[0].clone() else { panic!("the test's database has an address") };
    let pooler = Pooler::start(host, rig.database.get_ports()[0]).await;
    let mut database = tokio_postgres::Config::new();
    database.host("127.0.0.1").port(pooler.port).user(rig.user()).dbname(rig.database.get_dbname().unwrap());
    if let Some(password) = rig.database.get_password() {
        database.password(password);
    }
    let pooled = Rig { database, ..rig };
    let checks = look(&pooled, |_| {}).await;
    let found = complaints(&checks, "connection");
    assert!(found.len() == 1 && found[0].level == Level::Problem, "{checks:?}");
    assert!(found[0].found.contains("two connections got the same database session"), "{found:?}");
    assert!(found[0].advice.as_ref().unwrap().contains("direct address"), "{found:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_shows_no_life_is_a_problem() {
    let rig = Rig::new("dumb").await;
    topic::create(&rig.topic).await;
    let dumb = rig.client().await;
    let space = "('shop.outbox_lanes'::regclass::oid::int8 - 2147483648)::int4";
    dumb.batch_execute(&format!("select pg_advisory_lock({space}, 0)")).await.unwrap();
    assert_eq!(complaints(&look(&rig, |_| {}).await, "leader"), Vec::<&Check>::new());
    rig.until("missing its sign of life", async || {
        let checks = look(&rig, |_| {}).await;
        complaints(&checks, "leader").iter().any(|one| one.level == Level::Problem && one.found.starts_with("silent"))
    })
    .await;
    dumb.batch_execute("select 1").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn grants_that_a_role_lacks_are_spelled_out_and_then_suffice() {
    let rig = Rig::new("grants").await;
    topic::create(&rig.topic).await;
    let client = rig.client().await;
    let role = format!("role_{}", Uuid::now_v7().simple());
    let missing = look(&rig, |config| config.relay_role = Some(role.clone())).await;
    assert!(complaints(&missing, "relay's grants")[0].found.contains("there is no role"));
    client.batch_execute(&format!("create role {role} login password 'x'")).await.unwrap();
    let mut database = rig.database.clone();
    database.user(&role).password("x");
    for (name, one_of_them) in [
        ("sender's grants", "insert on shop.outbox_sends"),
        ("writer's grants", "select on shop.outbox_lanes"),
        ("relay's grants", "insert on shop.outbox_epochs"),
    ] {
        let roles = |config: &mut DoctorConfig| {
            let to = match name {
                "sender's grants" => &mut config.sender_role,
                "writer's grants" => &mut config.writer_role,
                _ => &mut config.relay_role,
            };
            *to = Some(role.clone());
        };
        let checks = look(&rig, roles).await;
        let lacks = complaints(&checks, name);
        assert!(lacks.len() == 1 && lacks[0].level == Level::Problem, "{lacks:?}");
        assert!(lacks[0].found.contains(one_of_them), "{lacks:?}");
        // What it advises is all that is needed.
        client.batch_execute(lacks[0].advice.as_ref().unwrap()).await.unwrap();
        let checks = look(&rig, roles).await;
        assert_eq!(complaints(&checks, name), Vec::<&Check>::new());
        if name == "sender's grants" {
            let sender = outbox::connect(&database, tokio_postgres::NoTls).await.unwrap();
            let send = format!("select shop.outbox_send('{}', 'k', 'sent'::text, 'test.Event.v1')", rig.topic);
            sender.batch_execute(&send).await.unwrap();
        }
    }
    let mut writer = outbox::connect(&database, tokio_postgres::NoTls).await.unwrap();
    let opened = outbox::Outbox::open(&writer, rig.outbox.config().clone()).await.unwrap();
    opened.begin(&mut writer).await.unwrap().commit(vec![rig.event_at(0, "m")]).await.unwrap();
    let limited = Rig { database, ..rig };
    let relay = limited.relay_with(&limited.outbox, |config| {
        config.retention = Duration::from_millis(10);
        config.rotation_interval = Duration::from_millis(10);
    });
    relay.until("publishing and truncating", |report| report.published == 2 && report.truncations > 0).await;
    relay.stop().await;
    client.batch_execute(&format!("drop owned by {role}; drop role {role}")).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn topics_that_are_not_as_they_should_be_are_named() {
    let rig = Rig::with("topics", |mut config| {
        let name = config.topics[0].name.clone();
        let topic = |suffix: &str| outbox::TopicSpec { name: format!("{name}{suffix}"), partitions: PARTITIONS };
        config.topics = [".missing", ".narrow", ".small", ".short", ".fine-dlt"].map(topic).to_vec();
        config
    })
    .await;
    let name = |suffix: &str| format!("{}{suffix}", rig.topic);
    topic::create_with(&name(".narrow"), PARTITIONS - 1, &[]).await;
    topic::create_with(&name(".small"), PARTITIONS, &[("max.message.bytes", "5000")]).await;
    topic::create_with(&name(".short"), PARTITIONS, &[("retention.ms", "60000")]).await;
    topic::create_with(&name(".fine-dlt"), PARTITIONS, &[("max.message.bytes", "1100000")]).await;
    let checks = look(&rig, |_| {}).await;
    let problems: Vec<&str> =
        checks.iter().filter(|c| c.name == "topic" && c.level == Level::Problem).map(|c| c.found.as_str()).collect();
    let expected = [
        format!("{} does not exist", name(".missing")),
        format!("{} has 3 partitions; the outbox has 4", name(".narrow")),
        format!("{}: retention.ms is 60000, shorter than the outbox's own retention of 3600000 ms", name(".short")),
        format!("{}: max.message.bytes is 5000; the outbox may publish 1000000", name(".small")),
    ];
    assert_eq!(problems, expected);

    // Only where somebody archives is retention held against the archive.
    let checks = look(&rig, |config| config.archive_group = Some(name(".archive"))).await;
    let unarchived: Vec<&Check> = checks.iter().filter(|check| check.found.contains("no archive says")).collect();
    let topic = format!("topic {} has retention.ms=60000", name(".short"));
    assert!(unarchived.len() == 1 && unarchived[0].found.starts_with(&topic), "{checks:?}");
    assert_eq!(unarchived[0].level, Level::Problem);
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_under_which_appending_is_refused_are_named() {
    let rig = Rig::new("settings").await;
    topic::create(&rig.topic).await;
    let database = rig.database.get_dbname().unwrap().to_owned();
    let client = rig.client().await;
    for (setting, value, name) in [
        ("synchronous_commit", "off", "synchronous_commit"),
        ("default_transaction_isolation", "'repeatable read'", "isolation"),
    ] {
        client.batch_execute(&format!("alter database {database} set {setting} = {value}")).await.unwrap();
        let checks = look(&rig, |_| {}).await;
        let found = complaints(&checks, name);
        assert!(found.len() == 1 && found[0].level == Level::Problem, "{name}: {checks:?}");
        client.batch_execute(&format!("alter database {database} reset {setting}")).await.unwrap();
    }
    client.batch_execute("insert into shop.outbox_version (version) values (99)").await.unwrap();
    let (code, text, _) = rig.run_verb(&["doctor", "--json"]).await;
    assert!(code == 1 && text.contains("newer than this program"), "{code}: {text}");
}
