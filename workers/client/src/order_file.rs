//! Orders from a file of JSON lines: each line becomes a `PlaceOrder`, or an error that names line and field.
//!
//! Only what cannot be encoded is refused here (a missing field, a text where a number belongs, an id that is none).
//! Whether an order makes sense is the order service's to say, in an `OrderRejected`. A payment token is never repeated; one of
//! digits alone is refused by the `Publisher`, whoever made the order.

use std::collections::BTreeMap;
use std::path::Path;

use schemas::{Adjustment, OrderLine, PlaceOrder};

use super::json_object::JsonObject;
use super::line_file::{Line, LineFile, MAX_LINE_BYTES};
use super::{ClientError, FieldError};

/// Names of unknown fields that are remembered; further names are not.
const UNKNOWN_KEPT: usize = 32;

/// A line that is no order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LineError {
    /// The line's number, from 1.
    pub line: u64,
    /// What is wrong with it.
    pub error: FieldError,
}

impl std::fmt::Display for LineError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let before_field = if self.error.field.is_some() { "," } else { ":" };
        write!(f, "line {}{before_field} {}", self.line, self.error)
    }
}

/// One line of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry<T> {
    /// The line's number, from 1.
    pub line: u64,
    /// What it holds.
    pub content: Result<T, LineError>,
}

/// Reads orders one by one.
pub struct OrderFile {
    lines: LineFile,
    unknown: BTreeMap<String, u64>,
}

impl OrderFile {
    /// Opens `.jsonl`, `.jsonl.zst`, `.jsonl.gz` or `-` (standard input).
    pub fn open(path: &Path) -> Result<Self, ClientError> {
        Ok(Self::from_lines(LineFile::open(path)?))
    }

    /// Reads orders from lines.
    pub fn from_lines(lines: LineFile) -> Self {
        Self { lines, unknown: BTreeMap::new() }
    }

    /// The next order or bad line; None at the end. An error means that the file itself cannot be read on.
    pub fn next_entry(&mut self) -> Result<Option<Entry<PlaceOrder>>, ClientError> {
        let Some((line, content)) = self.lines.next_line()? else { return Ok(None) };
        let content = bytes_of(content)
            .and_then(|bytes| parse(&bytes, &mut self.unknown))
            .map_err(|error| LineError { line, error });
        Ok(Some(Entry { line, content }))
    }

    /// Fields that the schema has no place for, with the number of lines that had them: they are not sent.
    pub fn unknown_fields(&self) -> &BTreeMap<String, u64> {
        &self.unknown
    }
}

impl Iterator for OrderFile {
    type Item = Result<Entry<PlaceOrder>, ClientError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_entry().transpose()
    }
}

pub(super) fn bytes_of(line: Line) -> Result<Vec<u8>, FieldError> {
    match line {
        Line::Bytes(bytes) => Ok(bytes),
        Line::TooLong => Err(FieldError { field: None, problem: format!("has more than {MAX_LINE_BYTES} bytes") }),
    }
}

fn parse(bytes: &[u8], unknown: &mut BTreeMap<String, u64>) -> Result<PlaceOrder, FieldError> {
    let mut object = JsonObject::parse(bytes)?;
    let order_id = object.take("order_id")?;
    let customer_id = object.take("customer_id")?;
    let placed_at = object.time("placed_at")?;
    let currency = object.text("currency")?;
    let mut lines = Vec::new();
    for mut line in object.objects("lines")? {
        lines.push(OrderLine {
            sku: line.take("sku")?,
            quantity: line.whole_number("quantity")?,
            unit_price_minor: line.whole_number("unit_price_minor")?,
        });
        line.rest().for_each(|name| note(unknown, &format!("lines[].{name}")));
    }
    let order = PlaceOrder {
        payment_provider: object.optional("payment_provider", JsonObject::words)?,
        payment_token: object.optional("payment_token", JsonObject::secret)?,
        capture: object.optional("capture", JsonObject::words)?,
        fulfilment: object.optional("fulfilment", JsonObject::words)?,
        adjustments: adjustments(&mut object, unknown)?,
        attributes: object.optional("attributes", JsonObject::texts)?.unwrap_or_default(),
        replaces_order_id: object.optional("replaces_order_id", JsonObject::take)?,
        if_short: object.optional("if_short", JsonObject::words)?,
        place_at: object.optional("place_at", JsonObject::time)?,
        ..PlaceOrder::new(order_id, customer_id, placed_at, currency, lines)
    };
    object.rest().for_each(|name| note(unknown, name));
    Ok(order)
}

