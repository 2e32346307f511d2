//! The payment provider of a test: what it did, what it says after its calls have ended, and who signs its webhooks.

use domain::statement::{self, StatementLine};

use schemas::ServiceName;
use stripe_server::Behaviour;

use crate::{Outcome, Pipeline, ProviderSettings, Servers, Settings};

/// The file with the secrets that sign webhooks.
pub(crate) const WEBHOOK_SECRETS: &str = "webhook-secrets";

/// The file with what the simulated provider says afterwards.
pub(crate) const AFTERWARDS: &str = "afterwards.jsonl";

/// The key of the provider's account, with which the payment service asks for everything.
pub const STRIPE_KEY: &str = "sk_test_planted";

/// With what orders are paid that bring nothing.
pub const STRIPE_TOKEN: &str = "pm_card_visa_planted";

impl Pipeline {
    /// As [`Pipeline::start`], with a payment service that asks a provider which behaves so.
    pub async fn start_at_provider(
        program: &str,
        servers: &Servers,
        settings: Settings,
        behaviour: Behaviour,
    ) -> Outcome<(Self, stripe_server::Running)> {
        let mut pipeline = Self::prepare(program, servers, settings).await?;
        let statement = Some(pipeline.statement_path());
        let provider = stripe_server::start(Behaviour { statement, ..behaviour }, ([127, 0, 0, 1], 0).into()).await?;
        let key_file = pipeline.folder().join("stripe-key");
        std::fs::write(&key_file, format!("{STRIPE_KEY}\n"))?;
        pipeline.change_settings(|settings| {
            settings.provider = ProviderSettings {
                provider: Some("stripe"),
                stripe_url: Some(format!("http://{}", provider.address())),
                stripe_key_file: Some(key_file),
                stripe_test_token: Some(STRIPE_TOKEN),
                ..settings.provider.clone()
            };
        })?;
        pipeline.start_services(&ServiceName::ALL).await?;
        Ok((pipeline, provider))
    }

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
