//! Lists of any length, as lines of JSON: for whoever asks with `Accept: application/x-ndjson`.
//!
//! They are read page by page, and never more than a page ahead of who takes them: two pages are in memory, however long the list is
//! and however slow the caller. A caller that goes away, or takes nothing for half a minute, ends the reading. A list that cannot be
//! read to its end breaks the connection off, so it never looks complete.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::Response;
use futures_util::stream::unfold;
use serde::Serialize;
use tokio::sync::{OwnedSemaphorePermit, mpsc, watch};
use tokio::task::JoinSet;

use super::Door;
use super::problem::{Kind, Problem};
use crate::metrics::{self, Listing};

/// Lists that are read at once: each may hold two pages.
pub(super) const AT_ONCE: usize = 32;

/// How many rows a page has.
pub(super) const PAGE: i64 = 200;

/// How long a caller may take nothing.
const PATIENCE: Duration = Duration::from_secs(30);

const LINES: &str = "application/x-ndjson";

/// A list, a page at a time.
pub(super) trait Pages: Send + 'static {
    /// The rows of the next page, each a line; none at the end.
    fn next(&mut self) -> impl Future<Output = Result<Option<Bytes>, Problem>> + Send;
}

/// Whether the whole list is asked for, as lines.
pub(super) fn are_asked_for(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let mut kinds = accepted.flat_map(|value| value.split(',')).filter_map(|kind| kind.split(';').next());
    kinds.any(|kind| kind.trim() == LINES)
}

/// Rows as lines.
pub(super) fn lines<T: Serialize>(rows: impl IntoIterator<Item = T>) -> Result<Option<Bytes>, Problem> {
    let mut text = Vec::new();
    for row in rows {
        serde_json::to_writer(&mut text, &row).map_err(|error| Problem::new(Kind::Unavailable, error.to_string()))?;
        text.push(b'\n');
    }
    Ok((!text.is_empty()).then(|| text.into()))
}

/// The answer that has all of it. Its first page is read before anything is answered.
pub(super) async fn answer(door: &Arc<Door>, mut pages: impl Pages) -> Result<Response, Problem> {
    let room = Arc::clone(&door.lists).try_acquire_owned();
    let room =
        room.map_err(|_| Problem::new(Kind::TooMany, "too many lists are read here; try again").retry_after(5))?;
    let first = pages.next().await?;
    let bounds = Bounds { patience: PATIENCE, stopping: door.stopping.clone() };
    let reading = Reading { _room: room, _counted: Listing::begin() };
    let mut response = Response::new(body(first, pages, reading, bounds));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(LINES));
    Ok(response)
}

/// That a list is read: its part of the bound, and of the metrics.
struct Reading {
    _room: OwnedSemaphorePermit,
    _counted: Listing,
}

/// What the reader hands on.
enum Read {
    Page(Bytes),
    End,
}

/// The list cannot be read to its end.
#[derive(Debug, thiserror::Error)]
#[error("the list broke off")]
struct BrokeOff;

/// The reader's hand, and the reader, which ends with it.
struct Coming {
    from: mpsc::Receiver<Read>,
    _reader: JoinSet<()>,
}

/// What the reader keeps to: how long it waits for the caller, and when it has to end.
struct Bounds {
    patience: Duration,
    stopping: watch::Receiver<bool>,
}

/// `reading` goes with the reader.
fn body(first: Option<Bytes>, pages: impl Pages, reading: impl Send + 'static, bounds: Bounds) -> Body {
    let Bounds { patience, mut stopping } = bounds;
    let (to, from) = mpsc::channel(1);
    let mut reader = JoinSet::new();
    reader.spawn(async move {
        let _reading = reading;
        tokio::select! {
            // An error means that the sender is gone, which is an end as well.
            _ = stopping.wait_for(|stopped| *stopped) => {}
            () = read(first, pages, to, patience) => {}
        }
    });
    Body::from_stream(unfold(Some(Coming { from, _reader: reader }), async |coming| {
        let mut coming = coming?;
        match coming.from.recv().await {
            Some(Read::Page(page)) => Some((Ok(page), Some(coming))),
            Some(Read::End) => None,
            None => Some((Err(BrokeOff), None)),
        }
    }))
}

