//! Rebuilt state that is looked at: held against the live tables, or told as it was at a moment.

mod compare;
mod live;
mod moment;

pub(crate) use moment::Moment;
