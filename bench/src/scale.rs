//! What so many orders a second need: the arithmetic of `docs/scale.md`, from what one order was measured to cost.
//!
//! Whole numbers only, rounded up, so that nobody ends with a machine too few. What a machine can take is a plan and no measurement:
//! those figures stand in `Plan`, apart from what was measured. Deliberately absent: prices, and load that comes in waves: give it the
//! rate of the highest one.

use std::process::ExitCode;

use grammar::grouped;

const PER_CORE_US: u64 = 1_000_000;
const DAY_S: u64 = 86_400;

/// The rates of the document, in orders per second.
const RATES: [u64; 4] = [1_000, 10_000, 100_000, 1_000_000];

/// What one order costs when requests and transactions are shared, as at full speed (docs/performance.md, 5 lines); what is kept of it
/// was read from a demo's folders (3,000 sample orders of 9.75 lines, 2026-11-30).
struct Order {
    order_us: u64,
    inventory_us: u64,
    payment_us: u64,
    postgres_us: u64,
    kafka_us: u64,
    wal_bytes: u64,
    topic_bytes: u64,
    table_bytes: u64,
}

const ORDER: Order = Order {
    order_us: 92,
    inventory_us: 46,
    payment_us: 56,
    postgres_us: 251,
    kafka_us: 55,
    wal_bytes: 10_400,
    topic_bytes: 2_200,
    table_bytes: 3_000,
};

/// What is planned with.
struct Plan {
    /// Copies of each record.
    replicas: u64,
    /// What a database's machine may use, of 16 cores.
    database_cores: u64,
    /// What its disk and its standby's network take.
    wal_bytes_per_s: u64,
    /// Of all that the databases do, the order service's: the bytes of its tables and outbox by those of all.
    largest_share_percent: u64,
    /// What a broker may use, of 8 cores.
    broker_cores: u64,
    /// What it writes.
    broker_bytes_per_s: u64,
    /// Two on two shared cores did 1,670 each.
    partition_orders_per_s: u64,
}

const PLAN: Plan = Plan {
    replicas: 3,
    database_cores: 10,
    wal_bytes_per_s: 200_000_000,
    largest_share_percent: 46,
    broker_cores: 5,
    broker_bytes_per_s: 100_000_000,
    partition_orders_per_s: 500,
};

/// Prints the tables.
pub fn main() -> ExitCode {
    print!("{}", tables());
    ExitCode::SUCCESS
}

/// What a rate needs.
struct Need {
    rate: u64,
}

impl Need {
    fn cores(&self, order_us: u64) -> u64 {
        (self.rate * order_us).div_ceil(PER_CORE_US)
    }

    fn wal_bytes_per_s(&self) -> u64 {
        self.rate * ORDER.wal_bytes
    }

    fn partitions(&self) -> u64 {
        self.rate.div_ceil(PLAN.partition_orders_per_s).max(6)
    }

    /// A broker's followers cost about what its leaders do.
    fn broker_cores(&self) -> u64 {
        self.cores(ORDER.kafka_us * PLAN.replicas)
    }

    fn brokers(&self) -> u64 {
        let by_disk = (self.rate * ORDER.topic_bytes * PLAN.replicas).div_ceil(PLAN.broker_bytes_per_s);
        self.broker_cores().div_ceil(PLAN.broker_cores).max(by_disk).max(PLAN.replicas)
    }

    /// Pipelines beside one another, each with databases of its own, so that the largest of them is not too large.
    fn cells(&self) -> u64 {
        self.rate.div_ceil(largest_cell())
    }

    /// One for all three services as long as it bears them.
    fn databases(&self) -> u64 {
        let fits =
            self.cores(ORDER.postgres_us) <= PLAN.database_cores && self.wal_bytes_per_s() <= PLAN.wal_bytes_per_s;
        if fits { 1 } else { 3 * self.cells() }
    }

    fn gigabytes_a_day(&self, order_bytes: u64) -> u64 {
        (self.rate * order_bytes * DAY_S).div_ceil(1_000_000_000)
    }
}

/// How many orders a second the order service's database bears.
fn largest_cell() -> u64 {
    let share = |cost: u64| cost * PLAN.largest_share_percent;
    let by_wal = PLAN.wal_bytes_per_s * 100 / share(ORDER.wal_bytes);
    let by_cores = PLAN.database_cores * PER_CORE_US * 100 / share(ORDER.postgres_us);
    by_wal.min(by_cores)
}

/// A line of the table: its name, and its figure at a rate.
type Row<'a> = (&'a str, &'a dyn Fn(&Need) -> u64);

fn tables() -> String {
    let needs = RATES.map(|rate| Need { rate });
    let rows: [Row<'_>; 13] = [
        ("order workers, cores", &|need| need.cores(ORDER.order_us)),
        ("inventory workers, cores", &|need| need.cores(ORDER.inventory_us)),
        ("payment workers, cores", &|need| need.cores(ORDER.payment_us)),
        ("Postgres, cores", &|need| need.cores(ORDER.postgres_us)),
        ("Kafka with all replicas, cores", &Need::broker_cores),
        ("WAL, MB/s", &|need| need.wal_bytes_per_s().div_ceil(1_000_000)),
        ("partitions of each topic, all cells", &Need::partitions),
        ("cells", &Need::cells),
        ("databases", &Need::databases),
        ("brokers", &Need::brokers),
        ("topics, GB a day, one copy", &|need| need.gigabytes_a_day(ORDER.topic_bytes)),
        ("tables, GB a day", &|need| need.gigabytes_a_day(ORDER.table_bytes)),
        ("orders a day, millions", &|need| (need.rate * DAY_S).div_ceil(1_000_000)),
    ];
    let mut text = format!(
        "| orders/s | {} |\n|---|{}\n",
        needs.each_ref().map(|need| grouped(need.rate)).join(" | "),
        "---|".repeat(RATES.len())
    );
    for (name, figure) in rows {
        let figures = needs.each_ref().map(|need| grouped(figure(need)));
        text.push_str(&format!("| {name} | {} |\n", figures.join(" | ")));
    }
    text + &format!("\nA cell bears {} orders/s.\n", grouped(largest_cell()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_says_what_this_computes() {
        let document = include_str!("../../docs/scale.md");
        let missing: Vec<String> =
            tables().lines().filter(|line| !document.contains(line)).map(str::to_owned).collect();
        assert!(missing.is_empty(), "docs/scale.md lacks these lines: {missing:#?}");
    }

    #[test]
    fn figures_are_those_of_a_calculation_by_hand() {
        let need = Need { rate: 10_000 };
        assert_eq!([need.cores(92), need.cores(251), need.broker_cores(), need.partitions()], [1, 3, 2, 20]);
        // 0.46 of 10.4 kB is 4,784 bytes, of which 200 MB hold 41,806.
        assert_eq!((largest_cell(), need.cells(), need.databases()), (41_806, 1, 1));
        let more = Need { rate: 100_000 };
        // 100,000 × 2.2 kB × 3 is 660 MB/s.
        assert_eq!((more.cells(), more.databases(), more.brokers()), (3, 9, 7));
    }
}
