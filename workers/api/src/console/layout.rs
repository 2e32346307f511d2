//! What every page has around it: the head, where one can go, who one is; and what a browser may do with it.
//!
//! All text comes through maud, which escapes it; nothing of a stranger's stands in a script, a style or an address.

use axum::extract::Request;
use axum::http::{HeaderValue, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::assets::{SCRIPT_PATHS, STYLE_PATH};
use super::visit::Visit;

/// What a page may do: show and run the files of this door, ask it, and send it forms.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
                      base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

/// htmx makes nothing of text that it has not to, asks nobody but this door, and puts no style into a page. What somebody has opened
/// stays open where a live part is exchanged.
const HTMX: &str = r#"{"mode":"same-origin","includeIndicatorCSS":false,"morphIgnore":["data-htmx-powered","open"]}"#;

/// The pages that one can go to from everywhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// How the pipeline is.
    Overview,
    /// Orders, and one of them.
    Orders,
    /// How much there is of each SKU.
    Stock,
    /// What was sold.
    Business,
    /// What waits for a person.
    Stuck,
    /// What no service could take.
    DeadLetters,
}

impl Place {
    /// All of them, in their order.
    const ALL: [Place; 6] =
        [Place::Overview, Place::Orders, Place::Stuck, Place::DeadLetters, Place::Stock, Place::Business];

    const fn path(self) -> &'static str {
        match self {
            Place::Overview => "/console",
            Place::Orders => "/console/orders",
            Place::Stock => "/console/stock",
            Place::Business => "/console/business",
            Place::Stuck => "/console/stuck",
            Place::DeadLetters => "/console/dead-letters",
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Place::Overview => "Overview",
            Place::Orders => "Orders",
            Place::Stock => "Stock",
            Place::Business => "Business",
            Place::Stuck => "Stuck",
            Place::DeadLetters => "Dead letters",
        }
    }
}

/// A page: what it is called, where it belongs, and what stands on it.
pub(super) fn page(visit: &Visit, place: Option<Place>, title: &str, body: &Markup) -> Response {
    framed(title, &header(visit, place), None, body)
}

/// A page for whoever is not let in yet.
pub(super) fn bare_page(title: &str, body: &Markup) -> Response {
    framed(title, &PreEscaped(String::new()), Some("bare"), body)
}

fn framed(title: &str, header: &Markup, class: Option<&str>, body: &Markup) -> Response {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="htmx-config" content=(HTMX);
                title { (title) " · Order pipeline" }
                link rel="icon" href="data:,";
                link rel="stylesheet" href=(STYLE_PATH);
                @for path in SCRIPT_PATHS { script src=(path) defer {} }
            }
            body {
                a.skip href="#main" { "Skip to the page" }
                (header)
                main #main tabindex="-1" class=[class] {
                    h1 { (title) }
                    (body)
                }
            }
        }
    };
    page.into_response()
}

fn header(visit: &Visit, place: Option<Place>) -> Markup {
    html! {
        header.top {
            a.brand href=(Place::Overview.path()) { "Order pipeline" }
            nav aria-label="Pages" {
                ul {
                    @for one in Place::ALL {
                        li {
                            a href=(one.path()) aria-current=[(Some(one) == place).then_some("page")] { (one.name()) }
                        }
                    }
                }
            }
            form.find method="get" action="/console/orders" role="search" aria-label="An order, from every page" {
                input type="search" name="find" maxlength="64" required autocomplete="off" aria-label="Find by order or customer id"
                    placeholder="Order or customer id";
                input type="hidden" name="go" value="1";
                button.quiet type="submit" { "Go" }
            }
            form.who method="post" action="/console/logout" {
                (visit.signature())
                span { (visit.caller().name()) }
                @if visit.has_key() { button.quiet type="submit" { "Sign out" } }
            }
        }
    }
}

/// Gives each page its policy. Without a referrer a browser would not say either from where a form comes.
pub(super) async fn policy(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    response
}
