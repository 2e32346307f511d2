//! Which orders a verb is about: one, or those of a file or of standard input.

use std::collections::HashSet;
use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use clap::Args;
use schemas::OrderId;

use crate::cli::output::Failure;
use crate::connection::blocking;
use crate::{Line, LineFile};

/// More orders than this are not taken at once: they are kept in memory.
const ORDERS_MAX: usize = 100_000;

/// Which orders.
#[derive(Debug, Clone, Args)]
pub(super) struct Orders {
    /// Which order; - for many, an id on each line of standard input.
    #[arg(value_name = "ORDER_ID", required_unless_present = "file")]
    order: Option<Named>,

    /// Many orders: a file with an id on each line, or -. Each is carried out; those that failed are listed.
    #[arg(long, value_name = "FILE", conflicts_with = "order")]
    file: Option<PathBuf>,
}

/// What stands where an order's id stands.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Named(String);

impl FromStr for Named {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Named(text.to_owned()))
    }
}

/// One order, or many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Target {
    One,
    Many,
}

/// The orders that were given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) target: Target,
    /// Each once, in the order in which they came.
    pub(super) ids: Vec<OrderId>,
    /// Lines that hold no id, with what is wrong with them.
    pub(super) refused: Vec<(String, String)>,
}

impl Orders {
    /// Reads them. Standard input may keep a reader waiting: it is read beside the runtime.
    pub(super) async fn read(&self) -> Result<Wanted, Failure> {
        let file = match (&self.order, &self.file) {
            (Some(Named(text)), _) if text != "-" => {
                let id = OrderId::new(text.clone()).map_err(|error| Failure::Words(error.to_string()))?;
                return Ok(Wanted { target: Target::One, ids: vec![id], refused: Vec::new() });
            }
            (_, Some(file)) => file.clone(),
            (Some(_) | None, None) => PathBuf::from("-"),
        };
        blocking(move || Ok(of_file(&file))).await?
    }
}

fn of_file(file: &Path) -> Result<Wanted, Failure> {
    of_lines(LineFile::open_any(file)?)
}

fn of_lines(mut lines: LineFile) -> Result<Wanted, Failure> {
    let mut wanted = Wanted { target: Target::Many, ids: Vec::new(), refused: Vec::new() };
    let mut known: HashSet<OrderId> = HashSet::new();
    while let Some((number, line)) = lines.next_line()? {
        if wanted.ids.len() + wanted.refused.len() >= ORDERS_MAX {
            return Err(Failure::Words(format!("more than {ORDERS_MAX} orders at once; give fewer")));
        }
        match id_of(line) {
            Ok(id) if known.insert(id.clone()) => wanted.ids.push(id),
            Ok(_) => {}
            Err(problem) => wanted.refused.push((format!("line {number}"), problem)),
        }
    }
    Ok(wanted)
}

fn id_of(line: Line) -> Result<OrderId, String> {
    let Line::Bytes(bytes) = line else { return Err("the order id is too long".to_owned()) };
    let text = std::str::from_utf8(bytes.trim_ascii()).map_err(|_| "the order id is no UTF-8".to_owned())?;
    OrderId::new(text).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(text: &str) -> Wanted {
        let input = std::io::Cursor::new(text.as_bytes().to_vec());
        of_lines(LineFile::of_any("test".to_owned(), input).unwrap()).unwrap()
    }

    #[test]
    fn each_line_is_an_order_once_and_a_bad_one_hides_no_other() {
        let long = "x".repeat(65);
        let found = wanted(&format!("A-1\r\n\n{long}\n A-2 \nA-1\n"));
        let ids: Vec<&str> = found.ids.iter().map(OrderId::as_str).collect();
        assert_eq!(ids, ["A-1", "A-2"]);
        assert_eq!(found.refused.len(), 1);
        assert_eq!(found.refused[0].0, "line 3");
        assert!(found.refused[0].1.contains("65 bytes"), "{found:?}");
    }

    #[test]
    fn ids_with_commas_are_no_csv() {
        assert_eq!(wanted("a,b\nc,d\n").ids.len(), 2);
    }
}
