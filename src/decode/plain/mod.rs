//! Plain events, each of which is the whole state of its key: in Avro by the topic's own schema, or in JSON
//! checked against it. An event has no envelope and its record's key may be anything, so the document's key is
//! found among the event's fields; only where the value is null (a delete) is the record's key read.

mod avro;
mod json;
mod tombstone;

pub use avro::{AvroEvents, fingerprint};
pub use json::JsonEvents;
