//! The payment provider of a test: what it did, what it says after its calls have ended, and who signs its webhooks.

use domain::statement::{self, StatementLine};

use crate::{Outcome, Pipeline};

/// The file with the secrets that sign webhooks.
pub(crate) const WEBHOOK_SECRETS: &str = "webhook-secrets";

/// The file with what the simulated provider says afterwards.
pub(crate) const AFTERWARDS: &str = "afterwards.jsonl";

impl Pipeline {
    /// These secrets sign webhooks from now on.
    pub fn sign_webhooks_with(&self, secrets: &[&str]) -> Outcome {
        let file = self.folder().join(WEBHOOK_SECRETS);
        let next = file.with_extension("next");
        std::fs::write(&next, secrets.join("\n"))?;
        // At once: whoever reads sees the old secrets or the new ones.
        Ok(std::fs::rename(next, file)?)
    }

    /// The simulated provider says this line afterwards, besides what it says already.
    pub fn says_afterwards(&self, line: &serde_json::Value) -> Outcome {
        let path = self.folder().join(AFTERWARDS);
        let mut file = std::fs::OpenOptions::new().create(true).append(true).open(path)?;
        Ok(std::io::Write::write_all(&mut file, format!("{line}\n").as_bytes())?)
    }

    /// What the payment provider did, by its own statement.
    pub fn statement(&self) -> Outcome<Vec<StatementLine>> {
        let file = self.statement_file();
        if file.exists() { Ok(statement::parse(&std::fs::read_to_string(&file)?)?) } else { Ok(Vec::new()) }
    }
}
