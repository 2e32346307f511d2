//! The settings of tokens: whose they are, for whom, and which claims say what.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use grammar::SettingError;
use serde::Serialize;

use super::Tokens;
use super::claims::Reading;
use super::issuer::Keeper;
use super::source::Source;
use crate::keys::Allowances;

/// Whose tokens are believed.
#[derive(Debug, Clone, Args, Serialize)]
pub struct TokenOptions {
    /// Identity provider whose tokens (JWT) are believed, as their `iss` has it; its document says where its keys are.
    #[arg(long, env = "OIDC_ISSUER", global = true, value_name = "URL")]
    oidc_issuer: Option<String>,
    /// For whom the tokens have to be (`aud`): this API's name at the provider.
    #[arg(long, env = "JWT_AUDIENCE", global = true, value_name = "NAME")]
    jwt_audience: Option<String>,
    /// Where the issuer's keys are (JWKS), if not where its document says.
    #[arg(long, env = "JWKS_URL", global = true, value_name = "URL")]
    jwks_url: Option<String>,
    /// The same in a file, where the issuer cannot be reached from here.
    #[arg(long, env = "JWKS_FILE", global = true, value_name = "FILE")]
    jwks_file: Option<PathBuf>,
    /// The claim that has a token's roles, a list or words; dots lead into claims. Without it `scope` has them.
    #[arg(long, env = "JWT_ROLES_CLAIM", global = true, value_name = "CLAIM", default_value = "roles")]
    jwt_roles_claim: String,
    /// The claim that has the caller's name, which commands say.
    #[arg(long, env = "JWT_NAME_CLAIM", global = true, value_name = "CLAIM", default_value = "sub")]
    jwt_name_claim: String,
    /// So many requests a second each caller with a token may make of this instance; without it any number.
    #[arg(long, env = "JWT_REQUESTS_PER_SECOND", global = true, value_name = "NUMBER",
        value_parser = clap::value_parser!(u32).range(1..))]
    jwt_requests_per_second: Option<u32>,
}

impl TokenOptions {
    /// Whether tokens are to be believed at all.
    pub fn is_given(&self) -> bool {
        self.oidc_issuer.is_some()
    }

    /// Whether all is there that belongs together.
    ///
    /// # Errors
    /// In words, which setting is missing or wrong.
    pub fn check(&self) -> Result<(), SettingError> {
        let wrong = |words: &str| Err(SettingError::Setting(words.to_owned()));
        match (&self.oidc_issuer, &self.jwt_audience) {
            (Some(_), None) => wrong(
                "--oidc-issuer: give --jwt-audience or JWT_AUDIENCE too, or tokens that are for somebody else would be believed",
            ),
            (None, Some(_)) => {
                wrong("--jwt-audience: give --oidc-issuer or OIDC_ISSUER too: whose tokens are believed")
            }
            (None, None) if self.jwks_url.is_some() || self.jwks_file.is_some() => {
                wrong("whose keys are these? Give --oidc-issuer or OIDC_ISSUER, and --jwt-audience or JWT_AUDIENCE")
            }
            (None, None) => Ok(()),
            (Some(issuer), Some(_)) => self.source(issuer).map(|_| ()),
        }
    }

    fn source(&self, issuer: &str) -> Result<Source, SettingError> {
        Source::of(issuer, self.jwks_file.clone(), self.jwks_url.as_deref())
    }

    /// What reads tokens, and what keeps the issuer's keys; nothing where no issuer is trusted.
    ///
    /// # Errors
    /// A setting is wrong.
    pub fn open(&self) -> Result<Option<(Tokens, Keeper)>, SettingError> {
        let (Some(name), Some(audience)) = (&self.oidc_issuer, &self.jwt_audience) else { return Ok(None) };
        let (issuer, keeper) = Keeper::new(name, self.source(name)?);
        let reading = Reading { name_claim: self.jwt_name_claim.clone(), roles_claim: self.jwt_roles_claim.clone() };
        let allowances = self.jwt_requests_per_second.map(|limit| Arc::new(Allowances::of(limit)));
        Ok(Some((Tokens { issuer, audience: audience.clone(), reading, allowances }, keeper)))
    }
}
