//! The descriptions on a real server: they are the tables that migrations make, stories are stored as they are told, and
//! every statement's plan goes to the primary key.

use std::collections::{BTreeMap, BTreeSet};

use dev_stack::{Stack, StackConfig};
use schemas::ServiceName;
use tokio_postgres::SimpleQueryMessage;
use tokio_postgres::error::SqlState;

use super::*;
use provision::{Database, migrate};
use tables::stories::Told;
use tables::{
    Change, ContentsRow, Kind, OrderRow, Parameter, PaymentCallRow, PaymentRow, PostingRow, ReceiptRow, ReservationRow,
    StockRow,
};

/// Tables of services that have no rows of the kind that are described, and the one that is not used since version 2.
const UNDESCRIBED: [&str; 2] = ["service_version", "timer_watermarks"];

/// A server with the three services' schemas.
struct Services {
    stack: Stack,
}

impl Services {
    async fn start() -> Self {
        let stack = tokio::task::spawn_blocking(|| Stack::start_postgres(StackConfig::in_project())).await.unwrap();
        let services = Services { stack: stack.unwrap() };
        for service in ServiceName::ALL {
            let mut client = services.client(service).await;
            migrate::migrate(&mut client, service, service.as_str()).await.unwrap();
        }
        services
    }

    async fn client(&self, service: ServiceName) -> deadpool_postgres::Object {
        let database = Database::open(&self.stack.database_url(), None, service.as_str(), "tables").unwrap();
        database.client().await.unwrap()
    }
}

fn borrowed(parameters: &[Parameter]) -> Vec<&(dyn ToSql + Sync)> {
    parameters.iter().map(|parameter| parameter.as_ref() as _).collect()
}

/// Name, type, whether null is taken, place in the primary key: of every column that is written.
type Columns = BTreeMap<String, (String, bool, Option<usize>)>;

fn described<R: TableRow>() -> (String, Columns) {
    let column = |(index, column): (usize, &tables::Column)| {
        let kind = match column.kind {
            Kind::Integer => "integer",
            Kind::Timestamptz => "timestamp with time zone",
            Kind::Text | Kind::Bytea | Kind::Bigint | Kind::Texts | Kind::Bigints => column.kind.sql(),
        };
        let is_key = column.change == Change::Key;
        (column.name.to_owned(), (kind.to_owned(), column.is_nullable, is_key.then_some(index)))
    };
    (R::TABLE.to_owned(), R::COLUMNS.iter().enumerate().map(column).collect())
}

/// A column that a description lacks would be neither written nor rebuilt nor compared.
#[tokio::test(flavor = "multi_thread")]
async fn descriptions_are_the_tables_that_migrations_make() {
    let services = Services::start().await;
    let mut found: BTreeMap<String, Columns> = BTreeMap::new();
    for service in ServiceName::ALL {
        let client = services.client(service).await;
        for made in columns(&client, service.as_str()).await.unwrap() {
            let place = made.key_position.map(|position| usize::try_from(position).unwrap());
            found.entry(made.table).or_default().insert(made.name, (made.sql_type, made.is_nullable, place));
        }
    }
    let is_of_outbox = |table: &str| table.starts_with("outbox_") || table.starts_with("inbox_");
    found.retain(|table, _| !is_of_outbox(table) && !UNDESCRIBED.contains(&table.as_str()));
    let described = [
        described::<OrderRow>(),
        described::<ContentsRow>(),
        described::<ReservationRow>(),
        described::<StockRow>(),
        described::<ReceiptRow>(),
        described::<PaymentRow>(),
        described::<PostingRow>(),
        described::<PaymentCallRow>(),
    ];
    for (table, columns) in &described {
        assert_eq!(found.get(table), Some(columns), "{table}");
    }
    let names: BTreeSet<&String> = described.iter().map(|(table, _)| table).collect();
    assert_eq!(found.keys().collect::<BTreeSet<_>>(), names, "tables without a description");
}

/// Parameters that name the rows' keys.
fn keys<R: TableRow>(rows: &[R]) -> Vec<Parameter> {
    let mut parameters = R::insert_parameters(rows.to_vec());
    parameters.truncate(R::key_columns().count());
    parameters
}

async fn stored<R: TableRow>(client: &Client, rows: &[R]) -> Vec<R> {
    let found = client.query(&statements::lock::<R>(), &borrowed(&keys(rows))).await.unwrap();
    found.iter().map(|row| R::read(row).unwrap()).collect()
}

