//! Room for streams and other callers: each is an open file, and most systems give a process about a thousand of them at first.
//!
//! What a process may have at most stays as it is: that is for whoever runs it.

use nix::sys::resource::{Resource, getrlimit, setrlimit};

use crate::serving::BESIDE_STREAMS;

/// What the door needs beside its streams: other callers; Kafka, Postgres, files of its own.
const BESIDE: u64 = BESIDE_STREAMS as u64 + 200;

/// Raises the limit as far as so many streams need and the system lets it; what is missing is logged.
pub(crate) fn make_room(streams: usize) {
    let wanted = u64::try_from(streams).unwrap_or(u64::MAX).saturating_add(BESIDE);
    let raised = getrlimit(Resource::RLIMIT_NOFILE).and_then(|(soft, hard)| {
        let limit = limit(soft, hard, wanted);
        if limit > soft { setrlimit(Resource::RLIMIT_NOFILE, limit, hard).map(|()| limit) } else { Ok(soft) }
    });
    match raised {
        Ok(limit) if limit >= wanted => {}
        Ok(limit) => {
            let words = "--max-streams needs more open files than this process may have: raise `ulimit -Hn`, or allow fewer streams";
            tracing::warn!(limit, wanted, "{words}");
        }
        Err(error) => tracing::warn!(%error, wanted, "the limit of open files cannot be raised"),
    }
}

/// The limit to set: never lower than it is.
fn limit(soft: u64, hard: u64, wanted: u64) -> u64 {
    wanted.min(hard).max(soft)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_goes_as_high_as_needed_and_allowed_and_never_down() {
        assert_eq!([limit(1_024, 524_288, 11_000), limit(1_024, 4_096, 11_000)], [11_000, 4_096]);
        assert_eq!(limit(20_000, 524_288, 11_000), 20_000);
    }

    #[test]
    fn there_is_room_for_a_stream_more_than_there_was() {
        let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
        let streams = usize::try_from(soft.saturating_add(1).min(hard).saturating_sub(BESIDE)).unwrap();
        make_room(streams);
        assert!(getrlimit(Resource::RLIMIT_NOFILE).unwrap().0 >= soft.saturating_add(1).min(hard));
    }
}
