//! What librdkafka has and its Rust wrapper does not pass on: a topic's id, who is in a group, and how single settings of a
//! topic are set.
//!
//! The one place with unsafe code. Every pointer that is made here is destroyed here, and none outlives the
//! call; librdkafka's results are read only while their event lives.
#![allow(unsafe_code)]

mod members;
mod topic_config;
mod topic_id;

use std::time::Duration;

use rdkafka::client::{Client, ClientContext};
use rdkafka_sys as sys;

pub use members::{Member, members};
pub use topic_config::set_topic_config;
pub use topic_id::describe;

/// Sends one admin request of the kind `op`, and waits for its answer. Blocks for up to `timeout` and a little.
///
/// # Errors
/// What librdkafka or the broker says of the request as a whole, in words.
///
/// # Safety
/// `send` makes a request of that kind to the handle of `client`, with the options and the queue that it is given, and keeps
/// neither.
unsafe fn ask<C: ClientContext>(
    client: &Client<C>,
    op: sys::rd_kafka_admin_op_t,
    timeout: Duration,
    send: impl FnOnce(*mut sys::rd_kafka_AdminOptions_t, *mut sys::rd_kafka_queue_t),
) -> Result<Guard<sys::rd_kafka_event_t>, String> {
    let timeout_ms = i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX);
    // SAFETY: `client` keeps the handle alive; options and queue are freed by their guards once the event is taken off, which
    // its own guard frees.
    unsafe {
        let handle = client.native_ptr();
        let options = Guard(sys::rd_kafka_AdminOptions_new(handle, op), |p| {
            sys::rd_kafka_AdminOptions_destroy(p)
        });
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
        send(options.0, queue.0);
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
        Ok(event)
    }
}

/// # Safety
/// `text` is null or a C string that lives as long as the call.
unsafe fn words(text: *const std::ffi::c_char) -> String {
    if text.is_null() {
        return String::new();
    }
    // SAFETY: as the caller promises.
    unsafe { std::ffi::CStr::from_ptr(text) }
        .to_string_lossy()
        .into_owned()
}

struct Guard<T>(*mut T, unsafe fn(*mut T));

impl<T> Drop for Guard<T> {
    fn drop(&mut self) {
        if !self.0.is_null() {
            // SAFETY: the pointer was made by librdkafka for this destructor and is not used again.
            unsafe { (self.1)(self.0) }
        }
    }
}
