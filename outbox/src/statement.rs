//! Statements of a caller's own: prepared ones, or their text.
//!
//! A text is prepared the first time that a connection sees it and kept there, so it costs a round trip once. Deliberately
//! absent: statements that are not prepared, because values have no business in a statement's text.

use deadpool_postgres::ClientWrapper;
use tokio_postgres::{Error, Statement};

/// A parameter of a deferred statement; see [`params!`](crate::params).
pub type Param = Box<dyn tokio_postgres::types::ToSql + Sync + Send>;

/// The parameters of a deferred statement: `params![id, customer, 42_i64]`. Each is owned, because it is sent with the commit.
///
/// ```
/// let params = outbox::params!["A-1".to_owned(), 42_i64];
/// assert_eq!(params.len(), 2);
/// ```
#[macro_export]
macro_rules! params {
    ($($value:expr),* $(,)?) => {
        ::std::vec![$(::std::boxed::Box::new($value) as $crate::Param),*]
    };
}

/// What can be run in a [`Transaction`](crate::Transaction): a [`Statement`], or the text of one. Texts are kept prepared for as
/// long as their connection lives, so a program has a fixed number of them.
pub trait ToStatement: sealed::Prepare {}

impl ToStatement for Statement {}
impl ToStatement for str {}
impl ToStatement for String {}

/// A statement that is sent with the commit.
#[derive(Debug)]
pub enum Deferrable {
    /// Ready to be sent.
    Prepared(Statement),
    /// To be prepared when the transaction commits.
    Text(String),
}

impl Deferrable {
    /// The statement; of a text that this connection has seen, without a round trip.
    pub(crate) async fn prepared(self, client: &ClientWrapper) -> Result<Statement, Error> {
        match self {
            Self::Prepared(statement) => Ok(statement),
            Self::Text(text) => client.prepare_cached(&text).await,
        }
    }
}

pub(crate) mod sealed {
    use deadpool_postgres::ClientWrapper;
    use tokio_postgres::{Error, Statement};

    use super::Deferrable;

    /// Only this crate knows what a statement is.
    pub trait Prepare: Sync {
        /// At once, but for a text that this connection has not seen.
        fn prepare(&self, client: &ClientWrapper) -> impl Future<Output = Result<Statement, Error>> + Send;

        /// For later.
        fn deferrable(&self) -> Deferrable;
    }

    impl Prepare for Statement {
        fn prepare(&self, _: &ClientWrapper) -> impl Future<Output = Result<Statement, Error>> + Send {
            std::future::ready(Ok(self.clone()))
        }

        fn deferrable(&self) -> Deferrable {
            Deferrable::Prepared(self.clone())
        }
    }

    impl Prepare for str {
        fn prepare(&self, client: &ClientWrapper) -> impl Future<Output = Result<Statement, Error>> + Send {
            client.prepare_cached(self)
        }

        fn deferrable(&self) -> Deferrable {
            Deferrable::Text(self.to_owned())
        }
    }

    impl Prepare for String {
        fn prepare(&self, client: &ClientWrapper) -> impl Future<Output = Result<Statement, Error>> + Send {
            client.prepare_cached(self)
        }

        fn deferrable(&self) -> Deferrable {
            Deferrable::Text(self.clone())
        }
    }
}
