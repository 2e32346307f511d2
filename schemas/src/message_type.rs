//! The kinds of messages by name, without their bodies.
//!
//! Names are the contract's; which schema id a type has is the registry's business.

use serde::Deserializer;
use serde::de::{Deserialize, DeserializeSeed};

use crate::contract::contract;
use crate::message::*;
use crate::{Message, TopicName};

macro_rules! message_types {
    ($(
        $(#[$doc:meta])*
        $topic:ident $group:ident $kind:ident $topic_name:literal $namespace:literal ($key:ident: $key_type:ident) {
            $($name:ident $version:literal [$($older:literal)*] $versioned:ident;)+
        }
    )+) => {
        /// A kind of message.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum MessageType {
            $($(#[doc = concat!("See [`crate::", stringify!($name), "`].")] $name,)+)+
        }

        impl MessageType {
            /// Every kind, topic by topic.
            pub const ALL: [MessageType; [$($(MessageType::$name),+),+].len()] = [$($(MessageType::$name),+),+];

            /// The record's name without namespace: `PlaceOrder`.
            pub const fn name(self) -> &'static str {
                match self {
                    $($(MessageType::$name => stringify!($name),)+)+
                }
            }

            /// The record's full name, the same in all schema versions: `shop.order.PlaceOrder`.
            pub const fn full_name(self) -> &'static str {
                match self {
                    $($(MessageType::$name => concat!($namespace, ".", stringify!($name)),)+)+
                }
            }

            /// What goes into `ce_type`: the full name and the schema version that is written,
            /// `shop.order.PlaceOrder.v1`.
            pub const fn type_name(self) -> &'static str {
                match self {
                    $($(MessageType::$name => {
                        concat!($namespace, ".", stringify!($name), ".v", stringify!($version))
                    })+)+
                }
            }

            /// The schema version that is written, and that the Rust type has the fields of.
            pub const fn schema_version(self) -> u32 {
                match self {
                    $($(MessageType::$name => $version,)+)+
                }
            }

            /// The only topic that carries it.
            pub const fn topic(self) -> TopicName {
                match self {
                    $($(MessageType::$name => TopicName::$topic,)+)+
                }
            }
        }

        impl<'de> DeserializeSeed<'de> for MessageType {
            type Value = Message;

            /// The body of a message of this kind, from any format whose fields have names.
            fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Message, D::Error> {
                match self {
                    $($(MessageType::$name => $name::deserialize(from).map(Message::from),)+)+
                }
            }
        }
    };
}

contract!(message_types);

impl MessageType {
    /// The kind that a `ce_type` names, whatever its schema version: `shop.order.PlaceOrder.v7` is a `PlaceOrder`.
    pub fn of_ce_type(ce_type: &str) -> Option<Self> {
        let (full_name, version) = ce_type.rsplit_once(".v")?;
        if version.is_empty() || !version.bytes().all(|digit| digit.is_ascii_digit()) {
            return None;
        }
        MessageType::ALL.into_iter().find(|message_type| message_type.full_name() == full_name)
    }

    /// The kinds that a topic carries, in the order of the contract.
    pub fn on(topic: TopicName) -> impl Iterator<Item = Self> {
        MessageType::ALL.into_iter().filter(move |message_type| message_type.topic() == topic)
    }
}

impl std::fmt::Display for MessageType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.type_name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_is_found_by_its_ce_type_in_any_version() {
        for message_type in MessageType::ALL {
            assert_eq!(MessageType::of_ce_type(message_type.type_name()), Some(message_type));
            assert_eq!(MessageType::of_ce_type(&format!("{}.v99", message_type.full_name())), Some(message_type));
        }
    }

    #[test]
    fn other_texts_name_no_type() {
        for text in
            ["", "PlaceOrder.v1", "shop.order.PlaceOrder", "shop.order.PlaceOrder.v", "shop.order.PlaceOrder.vx"]
        {
            assert_eq!(MessageType::of_ce_type(text), None, "{text}");
        }
    }
}
