//! `replay-tool rebuild`.

use std::path::PathBuf;
use std::time::Instant;

use clap::Args;
use schemas::{Codec, ServiceName};

use grammar::{Exit, JsonOption};

use super::exit;
use super::moment;
use super::source::SourceArgs;
use super::tables::TablesArgs;
use crate::error::ReplayError;
use crate::interrupt::Interrupt;
use crate::keeper::Keeper;
use crate::rebuild::{PARALLEL, Rebuild, RebuildReport, Target, UNIT_RECORDS, Until};
use crate::snapshot::ServiceTables;

/// Flags of `rebuild`.
#[derive(Debug, Args)]
#[command(after_help = exit::exit_codes())]
pub(super) struct Options {
    #[command(flatten)]
    source: SourceArgs,
    #[command(flatten)]
    tables: TablesArgs,
    /// Only this service's state: order, inventory, payment, or view for the read model; may be repeated.
    #[arg(long = "service", value_name = "SERVICE")]
    services: Vec<String>,
    /// Where to: `schema` (a schema <name>_rebuilt beside the live one), `memory` (counts and a digest), or a SQLite file
    /// that is made.
    #[arg(long, default_value = "schema", value_name = "schema|memory|FILE")]
    to: String,
    /// How far: an RFC 3339 time (of the records' own timestamps), or a vector of offsets as JSON, given or in a file.
    #[arg(long, value_name = "TIME|VECTOR")]
    until: Option<String>,
    /// Only this order, printed.
    #[arg(long, value_name = "ID", conflicts_with_all = ["swap", "dry_run", "services"])]
    order: Option<String>,
    /// Write nothing: tell how the live tables differ from what would be written.
    #[arg(long, conflicts_with_all = ["swap", "until"])]
    dry_run: bool,
    /// Afterwards, put the rebuilt tables in the place of the live ones, and keep those as <schema>_before_<time>.
    /// Changes the live database; no worker or relay of the service may be connected.
    #[arg(long, conflicts_with = "until")]
    swap: bool,
    /// With --swap: let the service read all its commands again, because its runtime tables were lost. Commands that have
    /// an outcome are answered with it once more.
    #[arg(long, requires = "swap")]
    read_again: bool,
    /// End at the first record that cannot be folded, instead of telling of it.
    #[arg(long)]
    strict: bool,
    /// Throw away what an earlier run has left unfinished, instead of going on with it.
    #[arg(long)]
    restart: bool,
    /// The most records of a part: its state is held in memory as a whole.
    #[arg(long, default_value_t = UNIT_RECORDS, value_name = "COUNT")]
    unit_records: u64,
    /// How many parts are held in memory at once, folded or being written.
    #[arg(long, default_value_t = PARALLEL, value_name = "COUNT")]
    parallel: usize,
    /// A directory of schemas beyond those compiled in, laid out as `schemas/`.
    #[arg(long, value_name = "DIRECTORY")]
    schema_directory: Option<PathBuf>,
    #[command(flatten)]
    output: JsonOption,
}

/// Rebuild and print.
pub(super) async fn run(options: Options, interrupt: &Interrupt) -> Result<Exit, ReplayError> {
    let begun = Instant::now();
    let until = options.until.as_deref().map(moment::parse).transpose()?.unwrap_or_default();
    if let Some(order) = &options.order {
        return moment::print_order(&options.rebuild(interrupt, until)?, order, options.output.json).await;
    }
    let rebuild = options.rebuild(interrupt, until)?;
    let needs_tables = options.dry_run || rebuild.target == Target::Schema;
    let writes_tables = rebuild.target == Target::Schema && !options.dry_run;
    let needs_flag = writes_tables && options.source.has_archive();
    let tables = if needs_flag { options.tables.named_by_flags()? } else { options.tables.given()? };
    if options.swap && rebuild.target != Target::Schema {
        return Err(ReplayError::arguments("--swap needs --to schema"));
    }
    if options.swap {
        options.source.writable_kafka("--swap, because only the topics tell where they end,")?;
    }
    let tables_of = |keeper: Keeper| match tables.iter().find(|(of, _)| *of == keeper) {
        Some(given) => Ok(given.clone()),
        None if needs_tables => {
            let beside = if needs_flag { " (DATABASE_URL is only read from where an archive is named)" } else { "" };
            let reason = format!("no --database-url for the {keeper}{beside}; or rebuild --to memory");
            Err(ReplayError::arguments(reason))
        }
        None => Ok((keeper, ServiceTables::of(keeper, ""))),
    };
    let keepers = chosen(&options.services)?;
    if matches!(rebuild.target, Target::File(_))
        && !options.dry_run
        && keepers.contains(&Keeper::View)
        && keepers.len() > 1
    {
        return Err(ReplayError::arguments("the read model has tables of the same names: give it a file of its own"));
    }
    let services = keepers.into_iter().map(tables_of).collect::<Result<Vec<_>, _>>()?;
    let mut reports = if options.dry_run {
        rebuild.compare(&services, options.source.topic_prefix(), options.source.patience()).await?
    } else {
        rebuild.run(&services).await?
    };
    if options.swap {
        for ((keeper, live), report) in services.iter().zip(&mut reports) {
            rebuild.swap(*keeper, live, report, options.read_again).await?;
        }
    }
    let report = RebuildReport { services: reports, elapsed_s: begun.elapsed().as_secs_f64() };
    let text = match options.output.json {
        true => serde_json::to_string(&report).map_err(ReplayError::arguments)? + "\n",
        false => report.to_string(),
    };
    grammar::say(&text).map_err(ReplayError::output("the report"))?;
    Ok(Exit::done_if(report.is_clean()))
}

impl Options {
    fn rebuild(&self, interrupt: &Interrupt, until: Until) -> Result<Rebuild, ReplayError> {
        let target = match self.to.as_str() {
            "schema" => Target::Schema,
            "memory" => Target::Memory,
            path => Target::File(PathBuf::from(path)),
        };
        Ok(Rebuild {
            source: self.source.source(interrupt)?,
            codec: codec(self.schema_directory.as_deref())?,
            target,
            until,
            unit_records: self.unit_records,
            parallel: self.parallel,
            is_strict: self.strict,
            is_restart: self.restart,
        })
    }
}

/// The schemas compiled in, and those of a directory.
pub(super) fn codec(directory: Option<&std::path::Path>) -> Result<Codec, ReplayError> {
    directory.map_or_else(|| Ok(Codec::embedded()), |path| Codec::with_directory(path).map_err(ReplayError::arguments))
}

/// Those of these names, or all services.
fn chosen(names: &[String]) -> Result<Vec<Keeper>, ReplayError> {
    if names.is_empty() {
        return Ok(ServiceName::ALL.map(Keeper::from).to_vec());
    }
    let find = |name: &String| {
        let of_schema = || Keeper::ALL.into_iter().find(|keeper| keeper.default_schema() == name);
        Keeper::parse(name)
            .or_else(of_schema)
            .ok_or_else(|| ReplayError::arguments(format!("--service {name}: give order, inventory, payment or view")))
    };
    names.iter().map(find).collect()
}
