//! The document of all routes (OpenAPI 3.1), made of what stands at them. `workers/api/openapi.json` is the kept one.

use utoipa::openapi::path::Parameter;
use utoipa::openapi::response::{Response, ResponseBuilder};
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{Content, Ref, RefOr};
use utoipa::{Modify, OpenApi};

use super::forms::Forms;
use super::problem::Problem;
use super::{action, acts, orders, payment, placing, products, returns, status, stock, stream, stuck};
use crate::keys::Role;

/// The name of the one way to say who asks.
const SCHEME: &str = "bearer";

/// What to do where it is not known whether it was done.
const SAME_AGAIN: &str = "Send the same again";

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Order API",
        version = "1",
        description = "The door of the order pipeline. Writing publishes a command, and is answered with 202 and its position, or, \
                       with `Prefer: wait=SECONDS`, with what became of it. Every repetition with the same key or id does it once.",
        license(name = "MIT OR Apache-2.0"),
    ),
    paths(
        placing::place, orders::list, orders::one, stream::events, payment::one, action::one,
        acts::ship, acts::cancel, acts::refund, acts::hold, acts::release, acts::reject,
        returns::request, returns::receive, stuck::list, stuck::retry, stuck::skip, stuck::resolve,
        products::list, products::one, products::describe,
        stock::list, stock::one, stock::receive, stock::adjust, status::status,
    ),
    components(schemas(Problem)),
    modifiers(&Roles, &Answers, &Forms),
)]
struct Document;

/// Keys and tokens, and the role that each operation needs.
struct Roles;

impl Modify for Roles {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let mut scheme = Http::new(HttpAuthScheme::Bearer);
        scheme.description = Some("A key of this door, or a token of the identity provider that it trusts".to_owned());
        let components = document.components.get_or_insert_with(Default::default);
        components.add_security_scheme(SCHEME, SecurityScheme::Http(scheme));
        for (path, item) in &mut document.paths.paths {
            let operations = [(&mut item.get, true), (&mut item.post, false), (&mut item.put, false)];
            for (operation, is_read) in operations {
                if let Some(operation) = operation {
                    let role = role(is_read, path).as_str();
                    operation.security = Some(vec![SecurityRequirement::new(SCHEME, [role])]);
                }
            }
        }
    }
}

/// What every operation may answer besides: that a read has nothing new, where it takes a tag; a problem; and what to do where it is
/// not known.
struct Answers;

impl Modify for Answers {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        for item in document.paths.paths.values_mut() {
            let operations = [(&mut item.get, "Ask again"), (&mut item.post, SAME_AGAIN), (&mut item.put, SAME_AGAIN)];
            for (operation, then) in operations {
                let Some(operation) = operation else { continue };
                let takes_a_tag = operation.parameters.iter().flatten().any(is_a_tag);
                let answers = &mut operation.responses.responses;
                if takes_a_tag {
                    answers.insert("304".to_owned(), Response::new("As the ETag says").into());
                }
                answers.insert("4XX".to_owned(), problem("A problem").into());
                answers.insert("503".to_owned(), problem(then).into());
            }
        }
    }
}

fn is_a_tag(parameter: &RefOr<Parameter>) -> bool {
    matches!(parameter, RefOr::T(parameter) if parameter.name == "If-None-Match")
}

fn problem(description: &str) -> Response {
    let content = Content::new(Some(Ref::from_schema_name("Problem")));
    ResponseBuilder::new().description(description).content("application/problem+json", content).build()
}

/// Which role it needs, as the gates in `mod.rs` have it; a test asks all of them.
fn role(is_read: bool, path: &str) -> Role {
    let is_of_operators = ["/hold", "/release", "/reject", "/retry", "/skip", "/resolve", "/stuck"];
    if is_of_operators.iter().any(|end| path.ends_with(end)) {
        Role::OpsAct
    } else if path.ends_with("/payment/action") {
        // Who places orders for a customer sends the customer there.
        Role::OrdersWrite
    } else if is_read {
        Role::OrdersRead
    } else if path.starts_with("/v1/stock/") || path.starts_with("/v1/products/") {
        Role::StockWrite
    } else {
        Role::OrdersWrite
    }
}

/// The document.
pub fn document() -> utoipa::openapi::OpenApi {
    Document::openapi()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// With `KEEP_SHOWN=1` in the environment the kept document is written.
    #[test]
    fn the_document_is_the_kept_one() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/openapi.json");
        let made = document().to_pretty_json().unwrap() + "\n";
        if std::env::var_os("KEEP_SHOWN").is_some() {
            std::fs::write(path, &made).unwrap();
        }
        let kept = std::fs::read_to_string(path).unwrap_or_default();
        assert!(made == kept, "openapi.json is not what the routes say; KEEP_SHOWN=1 keeps what they say");
    }

    /// A route that is served and not described, or the other way round, would be found by nobody.
    #[test]
    fn every_route_is_described() {
        let routes = include_str!("mod.rs");
        let mut served: Vec<&str> =
            routes.split(".route(\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
        served.retain(|path| *path != "/v1/openapi.json");
        served.sort_unstable();
        served.dedup();
        let document = document();
        let described: Vec<&str> = document.paths.paths.keys().map(String::as_str).collect();
        assert_eq!(served, described);
    }
}
