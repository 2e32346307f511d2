//! What a record says of a message besides its body.

use uuid::Uuid;

/// What is known of a message besides its body.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Told {
    /// `ce_id`.
    pub(crate) id: Option<Uuid>,
    /// `ce_causationid`.
    pub(crate) cause: Option<Uuid>,
    /// Of key and payload.
    pub(crate) body: u128,
}
