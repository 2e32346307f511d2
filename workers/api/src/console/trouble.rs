//! What went wrong, as a page.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use maud::{Markup, html};

use super::layout;
use super::visit::Visit;
use crate::http::{Kind, Problem};

/// A problem of somebody's visit.
pub(super) struct Trouble {
    visit: Option<Visit>,
    problem: Box<Problem>,
}

impl Trouble {
    /// Of somebody who is let in.
    pub(super) fn of(visit: &Visit, problem: impl Into<Problem>) -> Self {
        Trouble { visit: Some(visit.clone()), problem: Box::new(problem.into()) }
    }

    /// Of somebody of whom nothing is known.
    pub(super) fn of_nobody(problem: Problem) -> Self {
        Trouble { visit: None, problem: Box::new(problem) }
    }
}

/// A problem in words, within a page.
pub(super) fn notice(problem: &Problem) -> Markup {
    html! {
        div.notice.bad role="alert" {
            p { strong { (problem.title) } }
            p { (problem.detail) }
            @if problem.reasons.len() > 1 {
                ul { @for reason in &problem.reasons { li { code { (reason.code) } " " (reason.detail) } } }
            }
        }
    }
}

impl IntoResponse for Trouble {
    fn into_response(self) -> Response {
        let Trouble { visit, problem } = self;
        let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = html! { (notice(&problem)) p { a href="/console" { "To the overview" } } };
        let mut response = match &visit {
            Some(visit) => layout::page(visit, None, problem.title, &body),
            None if status == StatusCode::UNAUTHORIZED => return Redirect::to("/console/login").into_response(),
            None => layout::bare_page(problem.title, &body),
        };
        *response.status_mut() = status;
        response
    }
}

/// There is no such thing.
pub(super) fn nothing(visit: &Visit, words: impl Into<String>) -> Trouble {
    Trouble::of(visit, Problem::new(Kind::NotFound, words))
}