/// Reads on as far as it is taken.
async fn read(mut page: Option<Bytes>, mut pages: impl Pages, to: mpsc::Sender<Read>, patience: Duration) {
    loop {
        let (read, is_end) = match page {
            Some(rows) => (Read::Page(rows), false),
            None => (Read::End, true),
        };
        let is_taken = to.send_timeout(read, patience).await.is_ok();
        if is_end || !is_taken {
            return;
        }
        metrics::page_handed_on();
        page = match pages.next().await {
            Ok(page) => page,
            Err(problem) => return tracing::warn!(problem = problem.detail, "a list broke off"),
        };
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures_util::StreamExt as _;
    use tokio::sync::oneshot;

    use super::*;

    /// So many pages, one of which may fail; counts how many were asked for.
    struct Counted {
        asked: Arc<AtomicUsize>,
        pages: usize,
        failing: Option<usize>,
    }

    impl Pages for Counted {
        async fn next(&mut self) -> Result<Option<Bytes>, Problem> {
            let page = self.asked.fetch_add(1, Ordering::Relaxed);
            match self.failing {
                Some(failing) if failing == page => Err(Problem::bad("no more")),
                Some(_) | None if page < self.pages => lines([page]),
                Some(_) | None => Ok(None),
            }
        }
    }

    struct List {
        asked: Arc<AtomicUsize>,
        stop: watch::Sender<bool>,
        /// Ends when the reader does.
        ended: oneshot::Receiver<()>,
        body: Body,
    }

    fn list(pages: usize, failing: Option<usize>, patience: Duration) -> List {
        let (asked, (stop, stopping)) = (Arc::new(AtomicUsize::new(0)), watch::channel(false));
        let counted = Counted { asked: Arc::clone(&asked), pages, failing };
        let (reading, ended) = oneshot::channel();
        let body = body(Some("first\n".into()), counted, reading, Bounds { patience, stopping });
        List { asked, stop, ended, body }
    }

    /// Whatever can go on has gone on: all tasks are on this thread.
    async fn settle() {
        for _ in 0..1_000 {
            tokio::task::yield_now().await;
        }
    }

    async fn text(body: Body) -> Result<String, String> {
        let bytes = axum::body::to_bytes(body, usize::MAX).await.map_err(|error| error.to_string())?;
        Ok(String::from_utf8(bytes.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn all_pages_come_in_their_order_and_what_breaks_off_does_not_look_complete() {
        assert_eq!(text(list(3, None, PATIENCE).body).await.unwrap(), "first\n0\n1\n2\n");
        assert!(text(list(3, Some(2), PATIENCE).body).await.is_err(), "a page failed");
        let stopped = list(1_000, None, PATIENCE);
        stopped.stop.send_replace(true);
        assert!(text(stopped.body).await.is_err(), "the process ended");
    }

    #[tokio::test]
    async fn nothing_is_read_that_nobody_takes_and_nothing_more_once_the_caller_is_gone() {
        let List { asked, body, ended, stop: _stop } = list(1_000, None, PATIENCE);
        let mut body = body.into_data_stream();
        for taken in 0..5 {
            settle().await;
            // One that is handed on, and one that waits to be.
            assert!(asked.load(Ordering::Relaxed) <= taken + 1, "{asked:?} of which {taken} were taken");
            body.next().await.unwrap().unwrap();
        }
        drop(body);
        assert!(ended.await.is_err(), "the reader is gone");
        let read = asked.load(Ordering::Relaxed);
        settle().await;
        assert!(asked.load(Ordering::Relaxed) == read && read < 10, "{read}");
    }

    #[tokio::test]
    async fn who_takes_nothing_is_waited_for_no_longer_than_patience_lasts() {
        let List { asked, body, ended, stop: _stop } = list(1_000, None, Duration::from_millis(10));
        assert!(ended.await.is_err(), "the reader is gone");
        assert!(text(body).await.is_err());
        assert!(asked.load(Ordering::Relaxed) < 3);
    }

    #[test]
    fn lines_are_asked_for_among_other_kinds() {
        let asked = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT, value.parse().unwrap());
            are_asked_for(&headers)
        };
        assert!(asked("application/x-ndjson") && asked("text/html;q=0.1, application/x-ndjson;q=0.9"));
        assert!(!asked("*/*") && !asked("application/json") && !are_asked_for(&HeaderMap::new()));
    }
}
