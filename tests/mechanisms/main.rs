//! The pipeline on a secured broker by the mechanisms that the suite leaves out: certificates, and tokens that are renewed
//! while it runs. Run by `cargo test --workspace --test mechanisms`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
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
    let is_over = Arc::new(AtomicBool::new(false));
    let ended = is_over.clone();
    let renewing = tokio::task::spawn_blocking(move || {
        while !ended.load(Ordering::Relaxed) {
            for user in tests::USERS {
                access.issue_token(user, Duration::from_secs(90))?;
            }
            std::thread::sleep(Duration::from_secs(5));
        }
        Outcome::Ok(())
    });
    let done = orders_end_also_after_a_crash(DAEMON, Mechanism::Token).await;
    is_over.store(true, Ordering::Relaxed);
    renewing.await??;
    done.map(drop)
}
