//! Postgres array literals: a list within a row of `unnest`, which flattens real arrays of arrays.
//! <https://www.postgresql.org/docs/current/arrays.html#ARRAYS-IO>

/// Of texts.
pub(super) fn of_texts(items: &[String]) -> String {
    let mut literal = String::from("{");
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            literal.push(',');
        }
        literal.push('"');
        for c in item.chars() {
            if c == '"' || c == '\\' {
                literal.push('\\');
            }
            literal.push(c);
        }
        literal.push('"');
    }
    literal.push('}');
    literal
}

/// Of numbers.
pub(super) fn of_numbers(items: &[i64]) -> String {
    let texts: Vec<String> = items.iter().map(i64::to_string).collect();
    format!("{{{}}}", texts.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn array_literals_quote_what_they_hold() {
        let texts = [r#"a"b"#, r"c\d", "e,f}", ""].map(str::to_owned);
        assert_eq!(of_texts(&texts), r#"{"a\"b","c\\d","e,f}",""}"#);
        assert_eq!(of_numbers(&[1, -2]), "{1,-2}");
        assert_eq!(of_numbers(&[]), "{}");
    }
}