/// All stories at once: one insert of their beginnings, one update for each further chapter.
async fn store<R: Told>(client: &Client) {
    let mut stories = R::stories();
    stories.sort_by_key(|story| story[0].key());
    stories.dedup_by_key(|story| story[0].key());
    let mut rows: Vec<R> = stories.iter().map(|story| story[0].clone()).collect();
    let insert = statements::insert::<R>();
    let inserted = client.execute(&insert, &borrowed(&R::insert_parameters(rows.clone()))).await.unwrap();
    assert_eq!(inserted, rows.len() as u64);
    assert_eq!(stored(client, &rows).await, rows);
    if !R::COLUMNS.iter().any(|column| column.change == Change::Changes) {
        return;
    }
    let update = statements::update::<R>();
    let longest = stories.iter().map(Vec::len).max().unwrap();
    let first = rows.clone();
    for chapter in 1..longest {
        let mut updates = Vec::new();
        for (row, story) in rows.iter_mut().zip(&stories).filter(|(_, story)| story.len() > chapter) {
            updates.push((row.guard(), story[chapter].clone()));
            *row = story[chapter].clone();
        }
        client.query(&update, &borrowed(&R::update_parameters(updates))).await.unwrap();
        assert_eq!(stored(client, &rows).await, rows, "{} after chapter {chapter}", R::TABLE);
    }
    if !R::GUARD.is_empty() {
        // What was loaded before somebody else changed it is not written.
        let stale: Vec<(R::Guard, R)> = first.iter().map(|row| (row.guard(), row.clone())).collect();
        let error = client.query(&update, &borrowed(&R::update_parameters(stale))).await.unwrap_err();
        assert_eq!(error.code(), Some(&SqlState::DIVISION_BY_ZERO), "{}", R::TABLE);
        assert_eq!(stored(client, &rows).await, rows, "{}", R::TABLE);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn stories_are_stored_as_they_are_told() {
    let services = Services::start().await;
    let order = services.client(ServiceName::Order).await;
    store::<OrderRow>(&order).await;
    store::<ContentsRow>(&order).await;
    let inventory = services.client(ServiceName::Inventory).await;
    store::<ReservationRow>(&inventory).await;
    store::<StockRow>(&inventory).await;
    store::<ReceiptRow>(&inventory).await;
    let payment = services.client(ServiceName::Payment).await;
    store::<PaymentRow>(&payment).await;
    store::<PostingRow>(&payment).await;
    store::<PaymentCallRow>(&payment).await;
    let calls: Vec<PaymentCallRow> = PaymentCallRow::stories().into_iter().map(|mut story| story.remove(0)).collect();
    for is_there in [true, false] {
        let mut parameters = keys(&calls);
        parameters.push(Box::new(1_i64));
        let deleted = payment.query(&statements::delete::<PaymentCallRow>(), &borrowed(&parameters)).await;
        assert_eq!(deleted.is_ok(), is_there, "a call that is not there cannot be deleted: {deleted:?}");
    }
    assert!(stored(&payment, &calls).await.is_empty());
}

/// The plan of a statement in a lane transaction's session, whatever its parameters.
async fn generic_plan(client: &Client, sql: &str) -> String {
    let parameters = (1..100).take_while(|number| sql.contains(&format!("${number}::"))).count();
    let nulls = vec!["null"; parameters].join(", ");
    let script = format!("prepare looked_at as {sql}; explain execute looked_at ({nulls}); deallocate looked_at");
    let answers = client.simple_query(&script).await.unwrap();
    let lines = answers.iter().filter_map(|answer| {
        let SimpleQueryMessage::Row(row) = answer else { return None };
        row.get(0)
    });
    lines.collect::<Vec<_>>().join("\n")
}

async fn look_at_plans<R: TableRow>(client: &Client) {
    let index = format!("Index Scan using {}_pkey", R::TABLE);
    let mut statements = vec![statements::lock::<R>(), statements::look_up::<R>(), statements::delete::<R>()];
    if R::COLUMNS.iter().any(|column| column.change == Change::Changes) {
        statements.push(statements::update::<R>());
    }
    for is_analyzed in [false, true] {
        if is_analyzed {
            client.batch_execute(&format!("analyze {}", R::TABLE)).await.unwrap();
        }
        for sql in &statements {
            let plan = generic_plan(client, sql).await;
            assert!(plan.contains(&index) && plan.contains("Nested Loop"), "{sql}:\n{plan}");
            for other in ["Seq Scan", "Hash", "Merge"] {
                assert!(!plan.contains(other), "{sql}:\n{plan}");
            }
            assert_eq!(plan.contains("LockRows"), sql.contains("for update"), "{sql}:\n{plan}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_plan_goes_from_the_parameters_to_the_primary_key() {
    let services = Services::start().await;
    let order = services.client(ServiceName::Order).await;
    look_at_plans::<OrderRow>(&order).await;
    look_at_plans::<ContentsRow>(&order).await;
    let inventory = services.client(ServiceName::Inventory).await;
    look_at_plans::<ReservationRow>(&inventory).await;
    look_at_plans::<StockRow>(&inventory).await;
    look_at_plans::<ReceiptRow>(&inventory).await;
    let payment = services.client(ServiceName::Payment).await;
    look_at_plans::<PaymentRow>(&payment).await;
    look_at_plans::<PostingRow>(&payment).await;
    look_at_plans::<PaymentCallRow>(&payment).await;
}

/// A column as migrations have made it.
#[derive(Debug)]
struct MadeColumn {
    table: String,
    name: String,
    sql_type: String,
    is_nullable: bool,
    /// From 0.
    key_position: Option<i32>,
}

/// All columns of a schema's tables but those that the server computes.
async fn columns(client: &tokio_postgres::Client, schema: &str) -> Result<Vec<MadeColumn>, tokio_postgres::Error> {
    let sql = "select c.relname::text, a.attname::text, format_type (a.atttypid, a.atttypmod), not a.attnotnull, \
                   array_position (i.indkey::int2[], a.attnum) \
               from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and a.attgenerated = '' \
                   left join pg_index i on i.indrelid = c.oid and i.indisprimary \
               where c.relkind = 'r' and c.relnamespace = to_regnamespace ($1) and not a.attisdropped";
    let made = |row: &tokio_postgres::Row| MadeColumn {
        table: row.get(0),
        name: row.get(1),
        sql_type: row.get(2),
        is_nullable: row.get(3),
        key_position: row.get(4),
    };
    Ok(client.query(sql, &[&schema]).await?.iter().map(made).collect())
}
