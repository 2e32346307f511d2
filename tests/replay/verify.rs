//! `verify` on an archive, alone and with the topics behind it: the same cut, the same report, and what an archive that
//! ends too early lacks.

use std::collections::{BTreeSet, HashMap};

use dev_stack::Child;
use replay_tool::{ArchiveStore, CheckConfig, Records, rehearse};
use schemas::TopicName;
use serde_json::Value;
use tests::{LONG, Outcome, Pipeline, Sent, Servers, Settings, Trouble, sample, stock_for, trouble, until};

use crate::DAEMON;
use crate::program::{Run, offline, run, run_command};

/// First and next offset, by topic and partition.
type Ends = HashMap<(String, i32), (i64, i64)>;

/// Every topic, dead letters included.
fn topics() -> Vec<String> {
    TopicName::all_names()
}

/// As retention would, of every topic at once.
async fn forget_everything(pipeline: &Pipeline) -> Outcome {
    for ((topic, partition), (first, end)) in pipeline.broker().ends(&topics()).await? {
        if first < end {
            pipeline.broker().delete_before(&topic, partition, end).await?;
        }
    }
    Ok(())
}

/// Where `verify` reads records from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum From {
    Topics,
    Archive,
    Both,
}

struct Verify<'p> {
    pipeline: &'p Pipeline,
    archive: String,
}

