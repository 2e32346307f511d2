//! Dead letters: what they are, what operators did about them, and how they go back.
//!
//! A letter is never changed and never deleted. What is done about it is written behind it, on the same partition of the
//! same dead-letter topic, as a [`Note`](crate::log::Note): so whoever reads the topic, or an archive of it, knows who did what.

mod describe;
mod edited;
mod letter;
mod publishing;
mod reading;
mod ruling;
mod shelf;

pub(crate) use describe::{list_json, list_text, show_json, show_text};
pub(crate) use edited::Edited;
pub(crate) use letter::DeadLetter;
pub(crate) use publishing::{Desk, Signature};
pub(crate) use reading::read_shelf;
pub(crate) use ruling::{Allowances, Ruling, rule};
pub(crate) use shelf::{Filed, Filter};
