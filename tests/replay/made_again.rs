//! Topics that were deleted and made again, under the verbs that read them: told, and never mixed with an archive of the
//! old ones.

use schemas::TopicName;
use tests::{Outcome, Servers};

use crate::archive_again::make_anew;
use crate::program::{Run, run, run_offline};
use crate::rested::rested;

const ANOTHER: &str = "is not the topic that was archived";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn topics_that_were_made_again_are_told_by_whoever_reads_them() -> Outcome {
    let (pipeline, orders) = rested(&Servers::shared().await?, 12).await?;
    let archive = pipeline.folder().join("archive").display().to_string();
    run(&pipeline, &["archive", "run", "--to", &archive]).await?.expect(0)?;
    let (order, url) = (orders[0].order_id.to_string(), pipeline.database_url().to_owned());
    let trace = ["trace", &order, "--json"];
    let whole = run(&pipeline, &trace).await?.expect(0)?.json()?;
    let listed = run(&pipeline, &["dead-letters", "list"]).await?.expect(0)?.stdout;
    assert!(listed.contains("1 open"), "{listed}");
    for topic in [TopicName::OrderEvents.as_str().to_owned(), TopicName::OrderCommands.dead_letter()] {
        make_anew(&pipeline, &topic).await?;
    }
    let both = async |words: &[&str]| -> Outcome<Run> {
        run(&pipeline, &[words, &["--archive", &archive]].concat()).await?.expect(2)
    };

    // From the topics: what they have lost is missing.
    let verify = ["verify", "--patience-s", "0", "--database-url", &url];
    let told = run(&pipeline, &verify).await?.expect(1)?.stdout;
    assert!(told.contains("committed, but not in the topic"), "{told}");
    let traced = run(&pipeline, &trace).await?.expect(1)?.json()?;
    assert!(traced["standing"]["stage"].is_null() && traced["standing"]["problem"].is_string(), "{traced:#}");
    let empty = run(&pipeline, &["dead-letters", "list"]).await?.expect(0)?.stdout;
    assert_eq!(empty, "no dead letters\n");
    run(&pipeline, &["dead-letters", "show", "--topic", "order.commands.v1"]).await?.expect(1)?;

    // Behind an archive of the old ones: another log, whatever is asked.
    for words in [&verify[..], &trace, &["dead-letters", "list"], &["at", "now"], &["rebuild", "--to", "memory"]] {
        let refused = both(words).await?;
        assert!(refused.stderr.contains(ANOTHER) && refused.stdout.is_empty(), "{words:?}: {refused:?}");
    }
    let redrive = ["dead-letters", "redrive", "--all", "--unreadable"];
    assert!(both(&redrive).await?.stderr.contains(ANOTHER));

    // From the archive alone: as it was.
    assert_eq!(run_offline(&pipeline, &archive, &trace).await?.expect(0)?.json()?, whole);
    assert_eq!(run_offline(&pipeline, &archive, &["dead-letters", "list"]).await?.expect(0)?.stdout, listed);
    run_offline(&pipeline, &archive, &verify).await?.expect(0)?;
    pipeline.accept();
    Ok(())
}
