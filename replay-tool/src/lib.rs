//! What the pipeline's topics and tables say, read from outside; and what can be made of the topics again.
//!
//! Six things, all of them verbs of the program `replay-tool` ([`cli`]):
//!
//! - The *check* holds topics and tables against each other and against the invariants of the product, while the daemons
//!   run or after they have stopped: [`check`](check()). It only reads.
//! - A *rebuild* folds the topics into state again: [`rebuild`](rebuild()), [`rehearse`]. It writes into a schema beside the
//!   live one, into a file or nowhere; when it is told to, it puts that schema's tables in the place of the live ones.
//! - The *archive* copies every record into files that outlive Kafka's retention ([`ArchiveStore`]), and restores topics
//!   from them, with the services' positions.
//! - A *trace* tells everything that happened to one order.
//! - *Reconciling* holds a payment provider's own statement against the ledger.
//! - *Dead letters* are listed, corrected, published again and settled, by the program or by another one ([`dead_letters`]).
//!
//! State is folded with the daemons' own `evolve`. `decide` is out of reach, and so is a payment provider: what is here can
//! repeat what was decided, and decides nothing.
//!
//! The modules are floors; each imports only what stands before it:
//!
//! | module | what |
//! |---|---|
//! | `keeper`, `error`, `interrupt`, `progress` | whose tables; why something could not be carried out; stopping; what a terminal shows |
//! | `log` | the records of topics: read, taken apart, judged by their positions |
//! | `rows` | the rows of state: read, written, digested, compared |
//! | `snapshot` | the services' databases: tables, outbox and inbox at one cut; connections that write |
//! | `archive` | records as files, and topics made of them again |
//! | `source` | where records are read from: topics, archive, or both as one log |
//! | `fold` | records made into state: the one fold of check and rebuild |
//! | `rebuild` | plan, units, where they go, and looking at what came out |
//! | `check` | scanning, invariants, verdict, report |
//! | `dead_letters`, `trace`, `reconcile` | what nobody could take; one order's timeline; the provider's statement against the ledger |
//! | `cli` | the verbs |
//!
//! Deliberately absent: any repair of what a check finds. Whoever runs it decides what follows.

mod archive;
mod check;
pub mod cli;
pub mod dead_letters;
mod error;
mod fold;
mod interrupt;
mod keeper;
mod log;
mod particulars;
mod progress;
mod rebuild;
mod reconcile;
mod rows;
mod snapshot;
mod source;
mod trace;

pub use archive::{ArchiveStore, Codec};
pub use check::{
    Awaited, ByHand, CheckConfig, Comparison, Invariant, MessageCounts, Note, Report, Violation, Wait, check, rehearse,
};
pub use error::{Refusal, ReplayError, UnreadableRun};
pub use fold::OrderCounts;
pub use keeper::Keeper;
pub use log::{MemoryLog, OpenTransaction};
pub use rebuild::{
    Problem, Problems, ReadCounts, RebuildConfig, RebuildReport, ServiceReport, TableReport, Target, Vector, rebuild,
};
pub use rows::{Differences, RowDifference};
pub use snapshot::ServiceTables;
pub use source::Records;
