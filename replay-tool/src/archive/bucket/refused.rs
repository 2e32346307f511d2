//! What a store's error means.
//!
//! The library keeps what the server wrote in the text of its errors only; of that, S3's own code is read.
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html>

use std::error::Error as StdError;
use std::iter::successors;

use object_store::Error;
use object_store::client::{HttpError, HttpErrorKind};

use super::http::NoAnswer;
use crate::error::Refusal;

/// Where a machine in the provider's cloud is told its credentials.
const METADATA: [&str; 2] = ["/latest/api/token", "/latest/meta-data/"];

/// Whether what was asked for may have been done: no answer came.
pub(super) fn may_be_done(error: &Error) -> bool {
    let kind = cause::<HttpError>(error).map(HttpError::kind);
    matches!(kind, Some(HttpErrorKind::Timeout | HttpErrorKind::Interrupted))
}

/// What it means.
pub(super) fn refusal(error: &Error) -> Refusal {
    let said = error.to_string();
    let code = between(&said, "<Code>", "</Code>");
    let status = between(&said, "status code: ", ":");
    if METADATA.iter().any(|path| said.contains(path)) {
        return Refusal::NoCredentials;
    }
    if let Some(no_answer) = cause::<NoAnswer>(error) {
        return of_no_answer(no_answer);
    }
    if said.contains("redirect without LOCATION") || status.is_some_and(|status| status.starts_with('3')) {
        return Refusal::Region;
    }
    match code {
        Some(code) => of_code(code).unwrap_or_else(|| of_status(status.unwrap_or_default(), code)),
        None => of_kind(error, status),
    }
}

fn of_no_answer(no_answer: &NoAnswer) -> Refusal {
    match no_answer {
        NoAnswer::Unencrypted => Refusal::Unencrypted,
        NoAnswer::Unreachable(said) => Refusal::Unreachable(said.clone()),
        NoAnswer::Untrusted(said) => Refusal::Untrusted(said.clone()),
        NoAnswer::Broken(said) => Refusal::NoAnswer(said.clone()),
    }
}

fn of_code(code: &str) -> Option<Refusal> {
    Some(match code {
        "NoSuchBucket" => Refusal::NoBucket,
        "NoSuchKey" => Refusal::NoObject,
        "AccessDenied" | "AllAccessDisabled" | "AccountProblem" => Refusal::Denied,
        "InvalidAccessKeyId" => Refusal::UnknownKey,
        "SignatureDoesNotMatch" => Refusal::WrongSecret,
        "ExpiredToken" | "InvalidToken" | "TokenRefreshRequired" => Refusal::Expired,
        "RequestTimeTooSkewed" | "RequestExpired" => Refusal::Clock,
        "PermanentRedirect" | "AuthorizationHeaderMalformed" | "IllegalLocationConstraintException" => Refusal::Region,
        _ => return None,
    })
}

/// A code that says nothing of its own here.
fn of_status(status: &str, code: &str) -> Refusal {
    match status.as_bytes().first() {
        Some(b'5') if code == "NotImplemented" => Refusal::Overwrites,
        Some(b'5') => Refusal::Failing(format!("{status}, {code}")),
        _ => Refusal::Other(format!("the server refuses it: {status}, {code}")),
    }
}

/// No code: an answer to HEAD, or not S3's.
fn of_kind(error: &Error, status: Option<&str>) -> Refusal {
    match (error, status) {
        (Error::PermissionDenied { .. } | Error::Unauthenticated { .. }, _) => Refusal::Denied,
        (_, Some(status)) if status.starts_with('5') => Refusal::Failing(status.to_owned()),
        (_, Some(status)) => {
            Refusal::Other(format!("the server answers {status}, and not as S3 does; see to AWS_ENDPOINT_URL"))
        }
        (_, None) => Refusal::Other(chain(error).last().map_or_else(String::new, ToString::to_string)),
    }
}

fn chain(error: &Error) -> impl Iterator<Item = &(dyn StdError + 'static)> {
    let first: &(dyn StdError + 'static) = error;
    successors(Some(first), |error: &&(dyn StdError + 'static)| (*error).source())
}

fn cause<E: StdError + 'static>(error: &Error) -> Option<&E> {
    chain(error).find_map(|error| error.downcast_ref::<E>())
}

fn between<'t>(text: &'t str, before: &str, after: &str) -> Option<&'t str> {
    let (_, rest) = text.split_once(before)?;
    Some(rest.split_once(after)?.0)
}
