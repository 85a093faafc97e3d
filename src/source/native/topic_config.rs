//! Sets single settings of a topic, and leaves its others alone (KIP-339): librdkafka has the request, the Rust wrapper has
//! only the older one, which replaces all of a topic's settings and so undoes what somebody else has set meanwhile.

use std::ffi::CString;
use std::time::Duration;

use rdkafka::client::{Client, ClientContext};
use rdkafka_sys as sys;

use super::{Guard, words};

/// Sets these settings of a topic. Blocks for up to `timeout` and a little.
///
/// # Errors
/// What the broker or librdkafka says, in words; then nothing is changed, or where no answer came, all of it or nothing.
pub fn set_topic_config<C: ClientContext>(
    client: &Client<C>,
    topic: &str,
    settings: &[(&str, &str)],
    timeout: Duration,
) -> Result<(), String> {
    let text = |text: &str| CString::new(text).map_err(|_| format!("{text:?} has a NUL"));
    let topic = text(topic)?;
    let pairs = settings
        .iter()
        .map(|(name, value)| Ok((text(name)?, text(value)?)));
    let pairs = pairs.collect::<Result<Vec<_>, String>>()?;
    let timeout_ms = i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX);
    // SAFETY: `client` keeps the handle alive, and `topic` and `pairs` the texts, which librdkafka copies; each object made is
    // freed by its guard, in reverse order; the answer is read only while its event lives.
    unsafe {
        let handle = client.native_ptr();
        let resource = Guard(
            sys::rd_kafka_ConfigResource_new(
                sys::rd_kafka_ResourceType_t::RD_KAFKA_RESOURCE_TOPIC,
                topic.as_ptr(),
            ),
            |p| sys::rd_kafka_ConfigResource_destroy(p),
        );
        if resource.0.is_null() {
            return Err("the topic has no name".to_owned());
        }
        for (name, value) in &pairs {
            let error = Guard(
                sys::rd_kafka_ConfigResource_add_incremental_config(
                    resource.0,
                    name.as_ptr(),
                    sys::rd_kafka_AlterConfigOpType_t::RD_KAFKA_ALTER_CONFIG_OP_TYPE_SET,
                    value.as_ptr(),
                ),
                |p| sys::rd_kafka_error_destroy(p),
            );
            if !error.0.is_null() {
                return Err(words(sys::rd_kafka_error_string(error.0)));
            }
        }
        let options = Guard(
            sys::rd_kafka_AdminOptions_new(
                handle,
                sys::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_INCREMENTALALTERCONFIGS,
            ),
            |p| sys::rd_kafka_AdminOptions_destroy(p),
        );
        let mut said = [0; 256];
        sys::rd_kafka_AdminOptions_set_request_timeout(
            options.0,
            timeout_ms,
            said.as_mut_ptr(),
            said.len(),
        );
        let queue = Guard(sys::rd_kafka_queue_new(handle), |p| {
            sys::rd_kafka_queue_destroy(p)
        });
        let mut resources = [resource.0];
        sys::rd_kafka_IncrementalAlterConfigs(
            handle,
            resources.as_mut_ptr(),
            1,
            options.0,
            queue.0,
        );
        let event = Guard(
            sys::rd_kafka_queue_poll(queue.0, timeout_ms.saturating_add(1_000)),
            |p| sys::rd_kafka_event_destroy(p),
        );
        if event.0.is_null() {
            return Err(format!("no answer within {timeout:?}"));
        }
        if sys::rd_kafka_event_error(event.0) as i32 != 0 {
            return Err(words(sys::rd_kafka_event_error_string(event.0)));
        }
        let result = sys::rd_kafka_event_IncrementalAlterConfigs_result(event.0);
        if result.is_null() {
            return Err("an answer of another kind".to_owned());
        }
        let mut count = 0;
        let altered =
            sys::rd_kafka_IncrementalAlterConfigs_result_resources(result, &raw mut count);
        if altered.is_null() || count == 0 {
            return Err("an answer without the topic".to_owned());
        }
        let first = *altered;
        if sys::rd_kafka_ConfigResource_error(first) as i32 != 0 {
            return Err(words(sys::rd_kafka_ConfigResource_error_string(first)));
        }
        Ok(())
    }
}
