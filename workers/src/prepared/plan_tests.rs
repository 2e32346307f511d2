//! The descriptions on a real server: they are the tables that migrations make, stories are stored as they are told, and
//! every statement's plan goes to the primary key.

use std::collections::{BTreeMap, BTreeSet};

use dev_stack::{Stack, StackConfig};
use schemas::ServiceName;
use tokio_postgres::SimpleQueryMessage;

use super::*;
use provision::{Database, migrate};
use tables::stories::Told;
use tables::{
    Change, ContentsRow, Kind, OrderRow, Parameter, PaymentCallRow, PaymentRow, PostingRow, ProductRow, ReceiptRow,
    ReservationRow, StockRow,
};

/// Tables of services that have no rows of the kind that are described, and the one that is not used since version 2.
const UNDESCRIBED: [&str; 3] = ["payment_looks", "service_version", "timer_watermarks"];

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
        described::<ProductRow>(),
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

/// How many rows a change has given.
async fn carried_out(client: &Client, sql: &str, parameters: &[Parameter]) -> usize {
    client.query(sql, &borrowed(parameters)).await.unwrap().len()
}

/// The key's columns and the guard, of rows that were loaded.
fn keys_and_guards<R: TableRow>(rows: &[R]) -> Vec<Parameter> {
    let guards: Vec<R::Guard> = rows.iter().map(TableRow::guard).collect();
    let mut parameters = keys(rows);
    parameters.append(&mut tables::guard_parameters(&guards, R::GUARD.len()));
    parameters
}

/// The same of one row, as values.
fn key_and_guard<R: TableRow>(row: &R) -> Vec<Parameter> {
    let mut parameters = row.clone().insert_values();
    parameters.truncate(R::key_columns().count());
    parameters.extend(row.guard().as_ref().iter().map(|had| Box::new(*had) as Parameter));
    parameters
}

fn told_stories<R: Told>() -> Vec<Vec<R>> {
    let mut stories = R::stories();
    stories.sort_by_key(|story| story[0].key());
    stories.dedup_by_key(|story| story[0].key());
    stories
}

const fn changes<R: TableRow>() -> bool {
    let mut index = 0;
    while index < R::COLUMNS.len() {
        if matches!(R::COLUMNS[index].change, Change::Changes) {
            return true;
        }
        index += 1;
    }
    false
}

/// All stories at once: one insert of their beginnings, one update for each further chapter.
async fn store<R: Told>(client: &Client) {
    let stories = told_stories::<R>();
    let mut rows: Vec<R> = stories.iter().map(|story| story[0].clone()).collect();
    assert_eq!(carried_out(client, &statements::find::<R>(), &keys(&rows)).await, 0);
    let inserted = carried_out(client, &statements::insert::<R>(), &R::insert_parameters(rows.clone())).await;
    assert_eq!(inserted, rows.len());
    assert_eq!(stored(client, &rows).await, rows);
    if !changes::<R>() {
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
        let count = updates.len();
        assert_eq!(carried_out(client, &update, &R::update_parameters(updates)).await, count);
        assert_eq!(stored(client, &rows).await, rows, "{} after chapter {chapter}", R::TABLE);
    }
    assert_eq!(carried_out(client, &statements::hold::<R>(), &keys_and_guards(&rows)).await, rows.len());
    assert_eq!(carried_out(client, &statements::find::<R>(), &keys(&rows)).await, rows.len());
    // What was loaded before somebody else changed it is neither written nor held.
    let changed: Vec<R> = first
        .into_iter()
        .zip(&rows)
        .filter(|(old, new)| old.guard().as_ref() != new.guard().as_ref())
        .map(|(old, _)| old)
        .collect();
    let stale = changed.iter().map(|row| (row.guard(), row.clone())).collect();
    assert_eq!(carried_out(client, &update, &R::update_parameters(stale)).await, 0, "{}", R::TABLE);
    assert_eq!(carried_out(client, &statements::hold::<R>(), &keys_and_guards(&changed)).await, 0, "{}", R::TABLE);
    assert_eq!(stored(client, &rows).await, rows, "{}", R::TABLE);
}

