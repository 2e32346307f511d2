//! How times and durations are written in a trace.

use schemas::Time;

/// The day, UTC.
pub(crate) fn day(time: Time) -> String {
    time.to_string().chars().take_while(|c| *c != 'T').collect()
}

/// The time of day, UTC, with microseconds.
pub(crate) fn time_of_day(time: Time) -> String {
    time.to_string().chars().skip_while(|c| *c != 'T').filter(|c| !matches!(c, 'T' | 'Z')).collect()
}

/// A duration with as much detail as is worth reading.
pub(crate) fn duration(micros: i64) -> String {
    let sign = if micros < 0 { "-" } else { "" };
    let micros = micros.unsigned_abs();
    let seconds = micros / 1_000_000;
    match seconds {
        0 if micros < 10_000 => format!("{sign}{}.{:03} ms", micros / 1000, micros % 1000),
        0 => format!("{sign}{}.{} ms", micros / 1000, micros % 1000 / 100),
        1..60 => format!("{sign}{seconds}.{:03} s", micros % 1_000_000 / 1000),
        60..3600 => format!("{sign}{} min {} s", seconds / 60, seconds % 60),
        3600..86_400 => format!("{sign}{} h {} min", seconds / 3600, seconds % 3600 / 60),
        _ => format!("{sign}{} d {} h", seconds / 86_400, seconds % 86_400 / 3600),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_the_detail_that_matters() {
        let cases = [
            (0, "0.000 ms"),
            (-1_250, "-1.250 ms"),
            (12_345, "12.3 ms"),
            (1_500_000, "1.500 s"),
            (61_000_000, "1 min 1 s"),
            (3_720_000_000, "1 h 2 min"),
            (176_400_000_000, "2 d 1 h"),
            (i64::MIN, "-106751991 d 4 h"),
        ];
        for (micros, words) in cases {
            assert_eq!(duration(micros), words);
        }
    }

    #[test]
    fn times_are_utc() {
        let time = Time::from_micros(1_790_000_000_000_100);
        assert_eq!((day(time).as_str(), time_of_day(time).as_str()), ("2026-09-21", "14:13:20.000100"));
        assert_eq!((day(Time::MAX).as_str(), time_of_day(Time::MAX).as_str()), ("9999-12-31", "23:59:59.999999"));
    }
}
