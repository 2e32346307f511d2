//! `accept-restore`: an operator lets a service go on from the older state that its database was set back to.
//!
//! Begins a new epoch on every lane whose topic holds messages that the database does not: they are void, and what the
//! database holds after the last message that both have is published again. The workers notice within seconds and go on.
//! The other road, the state that was published, is `replay-tool rebuild --swap`.

use clap::Args;
use consumer::Database;
use outbox::operate::{Lead, RebaseConfig, RebaseReport, RebasedLane, rebase};
use rdkafka::ClientConfig;
use schemas::ServiceName;

use consumer::Failure;

/// How the older state is accepted.
#[derive(Debug, Clone, Args)]
pub(crate) struct Restore {
    /// Only tell what would be void.
    #[arg(long)]
    dry_run: bool,
}

/// Begin the epochs; what was done, in words.
pub(crate) async fn accept(
    database: &Database,
    kafka: ClientConfig,
    service: ServiceName,
    restore: &Restore,
) -> Result<String, Failure> {
    let (config, tls) = database.connector();
    let mut how = RebaseConfig::new(database.schema(), kafka);
    how.only_where_different = true;
    how.dry_run = restore.dry_run;
    // A relay that leads at this moment only holds.
    how.lead = Lead::Take;
    let report = rebase(&outbox::Database::new(config, tls), how).await;
    report.map(|report| told(service, &report)).map_err(|error| Failure::Halt(error.to_string()))
}

fn told(service: ServiceName, report: &RebaseReport) -> String {
    if report.lanes.is_empty() {
        return format!("the {service} service's database holds all that was published; nothing is to be accepted");
    }
    let would = if report.dry_run { "would begin" } else { "begins" };
    let mut lines: Vec<String> = report.lanes.iter().map(|lane| line(lane, would)).collect();
    lines.push(
        "Void messages stay in the topics; whoever acted on them has acted: goods that were shipped, money that was \
         captured, and answers that other services gave are not recalled. Commands that are repeated get the recorded \
         answers again."
            .to_owned(),
    );
    lines.join("\n")
}

fn line(lane: &RebasedLane, would: &str) -> String {
    let RebasedLane { topic, partition, to_epoch, last_equal, void_up_to, appended_again, .. } = lane;
    format!(
        "{topic}[{partition}]: epoch {to_epoch} {would}; messages {} to {void_up_to} are void, {appended_again} are \
         published again",
        last_equal + 1
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_says_what_is_void_and_what_cannot_be_recalled() {
        let lane = RebasedLane {
            topic: "order.events.v1".to_owned(),
            partition: 2,
            from_epoch: 1,
            to_epoch: 2,
            last_equal: 40,
            void_up_to: 55,
            first: Some(56),
            appended_again: 3,
            differs: true,
        };
        let told = told(ServiceName::Order, &RebaseReport { dry_run: false, lanes: vec![lane] });
        assert!(
            told.starts_with("order.events.v1[2]: epoch 2 begins; messages 41 to 55 are void, 3 are published again")
        );
        assert!(told.contains("are not recalled"), "{told}");
    }
}
