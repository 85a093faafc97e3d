//! What librdkafka has and its Rust wrapper does not pass on: a topic's id, who is in a group, and how single settings of a
//! topic are set.
//!
//! The one place with unsafe code. Every pointer that is made here is destroyed here, and none outlives the
//! call; librdkafka's results are read only while their event lives.
#![allow(unsafe_code)]

mod members;
mod topic_config;
mod topic_id;

pub use members::{Member, members};
pub use topic_config::set_topic_config;
pub use topic_id::describe;

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
