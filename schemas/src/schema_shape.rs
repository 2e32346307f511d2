//! Whether a schema from outside can be decoded within bounds.
//!
//! Decoding follows the schema: a recursive one lets a payload choose the depth of the stack, and an array of items
//! of no bytes lets ten bytes stand for a million items. No message needs either, so both are refused when loaded.

use std::collections::HashMap;

use apache_avro::Schema;
use apache_avro::schema::Name;

const MAX_DEPTH: usize = 32;
const MAX_NODES: usize = 10_000;

/// What is wrong with a schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ShapeError {
    /// A type contains itself, or types are nested too deeply.
    #[error("it is recursive, or nested more than {MAX_DEPTH} deep")]
    TooDeep,
    /// More types than any message needs.
    #[error("it describes more than {MAX_NODES} parts")]
    TooLarge,
    /// An array or map whose items may take no bytes.
    #[error("it has an array or a map of items that take no bytes")]
    EmptyItems,
}

/// Refuses a schema that a payload could abuse.
pub(crate) fn check(schema: &Schema) -> Result<(), ShapeError> {
    let mut named = HashMap::new();
    collect(schema, &mut named, 0)?;
    Walk { named, nodes: 0 }.takes_bytes(schema, 0).map(|_| ())
}

/// The schemas directly inside of this one, and whether it is an array or a map.
fn parts(schema: &Schema) -> (Vec<&Schema>, bool) {
    if let Schema::Record(record) = schema {
        (record.fields.iter().map(|field| &field.schema).collect(), false)
    } else if let Schema::Union(union) = schema {
        (union.variants().iter().collect(), false)
    } else if let Schema::Array(array) = schema {
        (vec![&array.items], true)
    } else if let Schema::Map(map) = schema {
        (vec![&map.types], true)
    } else {
        (Vec::new(), false)
    }
}

fn collect<'s>(schema: &'s Schema, named: &mut HashMap<&'s Name, &'s Schema>, depth: usize) -> Result<(), ShapeError> {
    if depth > MAX_DEPTH {
        return Err(ShapeError::TooDeep);
    }
    if let Some(name) = schema.name()
        && !matches!(schema, Schema::Ref { .. })
    {
        named.insert(name, schema);
    }
    parts(schema).0.into_iter().try_for_each(|part| collect(part, named, depth + 1))
}

struct Walk<'s> {
    named: HashMap<&'s Name, &'s Schema>,
    nodes: usize,
}

impl<'s> Walk<'s> {
    /// Whether every datum of the schema takes at least one byte.
    fn takes_bytes(&mut self, schema: &'s Schema, depth: usize) -> Result<bool, ShapeError> {
        if depth > MAX_DEPTH {
            return Err(ShapeError::TooDeep);
        }
        self.nodes += 1;
        if self.nodes > MAX_NODES {
            return Err(ShapeError::TooLarge);
        }
        if let Schema::Ref { name } = schema {
            // A name that nothing defines is for the parser to refuse; here it counts as one that takes nothing.
            let Some(target) = self.named.get(name).copied() else { return Ok(false) };
            return self.takes_bytes(target, depth + 1);
        }
        let (inside, is_block) = parts(schema);
        let mut any = false;
        for part in inside {
            let takes = self.takes_bytes(part, depth + 1)?;
            // A map's items have a key in front.
            if is_block && !takes && matches!(schema, Schema::Array(_)) {
                return Err(ShapeError::EmptyItems);
            }
            any |= takes;
        }
        let is_empty_record = matches!(schema, Schema::Record(_)) && !any;
        let is_empty_fixed = matches!(schema, Schema::Fixed(fixed) if fixed.size == 0);
        Ok(!(is_empty_record || is_empty_fixed || matches!(schema, Schema::Null)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(text: &str) -> Result<(), ShapeError> {
        check(&Schema::parse_str(text).unwrap())
    }

    fn record(field_type: &str) -> String {
        format!(r#"{{"type":"record","name":"A","namespace":"n","fields":[{{"name":"x","type":{field_type}}}]}}"#)
    }

    #[test]
    fn the_schemas_compiled_in_pass() {
        for embedded in crate::embedded::EMBEDDED.iter() {
            assert_eq!(check(&embedded.schema), Ok(()), "{}", embedded.release.ce_type());
        }
    }

    #[test]
    fn a_type_that_contains_itself_is_refused() {
        assert_eq!(shape(&record(r#"["null","A"]"#)), Err(ShapeError::TooDeep));
        assert_eq!(shape(&record(r#"{"type":"array","items":"n.A"}"#)), Err(ShapeError::TooDeep));
    }

    #[test]
    fn items_of_no_bytes_are_refused() {
        assert_eq!(shape(&record(r#"{"type":"array","items":"null"}"#)), Err(ShapeError::EmptyItems));
        let empty = r#"{"type":"array","items":{"type":"record","name":"E","fields":[]}}"#;
        assert_eq!(shape(&record(empty)), Err(ShapeError::EmptyItems));
        let empty = r#"{"type":"array","items":{"type":"fixed","name":"F","size":0}}"#;
        assert_eq!(shape(&record(empty)), Err(ShapeError::EmptyItems));
        assert_eq!(shape(&record(r#"{"type":"array","items":["null","long"]}"#)), Ok(()));
        assert_eq!(shape(&record(r#"{"type":"map","values":"null"}"#)), Ok(()));
    }

    #[test]
    fn a_name_used_twice_is_no_recursion() {
        let text = r#"{"type":"record","name":"A","fields":[
            {"name":"x","type":{"type":"enum","name":"E","symbols":["P"]}},
            {"name":"y","type":{"type":"array","items":"E"}}]}"#;
        assert_eq!(shape(text), Ok(()));
    }
}
