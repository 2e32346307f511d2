//! The operator's verbs: ask the library, write the answer as a table or as JSON, say whether something was found.

use std::io::{self, IsTerminal, Write as _};
use std::time::{Duration, Instant};

use grammar::{Exit, JsonOption, say, say_json};
use outbox::operate::{
    self, AuditConfig, AuditReport, DoctorConfig, Level, Progress, RebaseConfig, RepairConfig, RepairReport,
};
use serde_json::json;

use crate::arguments::{At, AuditArguments, Change, DoctorArguments, Lanes, Work};
use crate::{Failure, text};

/// Creates or upgrades the tables, and gives a role what it needs for its work with them.
pub(crate) async fn migrate(at: &At, role: Option<&str>, work: &[Work]) -> Result<Exit, Failure> {
    let schema = at.schema()?;
    let mut client = at.database()?.connect().await?;
    outbox::migrate(&mut client, schema).await?;
    tracing::info!(schema, "the outbox tables are up to date");
    if let Some(role) = role {
        let rights: Vec<_> = work.iter().flat_map(|work| outbox::grants::Work::from(*work).rights()).copied().collect();
        let given = outbox::grants::grant(&mut client, schema, role, &rights).await?;
        let statements: Vec<String> = given.iter().map(|statement| format!("{statement};")).collect();
        if !statements.is_empty() {
            say(&statements.join("\n"))?;
        }
    }
    Ok(Exit::Done)
}

/// How the outbox stands.
pub(crate) async fn status(at: &At, output: JsonOption) -> Result<Exit, Failure> {
    let status = operate::status(&at.database()?, at.schema()?).await?;
    let findings = status.findings();
    let exit = Exit::done_if(findings.is_empty());
    if output.json {
        let mut value = serde_json::to_value(&status).map_err(io::Error::other)?;
        value["findings"] = json!(findings);
        say_json(&value)?;
    } else {
        say(&text::status(&status, &findings))?;
    }
    Ok(exit)
}

/// Table against topics, and a repair if that is wanted.
pub(crate) async fn audit(at: &At, arguments: &AuditArguments) -> Result<Exit, Failure> {
    if !arguments.repair && arguments.change.dry_run {
        return Err(Failure::Usage("--dry-run says what a --repair would do; give both".to_owned()));
    }
    let (database, kafka) = (at.database()?, at.kafka()?);
    let mut config = AuditConfig::new(at.schema()?, kafka.clone());
    config.since = arguments.since;
    config.selection = arguments.lanes.selection();
    let look = async || operate::audit(&database, &config, show_progress()).await;
    let report = look().await?;
    let mut repaired = None;
    let mut after = None;
    if arguments.repair {
        let mut config = RepairConfig::new(kafka);
        config.lead = arguments.change.lead();
        config.dry_run = arguments.change.dry_run;
        let done = operate::repair(&database, &report, config).await?;
        if !done.dry_run && !done.lanes.is_empty() {
            after = Some(look().await?);
        }
        repaired = Some(done);
    }
    write_audit(arguments.output, &report, repaired.as_ref(), after.as_ref())?;
    Ok(Exit::done_if(after.as_ref().unwrap_or(&report).findings().next().is_none()))
}

fn write_audit(
    output: JsonOption,
    report: &AuditReport,
    repaired: Option<&RepairReport>,
    after: Option<&AuditReport>,
) -> Result<(), Failure> {
    if output.json {
        return Ok(say_json(&json!({ "audit": report, "repair": repaired, "audit_after_repair": after }))?);
    }
    let mut whole = text::audit(report);
    if let Some(repaired) = repaired {
        whole += &format!("\n{}", text::repair(repaired));
    }
    if let Some(after) = after {
        whole += &format!("\nAudited again after the repair\n{}", text::audit(after));
    }
    Ok(say(&whole)?)
}

/// A new epoch.
pub(crate) async fn rebase(
    at: &At,
    lanes: &Lanes,
    after: Option<i64>,
    change: &Change,
    output: JsonOption,
) -> Result<Exit, Failure> {
    let mut config = RebaseConfig::new(at.schema()?, at.kafka()?);
    config.selection = lanes.selection();
    config.after = after;
    config.lead = change.lead();
    config.dry_run = change.dry_run;
    let report = operate::rebase(&at.database()?, config).await?;
    if output.json {
        say_json(&report)?;
    } else {
        say(&text::rebase(&report))?;
    }
    Ok(Exit::Done)
}

/// What keeps it from working.
pub(crate) async fn doctor(at: &At, arguments: &DoctorArguments) -> Result<Exit, Failure> {
    let mut config = DoctorConfig::new(at.schema()?, at.kafka()?);
    config.writer_role.clone_from(&arguments.writer_role);
    config.sender_role.clone_from(&arguments.sender_role);
    config.relay_role.clone_from(&arguments.relay_role);
    config.archive_group.clone_from(&arguments.archive_group);
    config.max_message_bytes = arguments.max_message_bytes;
    config.retention = Duration::from_secs(arguments.retention_s);
    config.old_transaction = Duration::from_secs(arguments.old_transaction_s);
    let diagnosis = operate::doctor(&at.database()?, &config).await?;
    if arguments.output.json {
        say_json(&diagnosis)?;
    } else {
        say(&text::doctor(&diagnosis))?;
    }
    let worst = if arguments.strict { Level::Warning } else { Level::Problem };
    Ok(Exit::done_if(diagnosis.level() < worst))
}

/// Shows on a terminal, and only there, how far an audit is.
fn show_progress() -> impl FnMut(Progress) {
    const EVERY: Duration = Duration::from_millis(200);
    let is_terminal = std::io::stderr().is_terminal();
    let mut shown = Instant::now();
    move |progress| {
        let is_end = progress.done >= progress.total;
        if is_terminal && (is_end || shown.elapsed() >= EVERY) {
            shown = Instant::now();
            let mut stderr = std::io::stderr();
            let line = if is_end {
                "\r\x1b[K".to_owned()
            } else {
                format!("\r{} of {} offsets", progress.done, progress.total)
            };
            // Nobody is hurt if the terminal is gone.
            let _ = write!(stderr, "{line}").and_then(|()| stderr.flush());
        }
    }
}
