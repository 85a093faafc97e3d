//! Sets single settings of a topic, and leaves its others alone (KIP-339): librdkafka has the request, the Rust wrapper has
//! only the older one, which replaces all of a topic's settings and so undoes what somebody else has set meanwhile.

use std::ffi::CString;
use std::time::Duration;

use rdkafka::client::{Client, ClientContext};
use rdkafka_sys as sys;

use super::{Guard, ask, words};

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
    // SAFETY: `client` keeps the handle alive, and `topic` and `pairs` the texts, which librdkafka copies; each object made is
    // freed by its guard, in reverse order; the answer is read only while its event lives.
    unsafe {
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
        let mut resources = [resource.0];
        let op = sys::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_INCREMENTALALTERCONFIGS;
        let event = ask(client, op, timeout, |options, queue| {
            let resources = resources.as_mut_ptr();
            sys::rd_kafka_IncrementalAlterConfigs(
                client.native_ptr(),
                resources,
                1,
                options,
                queue,
            );
        })?;
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
