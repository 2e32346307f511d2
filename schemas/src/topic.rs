//! The topics by name.
//!
//! Names are without the deployment's prefix: that is configuration, and its owner puts it in front.
//! Partition counts and retention are set where topics are created; who writes and reads them is in `topology`.

use crate::contract::contract;

macro_rules! topics {
    ($(
        $(#[$doc:meta])*
        $topic:ident $group:ident $kind:ident $topic_name:literal $namespace:literal ($key:ident: $key_type:ident) {
            $($name:ident $version:literal [$($older:literal)*] $versioned:ident;)+
        }
    )+) => {
        /// A topic that carries messages; its dead-letter topic goes with it.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum TopicName {
            $($(#[$doc])* $topic),+
        }

        impl TopicName {
            /// Every topic.
            pub const ALL: [TopicName; [$($topic_name),+].len()] = [$(TopicName::$topic),+];

            /// The topic's name on the broker, without a deployment's prefix.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(TopicName::$topic => $topic_name,)+
                }
            }

            /// Whether it carries commands; otherwise events.
            pub const fn carries_commands(self) -> bool {
                match self {
                    $(TopicName::$topic => topics!(@is_commands $kind),)+
                }
            }

            /// Whether its key is an order's id; otherwise it is a SKU.
            pub const fn is_by_order(self) -> bool {
                match self {
                    $(TopicName::$topic => topics!(@is_order_id $key_type),)+
                }
            }
        }
    };
    (@is_commands commands) => { true };
    (@is_commands events) => { false };
    (@is_commands events_and_refusals) => { false };
    (@is_order_id OrderId) => { true };
    (@is_order_id Sku) => { false };
}

contract!(topics);

impl TopicName {
    /// The name of the topic for records that could not be taken from this one.
    pub fn dead_letter(self) -> String {
        format!("{}-dlt", self.as_str())
    }

    /// The topic of this name (without a deployment's prefix).
    pub fn parse(name: &str) -> Option<Self> {
        TopicName::ALL.into_iter().find(|topic| topic.as_str() == name)
    }
}

impl std::fmt::Display for TopicName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_topic_is_found_by_its_name() {
        for topic in TopicName::ALL {
            assert_eq!(TopicName::parse(topic.as_str()), Some(topic));
        }
        assert_eq!(TopicName::parse("order.commands.v1-dlt"), None);
    }

    #[test]
    fn a_dead_letter_topic_is_named_after_its_source() {
        assert_eq!(TopicName::StockCommands.dead_letter(), "stock.commands.v1-dlt");
    }
}
