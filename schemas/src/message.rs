//! Every message of the pipeline as a Rust type, grouped by the topic that carries it, and what it says of itself.
//!
//! One struct per record schema in `schemas/avro`, with the record's name and field names (the codec writes by name).
//! A group is an enum, so that a new message breaks every `match` that has to decide about it. Nobody needs a `match` to
//! learn a message's key, version, time or name: the groups give them, made from the table of messages.
//! What a later version of a schema added may be missing where a body is read by name: the schema's default stands for it.
//! Structs hold what was sent; whether it makes sense (a quantity of 0, an unknown currency) is for the service to say.

mod inventory;
mod order;
mod payment;
mod stock;

pub use inventory::*;
pub use order::*;
pub use payment::*;
pub use stock::*;

use serde::{Serialize, Serializer};

use crate::contract::contract;
use crate::{MessageType, OrderId, Sku, Time, TopicName};

macro_rules! messages {
    ($(
        $(#[$doc:meta])*
        $topic:ident $group:ident $kind:ident $topic_name:literal $namespace:literal ($key:ident: $key_type:ident) {
            $($name:ident $version:literal [$($older:literal)*] $versioned:ident;)+
        }
    )+) => {
        $(
            $(#[$doc])*
            #[derive(Debug, Clone, PartialEq, Eq)]
            pub enum $group {
                $(#[doc = concat!("See [`", stringify!($name), "`].")] $name($name)),+
            }

            impl $group {
                /// Which kind it is.
                pub const fn message_type(&self) -> MessageType {
                    match self {
                        $($group::$name(_) => MessageType::$name,)+
                    }
                }

                /// The record's name.
                pub const fn name(&self) -> &'static str {
                    self.message_type().name()
                }

                /// The record's key: whom or what it is about.
                pub const fn key(&self) -> &$key_type {
                    match self {
                        $($group::$name(body) => &body.$key,)+
                    }
                }
            }

            messages!(@version $kind $group { $($name $versioned)+ });
            messages!(@at $kind $group { $($name)+ });

            impl Serialize for $group {
                /// The body, without its name.
                fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                    match self {
                        $($group::$name(body) => body.serialize(serializer),)+
                    }
                }
            }

            $(
                impl From<$name> for $group {
                    fn from(message: $name) -> Self {
                        $group::$name(message)
                    }
                }

                impl From<$name> for Message {
                    fn from(message: $name) -> Self {
                        Message::$group($group::$name(message))
                    }
                }
            )+

            impl From<$group> for Message {
                fn from(group: $group) -> Self {
                    Message::$group(group)
                }
            }

            impl TryFrom<Message> for $group {
                type Error = Message;

                /// The message of this group; the message again where it is of another one.
                fn try_from(message: Message) -> Result<Self, Message> {
                    if let Message::$group(group) = message { Ok(group) } else { Err(message) }
                }
            }
        )+

        /// Any message of the pipeline.
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub enum Message {
            $(#[doc = concat!("On `", $topic_name, "`.")] $group($group)),+
        }

        impl Message {
            /// Which kind it is.
            pub const fn message_type(&self) -> MessageType {
                match self {
                    $(Message::$group(message) => message.message_type(),)+
                }
            }

            /// The record's key: the order's id, or the SKU of a stock message.
            pub fn key(&self) -> &str {
                match self {
                    $(Message::$group(message) => message.key().as_str(),)+
                }
            }

            /// The version of its aggregate that the message established; `None` for commands and refusals.
            pub const fn version(&self) -> Option<i64> {
                match self {
                    $(Message::$group(message) => messages!(@version_of $kind message),)+
                }
            }

            /// When a service decided it; `None` for commands.
            pub const fn at(&self) -> Option<Time> {
                match self {
                    $(Message::$group(message) => messages!(@at_of $kind message),)+
                }
            }
        }

        impl Serialize for Message {
            /// The body, without its name.
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                match self {
                    $(Message::$group(message) => message.serialize(serializer),)+
                }
            }
        }
    };

    (@version commands $group:ident { $($name:ident unversioned)+ }) => {};
    (@version events $group:ident { $($name:ident versioned)+ }) => {
        impl $group {
            /// The version of its aggregate that the event established.
            pub const fn version(&self) -> i64 {
                match self {
                    $($group::$name(body) => body.version,)+
                }
            }
        }
    };
    (@version events_and_refusals $group:ident { $($name:ident $versioned:ident)+ }) => {
        impl $group {
            /// The version of its aggregate that the event established; `None` for a refusal, which touches none.
            pub const fn version(&self) -> Option<i64> {
                match self {
                    $($group::$name(body) => messages!(@version_in $versioned body),)+
                }
            }
        }
    };
    (@version_in versioned $body:ident) => { Some($body.version) };
    (@version_in unversioned $body:ident) => {{
        let _ = $body;
        None
    }};
    (@version_of commands $message:ident) => {{
        let _ = $message;
        None
    }};
    (@version_of events $message:ident) => { Some($message.version()) };
    (@version_of events_and_refusals $message:ident) => { $message.version() };

    (@at commands $group:ident { $($name:ident)+ }) => {};
    (@at $kind:ident $group:ident { $($name:ident)+ }) => {
        impl $group {
            /// When the service decided it.
            pub const fn at(&self) -> Time {
                match self {
                    $($group::$name(body) => body.at,)+
                }
            }
        }
    };
    (@at_of commands $message:ident) => {{
        let _ = $message;
        None
    }};
    (@at_of $kind:ident $message:ident) => { Some($message.at()) };
}

contract!(messages);

impl Message {
    /// The topic that carries it.
    pub const fn topic(&self) -> TopicName {
        self.message_type().topic()
    }

    /// What goes into `ce_type`: `shop.order.PlaceOrder.v1`.
    pub const fn type_name(&self) -> &'static str {
        self.message_type().type_name()
    }

    /// The record's name: `PlaceOrder`.
    pub const fn name(&self) -> &'static str {
        self.message_type().name()
    }
}
