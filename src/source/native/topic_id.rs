//! A topic's id as the broker gave it.

use std::ffi::CString;
use std::time::Duration;

use rdkafka::client::{Client, ClientContext};
use rdkafka_sys as sys;

use super::{Guard, ask, words};

/// What the broker says of a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Described {
    /// The id in the form that Kafka's own tools print.
    pub id: String,
    /// Its number of partitions.
    pub partitions: i32,
}

/// Asks for a topic's id and partitions. Blocks for up to `timeout` and a little.
///
/// # Errors
/// What the broker or librdkafka says, in words.
pub fn describe<C: ClientContext>(
    client: &Client<C>,
    topic: &str,
    timeout: Duration,
) -> Result<Described, String> {
    let name = CString::new(topic).map_err(|_| format!("topic name {topic:?} has a NUL"))?;
    // SAFETY: `client` keeps the handle alive; each object made is freed by its guard, in reverse order.
    unsafe {
        let mut names = [name.as_ptr()];
        let topics = Guard(
            sys::rd_kafka_TopicCollection_of_topic_names(names.as_mut_ptr(), 1),
            |p| sys::rd_kafka_TopicCollection_destroy(p),
        );
        let op = sys::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBETOPICS;
        let event = ask(client, op, timeout, |options, queue| {
            sys::rd_kafka_DescribeTopics(client.native_ptr(), topics.0, options, queue);
        })?;
        let result = sys::rd_kafka_event_DescribeTopics_result(event.0);
        if result.is_null() {
            return Err("an answer of another kind".to_owned());
        }
        let mut count = 0;
        let described = sys::rd_kafka_DescribeTopics_result_topics(result, &mut count);
        if described.is_null() || count == 0 {
            return Err("an answer without the topic".to_owned());
        }
        let first = *described;
        let error = sys::rd_kafka_TopicDescription_error(first);
        if !error.is_null() && sys::rd_kafka_error_code(error) as i32 != 0 {
            return Err(words(sys::rd_kafka_error_string(error)));
        }
        let mut partitions = 0;
        sys::rd_kafka_TopicDescription_partitions(first, &mut partitions);
        let id = sys::rd_kafka_TopicDescription_topic_id(first);
        if id.is_null() {
            return Err("a broker too old to give topics an id (Kafka 2.8 does)".to_owned());
        }
        Ok(Described {
            id: words(sys::rd_kafka_Uuid_base64str(id)),
            partitions: i32::try_from(partitions).unwrap_or(i32::MAX),
        })
    }
}
