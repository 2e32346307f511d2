//! Whose tables: a service's, or the read model's. What differs between the two, for whoever treats them alike.

use std::fmt::{self, Display, Formatter};

use schemas::{ServiceName, TopicName};

/// Who keeps tables that follow from topics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keeper {
    /// A service, whose own events are its state.
    Service(ServiceName),
    /// `order-api`'s read model, which says nothing: its rows follow from what the services say, up to where it has read.
    View,
}

impl Keeper {
    /// All of them, the services first.
    pub const ALL: [Keeper; 4] = [
        Keeper::Service(ServiceName::Order),
        Keeper::Service(ServiceName::Inventory),
        Keeper::Service(ServiceName::Payment),
        Keeper::View,
    ];

    /// The name in lower case: a service's, or `view`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Keeper::Service(service) => service.as_str(),
            Keeper::View => "view",
        }
    }

    /// The one of this name.
    pub fn parse(name: &str) -> Option<Self> {
        Keeper::ALL.into_iter().find(|keeper| keeper.as_str() == name)
    }

    /// The schema of the tables unless told otherwise.
    pub const fn default_schema(self) -> &'static str {
        match self {
            Keeper::Service(service) => service.default_schema(),
            Keeper::View => view::DEFAULT_SCHEMA,
        }
    }

    /// The topics that the tables follow from.
    pub const fn topics(self) -> &'static [TopicName] {
        match self {
            Keeper::Service(service) => service.state_topics(),
            Keeper::View => view::INPUTS,
        }
    }

    /// Whether levels of stock, which are sums over two topics, are among the tables.
    pub(crate) fn has_levels(self) -> bool {
        self.topics().contains(&TopicName::StockEvents)
    }

    /// The most records whose state is held at once, where a service's may be so many: the read model keeps what was said word for
    /// word, which takes about four times the room.
    pub(crate) fn unit_records(self, of_a_service: u64) -> u64 {
        match self {
            Keeper::Service(_) => of_a_service,
            Keeper::View => of_a_service.div_ceil(4),
        }
    }
}

impl From<ServiceName> for Keeper {
    fn from(service: ServiceName) -> Self {
        Keeper::Service(service)
    }
}

impl Display for Keeper {
    /// As in a sentence.
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Keeper::Service(service) => write!(f, "{service} service"),
            Keeper::View => f.write_str("read model"),
        }
    }
}
