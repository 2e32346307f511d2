//! The ids of topics, which tell a topic from another one of the same name.
//!
//! The client library asks for them only through its C interface, so this is the one file of the crate with `unsafe`:
//! one request, one answer, every object freed when its guard is dropped.

use std::collections::HashMap;
use std::ffi::{CStr, CString, c_char, c_int};
use std::time::Duration;

use rdkafka::ClientContext;
use rdkafka::bindings as c;
use rdkafka::client::Client;
use rdkafka::error::{IsError, KafkaError, RDKafkaErrorCode};
use uuid::Uuid;

/// How much longer than the request the answer is waited for: the library itself answers when the request's time is over.
const MARGIN: Duration = Duration::from_millis(500);

/// The ids of those of these topics that there are. A broker that is too old to know ids gives none. Blocks for at most
/// `timeout` and a little; a failed request is an error, a topic that there is not is left out.
pub(crate) fn topic_ids<C: ClientContext>(
    client: &Client<C>,
    topics: &[&str],
    timeout: Duration,
) -> Result<HashMap<String, Uuid>, KafkaError> {
    let names: Vec<CString> = topics.iter().filter_map(|name| CString::new(*name).ok()).collect();
    let mut pointers: Vec<*const c_char> = names.iter().map(|name| name.as_ptr()).collect();
    let native = client.native_ptr();
    // SAFETY: `pointers` are valid C strings that live until the end of this function; the library copies them. `native` is
    // a live client as long as `client` is borrowed. Each object is freed by the function that the library names for it.
    let (collection, options, queue) = unsafe {
        (
            Owned::new(
                c::rd_kafka_TopicCollection_of_topic_names(pointers.as_mut_ptr(), pointers.len()),
                c::rd_kafka_TopicCollection_destroy,
            ),
            Owned::new(
                c::rd_kafka_AdminOptions_new(native, c::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBETOPICS),
                c::rd_kafka_AdminOptions_destroy,
            ),
            Owned::new(c::rd_kafka_queue_new(native), c::rd_kafka_queue_destroy),
        )
    };
    let mut reason: [c_char; 256] = [0; 256];
    // SAFETY: all objects are alive; `reason` is as long as said. The answer goes to `queue`, which nobody else reads.
    let event = unsafe {
        let code = c::rd_kafka_AdminOptions_set_request_timeout(
            options.0,
            milliseconds(timeout),
            reason.as_mut_ptr(),
            reason.len(),
        );
        if code.is_error() {
            return Err(KafkaError::AdminOp(code.into()));
        }
        c::rd_kafka_DescribeTopics(native, collection.0, options.0, queue.0);
        Owned::new(c::rd_kafka_queue_poll(queue.0, milliseconds(timeout + MARGIN)), c::rd_kafka_event_destroy)
    };
    if event.0.is_null() {
        return Err(KafkaError::AdminOp(RDKafkaErrorCode::OperationTimedOut));
    }
    // SAFETY: the event is not null and alive.
    let code = unsafe { c::rd_kafka_event_error(event.0) };
    if code == c::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR__UNSUPPORTED_FEATURE {
        return Ok(HashMap::new());
    }
    if code.is_error() {
        return Err(KafkaError::AdminOp(code.into()));
    }
    Ok(read(&event))
}

/// What an answer without error says.
fn read(event: &Owned<c::rd_kafka_event_t>) -> HashMap<String, Uuid> {
    let mut ids = HashMap::new();
    let mut count = 0;
    // SAFETY: the event is alive; what the library hands out of it lives as long, and is only read here. The array is
    // looked at only up to the count that came with it; null pointers are passed over.
    unsafe {
        let result = c::rd_kafka_event_DescribeTopics_result(event.0);
        if result.is_null() {
            return ids;
        }
        let descriptions = c::rd_kafka_DescribeTopics_result_topics(result, &raw mut count);
        for index in 0..count {
            let description = *descriptions.add(index);
            let name = c::rd_kafka_TopicDescription_name(description);
            let id = c::rd_kafka_TopicDescription_topic_id(description);
            let code = c::rd_kafka_error_code(c::rd_kafka_TopicDescription_error(description));
            if name.is_null() || id.is_null() || code.is_error() {
                continue;
            }
            let high = c::rd_kafka_Uuid_most_significant_bits(id).cast_unsigned();
            let low = c::rd_kafka_Uuid_least_significant_bits(id).cast_unsigned();
            let id = Uuid::from_u64_pair(high, low);
            if !id.is_nil() {
                ids.insert(CStr::from_ptr(name).to_string_lossy().into_owned(), id);
            }
        }
    }
    ids
}

fn milliseconds(time: Duration) -> c_int {
    c_int::try_from(time.as_millis()).unwrap_or(c_int::MAX)
}

/// An object of the library, and what frees it. It may be null.
struct Owned<T>(*mut T, unsafe extern "C" fn(*mut T));

impl<T> Owned<T> {
    fn new(object: *mut T, destroy: unsafe extern "C" fn(*mut T)) -> Self {
        Self(object, destroy)
    }
}

impl<T> Drop for Owned<T> {
    fn drop(&mut self) {
        if !self.0.is_null() {
            // SAFETY: the object came from the library, belongs to this guard alone, and `self.1` is made to free it.
            unsafe { (self.1)(self.0) }
        }
    }
}
