//! Comma-separated values as RFC 4180 has them: quoted fields, doubled quotes, line ends of either kind.

/// The records of a text, each a list of fields; blank lines are none.
pub(super) fn records(text: &str) -> Vec<Vec<String>> {
    let (mut records, mut record, mut field) = (Vec::new(), Vec::new(), String::new());
    let mut is_quoted = false;
    let mut letters = text.trim_start_matches('\u{feff}').chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '"' if is_quoted && letters.peek() == Some(&'"') => {
                letters.next();
                field.push('"');
            }
            '"' => is_quoted = !is_quoted,
            ',' if !is_quoted => record.push(std::mem::take(&mut field)),
            '\r' if !is_quoted && letters.peek() == Some(&'\n') => {}
            '\n' if !is_quoted => {
                record.push(std::mem::take(&mut field));
                records.push(std::mem::take(&mut record));
            }
            _ => field.push(letter),
        }
    }
    record.push(field);
    records.push(record);
    records.retain(|record| record.len() > 1 || record.iter().any(|field| !field.is_empty()));
    records
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_commas_and_line_ends_are_taken_as_the_standard_has_them() {
        let text = "\u{feff}a,b\r\n\"x, \"\"y\"\"\",\"two\nlines\"\n\n,\nlast,";
        let expected = [["a", "b"], ["x, \"y\"", "two\nlines"], ["", ""], ["last", ""]];
        assert_eq!(records(text), expected);
        assert!(records("").is_empty() && records("\r\n\n").is_empty());
    }
}
