//! The services by name, who writes and reads what, and what is fixed about each service: the one table that joins services
//! and topics. A service's name appears in headers, consumer groups and message ids, so it is part of the contract.
//!
//! Written down are, per service, its names, its default places, what it reads and what its state is made of, and, per
//! topic, its only writer and where what is asked there is answered. All else (readers, who writes a dead-letter topic,
//! what a service writes) follows.
//! Names are without the deployment's prefix. Absent: what can be configured beyond a default.

use crate::TopicName;

/// A service of the pipeline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ServiceName {
    /// Takes orders and runs their sagas.
    Order,
    /// Keeps stock and reservations.
    Inventory,
    /// Charges.
    Payment,
}

/// What is fixed about a service.
struct Service {
    name: &'static str,
    source: &'static str,
    default_schema: &'static str,
    default_port: u16,
    inputs: &'static [TopicName],
    state_topics: &'static [TopicName],
}

const ORDER: Service = Service {
    name: "order",
    source: "/order",
    default_schema: "orders",
    default_port: 8081,
    inputs: &[TopicName::OrderCommands, TopicName::InventoryEvents, TopicName::PaymentEvents],
    state_topics: &[TopicName::OrderEvents],
};

const INVENTORY: Service = Service {
    name: "inventory",
    source: "/inventory",
    default_schema: "inventory",
    default_port: 8082,
    inputs: &[TopicName::InventoryCommands, TopicName::StockCommands],
    state_topics: &[TopicName::StockEvents, TopicName::InventoryEvents],
};

const PAYMENT: Service = Service {
    name: "payment",
    source: "/payment",
    default_schema: "payments",
    default_port: 8083,
    inputs: &[TopicName::PaymentCommands],
    state_topics: &[TopicName::PaymentEvents],
};

impl ServiceName {
    /// Every service, in the order in which an order meets them.
    pub const ALL: [ServiceName; 3] = [ServiceName::Order, ServiceName::Inventory, ServiceName::Payment];

    const fn fixed(self) -> &'static Service {
        match self {
            ServiceName::Order => &ORDER,
            ServiceName::Inventory => &INVENTORY,
            ServiceName::Payment => &PAYMENT,
        }
    }

    /// The name in lower case: `order`, `inventory`, `payment`.
    pub const fn as_str(self) -> &'static str {
        self.fixed().name
    }

    /// The service of this name.
    pub fn parse(name: &str) -> Option<Self> {
        ServiceName::ALL.into_iter().find(|service| service.as_str() == name)
    }

    /// What the service writes into `ce_source` and into the position header: `/order`, `/inventory`, `/payment`.
    pub const fn source(self) -> &'static str {
        self.fixed().source
    }

    /// The schema of its tables unless told otherwise.
    pub const fn default_schema(self) -> &'static str {
        self.fixed().default_schema
    }

    /// The port of its probes and metrics unless told otherwise.
    pub const fn default_port(self) -> u16 {
        self.fixed().default_port
    }

    /// The topics that it reads. What the outside or the order service asks of it comes first.
    pub const fn inputs(self) -> &'static [TopicName] {
        self.fixed().inputs
    }

    /// The topics whose events are its state: what it is rebuilt from, in this order. It writes them itself.
    pub const fn state_topics(self) -> &'static [TopicName] {
        self.fixed().state_topics
    }

    /// The topics that only it may write.
    pub fn outputs(self) -> impl Iterator<Item = TopicName> {
        TopicName::ALL.into_iter().filter(move |topic| topic.written_by() == Some(self))
    }

    /// The names of all topics that it writes through its outbox: its own, and the dead letters of what it reads.
    pub fn written_names(self) -> Vec<String> {
        let own = self.outputs().map(|topic| topic.as_str().to_owned());
        own.chain(self.inputs().iter().map(|topic| topic.dead_letter())).collect()
    }
}

impl std::fmt::Display for ServiceName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl TopicName {
    /// The only service that may write here; `None` where anyone may.
    pub const fn written_by(self) -> Option<ServiceName> {
        match self {
            TopicName::OrderCommands | TopicName::StockCommands => None,
            TopicName::OrderEvents | TopicName::InventoryCommands | TopicName::PaymentCommands => {
                Some(ServiceName::Order)
            }
            TopicName::InventoryEvents | TopicName::StockEvents => Some(ServiceName::Inventory),
            TopicName::PaymentEvents => Some(ServiceName::Payment),
        }
    }

    /// The service that reads here, and that writes the dead letters; `None` where the events are for whoever looks.
    pub fn read_by(self) -> Option<ServiceName> {
        ServiceName::ALL.into_iter().find(|service| service.inputs().contains(&self))
    }

    /// The topic on which its reader answers what is asked here; `None` for topics of events.
    pub const fn answered_on(self) -> Option<TopicName> {
        match self {
            TopicName::OrderCommands => Some(TopicName::OrderEvents),
            TopicName::InventoryCommands => Some(TopicName::InventoryEvents),
            TopicName::StockCommands => Some(TopicName::StockEvents),
            TopicName::PaymentCommands => Some(TopicName::PaymentEvents),
            TopicName::OrderEvents | TopicName::InventoryEvents | TopicName::StockEvents | TopicName::PaymentEvents => {
                None
            }
        }
    }

    /// The service whose state is made of what is here.
    pub fn state_of(self) -> Option<ServiceName> {
        ServiceName::ALL.into_iter().find(|service| service.state_topics().contains(&self))
    }

    /// The topics that anyone may write.
    pub fn open() -> impl Iterator<Item = TopicName> {
        TopicName::ALL.into_iter().filter(|topic| topic.written_by().is_none())
    }

    /// The topics that are keyed by order.
    pub fn by_order() -> impl Iterator<Item = TopicName> {
        TopicName::ALL.into_iter().filter(|topic| topic.is_by_order())
    }

    /// The topics that some service's state is made of.
    pub fn of_state() -> impl Iterator<Item = TopicName> {
        TopicName::ALL.into_iter().filter(|topic| topic.state_of().is_some())
    }

    /// The names of all topics, each with its dead-letter topic.
    pub fn all_names() -> Vec<String> {
        TopicName::ALL.into_iter().flat_map(|topic| [topic.as_str().to_owned(), topic.dead_letter()]).collect()
    }
}
