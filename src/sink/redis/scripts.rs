//! The Lua scripts, and their names in the server's script cache.
//!
//! All keys go through KEYS. They are flagged `no-cluster` (a document and its version would live in different
//! slots) and not `allow-oom`: a full server refuses a whole call before its first write.

use std::borrow::Cow;
use std::sync::LazyLock;

use ::redis::{Pipeline, Script};

use crate::planted::{Bug, planted};

/// A script that writes rows, with what both of them need before it.
macro_rules! writer {
    ($file:literal) => {
        concat!(
            "#!lua flags=no-cluster\n",
            include_str!("lua/wide.lua"),
            include_str!($file)
        )
    };
}

const INLINE_TEXT: &str = writer!("lua/inline.lua");
const BESIDE_TEXT: &str = writer!("lua/beside.lua");

/// Writes rows that carry their own version.
pub(super) static INLINE: LazyLock<Script> = LazyLock::new(|| Script::new(&inline()));
/// Writes rows whose version lives beside them.
pub(super) static BESIDE: LazyLock<Script> = LazyLock::new(|| Script::new(BESIDE_TEXT));
/// Raises the markers and the tally, or looks at them.
pub(super) static MARK: LazyLock<Script> =
    LazyLock::new(|| Script::new(include_str!("lua/mark.lua")));
/// Keeps the topic's identity beside the markers.
pub(super) static IDENTITY: LazyLock<Script> =
    LazyLock::new(|| Script::new(include_str!("lua/identity.lua")));

fn inline() -> Cow<'static, str> {
    if planted(Bug::NumericComparison) {
        return INLINE_TEXT
            .replace("held >= new", "tonumber(held) >= tonumber(new)")
            .into();
    }
    INLINE_TEXT.into()
}

/// Appends the commands that load every script.
pub(super) fn load(pipeline: &mut Pipeline) {
    for text in [
        &*inline(),
        BESIDE_TEXT,
        include_str!("lua/mark.lua"),
        include_str!("lua/identity.lua"),
    ] {
        pipeline.cmd("SCRIPT").arg("LOAD").arg(text);
    }
}
