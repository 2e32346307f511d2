//! What all scenarios share: a pipeline at work with goods in stock, the door with keys, and somebody at a browser.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use domain::provider::{IdempotencyKey, Operation, ProviderAnswer, ProviderRequest};
use domain::simulator::{Simulator, SimulatorConfig};
use rdkafka::ClientConfig;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord};
use schemas::{CustomerId, OrderId, ServiceName, TopicName};
use serde_json::{Value, json};

use crate::api::{Answer, Api};
use crate::browser::Driver;
use crate::person::Person;
use crate::pipeline::{Door, Outcome, Pipeline, Setting, made, until, until_state};

/// Few captures fail, so that a test may look for an order whose one does; and then nothing can be let go of.
const CAPTURE_FAILURE: u32 = 1_000;
const PROVIDER: &str = "capture_failure_per_million = 1000\nvoid_failure_per_million = 1000000\n";

/// The longest name that there is: a word that no line has room for.
pub(crate) static LONG: LazyLock<String> = LazyLock::new(|| "W".repeat(64));

/// The house.
pub(crate) struct House {
    pub(crate) pipeline: Pipeline,
    pub(crate) door: Door,
    driver: Driver,
    /// Somebody with every role, signed in.
    pub(crate) kim: Person,
    /// The keys: of everybody with every role, and of somebody who may only look.
    pub(crate) key: String,
    pub(crate) second_key: String,
    pub(crate) reader_key: String,
    /// An order that stays stuck.
    pub(crate) stuck: String,
    /// Where to look for the next unlucky one.
    unlucky: AtomicU32,
}

impl House {
    /// Opens it.
    pub(crate) async fn open() -> Outcome<Self> {
        let driver = tokio::task::block_in_place(Driver::start)?;
        let pipeline = Pipeline::start_as("console", Setting { provider: PROVIDER, ..Setting::default() }).await?;
        let all = ["orders:read", "orders:write", "stock:write", "ops:act"];
        let (key, first) = made(&pipeline, "kim", &all)?;
        let (second_key, second) = made(&pipeline, "lee", &all)?;
        let (reader_key, third) = made(&pipeline, "reader", &["orders:read"])?;
        let file = pipeline.write("keys.toml", &[first, second, third].concat())?;
        let mut daemons = Vec::new();
        for service in ServiceName::ALL {
            daemons.push(format!("{service}={}", pipeline.daemon(service)?.address()));
        }
        let door = pipeline.start_door_with("door", |command| {
            command.env("API_KEYS_FILE", &file).env("DAEMONS", daemons.join(","));
        })?;
        let origin = format!("http://{}", door.api.address());
        let kim = Person::new(driver.open("kim").await?, origin);
        let (unlucky, stuck) = (AtomicU32::new(0), String::new());
        let mut house = House { pipeline, door, driver, kim, key, second_key, reader_key, stuck, unlucky };
        house.stock().await?;
        house.stuck = house.get_stuck().await?;
        house.story().await?;
        Ok(house)
    }

    async fn stock(&self) -> Outcome {
        let goods =
            [("pen", "Pen, blue", 1000), ("ink", "Ink", 5), ("paper", "Paper", 40), (&LONG, LONG.as_str(), 100)];
        for (sku, title, quantity) in goods {
            let body = json!({ "title": title, "price_minor": 250, "currency": "EUR" }).to_string();
            let path = format!("/v1/products/{sku}");
            let put = self.api().once(&format!("say-{sku:.8}"));
            put.ask(hyper::Method::PUT, &path, Some(("application/json", body))).await?.of(202)?;
            let receipt = json!({ "sku": sku, "quantity": quantity });
            self.api().waiting().once(&format!("in-{sku:.8}")).post("/v1/stock/receipts", receipt).await?.of(200)?;
        }
        Ok(())
    }

