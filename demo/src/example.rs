//! The order that the README places and `workers/client/examples/publish.rs` too: a kept demo leaves stock for it.

/// Its SKU.
pub(crate) const SKU: &str = "1095275";
/// So many pieces of it are received when everything is settled: enough for a hundred orders.
pub(crate) const PIECES: i64 = 100;
/// A line for `orders publish`, word for word that of the README.
pub(crate) const ORDER: &str = r#"{"order_id":"A-1","customer_id":"900","placed_at":"2026-01-01T11:53:26Z","currency":"USD","lines":[{"sku":"1095275","quantity":1,"unit_price_minor":50}]}"#;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_readme_and_the_example_order_what_is_left() {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let read = |path: &str| std::fs::read_to_string(root.join(path)).unwrap();
        assert!(read("README.md").contains(ORDER));
        assert!(ORDER.contains(SKU) && read("workers/client/examples/publish.rs").contains(&format!("\"{SKU}\"")));
    }
}
