//! Reading TOML files and variables by tables of declared fields. A table says each field's name, kind,
//! default and meaning once; parsing, "did you mean" and the reference pages all come from it.
//!
//! Every value keeps the place where it was written, so that whoever judges its meaning can point there.
//! Nothing here knows what a topic or a pipeline is.

mod field;
mod source;
mod suggest;
mod units;
mod value;
mod values;

pub(crate) use field::{Field, Kind};
pub(crate) use source::Source;
pub(crate) use suggest::{did_you_mean, listed};
pub(crate) use units::{show_duration, show_size};
pub(crate) use value::{Entry, Placed};
pub(crate) use values::{Heading, Values};
