//! What travels down the lane: records taken from Kafka, the row changes decoded from them, and the
//! batches of versioned writes made of those.
//!
//! Nothing here does I/O or knows an actor.

mod batch;
mod change;
mod position;
mod record;
mod version;

pub use batch::{Batch, Body, Draft, FieldSpan, Origin, Shape, Span, Write};
pub use change::{Cell, Change, Changes, Key, Op, Pass, Row, SourcePosition};
pub use position::{Mark, Position};
pub use record::{Headers, Record};
pub use version::{Epoch, Version, VersionError};
