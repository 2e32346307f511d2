//! From a message to a datum and back, type by type: the codec's dispatch, generated from the table of messages.
//!
//! Nothing here trusts the bytes: a length or a count in them is bounded by what is left to read.

use std::io::{self, Read};

use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::writer::datum::GenericDatumWriter;
use apache_avro::{Error, from_value};

use crate::contract::contract;
use crate::message::*;
use crate::{Message, MessageType};

macro_rules! dispatch {
    ($(
        $(#[$doc:meta])*
        $topic:ident $group:ident $kind:ident $topic_name:literal $namespace:literal ($key:ident: $key_type:ident) {
            $($name:ident $version:literal [$($older:literal)*] $versioned:ident;)+
        }
    )+) => {
        /// Appends the datum of a message. The writer must be the one of the message's type.
        pub(crate) fn write(
            avro: &GenericDatumWriter<'_>,
            message: &Message,
            to: &mut Vec<u8>,
        ) -> Result<usize, Error> {
            match message {
                $($(Message::$group($group::$name(body)) => avro.write_ser(to, body),)+)+
            }
        }

        /// The message of a datum that the compiled schema wrote, and how many bytes follow it.
        /// The reader must not have a schema to resolve with: the Avro library panics on that.
        pub(crate) fn read(
            avro: &GenericDatumReader<'_>,
            message_type: MessageType,
            mut datum: &[u8],
        ) -> Result<(Message, usize), Error> {
            let message = match message_type {
                $($(MessageType::$name => avro.read_deser::<$name>(&mut datum)?.into(),)+)+
            };
            Ok((message, datum.len()))
        }

        /// The message of a datum that another version of the schema wrote, and how many bytes follow it.
        /// The reader must resolve with the compiled schema.
        pub(crate) fn read_resolved(
            avro: &GenericDatumReader<'_>,
            message_type: MessageType,
            datum: &[u8],
        ) -> Result<(Message, usize), Error> {
            let mut strict = Strict { datum, ran_out: false };
            let value = avro.read_value(&mut strict)?;
            if strict.ran_out {
                return Err(serde::de::Error::custom("it ends too early"));
            }
            let message = match message_type {
                $($(MessageType::$name => from_value::<$name>(&value)?.into(),)+)+
            };
            Ok((message, strict.datum.len()))
        }
    };
}

contract!(dispatch);

/// Notices that a datum ends too early. The Avro library takes a string or a union that is cut off for a null, which
/// an optional field would then accept.
struct Strict<'d> {
    datum: &'d [u8],
    ran_out: bool,
}

impl Read for Strict<'_> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        let count = self.datum.read(to)?;
        self.ran_out |= count < to.len();
        Ok(count)
    }

    fn read_exact(&mut self, to: &mut [u8]) -> io::Result<()> {
        self.ran_out |= self.datum.len() < to.len();
        self.datum.read_exact(to)
    }
}
