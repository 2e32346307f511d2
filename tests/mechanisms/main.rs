//! The pipeline on a secured broker by the mechanisms that the suite leaves out: certificates, and tokens that are renewed
//! while it runs. Run by `cargo test --workspace --test mechanisms`.

use std::time::Duration;

use tests::{Mechanism, Outcome, Servers, orders_end_also_after_a_crash};

const DAEMON: &str = env!("CARGO_BIN_EXE_pipeline-daemon");

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn orders_end_with_certificates_also_after_a_crash() -> Outcome {
    orders_end_also_after_a_crash(DAEMON, Mechanism::MutualTls).await.map(drop)
}

/// A token is good for a moment only; whoever went on with the first one would be shut out at the crash at the latest.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn orders_end_with_tokens_that_are_renewed_also_after_a_crash() -> Outcome {
    let servers = Servers::secured(Mechanism::Token).await?;
    let access = servers.credentials()?.access().clone();
    let renewing = async {
        let mut turns = tokio::time::interval(Duration::from_secs(5));
        loop {
            turns.tick().await;
            for user in tests::USERS {
                access.issue_token(user, Duration::from_secs(90))?;
            }
        }
    };
    tokio::select! {
        done = orders_end_also_after_a_crash(DAEMON, Mechanism::Token) => done.map(drop),
        failed = renewing => failed,
    }
}
