//! Sends several statements in one round trip.
//!
//! tokio-postgres sends a statement when its future is polled first, and answers come in that order. So polling all
//! futures once, in order, puts them on the wire back to back. What this adds to `join_all`: a future that fails before
//! it sends anything (a parameter that cannot be encoded, a closed connection) stops the sweep, so that no later
//! statement, least of all COMMIT, is sent without it.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::Poll;

/// One statement that waits to be sent.
pub(crate) type Unsent<'a, T> = Pin<Box<dyn Future<Output = Result<T, tokio_postgres::Error>> + Send + 'a>>;

/// What became of a pipeline.
pub(crate) enum Sent<T> {
    /// Every statement was sent; the answers in the order of the statements.
    All(Vec<Result<T, tokio_postgres::Error>>),
    /// A statement failed before anything after it was sent; those before it have been answered.
    Stopped(tokio_postgres::Error),
}

/// Sends the steps in order and waits for all answers.
pub(crate) async fn send_in_order<T>(mut steps: Vec<Unsent<'_, T>>) -> Sent<T> {
    let mut answers: Vec<Option<Result<T, tokio_postgres::Error>>> = Vec::with_capacity(steps.len());
    let mut swept = false;
    poll_fn(|context| {
        if !swept {
            swept = true;
            for step in &mut steps {
                let polled = step.as_mut().poll(context);
                let stop = matches!(&polled, Poll::Ready(Err(_)));
                answers.push(ready(polled));
                if stop {
                    break;
                }
            }
        } else {
            for (step, answer) in steps.iter_mut().zip(&mut answers) {
                if answer.is_none() {
                    *answer = ready(step.as_mut().poll(context));
                }
            }
        }
        if answers.iter().all(Option::is_some) { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    let complete = answers.len() == steps.len();
    let mut answers: Vec<_> = answers.into_iter().flatten().collect();
    match answers.pop() {
        Some(Err(error)) if !complete => Sent::Stopped(error),
        last => {
            answers.extend(last);
            Sent::All(answers)
        }
    }
}

fn ready<T>(polled: Poll<T>) -> Option<T> {
    match polled {
        Poll::Ready(value) => Some(value),
        Poll::Pending => None,
    }
}
