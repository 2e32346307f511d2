//! Every verb stopped in its middle, by Ctrl-C and by kill -9: nothing is half done, nothing stays locked, and the next
//! run gives the right answer.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use dev_stack::Child;
use schemas::TopicName;
use tests::{LONG, Outcome, Pipeline, Servers, Trouble, until};

use crate::held::{Held, Hold};
use crate::program::{command, run};
use crate::rested::rested;

/// How soon a verb must have ended after Ctrl-C. One that takes no notice is dropped after 10 s.
const SOON: Duration = Duration::from_secs(8);

const LETTERS: TopicName = TopicName::OrderCommands;

/// How a verb is stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stop {
    CtrlC,
    Kill9,
}

/// A verb, where it is held, and how it ends when it is not.
struct Case {
    words: Vec<String>,
    hold: Hold,
    code: i32,
}

fn case(words: &str, hold: Hold, code: i32) -> Case {
    Case { words: words.split(' ').map(str::to_owned).collect(), hold, code }
}

/// Every verb that reads, and those that write into a place of their own or into the live tables.
fn cases(url: &str, file: &Path, order: &str) -> Vec<Case> {
    const OUTBOX: &str = "orders.outbox_topics";
    let file = file.display();
    vec![
        case(&format!("verify --database-url {url}"), Hold::Readers(OUTBOX), 0),
        case(&format!("verify --database-url {url}"), Hold::Broker, 0),
        case(&format!("trace {order}"), Hold::Broker, 0),
        case(&format!("trace {order} --database-url {url}"), Hold::Readers(OUTBOX), 0),
        case("at now", Hold::Broker, 0),
        case("diff 2001-01-01T00:00:00Z now", Hold::Broker, 1),
        case("dead-letters list", Hold::Broker, 0),
        case(&format!("dead-letters show --topic {LETTERS}"), Hold::Broker, 0),
        case("dead-letters redrive --all --dry-run", Hold::Broker, 1),
        case("dead-letters discard --all --reason x --dry-run", Hold::Broker, 0),
        case(&format!("rebuild --dry-run --database-url {url}"), Hold::Readers(OUTBOX), 0),
        case("rebuild --to memory", Hold::Broker, 0),
        case(&format!("rebuild --to {file}"), Hold::Broker, 0),
        case(&format!("rebuild --database-url {url}"), Hold::Broker, 0),
        // Last, because it does change something when it is not stopped.
        case(&format!("rebuild --swap --service order --database-url {url}"), Hold::Owners("orders.orders"), 0),
    ]
}

fn spawn(pipeline: &Pipeline, words: &[String]) -> Outcome<Child> {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    Ok(Child::spawn(command(pipeline, &words), "verb", &pipeline.folder().join("verb.log"))?)
}

/// Stops it, and sees that it ends as it should.
async fn stop(verb: Child, how: Stop) -> Outcome<String> {
    let begun = Instant::now();
    if how == Stop::Kill9 {
        assert!(verb.is_running(), "it had ended before it was killed: {}", verb.tail());
        verb.kill9()?;
        return Ok(verb.output()?);
    }
    verb.interrupt()?;
    let ended = tokio::task::spawn_blocking(move || Ok::<_, Trouble>((verb.wait_timeout(LONG)?, verb.output()?)));
    let (ended, output) = ended.await??;
    assert_eq!(ended.and_then(|ended| ended.code()), Some(130), "{ended:?}: {output}");
    assert!(begun.elapsed() < SOON, "it took {:?}: {output}", begun.elapsed());
    assert!(output.contains("interrupted"), "{output}");
    Ok(output)
}

/// The live tables, the schemas but those of rebuilds, and where every topic ends.
async fn everything(pipeline: &Pipeline) -> Outcome<BTreeMap<String, String>> {
    const TABLES: &str = "select table_schema || '.' || table_name from information_schema.tables \
                          where table_schema in ('orders', 'inventory', 'payments') and table_type = 'BASE TABLE'";
    const SCHEMAS: &str = "select coalesce(string_agg(nspname, ' ' order by nspname), '')::text from pg_namespace \
                           where nspname !~ '^pg_' and nspname !~ '_rebuilt$'";
    let tables = pipeline.tables();
    let mut all = BTreeMap::new();
    for row in tables.query(TABLES, &[]).await? {
        let table: String = row.get(0);
        let sql = format!("select coalesce(md5(string_agg(t::text, '|' order by t::text)), '') from {table} t");
        all.insert(table, tables.query(&sql, &[]).await?[0].get(0));
    }
    all.insert("schemas".to_owned(), tables.query(SCHEMAS, &[]).await?[0].get(0));
    let topics = TopicName::all_names();
    // A broker that stood still a moment ago may not know its partitions yet.
    let ends = until("the topics' ends", LONG, async || pipeline.broker().ends(&topics).await).await?;
    for (place, ends) in ends {
        all.insert(format!("{place:?}"), format!("{ends:?}"));
    }
    Ok(all)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_verb_that_is_stopped_anywhere_has_changed_nothing_and_holds_nothing() -> Outcome {
    // Servers of its own, because it stops the broker.
    let (pipeline, orders) = rested(&Servers::own().await?, 20).await?;
    let order = orders[0].order_id.to_string();
    let before = everything(&pipeline).await?;
    assert!(before.len() > 60 && before["schemas"].contains("orders"), "{before:#?}");
    for how in [Stop::CtrlC, Stop::Kill9] {
        let file = pipeline.folder().join(format!("{how:?}.sqlite"));
        for case in cases(pipeline.database_url(), &file, &order) {
            let name = format!("{how:?} of {:?}", case.words);
            let (held, words) = (Held::begin(&pipeline, case.hold).await?, case.words);
            let verb = spawn(&pipeline, &words)?;
            held.await_in(&verb).await.map_err(|error| error.during(&name))?;
            stop(verb, how).await.map_err(|error| error.during(&name))?;
            held.await_nobody().await.map_err(|error| error.during(&name))?;
            held.release().await?;
            assert_eq!(everything(&pipeline).await?, before, "{name}");
            assert!(!file.exists(), "{name}: it is not whole and has its name");
            let swaps = words.iter().any(|word| word == "--swap");
            if swaps && how == Stop::CtrlC {
                continue;
            }
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            run(&pipeline, &words).await?.expect(case.code).map_err(|error| error.during(&name))?;
            if !swaps {
                assert_eq!(everything(&pipeline).await?, before, "{name}, again");
            }
            assert_eq!(file.exists(), words.iter().any(|word| word.ends_with(".sqlite")), "{name}, again");
            // The next case begins without it.
            if file.exists() {
                std::fs::remove_file(&file)?;
            }
        }
    }
    // The swap of the last run, and no other.
    let kept = "select count(*) from pg_namespace where nspname like 'orders_before_%'";
    assert_eq!(pipeline.tables().number(kept).await?, 1);
    let arguments = ["verify", "--database-url", pipeline.database_url()];
    run(&pipeline, &arguments).await?.expect(0)?;
    pipeline.accept();
    Ok(())
}
