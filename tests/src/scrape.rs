//! The series of a daemon as Prometheus reads them.
//!
//! Parses what our own exporter writes, and fails on everything else.

use std::collections::{BTreeMap, BTreeSet};

use crate::{Daemon, Outcome, trouble};

/// One series of a scrape.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// The metric's name; without the endings of a histogram's parts.
    pub metric: String,
    /// Its labels, without a bucket's bound.
    pub labels: BTreeMap<String, String>,
    /// Its value; for a histogram that of any of its parts.
    pub value: f64,
}

impl Series {
    /// All series that a daemon shows.
    pub async fn scrape(daemon: &Daemon) -> Outcome<Vec<Series>> {
        let (status, body) = daemon.get("/metrics").await?;
        if status != 200 {
            return Err(trouble(format!("/metrics: {status}: {body}")));
        }
        let histograms: BTreeSet<&str> =
            body.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.strip_suffix(" histogram")).collect();
        body.lines()
            .filter(|line| !line.is_empty() && !line.starts_with('#'))
            .map(|line| read(line, &histograms))
            .collect()
    }

    /// The names of its labels.
    pub fn label_names(&self) -> BTreeSet<&str> {
        self.labels.keys().map(String::as_str).collect()
    }
}

fn read(line: &str, histograms: &BTreeSet<&str>) -> Outcome<Series> {
    let unreadable = || trouble(format!("not a series: {line}"));
    let (series, value) = line.rsplit_once(' ').ok_or_else(unreadable)?;
    let (name, listed) = match series.split_once('{') {
        Some((name, listed)) => (name, listed.strip_suffix('}').ok_or_else(unreadable)?),
        None => (series, ""),
    };
    let mut labels = BTreeMap::new();
    for label in listed.split("\",").filter(|label| !label.is_empty()) {
        let (label, text) = label.split_once("=\"").ok_or_else(unreadable)?;
        labels.insert(label.to_owned(), text.trim_end_matches('"').to_owned());
    }
    let base = ["_bucket", "_sum", "_count"].iter().find_map(|ending| name.strip_suffix(ending));
    let metric = base.filter(|base| histograms.contains(base)).unwrap_or(name).to_owned();
    if metric != name {
        labels.remove("le");
    }
    Ok(Series { metric, labels, value: value.parse().map_err(|_| unreadable())? })
}

/// The sum of the series of this name that have all these labels, each as `name="value"`.
pub fn reading(body: &str, name: &str, labels: &[&str]) -> f64 {
    let is_series = |line: &&str| {
        line.strip_prefix(name).is_some_and(|rest| rest.starts_with([' ', '{']))
            && labels.iter().all(|label| line.contains(label))
    };
    let value = |line: &str| line.rsplit_once(' ').and_then(|(_, value)| value.parse::<f64>().ok());
    body.lines().filter(is_series).filter_map(value).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_are_chosen_by_name_and_labels() {
        let body = "# TYPE a gauge\na{t=\"x\",p=\"0\"} 2\na{t=\"x\",p=\"1\"} 3\na{t=\"y\",p=\"0\"} 10\nab 7\nc 1\n";
        let is = |expected: f64, found: f64| expected.total_cmp(&found).is_eq();
        assert!(is(5.0, reading(body, "a", &["t=\"x\""])));
        assert!(is(12.0, reading(body, "a", &["p=\"0\""])));
        assert!(is(7.0, reading(body, "ab", &[])));
    }
}
