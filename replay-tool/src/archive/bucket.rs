//! An archive in a bucket of S3, or of a server that speaks as S3 does.
//!
//! It is reached as the environment says (`AWS_…`). An object is put by one request that the server carries out as a whole
//! or not at all: nothing half-written is ever there, and what was answered is durable. Deliberately absent: making the
//! bucket, uploads in parts, deletion.

mod http;
mod refused;
mod signing;

use std::ffi::OsString;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::Connector;
use object_store::aws::{AmazonS3, AmazonS3Builder, AmazonS3ConfigKey, S3ConditionalPut};
use object_store::path::Path;
use object_store::prefix::PrefixStore;
use object_store::{
    Attribute, Attributes, BackoffConfig, Error, GetOptions, ObjectStore, PutMode, PutOptions, RetryConfig,
};
use openssl::error::ErrorStack;
use openssl::ssl::{SslConnector, SslMethod};
use signing::OpenSsl;
use tokio::runtime::Handle;
use url::Url;
use uuid::Uuid;

use crate::error::{Refusal, ReplayError};

/// How long a request and its answer may take. A segment of 16 MiB needs 140 KiB/s.
const ANSWER_WITHIN: Duration = Duration::from_secs(120);
/// How often, and for how long, a request is made again that the server could not take or answer.
const RETRIES: usize = 7;
const RETRY_WITHIN: Duration = Duration::from_secs(60);
/// How often an object is put of which nobody knows whether it is there.
const PUTS: usize = 3;
/// Between two of these.
const PAUSE: Duration = Duration::from_secs(1);

/// Names the put that made an object, among its metadata.
const MARK: &str = "archive-put";

/// A bucket, and below which prefix.
#[derive(Debug)]
pub(in crate::archive) struct Bucket {
    /// As people write it, and where the server is.
    place: (String, String),
    /// The server was seen to refuse a second object under one name.
    refuses_second: AtomicBool,
}

impl Bucket {
    /// By the environment. Asks no server.
    pub(in crate::archive) fn open(name: &str, prefix: &Path) -> Result<(Self, Arc<dyn ObjectStore>), ReplayError> {
        Handle::try_current()
            .map_err(|_| ReplayError::arguments("a bucket is read and written within a Tokio runtime"))?;
        let authorities = std::env::var_os("AWS_CA_BUNDLE").filter(|file| !file.is_empty());
        let url = if prefix.as_ref().is_empty() { format!("s3://{name}") } else { format!("s3://{name}/{prefix}") };
        let tls = tls(authorities).map_err(|error| Refusal::Settings(format!("AWS_CA_BUNDLE: {error}")));
        let opened = tls.and_then(|tls| {
            let http = Connector { tls, answer_within: ANSWER_WITHIN };
            Bucket::by(&url, name, settings(std::env::vars_os()), http)
        });
        let (bucket, store) = opened.map_err(|refusal| ReplayError::Bucket { place: url.clone(), refusal })?;
        Ok((bucket, Arc::new(PrefixStore::new(store, prefix.clone()))))
    }

    fn by(
        url: &str,
        name: &str,
        settings: Vec<(AmazonS3ConfigKey, String)>,
        http: Connector,
    ) -> Result<(Self, AmazonS3), Refusal> {
        let place = (url.to_owned(), server(&settings)?);
        let store = store(name, settings, http).map_err(|error| {
            let said = error.to_string();
            Refusal::Settings(said.strip_prefix("Generic S3 error: ").unwrap_or(&said).to_owned())
        })?;
        Ok((Bucket { place, refuses_second: AtomicBool::new(false) }, store))
    }

    /// See [`super::ArchiveStore::put_new`].
    ///
    /// Of a put whose answer is lost nobody knows whether it was done, and if so, the next one is refused. So each object
    /// bears a mark, by which its maker knows it again.
    pub(in crate::archive) async fn put_new(
        &self,
        objects: &dyn ObjectStore,
        name: &Path,
        data: Bytes,
    ) -> Result<bool, ReplayError> {
        let mark = Uuid::now_v7().to_string();
        let is_new =
            put_marked(objects, name, &data, &mark).await.map_err(|error| self.error(name.as_ref(), &error))?;
        if is_new && !self.refuses_second.load(Ordering::Relaxed) {
            self.prove(objects, name, data).await?;
        }
        self.refuses_second.store(true, Ordering::Relaxed);
        Ok(is_new)
    }

    /// Servers that do not know the condition pass over it: the first object of a run is put once more, as it is.
    async fn prove(&self, objects: &dyn ObjectStore, name: &Path, data: Bytes) -> Result<(), ReplayError> {
        match put(objects, name, &data, "proof").await {
            Err(Error::AlreadyExists { .. }) => Ok(()),
            Ok(()) => Err(self.refused(name.as_ref(), Refusal::Overwrites)),
            Err(error) => Err(self.error(name.as_ref(), &error)),
        }
    }

    /// What the store said about this object, or about all of them.
    pub(in crate::archive) fn error(&self, name: &str, error: &Error) -> ReplayError {
        self.refused(name, refused::refusal(error))
    }

