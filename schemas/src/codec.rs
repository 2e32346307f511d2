//! Messages to payloads and back: Confluent framing around one Avro datum.
//!
//! Two lanes for reading. A datum written with the schema that the Rust type was compiled with goes straight into the
//! type. Anything older or newer is read as a value, resolved against the compiled schema, and converted: slower, but
//! it is what skips added fields and fills in missing ones.
//! Not here: whether the message makes sense, and whether the record's key is the body's.

use std::path::Path;
use std::sync::{Arc, LazyLock};

use apache_avro::Schema;
use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::writer::datum::GenericDatumWriter;

use crate::body;
use crate::directory;
use crate::embedded::{EMBEDDED, current};
use crate::error::reason;
use crate::framing::{frame, unframe};
use crate::{DecodeError, EncodeError, LoadError, Message, MessageType, TopicName, limits};

/// What most payloads fit into, so that encoding allocates once.
const USUAL_PAYLOAD_BYTES: usize = 256;

/// Compiled-in schemas: a test builds this codec. Loaded ones: `directory` resolves their names first.
const SELF_CONTAINED: &str = "every schema defines the names that it uses";

static COMPILED_IN: LazyLock<Arc<Tables>> = LazyLock::new(|| Arc::new(Tables::embedded()));

/// Encodes and decodes payloads. Cheap to clone; one per process is enough.
#[derive(Clone)]
pub struct Codec {
    tables: Arc<Tables>,
}

struct Tables {
    /// By `MessageType as usize`.
    writers: Vec<Writer>,
    /// Ascending by id.
    readers: Vec<Reader>,
}

struct Writer {
    schema_id: u32,
    avro: GenericDatumWriter<'static>,
}

struct Reader {
    schema_id: u32,
    ce_type: String,
    /// `None` for a record that this program has no type for.
    body: Option<(MessageType, Decoding)>,
}

enum Decoding {
    /// The writer's schema is the one that the type was compiled with.
    Direct(GenericDatumReader<'static>),
    /// Another version: resolved with the compiled schema.
    Resolved(GenericDatumReader<'static>),
}

impl Codec {
    /// With the schemas that are compiled in.
    pub fn embedded() -> Codec {
        Codec { tables: Arc::clone(&COMPILED_IN) }
    }

    /// With the schemas that are compiled in, and those that a directory has beyond them: `ids.lock` and `avro/` laid
    /// out as in this crate's own folder. So a program reads what a newer one writes.
    ///
    /// Meant to be called once, at start-up: what it loads stays in memory as long as the process lives.
    pub fn with_directory(directory: &Path) -> Result<Codec, LoadError> {
        let mut tables = Tables::embedded();
        for loaded in directory::load(directory)? {
            let ce_type = loaded.release.ce_type();
            // The Avro library's readers borrow their schema; a few kilobytes per process, bounded by the lock file.
            let schema: &'static Schema = Box::leak(Box::new(loaded.schema));
            let body = loaded.message_type.map(|message_type| (message_type, Decoding::resolved(schema, message_type)));
            tables.readers.push(Reader { schema_id: loaded.release.id, ce_type, body });
        }
        tables.readers.sort_by_key(|reader| reader.schema_id);
        Ok(Codec { tables: Arc::new(tables) })
    }

    /// The payload of a message: frame and datum.
    pub fn encode(&self, message: &Message) -> Result<Vec<u8>, EncodeError> {
        let message_type = message.message_type();
        let writer = &self.tables.writers[message_type as usize];
        let mut payload = Vec::with_capacity(USUAL_PAYLOAD_BYTES);
        payload.extend_from_slice(&frame(writer.schema_id));
        body::write(&writer.avro, message, &mut payload)
            .map_err(|error| EncodeError::Unrepresentable { message_type, detail: reason(error) })?;
        if payload.len() > limits::MAX_PAYLOAD_BYTES {
            return Err(EncodeError::TooLarge { message_type, bytes: payload.len() });
        }
        Ok(payload)
    }

    /// The message of a payload found on a topic, whatever version of its schema wrote it.
    ///
    /// Any bytes may be given: the answer is a message or an error, and memory stays in proportion to the payload.
    pub fn decode(&self, topic: TopicName, payload: &[u8]) -> Result<Message, DecodeError> {
        if payload.len() > limits::MAX_PAYLOAD_BYTES {
            return Err(DecodeError::TooLarge { bytes: payload.len() });
        }
        let (schema_id, datum) = unframe(payload)?;
        let reader = self.tables.reader(schema_id).ok_or(DecodeError::UnknownSchema { id: schema_id })?;
        let ce_type = || reader.ce_type.clone();
        let (message_type, lane) =
            reader.body.as_ref().ok_or_else(|| DecodeError::UnknownType { ce_type: ce_type() })?;
        let belongs_on = message_type.topic();
        if belongs_on != topic {
            return Err(DecodeError::WrongTopic { ce_type: ce_type(), belongs_on, found_on: topic });
        }
        let (message, rest) = match lane {
            Decoding::Direct(avro) => body::read(avro, *message_type, datum),
            Decoding::Resolved(avro) => body::read_resolved(avro, *message_type, datum),
        }
        .map_err(|error| DecodeError::Malformed { ce_type: ce_type(), detail: reason(error) })?;
        if rest > 0 {
            return Err(DecodeError::TrailingBytes { ce_type: ce_type(), bytes: rest });
        }
        Ok(message)
    }

    /// What kind of message a payload claims to be (a `ce_type`), by its schema id alone; `None` where the id is
    /// unknown or there is no frame.
    pub fn type_of(&self, payload: &[u8]) -> Option<&str> {
        let (schema_id, _) = unframe(payload).ok()?;
        self.tables.reader(schema_id).map(|reader| reader.ce_type.as_str())
    }

    /// The schema id that this type is written with.
    pub fn schema_id(&self, message_type: MessageType) -> u32 {
        self.tables.writers[message_type as usize].schema_id
    }
}

impl std::fmt::Debug for Codec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let ids = self.tables.readers.iter().map(|reader| reader.schema_id);
        f.debug_struct("Codec").field("schema_ids", &ids.collect::<Vec<_>>()).finish()
    }
}

impl Tables {
    fn embedded() -> Tables {
        let writers = MessageType::ALL.into_iter().map(|message_type| {
            let schema = current(message_type);
            let avro = GenericDatumWriter::builder(&schema.schema).build().expect(SELF_CONTAINED);
            Writer { schema_id: schema.release.id, avro }
        });
        let readers = EMBEDDED.iter().map(|embedded| {
            let message_type = embedded.message_type;
            let lane = if embedded.is_current() {
                Decoding::Direct(GenericDatumReader::builder(&embedded.schema).build().expect(SELF_CONTAINED))
            } else {
                Decoding::resolved(&embedded.schema, message_type)
            };
            let ce_type = embedded.release.ce_type();
            Reader { schema_id: embedded.release.id, ce_type, body: Some((message_type, lane)) }
        });
        Tables { writers: writers.collect(), readers: readers.collect() }
    }

    fn reader(&self, schema_id: u32) -> Option<&Reader> {
        let index = self.readers.binary_search_by_key(&schema_id, |reader| reader.schema_id).ok()?;
        self.readers.get(index)
    }
}

impl Decoding {
    fn resolved(writer_schema: &'static Schema, message_type: MessageType) -> Decoding {
        let reader_schema = &current(message_type).schema;
        let avro = GenericDatumReader::builder(writer_schema).reader_schema(reader_schema).build();
        Decoding::Resolved(avro.expect(SELF_CONTAINED))
    }
}