/// The same stories one by one, with the statements for one row; the table is empty before and after.
async fn store_singly<R: Told>(client: &Client) {
    use statements::single;
    client.batch_execute(&format!("truncate {} cascade", R::TABLE)).await.unwrap();
    for story in told_stories::<R>() {
        let mut row = story[0].clone();
        let found = keys_only(&row);
        assert_eq!(carried_out(client, &single::find::<R>(), &found).await, 0);
        assert_eq!(carried_out(client, &single::insert::<R>(), &row.clone().insert_values()).await, 1);
        for next in story.into_iter().skip(1) {
            let before = row.clone();
            let written = next.clone().update_values(row.guard());
            assert_eq!(carried_out(client, &single::update::<R>(), &written).await, 1, "{}", R::TABLE);
            row = next;
            let is_guarded = before.guard().as_ref() != row.guard().as_ref();
            let again = carried_out(client, &single::hold::<R>(), &key_and_guard(&before)).await;
            assert_eq!(again == 0, is_guarded, "{}", R::TABLE);
        }
        let locked = client.query(&single::lock::<R>(), &borrowed(&found)).await.unwrap();
        assert_eq!(locked.iter().map(|row| R::read(row).unwrap()).collect::<Vec<_>>(), [row.clone()], "{}", R::TABLE);
        assert_eq!(carried_out(client, &single::find::<R>(), &found).await, 1);
        for is_there in [1, 0] {
            assert_eq!(carried_out(client, &single::delete::<R>(), &key_and_guard(&row)).await, is_there);
        }
    }
}

fn keys_only<R: TableRow>(row: &R) -> Vec<Parameter> {
    let mut parameters = row.clone().insert_values();
    parameters.truncate(R::key_columns().count());
    parameters
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
    store::<ProductRow>(&inventory).await;
    let payment = services.client(ServiceName::Payment).await;
    store::<PaymentRow>(&payment).await;
    store::<PostingRow>(&payment).await;
    store::<PaymentCallRow>(&payment).await;
    let calls: Vec<PaymentCallRow> =
        told_stories::<PaymentCallRow>().into_iter().filter_map(|mut story| story.pop()).collect();
    for there in [calls.len(), 0] {
        let deleted = carried_out(&payment, &statements::delete::<PaymentCallRow>(), &keys_and_guards(&calls)).await;
        assert_eq!(deleted, there);
    }
    assert!(stored(&payment, &calls).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn stories_are_stored_one_by_one_too() {
    let services = Services::start().await;
    let order = services.client(ServiceName::Order).await;
    store_singly::<OrderRow>(&order).await;
    let inventory = services.client(ServiceName::Inventory).await;
    store_singly::<ReservationRow>(&inventory).await;
    store_singly::<StockRow>(&inventory).await;
    store_singly::<ReceiptRow>(&inventory).await;
    store_singly::<ProductRow>(&inventory).await;
    let payment = services.client(ServiceName::Payment).await;
    store_singly::<PaymentRow>(&payment).await;
    store_singly::<PaymentCallRow>(&payment).await;
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
    use statements::single;
    let mut many = vec![statements::lock::<R>(), statements::look_up::<R>(), statements::delete::<R>()];
    many.extend([statements::hold::<R>(), statements::find::<R>()]);
    let mut one = vec![single::lock::<R>(), single::delete::<R>(), single::hold::<R>(), single::find::<R>()];
    if changes::<R>() {
        many.push(statements::update::<R>());
        one.push(single::update::<R>());
    }
    for is_analyzed in [false, true] {
        if is_analyzed {
            client.batch_execute(&format!("analyze {}", R::TABLE)).await.unwrap();
        }
        for sql in &many {
            let plan = primary_key_plan::<R>(client, sql).await;
            assert!(plan.contains("Nested Loop"), "{sql}:\n{plan}");
        }
        for sql in &one {
            primary_key_plan::<R>(client, sql).await;
        }
    }
}

async fn primary_key_plan<R: TableRow>(client: &Client, sql: &str) -> String {
    let plan = generic_plan(client, sql).await;
    let index = [format!("Index Scan using {}_pkey", R::TABLE), format!("Index Only Scan using {}_pkey", R::TABLE)];
    assert!(index.iter().any(|scan| plan.contains(scan)), "{sql}:\n{plan}");
    for other in ["Seq Scan", "Hash", "Merge"] {
        assert!(!plan.contains(other), "{sql}:\n{plan}");
    }
    assert_eq!(plan.contains("LockRows"), sql.contains("for update"), "{sql}:\n{plan}");
    plan
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
    primary_key_plan::<StockRow>(&inventory, crate::inventory::TAKE).await;
    look_at_plans::<ReceiptRow>(&inventory).await;
    look_at_plans::<ProductRow>(&inventory).await;
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
