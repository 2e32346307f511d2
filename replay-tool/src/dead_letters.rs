//! Dead letters: what they are, what operators did about them, and how they go back.
//!
//! A letter is never changed and never deleted. What is done about it is written behind it, on the same partition of the
//! same dead-letter topic, as a [`Note`]: so whoever reads the topic, or an archive of it, knows who did what.
//! The program's verbs do it for the command line; another program, which shows letters and acts on them, has an [`Office`].

mod describe;
mod edited;
mod kept;
mod letter;
mod office;
mod publishing;
mod reading;
mod ruling;
mod shelf;
mod window;

pub use crate::log::{Action, Channel, Note, Spot};
pub use describe::{dump, header_text};
pub(crate) use describe::{list_json, list_text, show_json, show_text};
pub use edited::{Edited, EditedError, open_kinds};
pub use kept::{Keeper, Kept, Room, Standing, Trouble};
pub use letter::{DeadLetter, OwnHeader};
pub use office::{Bounds, Listed, Office};
pub(crate) use publishing::Desk;
pub use publishing::{Published, Signature};
pub(crate) use reading::read_shelf;
pub(crate) use ruling::rule;
pub(crate) use ruling::settled_in_words;
pub use ruling::{Allowances, MAX_REDRIVES, Objection, Redrive, Ruling};
pub(crate) use shelf::Filter;
pub use shelf::{Filed, State};