    /// An order of each kind, and a record that nobody can take, so that every page has something to show.
    async fn story(&self) -> Outcome {
        let asks = async |id: &str, verb: &str, body: Value| {
            let path = format!("/v1/orders/{id}/{verb}");
            self.api().waiting().once(&format!("{id}-{verb}")).post(&path, body).await?.of(200).map(drop)
        };
        for id in ["tour-returned", "tour-held", "tour-cancelled"] {
            self.order_of(id, "ada", "pen", 3).await?;
        }
        self.order_of(&LONG, &LONG, &LONG, 1).await?;
        asks("tour-returned", "ship", json!({ "carrier": "DHL", "tracking": "JJD000390007881", "note": "by van" }))
            .await?;
        asks("tour-returned", "refunds", json!({ "amount_minor": 250, "reason_code": "late", "note": "a day late" }))
            .await?;
        asks("tour-returned", "returns", json!({ "lines": [{ "line": 1, "quantity": 1 }] })).await?;
        asks("tour-held", "hold", json!({ "reason_code": "fraud_check", "note": "a strange address" })).await?;
        asks("tour-cancelled", "cancel", json!({ "note": "changed their mind" })).await?;
        self.spoil("tour-letter", b"{\"no\": \"avro\"}", ("ce_source", "/shop/till-7")).await
    }

    /// Places an order that gets stuck, and waits until it is.
    pub(crate) async fn get_stuck(&self) -> Outcome<String> {
        let id = self.unlucky()?;
        let order = json!({ "order_id": id, "customer_id": "ada", "currency": "EUR",
            "lines": [{ "sku": "pen", "quantity": 2, "unit_price_minor": 250 }] });
        self.api().post("/v1/orders", order).await?.of(202)?;
        let path = format!("/v1/orders/{id}");
        until("it is known", || async { self.api().get(&path).await?.of(200).map(drop) }).await?;
        until_state(&self.api(), &path, "stuck").await?;
        Ok(id)
    }

    /// The door's interface for programs, for whoever has every role.
    pub(crate) fn api(&self) -> Api {
        self.door.api.with("authorization", &format!("Bearer {}", self.key))
    }

    /// Somebody else, with a browser of their own.
    pub(crate) async fn another(&self, name: &str) -> Outcome<Person> {
        Ok(Person::new(self.driver.open(name).await?, format!("http://{}", self.door.api.address())))
    }

    /// Places an order of the ada's and waits until it can be shipped by hand; how it stands then.
    pub(crate) async fn order(&self, id: &str) -> Outcome<Answer> {
        self.order_of(id, "ada", "pen", 2).await
    }

    /// The same of somebody's, for so many of a SKU.
    pub(crate) async fn order_of(&self, id: &str, customer: &str, sku: &str, quantity: i64) -> Outcome<Answer> {
        let order = json!({ "order_id": id, "customer_id": customer, "currency": "EUR", "fulfilment": "on_command",
            "lines": [{ "sku": sku, "quantity": quantity, "unit_price_minor": 250 }] });
        let placed = self.api().waiting().post("/v1/orders", order).await?;
        if placed.status / 100 == 2 { Ok(placed) } else { Err(format!("{placed:?}").into()) }
    }

    /// An id of an order that the provider will not capture, and will not let go of either.
    fn unlucky(&self) -> Outcome<String> {
        let simulator = Simulator::new(SimulatorConfig {
            capture_failure_per_million: CAPTURE_FAILURE,
            ..SimulatorConfig::default()
        });
        let is_unlucky = |id: &String| {
            let order_id = OrderId::new(id.as_str())?;
            let request = ProviderRequest {
                key: IdempotencyKey::new(&order_id, Operation::Capture, 1),
                order_id,
                operation: Operation::Capture,
                customer_id: CustomerId::new("ada")?,
                currency: "EUR".to_owned(),
                amount_minor: 500,
                authorization: None,
                sent_before: 0,
                method: None,
            };
            Ok(matches!(simulator.plan(&request).answer, ProviderAnswer::Refused { .. }))
        };
        for _ in 0..100_000 {
            let id = format!("stuck-{}", self.unlucky.fetch_add(1, Ordering::Relaxed));
            let found: Result<bool, schemas::IdError> = is_unlucky(&id);
            if found? {
                return Ok(id);
            }
        }
        Err("nobody is unlucky".into())
    }

    /// Writes a record that nobody can take into the topic of order commands.
    pub(crate) async fn spoil(&self, key: &str, value: &[u8], header: (&str, &str)) -> Outcome {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", self.pipeline.brokers());
        let producer: FutureProducer = config.create()?;
        let topic = format!("{}{}", self.pipeline.prefix, TopicName::OrderCommands.as_str());
        let headers = OwnedHeaders::new().insert(Header { key: header.0, value: Some(header.1) });
        let record = FutureRecord::to(&topic).key(key).payload(value).headers(headers);
        producer.send(record, Duration::from_secs(30)).await.map_err(|(error, _)| error)?;
        Ok(())
    }
}
