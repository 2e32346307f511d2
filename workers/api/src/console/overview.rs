//! How the pipeline is: what stands, on top, with what to do; then how fast orders go, and where they are.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use maud::{Markup, html};

use super::Shared;
use super::layout::{self, Place};
use super::live::Sample;
use super::visit::Visit;

/// The page.
pub(super) async fn page(State(console): Shared, visit: Visit) -> Response {
    let body = html! {
        div #live hx-sse:connect="/console/live" hx-swap="innerHTML" aria-live="off" { (live_part(&console.live.samples())) }
    };
    layout::page(&visit, Some(Place::Overview), "Overview", &body)
}

/// What changes, made once for all who look.
pub(super) fn live_part(samples: &[Arc<Sample>]) -> Markup {
    let Some(last) = samples.last() else { return html! { p { "Nothing was sampled yet." } } };
    html! {
        dl.figures {
            div { dt { "Placed in the last minute" } dd { (last.told.placed) } }
            div { dt { "Confirmed in the last minute" } dd { (last.told.confirmed) } }
            div { dt { "Events that the read model has not taken" } dd { (last.view_behind.map_or("unknown".to_owned(), |n| n.to_string())) } }
        }
    }
}
