//! What texts and numbers of a name look like, wherever the document has the name: what is refused as no id and no time before it is
//! published; and that what may be left out is no null.
//!
//! Lengths are bytes here and characters in the document, which knows no bytes; they are the same for ASCII. Deliberately absent: what
//! a service decides, such as how many lines an order may have, which is answered with its reasons.

use domain::saga::Stage;
use schemas::MAX_ID_BYTES;
use utoipa::Modify;
use utoipa::openapi::path::{Operation, Parameter};
use utoipa::openapi::schema::{KnownFormat, Object, Schema, SchemaFormat, SchemaType, Type};
use utoipa::openapi::{Components, OpenApi, RefOr, Required};

use super::orders::LONGEST_PAGE;

/// No control character.
const PRINTABLE: &str = r"^[^\u0000-\u001f\u007f-\u009f]+$";

/// What a database can keep.
const STORABLE: &str = r"^[^\u0000]*$";

/// Visible at its ends, because blanks there are no part of a header, and ASCII.
const OF_A_HEADER: &str = "^[!-~]([ -~]*[!-~])?$";

/// Of parameters, bodies and properties, by their names.
pub(super) struct Forms;

impl Modify for Forms {
    fn modify(&self, document: &mut OpenApi) {
        let Some(components) = &mut document.components else { return };
        for item in document.paths.paths.values_mut() {
            for operation in [&mut item.get, &mut item.post, &mut item.put].into_iter().flatten() {
                for parameter in operation.parameters.iter_mut().flatten() {
                    if let RefOr::T(parameter) = parameter {
                        of_parameter(parameter);
                    }
                }
                of_body(operation, components);
            }
        }
        for (name, schema) in &mut components.schemas {
            let RefOr::T(Schema::Object(schema)) = schema else { continue };
            for (property, form) in &mut schema.properties {
                let RefOr::T(Schema::Object(form)) = form else { continue };
                if name.ends_with("Body") && is_text(form) {
                    form.pattern = Some(STORABLE.to_owned());
                }
                of_name(property, form);
            }
        }
    }
}

/// A parameter that may be left out is no null.
fn of_parameter(parameter: &mut Parameter) {
    let Some(RefOr::T(Schema::Object(form))) = &mut parameter.schema else { return };
    if let SchemaType::Array(types) = &form.schema_type
        && let [one, Type::Null] | [Type::Null, one] = types.as_slice()
    {
        form.schema_type = SchemaType::Type(one.clone());
    }
    of_name(&parameter.name, form);
    if parameter.name == "state" {
        form.enum_values = Some(Stage::names().map(Into::into).collect());
    }
}

/// Nor is a body; and it may be left out where nothing in it has to be there.
fn of_body(operation: &mut Operation, components: &Components) {
    let Some(RefOr::T(body)) = &mut operation.request_body else { return };
    let Some(RefOr::T(content)) = body.content.values_mut().next() else { return };
    let Some(RefOr::T(Schema::OneOf(either))) = &content.schema else { return };
    let Some(RefOr::Ref(named)) = either.items.iter().find(|item| matches!(item, RefOr::Ref(_))) else { return };
    let name = named.ref_location.rsplit('/').next().unwrap_or_default();
    let has_to_be = match components.schemas.get(name) {
        Some(RefOr::T(Schema::Object(schema))) => !schema.required.is_empty(),
        Some(_) | None => false,
    };
    body.required = Some(if has_to_be { Required::True } else { Required::False });
    content.schema = Some(RefOr::Ref(named.clone()));
}

fn is_text(form: &Object) -> bool {
    match &form.schema_type {
        SchemaType::Type(one) => *one == Type::String,
        SchemaType::Array(types) => types.contains(&Type::String),
        SchemaType::AnyValue => false,
    }
}

fn of_name(name: &str, form: &mut Object) {
    match name {
        "id" | "return_id" | "sku" | "customer" | "order_id" | "customer_id" | "replaces_order_id" => {
            (form.min_length, form.max_length) = (Some(1), Some(MAX_ID_BYTES));
            form.pattern = Some(PRINTABLE.to_owned());
        }
        "Idempotency-Key" => {
            (form.min_length, form.max_length) = (Some(1), Some(MAX_ID_BYTES));
            form.pattern = Some(OF_A_HEADER.to_owned());
        }
        "placed_at" | "until" | "from" | "before" => {
            form.format = Some(SchemaFormat::KnownFormat(KnownFormat::DateTime));
        }
        "limit" => (form.minimum, form.maximum) = (Some(1.into()), Some(LONGEST_PAGE.into())),
        _ => {}
    }
}
