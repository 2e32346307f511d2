//! Where rebuilt state goes: into a schema beside the live one, a file, or a few sums; and a schema in the place of live
//! tables.

mod copy;
mod counted;
mod file;
mod shadow;
mod sink;
mod swap;
mod tail;

pub(crate) use counted::Counted;
pub(crate) use file::{FileSink, StateFile};
pub(crate) use shadow::{Shadow, schema_beside};
pub(crate) use sink::{Sink, UnitLimit};
pub(crate) use swap::Swap;
pub(crate) use tail::{Tail, tails};
