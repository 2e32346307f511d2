//! The checker's verdict on a pipeline: topics and tables held against every invariant.

use std::time::Duration;

use replay_tool::{CheckConfig, RebuildReport, Records, Report, check, rehearse};

use crate::{Outcome, Pipeline};

/// Far longer than a healthy pipeline takes to come to rest.
const PATIENCE: Duration = Duration::from_secs(90);

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
