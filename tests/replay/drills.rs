//! The drills of docs/runbook.md that no other test carries out as a whole, as `cargo drills` does: by the runbook's steps, with
//! the real programs, under a small load.

use tests::Outcome;
use tests::drills::Drill;

/// The daemons' program and `replay-tool` in one.
const DRILLS: &str = env!("CARGO_BIN_EXE_drills");

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_databases_set_back_are_brought_up_to_what_was_published() -> Outcome {
    Drill::AllSetBackRebuilt.run(DRILLS).await.map(drop)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_databases_set_back_go_on_from_there_once_that_is_accepted() -> Outcome {
    Drill::AllSetBackAccepted.run(DRILLS).await.map(drop)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_schema_that_was_dropped_comes_back_with_everything_in_it() -> Outcome {
    Drill::SchemaDropped.run(DRILLS).await.map(drop)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn partitions_that_were_added_are_left_for_topics_with_the_old_count() -> Outcome {
    Drill::PartitionsAdded.run(DRILLS).await.map(drop)
}
