//! What travels down the lane: records taken from Kafka, the row changes decoded from them, and the
//! batches of versioned writes made of those.
//!
//! Nothing here does I/O or knows an actor.

pub mod partition;

mod batch;
mod change;
mod fields;
mod position;
mod record;
mod schema;
mod version;

pub use batch::{Batch, Body, Draft, Origin, Shape, Span, Write};
pub use change::{Change, Changes, Key, Op, Pass, Row, SourcePosition};
pub use fields::{FieldStart, Fields, FieldsIter, PackedName};
pub use position::{Mark, Position};
pub use record::{Headers, Record};
pub use schema::{RowSchema, TimeUnit, WireType};
pub use version::{Epoch, Version, VersionError};