impl Verify<'_> {
    async fn verb(&self, from: From, arguments: &[&str]) -> Outcome<Run> {
        let own = ["--json", "--database-url", self.pipeline.database_url()];
        match from {
            From::Topics => run(self.pipeline, &[arguments, &own].concat()).await,
            From::Archive => run_command(offline(self.pipeline, &self.archive, &[arguments, &own].concat())).await,
            From::Both => run(self.pipeline, &[arguments, &own, &["--archive", &self.archive]].concat()).await,
        }
    }

    /// The report, without what differs from run to run.
    async fn report(&self, from: From, code: i32) -> Outcome<Value> {
        let mut report =
            self.verb(from, &["verify", "--quiescent", "--patience-s", "20"]).await?.expect(code)?.json()?;
        report["elapsed_s"] = Value::Null;
        Ok(report)
    }

    async fn archive(&self) -> Outcome {
        run(self.pipeline, &["archive", "run", "--to", &self.archive]).await?.expect(0)?;
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tables_are_held_against_an_archive_once_the_topics_have_forgotten() -> Outcome {
    let servers = Servers::shared().await?;
    let pipeline = Pipeline::start(DAEMON, &servers, Settings { instances: 1, ..Settings::default() }).await?;
    let orders = sample(0, 60)?;
    pipeline.receive(&stock_for(&orders)).await?;
    pipeline.publish(&orders[..40]).await?;
    let spoilt = Sent { value: Some(b"no command".to_vec()), ..Sent::of(orders[0].clone())? };
    pipeline.broker().send(&spoilt).await?;
    pipeline.await_terminal(&orders[..40]).await?;
    pipeline.check_clean().await?;
    let verify = Verify { pipeline: &pipeline, archive: pipeline.folder().join("archive").display().to_string() };
    verify.archive().await?;

    // The same report, digests and counts included, wherever the records come from.
    let by_topics = verify.report(From::Topics, 0).await?;
    assert!(by_topics["comparison"]["digest"].is_string(), "{by_topics:#}");
    assert_eq!(by_topics["dead_letters"]["order.commands.v1"], 1, "{by_topics:#}");
    for from in [From::Archive, From::Both] {
        assert_eq!(verify.report(from, 0).await?, by_topics, "{from:?}");
    }
    forget_everything(&pipeline).await?;
    let refused = verify.verb(From::Topics, &["verify"]).await?.expect(2)?;
    assert!(refused.stderr.contains("its beginning was deleted"), "{refused:?}");
    for from in [From::Archive, From::Both] {
        assert_eq!(verify.report(from, 0).await?, by_topics, "{from:?}");
    }
    rehearsed_is_clean(&verify).await?;

    // What somebody has changed past the services is found.
    let spoil = "update payments.payments set amount_minor = amount_minor + 1 where order_id = \
                 (select min(order_id) from payments.payments)";
    assert_eq!(pipeline.tables().execute(spoil, &[]).await?, 1);
    for from in [From::Archive, From::Both] {
        let told = verify.report(from, 1).await?;
        assert_eq!(told["comparison"]["differences"]["listed"][0]["column"], "amount_minor", "{from:?}: {told:#}");
        let dry = verify.verb(from, &["rebuild", "--dry-run", "--service", "payment"]).await?.expect(1)?.json()?;
        assert_eq!(dry["services"][0]["differences"]["found"], 1, "{from:?}: {dry:#}");
    }
    let mend = "update payments.payments set amount_minor = amount_minor - 1 where order_id = \
                (select min(order_id) from payments.payments)";
    pipeline.tables().execute(mend, &[]).await?;

    // The shop goes on, the archive does not.
    let ends = pipeline.broker().ends(&topics()).await?;
    pipeline.publish(&orders[40..]).await?;
    pipeline.broker().send(&spoilt).await?;
    pipeline.await_terminal(&orders).await?;
    let whole = verify.report(From::Both, 0).await?;
    assert_ne!(whole["comparison"]["digest"], by_topics["comparison"]["digest"]);
    lacking_is_told(&verify, &ends).await?;
    what_is_archived_meanwhile_is_waited_for(&verify).await?;
    pipeline.accept();
    Ok(())
}

/// The same fold as a library's users have it.
async fn rehearsed_is_clean(verify: &Verify<'_>) -> Outcome {
    let (archive, prefix) = (ArchiveStore::local(&verify.archive)?, verify.pipeline.prefix().to_owned());
    let records = Records::Archive { archive, prefix };
    let report = rehearse(&CheckConfig::new(records, verify.pipeline.database_url())).await?;
    if report.is_clean() { Ok(()) } else { Err(trouble(format!("{report:#?}"))) }
}

/// Each partition that the archive has not to its end is named, and nothing is concluded from what is not there.
async fn lacking_is_told(verify: &Verify<'_>, archived: &Ends) -> Outcome {
    let prefix = verify.pipeline.prefix();
    let now = verify.pipeline.broker().ends(&topics()).await?;
    let grown = now.iter().filter(|(at, (_, end))| archived[*at].1 < *end);
    let grown: BTreeSet<String> =
        grown.map(|((topic, partition), _)| format!("{prefix}{topic}[{partition}]")).collect();
    assert!(grown.len() > 10, "{grown:?}");
    let told = verify.verb(From::Archive, &["verify", "--patience-s", "0"]).await?.expect(1)?.json()?;
    let mut named = BTreeSet::new();
    for violation in told["violations"].as_array().into_iter().flatten() {
        let (subject, detail) = (violation["subject"].to_string(), violation["detail"].to_string());
        match violation["invariant"].as_str() {
            Some("delivery") => {
                assert!(detail.contains("the archive"), "{violation}");
                named.insert(subject.trim_matches('"').to_owned());
            }
            _ => assert!(detail.contains("not compared with the tables"), "{violation}"),
        }
    }
    assert_eq!(named, grown, "{told:#}");
    assert_eq!(told["comparison"], Value::Null, "{told:#}");
    Ok(())
}

/// An archive may be growing: what it lacks is waited for.
async fn what_is_archived_meanwhile_is_waited_for(verify: &Verify<'_>) -> Outcome {
    let pipeline = verify.pipeline;
    let patience = LONG.as_secs().to_string();
    let arguments = ["verify", "--patience-s", &patience, "--database-url", pipeline.database_url()];
    let waiting =
        Child::spawn(offline(pipeline, &verify.archive, &arguments), "verify", &pipeline.folder().join("verify.log"))?;
    // Its snapshots have ended, so the cut that it waits for is behind it.
    let ended = "select count(*) from pg_stat_activity where datname = current_database() \
                 and application_name = 'replay-tool' and state = 'idle' and query = 'commit'";
    until("the tables are read", LONG, async || {
        let sessions = pipeline.tables().number(ended).await?;
        if sessions == 3 { Ok(()) } else { Err(trouble(format!("{sessions} of 3, {}", waiting.tail()))) }
    })
    .await?;
    verify.archive().await?;
    let ended = tokio::task::spawn_blocking(move || Ok::<_, Trouble>((waiting.wait_timeout(LONG)?, waiting.tail())));
    let (ended, tail) = ended.await??;
    assert_eq!(ended.and_then(|ended| ended.code()), Some(0), "{tail}");
    Ok(())
}

/// What docs/postgres.md says of the rights of each verb.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_role_that_may_only_read_verifies_and_traces_and_cannot_rebuild() -> Outcome {
    let servers = Servers::shared().await?;
    let pipeline = Pipeline::start(DAEMON, &servers, Settings { instances: 1, ..Settings::default() }).await?;
    let orders = sample(0, 10)?;
    pipeline.receive(&stock_for(&orders)).await?;
    pipeline.publish(&orders).await?;
    pipeline.await_terminal(&orders).await?;
    pipeline.check_clean().await?;
    let reader = pipeline.create_reader().await?;
    let database = ["--database-url", &reader];
    run(&pipeline, &[&["verify", "--quiescent", "--patience-s", "20"][..], &database].concat()).await?.expect(0)?;
    let order = orders[0].order_id.as_str();
    run(&pipeline, &[&["trace", order][..], &database].concat()).await?.expect(0)?;
    let refused = run(&pipeline, &[&["rebuild"][..], &database].concat()).await?.expect(2)?;
    assert!(refused.stderr.contains("permission denied"), "{refused:?}");
    let clear = reader + " sslmode=require";
    let refused = run(&pipeline, &["verify", "--database-url", &clear]).await?.expect(2)?;
    assert!(refused.stderr.contains("does not support TLS"), "{refused:?}");
    Ok(())
}
