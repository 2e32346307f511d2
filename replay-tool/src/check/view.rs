//! The read model against the topics: what it has must be what they say up to its positions, row for row. It may be behind.
//!
//! It is read by itself, as a rebuild would: it is no part of the services' cut, and topics are as good a witness at any moment.

use super::CheckConfig;
use super::findings::{Findings, Invariant};
use crate::error::ReplayError;
use crate::keeper::Keeper;
use crate::rebuild::{Rebuild, ServiceReport};
use crate::rows::RowDifference;
use crate::snapshot::ServiceTables;
use crate::source::Source;

/// Compare; what differs is found, and how far behind it is.
pub(super) async fn check(
    config: &CheckConfig,
    source: &Source,
    tables: &ServiceTables,
    findings: &mut Findings,
) -> Result<i64, ReplayError> {
    let rebuild = Rebuild::in_memory_from(source.clone(), config.codec.clone());
    let keepers = [(Keeper::View, tables.clone())];
    let reports = rebuild.compare(&keepers, config.records.prefix(), config.patience).await?;
    reports.iter().for_each(|report| find(report, findings));
    Ok(reports.iter().filter_map(|report| report.behind).sum())
}

fn find(report: &ServiceReport, findings: &mut Findings) {
    for problem in &report.problems.listed {
        findings.add(Invariant::Rebuild, "view", problem.to_string());
    }
    for RowDifference { row, column, live, rebuilt } in report.differences.iter().flat_map(|all| &all.listed) {
        let null = || "null".to_owned();
        let detail = match (column, live, rebuilt) {
            (None, Some(_), _) => "in the table, but not in the topics".to_owned(),
            (None, None, _) => "in the topics, but not in the table".to_owned(),
            (Some(column), live, rebuilt) => format!(
                "{column} is {}; folded from the topics it is {}",
                live.clone().unwrap_or_else(null),
                rebuilt.clone().unwrap_or_else(null)
            ),
        };
        findings.add(Invariant::Rebuild, format!("view {row}"), detail);
    }
}