    /// An archive that was to be read has no object.
    pub(in crate::archive) fn nothing_there(&self) -> ReplayError {
        self.refused("", Refusal::Empty)
    }

    fn refused(&self, name: &str, refusal: Refusal) -> ReplayError {
        let (url, server) = &self.place;
        let slash = if name.is_empty() { "" } else { "/" };
        ReplayError::Bucket { place: format!("{url}{slash}{name} ({server})"), refusal }
    }
}

/// Whether the object of this name is the one that was put; tried again while that is not known.
async fn put_marked(objects: &dyn ObjectStore, name: &Path, data: &Bytes, mark: &str) -> object_store::Result<bool> {
    let mut puts = 1;
    loop {
        let error = match put(objects, name, data, mark).await {
            Ok(()) => return Ok(true),
            Err(error @ Error::AlreadyExists { .. }) => match mark_of(objects, name).await {
                Ok(found) => return Ok(found.as_deref() == Some(mark)),
                // Refused for the sake of another put that has not made it, or not yet.
                Err(Error::NotFound { .. }) => error,
                Err(error) => return Err(error),
            },
            Err(error) if refused::may_be_done(&error) => error,
            Err(error) => return Err(error),
        };
        if puts == PUTS {
            return Err(error);
        }
        puts += 1;
        tokio::time::sleep(PAUSE).await;
    }
}

async fn put(objects: &dyn ObjectStore, name: &Path, data: &Bytes, mark: &str) -> object_store::Result<()> {
    let attributes = Attributes::from_iter([(Attribute::Metadata(MARK.into()), mark.to_owned())]);
    let options = PutOptions { mode: PutMode::Create, attributes, ..PutOptions::default() };
    objects.put_opts(name, data.clone().into(), options).await.map(drop)
}

async fn mark_of(objects: &dyn ObjectStore, name: &Path) -> object_store::Result<Option<String>> {
    let found = objects.get_opts(name, GetOptions::default().with_head(true)).await?;
    Ok(found.attributes.get(&Attribute::Metadata(MARK.into())).map(|mark| mark.as_ref().to_owned()))
}

/// What `AWS_…` says about stores; other variables of that name are for other programs.
fn settings(environment: impl IntoIterator<Item = (OsString, OsString)>) -> Vec<(AmazonS3ConfigKey, String)> {
    let setting = |(name, value): (OsString, OsString)| {
        let name = name.to_str()?.strip_prefix("AWS_")?.to_ascii_lowercase();
        Some((format!("aws_{name}").parse().ok()?, value.into_string().ok().filter(|value| !value.is_empty())?))
    };
    environment.into_iter().filter_map(setting).collect()
}

/// Where the server is, without user and password.
fn server(settings: &[(AmazonS3ConfigKey, String)]) -> Result<String, Refusal> {
    let set = |wanted: AmazonS3ConfigKey| settings.iter().find(|(key, _)| *key == wanted).map(|(_, value)| value);
    match set(AmazonS3ConfigKey::S3Endpoint).or_else(|| set(AmazonS3ConfigKey::Endpoint)) {
        Some(endpoint) => {
            let url =
                Url::parse(endpoint).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
            let url = url.ok_or_else(|| Refusal::Settings("AWS_ENDPOINT_URL is no URL of a server".into()))?;
            if !url.username().is_empty() || url.password().is_some() {
                return Err(Refusal::Settings(
                    "AWS_ENDPOINT_URL holds a user; credentials have variables of their own".into(),
                ));
            }
            Ok(format!("at {}", url.origin().ascii_serialization()))
        }
        None => {
            let region = set(AmazonS3ConfigKey::Region).or_else(|| set(AmazonS3ConfigKey::DefaultRegion));
            Ok(format!("in {}", region.map_or("us-east-1", String::as_str)))
        }
    }
}

fn store(bucket: &str, settings: Vec<(AmazonS3ConfigKey, String)>, http: Connector) -> object_store::Result<AmazonS3> {
    let builder =
        settings.into_iter().fold(AmazonS3Builder::new(), |builder, (key, value)| builder.with_config(key, value));
    // A server that is started again is away for seconds.
    let backoff =
        BackoffConfig { init_backoff: Duration::from_millis(200), max_backoff: Duration::from_secs(10), base: 3.0 };
    let retry = RetryConfig { backoff, max_retries: RETRIES, retry_timeout: RETRY_WITHIN };
    builder
        .with_bucket_name(bucket)
        .with_conditional_put(S3ConditionalPut::ETagMatch)
        .with_retry(retry)
        .with_crypto_provider(Arc::new(OpenSsl))
        .with_http_connector(http)
        .build()
}

/// The system's authorities, or those that `SSL_CERT_FILE` names; and those of this file.
fn tls(authorities: Option<OsString>) -> Result<SslConnector, ErrorStack> {
    let mut tls = SslConnector::builder(SslMethod::tls_client())?;
    if let Some(file) = authorities {
        tls.set_ca_file(file)?;
    }
    Ok(tls.build())
}

#[cfg(test)]
mod tests;
