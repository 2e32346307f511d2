//! Who looks on while events are folded, to judge what the state does not keep. A rebuild keeps the aggregates alone, so it is
//! bounded by them and by how fast messages can be read: there nobody looks, and nothing of this is compiled.

use schemas::Sku;

/// Looks on while events of one kind are folded. `()` is nobody.
pub(crate) trait Watch<E> {
    /// What is known of an event besides its body.
    type Told: Copy;

    /// The event that gives an aggregate this version comes, for the first time or again; not once the aggregate's events
    /// have contradicted each other.
    fn comes(&mut self, id: &str, version: i64, told: Self::Told);

    /// The event has taken its aggregate to a further version.
    fn advanced(&mut self, event: &E);

    /// An event comes that belongs to no aggregate: a refusal.
    fn refused(&mut self, event: &E, told: Self::Told);

    /// A sum of pieces does not fit into its column.
    fn overflowed(&mut self, sku: &Sku);
}

impl<E> Watch<E> for () {
    type Told = ();

    fn comes(&mut self, _: &str, _: i64, (): ()) {}

    fn advanced(&mut self, _: &E) {}

    fn refused(&mut self, _: &E, (): ()) {}

    fn overflowed(&mut self, _: &Sku) {}
}
