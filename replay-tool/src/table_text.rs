//! Text for terminals: tables, and what strangers write made harmless.

/// Rows of cells, the first being the heads.
pub(crate) fn table(rows: &[Vec<String>]) -> String {
    let rows: Vec<Vec<String>> = rows.iter().map(|row| row.iter().map(|cell| harmless(cell)).collect()).collect();
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
    let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
    let mut text = String::new();
    for row in &rows {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        text.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
        text.push('\n');
    }
    text
}

/// Control characters written out: a key or a name may come from anybody, and must not move the cursor.
pub(crate) fn harmless(text: &str) -> String {
    let shown = |character: char| match character.is_control() {
        true => character.escape_default().to_string(),
        false => character.to_string(),
    };
    text.chars().map(shown).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_align() {
        let rows = [vec!["sku".to_owned(), "pieces".to_owned()], vec!["1095275".to_owned(), "3".to_owned()]];
        assert_eq!(table(&rows), "sku      pieces\n1095275  3\n");
        assert_eq!(table(&[]), "");
        assert_eq!(table(&[vec!["\u{1b}[2Jé\n".to_owned()]]), "\\u{1b}[2Jé\\n\n");
    }
}