fn adjustments(object: &mut JsonObject, unknown: &mut BTreeMap<String, u64>) -> Result<Vec<Adjustment>, FieldError> {
    let mut adjustments = Vec::new();
    for mut one in object.optional("adjustments", JsonObject::objects)?.unwrap_or_default() {
        adjustments.push(Adjustment {
            kind: one.words("kind")?,
            amount_minor: one.whole_number("amount_minor")?,
            line: one.optional("line", JsonObject::line_number)?,
        });
        one.rest().for_each(|name| note(unknown, &format!("adjustments[].{name}")));
    }
    Ok(adjustments)
}

fn note(unknown: &mut BTreeMap<String, u64>, name: &str) {
    if let Some(count) = unknown.get_mut(name) {
        *count += 1;
    } else if unknown.len() < UNKNOWN_KEPT {
        unknown.insert(name.to_owned(), 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"{"order_id":"1","customer_id":"c","placed_at":"2017-01-01T11:53:26Z","currency":"USD",
        "lines":[{"sku":"s","quantity":2,"unit_price_minor":50}]}"#;

    fn entries(text: &str) -> Vec<Entry<PlaceOrder>> {
        let lines = LineFile::from_reader("test".to_owned(), std::io::Cursor::new(text.as_bytes().to_vec())).unwrap();
        OrderFile::from_lines(lines).map(Result::unwrap).collect()
    }

    /// The error of a good order with one piece replaced.
    fn error(from: &str, to: &str) -> String {
        let good = GOOD.replace('\n', " ");
        assert!(good.contains(from), "{from}");
        let found = entries(&good.replace(from, to)).remove(0).content;
        found.expect_err(to).to_string()
    }

    #[test]
    fn a_line_becomes_an_order() {
        let order = entries(&GOOD.replace('\n', " ")).remove(0).content.unwrap();
        assert_eq!(order.order_id.as_str(), "1");
        assert_eq!(order.customer_id.as_str(), "c");
        assert_eq!(order.placed_at.to_string(), "2017-01-01T11:53:26.000000Z");
        assert_eq!(order.currency, "USD");
        assert_eq!(order.lines.len(), 1);
        assert_eq!((order.lines[0].quantity, order.lines[0].unit_price_minor), (2, 50));
    }

    #[test]
    fn what_only_makes_no_sense_is_an_order_all_the_same() {
        let odd = r#"{"order_id":"1","customer_id":"c","placed_at":"0001-01-01T00:00:00Z","currency":"","lines":[]}"#;
        assert_eq!(entries(odd).remove(0).content.unwrap().lines, []);
        let line = r#"{"order_id":"1","customer_id":"c","placed_at":"2017-01-01T00:00:00+02:00","currency":"DOUBLOON",
            "lines":[{"sku":"s","quantity":-9223372036854775808,"unit_price_minor":0}]}"#;
        let order = entries(&line.replace('\n', " ")).remove(0).content.unwrap();
        assert_eq!(order.lines[0].quantity, i64::MIN);
        assert_eq!(order.placed_at.to_string(), "2016-12-31T22:00:00.000000Z");
    }

    #[test]
    fn errors_name_line_and_field() {
        let cases = [
            (r#""order_id":"1","#, "", "line 1, order_id: is missing"),
            (r#""order_id":"1""#, r#""order_id":1"#, "line 1, order_id: expected a text, found 1"),
            (r#""order_id":"1""#, r#""order_id":"""#, "line 1, order_id: the order id is empty; give 1 to 64 bytes"),
            (r#""c""#, r#""a\u0007b""#, "line 1, customer_id: the customer id has a control character at byte 1"),
            (
                r#""2017-01-01T11:53:26Z""#,
                r#""yesterday""#,
                r#"line 1, placed_at: expected a time such as 2017-01-01T11:53:26Z, found "yesterday": "#,
            ),
            (
                r#""2017-01-01T11:53:26Z""#,
                r#""10000-01-01T00:00:00+00:00""#,
                r#"line 1, placed_at: expected a time such as 2017-01-01T11:53:26Z, found "10000-01-01T00:00:00+00:00": "#,
            ),
            (
                r#""2017-01-01T11:53:26Z""#,
                r#""9999-12-31T23:59:59-01:00""#,
                r#"line 1, placed_at: expected a time such as 2017-01-01T11:53:26Z, found "9999-12-31T23:59:59-01:00": 253402304399000000 microseconds since 1970 are not between the years 1 and 9999"#,
            ),
            (r#""USD""#, r#""USD","currency":"EUR""#, "line 1, currency: is there twice"),
            (r#""quantity":2"#, r#""quantity":2,"quantity":100"#, "line 1, lines[0].quantity: is there twice"),
            (r#""USD""#, "null", "line 1, currency: expected a text, found null"),
            (r#"[{"sku""#, r#"[7, {"sku""#, "line 1, lines[0]: expected an object, found 7"),
            (
                r#""quantity":2"#,
                r#""quantity":"2""#,
                r#"line 1, lines[0].quantity: expected a whole number, found "2""#,
            ),
            (r#""quantity":2"#, r#""quantity":2.5"#, "line 1, lines[0].quantity: expected a whole number, found 2.5"),
            (
                ":50",
                ":9223372036854775808",
                "line 1, lines[0].unit_price_minor: 9223372036854775808 does not fit into 64 bits",
            ),
        ];
        for (from, to, expected) in cases {
            assert!(error(from, to).starts_with(expected), "{}, not {expected}", error(from, to));
        }
        assert!(error(r#""quantity":2"#, r#""quantity":1e300"#).ends_with("does not fit into 64 bits"));
        let long = "x".repeat(65);
        assert!(error(r#""sku":"s""#, &format!(r#""sku":"{long}""#)).contains("lines[0].sku: the SKU has 65 bytes"));
    }

    #[test]
    fn what_is_no_object_is_named_by_its_line() {
        let found = entries("7\n\n{\"order_id\n\"text\"\n\u{1}");
        let errors: Vec<String> = found.into_iter().map(|e| e.content.unwrap_err().to_string()).collect();
        assert_eq!(errors[0], "line 1: expected a JSON object, found 7");
        assert_eq!(errors[1], "line 3: not JSON: EOF while parsing a string, at column 10");
        assert_eq!(errors[2], r#"line 4: expected a JSON object, found "text""#);
        assert!(errors[3].starts_with("line 5: not JSON: "), "{}", errors[3]);
    }

    #[test]
    fn what_may_be_left_out_is_taken_and_null_is_nothing() {
        let terms = r#""payment_provider":"acct","payment_token":"tok_1","capture":"at_shipment","fulfilment":"on_command",
            "adjustments":[{"kind":"discount","amount_minor":-5,"line":1},{"kind":"tax","amount_minor":7}],
            "attributes":{"channel":"web","gift":""},"replaces_order_id":"0","if_short":"wait",
            "place_at":"2017-02-01T00:00:00Z","currency""#;
        let text = GOOD.replace(r#""currency""#, terms).replace('\n', " ");
        let order = entries(&text).remove(0).content.unwrap();
        let adjustment = |kind: &str, amount_minor, line| Adjustment { kind: kind.to_owned(), amount_minor, line };
        let expected = PlaceOrder {
            payment_provider: Some("acct".to_owned()),
            payment_token: Some("tok_1".to_owned()),
            capture: Some("at_shipment".to_owned()),
            fulfilment: Some("on_command".to_owned()),
            adjustments: vec![adjustment("discount", -5, Some(1)), adjustment("tax", 7, None)],
            attributes: [("channel", "web"), ("gift", "")].map(|(n, v)| (n.to_owned(), v.to_owned())).into(),
            replaces_order_id: Some(schemas::OrderId::new("0").unwrap()),
            if_short: Some("wait".to_owned()),
            place_at: Some("2017-02-01T00:00:00Z".parse().unwrap()),
            ..entries(&GOOD.replace('\n', " ")).remove(0).content.unwrap()
        };
        assert_eq!(order, expected);
        let nothing = GOOD.replace(r#""currency""#, r#""capture":null,"attributes":null,"place_at":null,"currency""#);
        assert_eq!(entries(&nothing.replace('\n', " ")), entries(&GOOD.replace('\n', " ")));
    }

    #[test]
    fn errors_name_the_field_of_what_may_be_left_out() {
        let with = |field: &str| error(r#""USD","#, &format!(r#""USD",{field},"#));
        assert_eq!(with(r#""attributes":{"a":1}"#), "line 1, attributes.a: expected a text, found 1");
        assert_eq!(with(r#""attributes":["a"]"#), r#"line 1, attributes: expected an object of texts, found ["a"]"#);
        assert_eq!(with(r#""adjustments":[{"kind":"tax"}]"#), "line 1, adjustments[0].amount_minor: is missing");
        let far = r#""adjustments":[{"kind":"tax","amount_minor":1,"line":3000000000}]"#;
        assert_eq!(with(far), "line 1, adjustments[0].line: 3000000000 is no line's number");
        assert_eq!(with(r#""capture":"a\u0000""#), "line 1, capture: U+0000 has no place in a text");
        assert_eq!(
            with(r#""replaces_order_id":"""#),
            "line 1, replaces_order_id: the order id is empty; give 1 to 64 bytes"
        );
    }

    #[test]
    fn a_token_that_is_no_text_is_not_repeated() {
        let said = error(r#""USD","#, r#""USD","payment_token":4111111111111111,"#);
        assert_eq!(said, "line 1, payment_token: expected a text");
    }

    #[test]
    fn every_time_of_the_years_1_to_9999_is_taken() {
        for time in ["0001-01-01T00:00:00.000000Z", "9999-12-31T23:59:59.000000Z", "9999-12-31T23:59:59.999999Z"] {
            let text = GOOD.replace('\n', " ").replace("2017-01-01T11:53:26Z", time);
            assert_eq!(entries(&text).remove(0).content.unwrap().placed_at.to_string(), time);
        }
    }

    #[test]
    fn lines_may_end_as_on_any_system_and_begin_with_a_mark() {
        let good = GOOD.replace('\n', " ");
        for text in [format!("\u{feff}{good}\r\n{good}\r\n"), format!("{good}\r{good}\r"), format!("{good}\r{good}")] {
            assert_eq!(entries(&text).iter().filter(|entry| entry.content.is_ok()).count(), 2, "{text:?}");
        }
    }

    #[test]
    fn a_bad_line_does_not_hide_the_next_one() {
        let text = format!("nonsense\n{}\n", GOOD.replace('\n', " "));
        let found = entries(&text);
        assert!(found[0].content.is_err());
        assert_eq!((found[1].line, found[1].content.is_ok()), (2, true));
    }

    #[test]
    fn fields_without_a_place_are_counted() {
        let text = GOOD.replace('\n', " ").replace(r#""quantity""#, r#""note":1,"quantity""#);
        let text = format!("{text}\n{}", text.replace(r#""currency""#, r#""gift":true,"currency""#));
        let lines = LineFile::from_reader("test".to_owned(), std::io::Cursor::new(text.into_bytes())).unwrap();
        let mut file = OrderFile::from_lines(lines);
        while file.next_entry().unwrap().is_some() {}
        let unknown: Vec<(&str, u64)> = file.unknown_fields().iter().map(|(n, c)| (n.as_str(), *c)).collect();
        assert_eq!(unknown, [("gift", 1), ("lines[].note", 2)]);
    }

    #[test]
    fn the_sample_orders_are_all_orders() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/data/orders-2017-01.jsonl.zst");
        let mut ids = std::collections::HashSet::new();
        let mut with_zero = 0;
        let mut file = OrderFile::open(&path).unwrap();
        while let Some(entry) = file.next_entry().unwrap() {
            let order = entry.content.unwrap();
            with_zero += u32::from(order.lines.iter().any(|line| line.quantity == 0));
            assert!(ids.insert(order.order_id));
        }
        assert_eq!((ids.len(), with_zero), (12_721, 512));
        assert!(file.unknown_fields().is_empty());
    }
}
