//! The routes: the parts of the API that a client of payments uses, and under `/test` what only tests and the demo ask.

use std::collections::BTreeMap;

use axum::Json;
use axum::Router;
use axum::body::Body;
use axum::extract::{DefaultBodyLimit, Path, RawForm, RawQuery, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use bytes::Bytes;
use domain::provider::Operation;
use futures_util::stream;
use serde_json::{Value, json};
use url::form_urlencoded::parse;

use crate::bank::Done;
use crate::export;
use crate::objects::{Payment, page};
use crate::problem::Problem;
use crate::server::Server;
use crate::tries::{Given, Try};

/// No form is longer.
const LONGEST_FORM: usize = 64 << 10;

/// How many objects a page has unless it is said.
const PAGE: usize = 10;

type Form = BTreeMap<String, String>;

pub(crate) fn router(server: Server) -> Router {
    Router::new()
        .route("/readyz", get(async || "ready\n"))
        .route("/v1/payment_intents", post(authorize).get(payments))
        .route("/v1/payment_intents/search", get(search))
        .route("/v1/payment_intents/{id}", get(payment))
        .route("/v1/payment_intents/{id}/capture", post(capture))
        .route("/v1/payment_intents/{id}/cancel", post(cancel))
        .route("/v1/refunds", post(refund).get(refunds))
        .route("/v1/refunds/{id}", get(one_refund))
        .route("/v1/disputes", get(disputes))
        .route("/v1/disputes/{id}/close", post(lose_dispute))
        .route("/v1/balance_transactions", get(balance_transactions))
        .route("/test/ledger", get(ledger))
        .route("/test/payments", get(held_payments))
        .route("/test/balance_transactions.jsonl", get(export_json))
        .route("/test/balance_transactions.csv", get(export_csv))
        .route("/test/act/{id}", get(act))
        .route("/test/disputes/{id}/win", post(win_dispute))
        .layer(DefaultBodyLimit::max(LONGEST_FORM))
        .with_state(server)
}

async fn authorize(State(server): State<Server>, headers: HeaderMap, RawForm(form): RawForm) -> Response {
    try_it(server, &headers, Operation::Authorize, None, fields(&form)).await
}

async fn capture(
    State(server): State<Server>,
    Path(id): Path<String>,
    headers: HeaderMap,
    RawForm(form): RawForm,
) -> Response {
    try_it(server, &headers, Operation::Capture, Some(id), fields(&form)).await
}

async fn cancel(
    State(server): State<Server>,
    Path(id): Path<String>,
    headers: HeaderMap,
    RawForm(form): RawForm,
) -> Response {
    try_it(server, &headers, Operation::Void, Some(id), fields(&form)).await
}

async fn refund(State(server): State<Server>, headers: HeaderMap, RawForm(form): RawForm) -> Response {
    let form = fields(&form);
    let payment = form.get("payment_intent").cloned();
    try_it(server, &headers, Operation::Refund, payment, form).await
}

async fn try_it(
    server: Server,
    headers: &HeaderMap,
    operation: Operation,
    payment: Option<String>,
    form: Form,
) -> Response {
    let account = match account(&server, headers) {
        Ok(account) => account,
        Err(problem) => return shown(Err(problem)),
    };
    let key = headers.get("Idempotency-Key").and_then(|key| key.to_str().ok()).map(str::to_owned);
    let key = key.unwrap_or_else(|| server.with(|inner| format!("unnamed-{}", inner.bank.number())));
    let tried = Try { account, key, operation, payment, form };
    // Its caller may go away; its work goes on.
    match tokio::spawn(tried.carry_out(server)).await {
        Ok(given) => given_back(given),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

fn given_back(given: Given) -> Response {
    match given {
        Given::Answer { kept, is_again, retry_after_s } => {
            let status = StatusCode::from_u16(kept.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            let mut response = (status, Json(kept.body)).into_response();
            if is_again {
                response.headers_mut().insert("idempotent-replayed", header::HeaderValue::from_static("true"));
            }
            if let Some(seconds) = retry_after_s {
                response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
            }
            response
        }
        // The connection ends within the body.
        Given::Lost => {
            let end = std::io::Error::from(std::io::ErrorKind::ConnectionReset);
            Body::from_stream(stream::iter([Ok(Bytes::from_static(b"{")), Err(end)])).into_response()
        }
    }
}

async fn payment(State(server): State<Server>, Path(id): Path<String>, headers: HeaderMap) -> Response {
    let now_ms = server.now_ms();
    let found = account(&server, &headers).and_then(|account| {
        server.with(|inner| {
            inner.bank.settle(now_ms);
            inner.bank.payment(&account, &id).map(|payment| payment.shown(true))
        })
    });
    shown(found)
}

async fn payments(State(server): State<Server>, RawQuery(query): RawQuery, headers: HeaderMap) -> Response {
    let query = query_fields(query);
    let is_meant = |_: &Payment| true;
    shown(account(&server, &headers).map(|account| listed(&server, &account, &query, "/v1/payment_intents", is_meant)))
}

/// Only what is older than the lag is found.
async fn search(State(server): State<Server>, RawQuery(query): RawQuery, headers: HeaderMap) -> Response {
    let query = query_fields(query);
    let until_ms = server.now_ms().saturating_sub(server.behaviour().search_lag_ms);
    let found = account(&server, &headers).and_then(|account| {
        let (name, value) =
            query.get("query").and_then(|text| by_metadata(text)).ok_or_else(|| Problem::parameter("query"))?;
        let is_meant =
            |payment: &Payment| payment.created_ms <= until_ms && payment.metadata.get(&name) == Some(&value);
        Ok(listed(&server, &account, &query, "/v1/payment_intents/search", is_meant))
    });
    shown(found)
}

fn listed(server: &Server, account: &str, query: &Form, url: &str, is_meant: impl Fn(&Payment) -> bool) -> Value {
    let now_ms = server.now_ms();
    server.with(|inner| {
        inner.bank.settle(now_ms);
        let bank = &inner.bank;
        let all = bank.order.iter().rev().filter_map(|id| bank.payments.get(id));
        let all: Vec<&Payment> = all.filter(|payment| payment.account == account && is_meant(payment)).collect();
        let (limit, after) = place(query);
        page(url, &all, limit, after, |payment| &payment.id, |payment| payment.shown(true))
    })
}

async fn refunds(State(server): State<Server>, RawQuery(query): RawQuery, headers: HeaderMap) -> Response {
    let (query, now_ms) = (query_fields(query), server.now_ms());
    shown(account(&server, &headers).map(|account| {
        server.with(|inner| {
            inner.bank.settle(now_ms);
            let payment = query.get("payment_intent");
            let is_meant = |of: &str| payment.is_none_or(|payment| payment == of);
            let all = inner.bank.refunds.iter().rev();
            let all: Vec<_> = all.filter(|refund| refund.account == account && is_meant(&refund.payment)).collect();
            let (limit, after) = place(&query);
            page("/v1/refunds", &all, limit, after, |refund| &refund.id, |refund| refund.shown())
        })
    }))
}

async fn one_refund(State(server): State<Server>, Path(id): Path<String>, headers: HeaderMap) -> Response {
    let now_ms = server.now_ms();
    shown(account(&server, &headers).and_then(|account| {
        server.with(|inner| {
            inner.bank.settle(now_ms);
            let found = inner.bank.refunds.iter().find(|refund| refund.account == account && refund.id == id);
            found.map(|refund| refund.shown()).ok_or_else(|| Problem::missing("refund", &id))
        })
    }))
}

async fn disputes(State(server): State<Server>, RawQuery(query): RawQuery, headers: HeaderMap) -> Response {
    let query = query_fields(query);
    shown(account(&server, &headers).map(|account| {
        server.with(|inner| {
            let payment = query.get("payment_intent");
            let is_meant = |of: &str| payment.is_none_or(|payment| payment == of);
            let all = inner.bank.disputes.iter().rev();
            let all: Vec<_> = all.filter(|one| one.account == account && is_meant(&one.payment)).collect();
            let (limit, after) = place(&query);
            page("/v1/disputes", &all, limit, after, |dispute| &dispute.id, |dispute| dispute.shown())
        })
    }))
}

async fn balance_transactions(State(server): State<Server>, RawQuery(query): RawQuery, headers: HeaderMap) -> Response {
    let query = query_fields(query);
    shown(account(&server, &headers).map(|account| {
        server.with(|inner| {
            let all = inner.bank.movements.iter().rev();
            let all: Vec<_> = all.filter(|movement| movement.account == account).collect();
            let (limit, after) = place(&query);
            let is_expanded = query.get("expand[]").is_some_and(|what| what == "data.source");
            let shown = |movement: &crate::objects::Movement| movement.shown(is_expanded);
            page("/v1/balance_transactions", &all, limit, after, |movement| &movement.id, shown)
        })
    }))
}

/// What was done, and how often what was asked.
async fn ledger(State(server): State<Server>) -> Response {
    let value = server.with(|inner| json!({ "lines": inner.ledger.lines(), "counts": inner.ledger.counts() }));
    Json(value).into_response()
}

/// Every payment of every account, the oldest first: its order, its state, and with what it is paid.
async fn held_payments(State(server): State<Server>) -> Response {
    let value = server.with(|inner| {
        let all = inner.bank.order.iter().filter_map(|id| inner.bank.payments.get(id));
        let shown = all.map(|payment| {
            let status = payment.status.as_str();
            json!({ "id": payment.id, "order_id": payment.order_id(), "status": status, "token": payment.token })
        });
        shown.collect::<Vec<_>>()
    });
    Json(value).into_response()
}

/// The balance as a shop downloads it from the API: an object a line.
async fn export_json(State(server): State<Server>) -> String {
    server.with(|inner| export::as_json_lines(&inner.bank.movements))
}

/// The balance as the provider's itemized report has it.
async fn export_csv(State(server): State<Server>) -> String {
    server.with(|inner| export::as_csv(&inner.bank.movements))
}

/// The page where a customer confirms a payment; `?outcome=failed` fails.
async fn act(State(server): State<Server>, Path(id): Path<String>, RawQuery(query): RawQuery) -> Response {
    let goes_well = query_fields(query).get("outcome").is_none_or(|outcome| outcome != "failed");
    let now_ms = server.now_ms();
    shown(server.with(|inner| {
        let acted = inner.bank.act(&id, goes_well, now_ms)?;
        if goes_well && let Err(error) = inner.ledger.confirmed(&id) {
            tracing::error!(%error, "what was done could not be written down");
        }
        Ok(acted)
    }))
}

async fn lose_dispute(State(server): State<Server>, Path(id): Path<String>) -> Response {
    let now_ms = server.now_ms();
    shown(server.with(|inner| inner.bank.close_dispute(&id, false, now_ms)))
}

async fn win_dispute(State(server): State<Server>, Path(id): Path<String>) -> Response {
    let now_ms = server.now_ms();
    shown(server.with(|inner| inner.bank.close_dispute(&id, true, now_ms)))
}

fn account(server: &Server, headers: &HeaderMap) -> Result<String, Problem> {
    let bearer = headers.get(header::AUTHORIZATION).and_then(|text| text.to_str().ok()?.strip_prefix("Bearer "));
    let account = server.behaviour().account_of(bearer.unwrap_or_default());
    account.ok_or_else(|| Problem { code: None, ..Problem::new(401, "", "Invalid API Key provided.") })
}

fn shown(done: Done) -> Response {
    match done {
        Ok(value) => Json(value).into_response(),
        Err(problem) => {
            let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            (status, Json(problem.body())).into_response()
        }
    }
}

fn fields(text: &[u8]) -> Form {
    parse(text).into_owned().collect()
}

fn query_fields(query: Option<String>) -> Form {
    fields(query.unwrap_or_default().as_bytes())
}

fn place(query: &Form) -> (usize, Option<&str>) {
    let limit = query.get("limit").and_then(|text| text.parse().ok()).unwrap_or(PAGE);
    (limit, query.get("starting_after").map(String::as_str))
}

/// `metadata['name']:'value'`, the one query that is understood.
fn by_metadata(query: &str) -> Option<(String, String)> {
    let (name, value) = query.strip_prefix("metadata['")?.split_once("']:'")?;
    let value = value.strip_suffix('\'')?;
    Some((name.to_owned(), value.replace("\\'", "'").replace("\\\\", "\\")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_understood_as_it_is_written() {
        let found = by_metadata(r"metadata['key']:'o\'1/authorize/1'");
        assert_eq!(found, Some(("key".into(), "o'1/authorize/1".into())));
        assert_eq!(by_metadata("amount>5"), None);
    }
}
