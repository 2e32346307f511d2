//! `outbox-relay migrate --grants`: a role that owns nothing gets what its work takes, and the verbs that only look need less.

use std::time::Duration;

use outbox::Database;
use uuid::Uuid;

use crate::rig::Rig;
use crate::topic;

/// The rig's database in words, for another role.
fn words(rig: &Rig, role: &str, password: &str) -> String {
    let port = rig.database.get_ports()[0];
    let name = rig.database.get_dbname().unwrap();
    format!("host=127.0.0.1 port={port} user='{role}' password={password} dbname={name}")
}

/// Its name needs quotes, as some cloud's names do.
fn role(name: &str) -> String {
    format!("{name}-of \"{}\"", Uuid::now_v7().simple())
}

fn quoted(role: &str) -> String {
    format!("\"{}\"", role.replace('"', "\"\""))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_that_owns_nothing_appends_publishes_and_truncates() {
    let rig = Rig::new("granted").await;
    topic::create(&rig.topic).await;
    let owner = rig.client().await;
    let role = role("app");
    let migrate = ["migrate", "--work", "relay,write,consume", "--grants", role.as_str()];
    let (code, _, said) = rig.run_verb(&migrate).await;
    assert!(code == 2 && said.contains(&format!("there is no role {role}")), "{said}");
    owner.batch_execute(&format!("create role {} login password 'hush'", quoted(&role))).await.unwrap();
    let (code, granted, said) = rig.run_verb(&migrate).await;
    assert!(code == 0 && granted.contains("grant truncate on shop.outbox_messages_0 to"), "{granted}{said}");
    assert!(granted.contains("update on shop.inbox_offsets"), "{granted}");
    // How far a topic was published can be forgotten, when the topic is lost; and what was parked goes when it is taken.
    let deletes: Vec<&str> = granted.lines().filter_map(|line| line.strip_prefix("grant delete on shop.")).collect();
    let of = |line: &&str| line.split(' ').next().map(str::to_owned);
    let tables: Vec<String> = deletes.iter().filter_map(of).collect();
    assert_eq!(tables, ["inbox_parked", "inbox_parked_keys", "outbox_positions"], "{granted}");
    let (code, again, _) = rig.run_verb(&migrate).await;
    assert_eq!((code, again.as_str()), (0, ""), "nothing is missing any more");

    let database = Database::from_connection_string(&words(&rig, &role, "hush")).unwrap();
    let mut writer = database.connect().await.unwrap();
    let opened = outbox::Outbox::open(&writer, rig.outbox.config().clone()).await.unwrap();
    opened.begin(&mut writer).await.unwrap().commit(vec![rig.event_at(0, "m")]).await.unwrap();
    let relay = rig.relay_with(&opened, |config| {
        config.database = database.clone();
        config.retention = Duration::from_millis(10);
        config.rotation_interval = Duration::from_millis(10);
    });
    relay.until("publishing and truncating", |report| report.published == 1 && report.truncations > 0).await;
    relay.stop().await;
    for forbidden in ["delete from shop.outbox_messages_0", "drop table shop.outbox_sends", "create table shop.mine()"]
    {
        let said = writer.batch_execute(forbidden).await.expect_err(forbidden);
        assert_eq!(said.code().unwrap().code(), "42501", "{forbidden}");
    }
    let own = ["migrate", "--database-url", &words(&rig, &role, "hush")];
    let (code, _, said) = rig.run_verb(&own).await;
    assert!(code == 2 && said.contains("migrate as its owner postgres"), "{said}");
    owner.batch_execute(&format!("drop owned by {0}; drop role {0}", quoted(&role))).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_that_may_only_read_looks() {
    let rig = Rig::new("looking").await;
    topic::create(&rig.topic).await;
    let (owner, reader) = (rig.client().await, role("auditor"));
    let name = quoted(&reader);
    let create = format!(
        "create role {name} login password 'hush'; grant usage on schema shop to {name}; \
         grant select on all tables in schema shop to {name}"
    );
    owner.batch_execute(&create).await.unwrap();
    let database = words(&rig, &reader, "hush");
    for verb in ["status", "audit", "doctor"] {
        let (code, told, said) = rig.run_verb(&[verb, "--database-url", &database]).await;
        // The doctor finds that such a role could be no relay.
        let expected = i32::from(verb == "doctor");
        assert!(code == expected && !said.contains("permission"), "{verb}: {code} {told}{said}");
    }
    owner.batch_execute(&format!("drop owned by {name}; drop role {name}")).await.unwrap();
}
