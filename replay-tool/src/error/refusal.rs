//! Why a bucket does not do what it is asked for, and what to do about it.
//!
//! What the server wrote is not kept: it may repeat the access key and what was signed.

/// What is wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The bucket is not there.
    #[error("there is no such bucket; make it first, or see to its name, AWS_ENDPOINT_URL and AWS_REGION")]
    NoBucket,
    /// An archive was to be read, and there is none.
    #[error("nothing lies there; `archive run --to` this URL has never written anything, or it was another one")]
    Empty,
    /// An object is not there.
    #[error("there is no such object")]
    NoObject,
    /// The credentials are known, and may not do this.
    #[error(
        "access denied; the credentials need s3:ListBucket on the bucket, and below the prefix s3:GetObject and, to write, s3:PutObject"
    )]
    Denied,
    /// Neither the environment nor the machine gives any.
    #[error(
        "no credentials: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are not set, and this machine has no metadata service that gives any"
    )]
    NoCredentials,
    /// The server has never heard of the access key.
    #[error("the server does not know the access key; see to AWS_ACCESS_KEY_ID")]
    UnknownKey,
    /// The secret is not the access key's.
    #[error("the signature is wrong; see to AWS_SECRET_ACCESS_KEY, which must be that of AWS_ACCESS_KEY_ID")]
    WrongSecret,
    /// Temporary credentials are over.
    #[error("the credentials have expired, or AWS_SESSION_TOKEN is of others; get new ones")]
    Expired,
    /// The server does not believe when it was signed.
    #[error("this machine's clock differs too much from the server's; set it")]
    Clock,
    /// The bucket is another region's.
    #[error("the bucket lies in another region; see to AWS_REGION")]
    Region,
    /// The endpoint is http://, and nobody has said that this is meant.
    #[error("the endpoint has no TLS; set AWS_ALLOW_HTTP=true if records may go over this network in clear")]
    Unencrypted,
    /// There is no connection.
    #[error("the server cannot be reached: {0}; see to AWS_ENDPOINT_URL and the network")]
    Unreachable(String),
    /// There is a connection, and nobody vouches for who is at its end.
    #[error("the server's certificate is not trusted: {0}; AWS_CA_BUNDLE names a file of further authorities")]
    Untrusted(String),
    /// The connection ended, or nothing came in time.
    #[error("the server has not answered: {0}; whatever was whole is there, run it again")]
    NoAnswer(String),
    /// The server cannot, for now.
    #[error("the server fails: {0}, after retries too; run it again later")]
    Failing(String),
    /// Two runs could overwrite each other's segments.
    #[error(
        "the server does not refuse a second object under one name (If-None-Match); an archive cannot be written there"
    )]
    Overwrites,
    /// The environment holds what cannot be meant.
    #[error("the settings AWS_… cannot be meant: {0}")]
    Settings(String),
    /// Anything else.
    #[error("{0}")]
    Other(String),
}
