//! From a row to a versioned write: the document's id, its fields in the sink's shape, and each column's
//! value converted by its type.
//!
//! A [`Projection`] is compiled once for a branch and appends to a batch's arena. It walks a row's text once:
//! columns mostly come in the order of the row before, so the usual column costs one comparison of its name
//! and a copy of its value.
//!
//! It relies on the decoder for rows that are valid JSON. It refuses with a [`DecodeError`] what the topic's
//! spec or the pipeline contradicts, never guesses, never panics on input, and never quotes a value.
//!
//! [`DecodeError`]: crate::decode::DecodeError

mod convert;
mod id;
mod key;
mod mask;
mod plan;
mod projection;
pub(crate) mod scan;
mod template;

pub use id::IdTemplate;
pub use projection::Projection;
