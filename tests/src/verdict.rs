//! The checker's verdict on a pipeline: topics and tables held against every invariant.

use std::time::Duration;

use replay_tool::{CheckConfig, RebuildReport, Records, Report, check, rehearse};

use crate::{Outcome, Pipeline, trouble};

/// Far longer than a healthy pipeline takes to come to rest.
const PATIENCE: Duration = Duration::from_secs(90);

/// What the checker says of what only clients' lost commands explain.
const OF_LOST_COMMANDS: [&str; 3] =
    ["nobody placed", "is not on stock.commands.v1", "a refusal that answers no command"];

impl Pipeline {
    /// What the checker says of it, if nothing is supposed to be under way any more.
    pub async fn verdict(&self) -> Outcome<Report> {
        self.verdict_within(PATIENCE).await
    }

    /// The same for a pipeline that will not come to rest: without waiting for it.
    pub async fn verdict_at_once(&self) -> Outcome<Report> {
        self.verdict_within(Duration::from_secs(1)).await
    }

    /// What a rebuild would give, held against the live tables.
    pub(crate) async fn rehearsal(&self) -> Outcome<RebuildReport> {
        Ok(rehearse(&self.config()?).await?)
    }

    async fn verdict_within(&self, settle: Duration) -> Outcome<Report> {
        let mut config = self.config()?;
        config.settle = settle;
        Ok(check(config).await?)
    }

    fn config(&self) -> Outcome<CheckConfig> {
        let (config, prefix) = (self.client_config()?, self.prefix().to_owned());
        let records = Records::Kafka { config, prefix, patience: PATIENCE };
        let mut config = CheckConfig::new(records, self.database_url());
        config.statements = Some(self.statement_path()).filter(|file| file.exists()).into_iter().collect();
        config.expect_quiescent = true;
        config.stuck_is_violation = true;
        config.patience = PATIENCE;
        Ok(config)
    }
}

/// Fails where a `verify --json` found anything that clients' lost commands do not explain.
pub fn only_of_lost_commands(verified: &serde_json::Value) -> Outcome {
    let violations = verified["violations"].as_array().cloned().unwrap_or_default();
    let is_explained = |violation: &&serde_json::Value| {
        let detail = violation["detail"].as_str().unwrap_or_default();
        OF_LOST_COMMANDS.iter().any(|words| detail.contains(words))
    };
    match violations.iter().find(|violation| !is_explained(violation)) {
        Some(other) => Err(trouble(format!("the checker found: {other}"))),
        None => Ok(()),
    }
}
