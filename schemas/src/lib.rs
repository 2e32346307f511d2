//! The contract on the wire: topics, messages, their Avro schemas and ids, and the codec between the two; and who writes
//! and reads which topic.
//!
//! Everything that another program has to know in order to talk to the pipeline is here or in the files beside it
//! (`avro/`, `ids.lock`). A leaf: it knows nothing of Kafka, Postgres, or what the services do with a message.
//!
//! ```
//! use schemas::{CancelOrder, Codec, CommandId, Message, OrderId, TopicName};
//!
//! let codec = Codec::embedded();
//! let cancel = CancelOrder::new(OrderId::new("o-1")?, CommandId::new("c-1")?);
//! let message = Message::from(cancel);
//! let payload = codec.encode(&message)?;
//! assert_eq!(codec.type_of(&payload), Some("shop.order.CancelOrder.v2"));
//! assert_eq!(codec.decode(TopicName::OrderCommands, &payload)?, message);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod body;
mod codec;
mod contract;
mod directory;
mod embedded;
mod error;
mod framing;
mod id;
mod lock;
mod message;
mod message_type;
mod per;
mod schema_shape;
mod symbols;
mod time;
mod topic;
mod topology;

pub mod currency;
pub mod limits;
pub mod message_id;
pub mod partitioner;
pub mod text;

pub use codec::Codec;
pub use error::{DecodeError, EncodeError, LoadError};
pub use id::{CommandId, CustomerId, IdError, MAX_ID_BYTES, OrderId, Sku};
pub use message::*;
pub use message_type::MessageType;
pub use per::{PerService, PerTopic};
pub use time::{Time, TimeError};
pub use topic::TopicName;
pub use topology::ServiceName;
