//! Tables for people: columns that align, strangers' texts made harmless, and on a terminal no wider than it is.
//!
//! In a pipe or a file every row is one line, for `grep` and `awk`. On a terminal the last column, which is where the words
//! are, is broken into lines of its own: beside the others where there is room, else beneath them.

use terminal_size::{Width, terminal_size_of};

use crate::text::harmless;

/// Between two columns.
const GAP: usize = 2;
/// What the last column needs to stand beside the others.
const ROOM: usize = 24;
/// How far it is moved in beneath them.
const BENEATH: usize = 4;

/// Rows of cells below their heads.
#[derive(Debug, Clone)]
pub struct Table {
    heads: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// Without rows yet.
    pub fn new<const COLUMNS: usize>(heads: [&str; COLUMNS]) -> Self {
        Table { heads: heads.map(str::to_owned).to_vec(), rows: Vec::new() }
    }

    /// One more row.
    pub fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().map(|cell| harmless(&cell)).collect());
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// As wide as this terminal, or as it wants to be.
    pub fn text(&self, width: Option<usize>) -> String {
        let count = self.heads.len();
        let widths: Vec<usize> = (0..count).map(|column| self.width(column)).collect();
        let is_right: Vec<bool> = (0..count).map(|column| self.is_of_numbers(column)).collect();
        let before: usize = widths.iter().take(count.saturating_sub(1)).map(|width| width + GAP).sum();
        let whole = before + widths.last().copied().unwrap_or(0);
        let narrow = width.filter(|width| whole > *width && !is_right.last().copied().unwrap_or(true));
        let heads = std::iter::once(&self.heads).filter(|heads| heads.iter().any(|head| !head.is_empty()));
        let mut text = String::new();
        for cells in heads.chain(&self.rows) {
            let all: Vec<String> = cells
                .iter()
                .zip(widths.iter().zip(&is_right))
                .map(
                    |(cell, (width, is_right))| {
                        if *is_right { format!("{cell:>width$}") } else { format!("{cell:<width$}") }
                    },
                )
                .collect();
            let gap = " ".repeat(GAP);
            match narrow {
                None => put(&mut text, &all.join(&gap)),
                Some(width) => {
                    let first = all.get(..count - 1).unwrap_or_default().join(&gap);
                    let last = cells.get(count - 1).map_or("", String::as_str);
                    put_narrow(&mut text, &first, last, before, width);
                }
            }
        }
        text
    }

    fn width(&self, column: usize) -> usize {
        let all = std::iter::once(&self.heads).chain(&self.rows);
        all.filter_map(|cells| cells.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
    }

    /// Numbers stand to the right; what comes first is a name, also where it is made of digits.
    fn is_of_numbers(&self, column: usize) -> bool {
        let is_number = |cell: &String| cell.chars().all(|c| c.is_ascii_digit() || c == '-');
        column > 0 && !self.rows.is_empty() && self.rows.iter().filter_map(|cells| cells.get(column)).all(is_number)
    }
}

/// Columns of the terminal that stdout is; none for a pipe or a file, whose lines are not broken.
pub fn terminal_width() -> Option<usize> {
    terminal_size_of(std::io::stdout()).map(|(Width(columns), _)| usize::from(columns)).filter(|columns| *columns > 0)
}

/// A text in lines of this width at most, broken between words; a longer word has a line of its own.
pub fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = vec![String::new()];
    for word in text.split(' ') {
        let line = lines.last().map_or(0, |line| line.chars().count());
        let is_first = line == 0;
        if !is_first && line + 1 + word.chars().count() > width {
            lines.push(word.to_owned());
        } else if let Some(last) = lines.last_mut() {
            last.push_str(if is_first { "" } else { " " });
            last.push_str(word);
        }
    }
    lines
}

fn put(text: &mut String, line: &str) {
    text.push_str(line.trim_end());
    text.push('\n');
}

fn put_narrow(text: &mut String, first: &str, last: &str, before: usize, width: usize) {
    if width >= before + ROOM {
        for (number, part) in wrapped(last, width - before).iter().enumerate() {
            let left = if number == 0 { first } else { "" };
            let used = left.chars().count();
            put(text, &format!("{left}{}{part}", " ".repeat(before.saturating_sub(used))));
        }
        return;
    }
    put(text, first);
    for part in wrapped(last, width.saturating_sub(BENEATH)).iter().filter(|part| !part.is_empty()) {
        put(text, &format!("{}{part}", " ".repeat(BENEATH)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(rows: &[[&str; 3]]) -> Table {
        let mut table = Table::new(["topic", "lag", "words"]);
        rows.iter().for_each(|row| table.row(row.map(str::to_owned)));
        table
    }

    #[test]
    fn columns_align_and_numbers_stand_to_the_right() {
        let table = table(&[["a", "1", "x"], ["longer", "-", "\u{1b}[2J"]]);
        assert_eq!(table.text(None), "topic   lag  words\na         1  x\nlonger    -  \\u{1b}[2J\n");
        let mut names = Table::new(["", "pieces"]);
        names.row(["10".to_owned(), "3".to_owned()]);
        assert_eq!(names.text(None), "    pieces\n10       3\n");
        let mut bare = Table::new(["", ""]);
        bare.row(["a".to_owned(), "b".to_owned()]);
        assert_eq!(bare.text(None), "a  b\n");
    }

    #[test]
    fn on_a_terminal_the_words_are_broken_and_in_a_pipe_they_are_not() {
        let table = table(&[["a", "1", "one two three four five six seven"]]);
        assert_eq!(table.text(None).lines().map(str::len).max(), Some(45));
        let beside = "topic  lag  words\na        1  one two three four five\n            six seven\n";
        assert_eq!(table.text(Some(36)), beside);
        let beneath = "topic  lag\n    words\na        1\n    one two three\n    four five six\n    seven\n";
        assert_eq!(table.text(Some(18)), beneath);
        assert_eq!(table.text(Some(80)), table.text(None));
    }
}
