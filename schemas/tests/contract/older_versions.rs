//! What was written before a message grew is the message with nothing added, and whoever knows no more than the older
//! version reads the newer one as what it always was. Read with the Avro library's resolution, not with the codec's.

use std::collections::BTreeSet;

use apache_avro::reader::datum::GenericDatumReader;
use schemas::Codec;
use serde::de::DeserializeSeed as _;
use serde_json::Value;

use crate::released::{self, Released};
use crate::samples::{self, Sample};

/// The types that have grown, and by which version.
const GROWN: [&str; 21] = [
    "shop.order.CancelOrder.v2",
    "shop.order.OrderCancelled.v2",
    "shop.order.OrderCancelling.v2",
    "shop.order.OrderCompleted.v2",
    "shop.order.OrderConfirmed.v2",
    "shop.order.OrderPaymentCaptured.v2",
    "shop.order.OrderPlaced.v2",
    "shop.order.OrderRejected.v2",
    "shop.order.OrderStockReserved.v2",
    "shop.order.OrderStuck.v2",
    "shop.order.PlaceOrder.v2",
    "shop.order.RefundOrder.v2",
    "shop.payment.AuthorizePayment.v2",
    "shop.payment.PaymentAuthorized.v2",
    "shop.payment.PaymentStuck.v2",
    "shop.payment.PaymentVoided.v2",
    "shop.payment.RetryPayment.v2",
    "shop.stock.AdjustStock.v2",
    "shop.stock.ReceiveStock.v2",
    "shop.stock.StockAdjusted.v2",
    "shop.stock.StockReceived.v2",
];

/// A datum as a program reads it that knows one version, of another one.
fn read_as(reader: &Released, writer: &Released, payload: &[u8]) -> Value {
    let (writers, readers) = (writer.schema(), reader.schema());
    let avro = GenericDatumReader::builder(&writers).reader_schema(&readers).build().unwrap();
    let mut datum = &payload[5..];
    let value = avro.read_value(&mut datum).unwrap();
    assert!(datum.is_empty(), "{} leaves bytes", writer.ce_type());
    Value::try_from(value).unwrap()
}

/// The body without what a schema has no field for, in the items of its arrays too.
fn cut_down(body: &mut Value, schema: &Value) {
    if let Some(record) = body.as_object_mut() {
        let Some(fields) = schema["fields"].as_array() else { return };
        record.retain(|name, _| fields.iter().any(|field| field["name"] == name.as_str()));
        fields.iter().for_each(|field| cut_down(&mut record[field["name"].as_str().unwrap()], &field["type"]));
    } else if let Some(items) = body.as_array_mut() {
        items.iter_mut().for_each(|item| cut_down(item, &schema["items"]));
    }
}

fn of_older_versions() -> Vec<Sample> {
    samples::all().into_iter().filter(|sample| !sample.is_current()).collect()
}

#[test]
fn an_older_payload_is_the_message_whose_added_fields_are_the_defaults() {
    let codec = Codec::embedded();
    let mut grown = BTreeSet::new();
    for sample in of_older_versions() {
        let newest = released::newest(sample.message_type());
        let message = codec.decode(sample.topic(), &sample.payload).unwrap();
        let completed = sample.message_type().deserialize(sample.body_of_today()).unwrap();
        assert_eq!(message, completed, "{}", sample.released.ce_type());
        assert_eq!(codec.decode(sample.topic(), &codec.encode(&completed).unwrap()), Ok(message));
        assert_eq!(read_as(&newest, &sample.released, &sample.payload), sample.body_of_today());
        grown.insert(newest.ce_type());
    }
    assert_eq!(grown, BTreeSet::from(GROWN.map(str::to_owned)));
}

#[test]
fn a_newer_payload_of_what_an_older_one_said_is_read_by_the_older_schema_as_it_was() {
    let codec = Codec::embedded();
    for sample in of_older_versions() {
        let newest = released::newest(sample.message_type());
        let payload = codec.encode(&sample.message()).unwrap();
        assert_eq!(codec.type_of(&payload), Some(newest.ce_type().as_str()));
        assert_eq!(read_as(&sample.released, &newest, &payload), sample.body, "{}", newest.ce_type());
    }
}

#[test]
fn an_older_schema_reads_of_a_newer_payload_all_that_it_has_a_field_for() {
    let mut read = 0;
    for sample in samples::all() {
        let older = released::all()
            .into_iter()
            .filter(|other| other.full_name == sample.released.full_name && other.version < sample.released.version);
        for older in older {
            let mut body = sample.body.clone();
            cut_down(&mut body, &serde_json::from_str(&older.text()).unwrap());
            assert_eq!(read_as(&older, &sample.released, &sample.payload), body, "{}", sample.released.ce_type());
            read += 1;
        }
    }
    assert!(read > of_older_versions().len(), "a newer version has samples of its own");
}
