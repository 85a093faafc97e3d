//! The Lua scripts, and their names in the server's script cache.
//!
//! All keys go through KEYS. They are flagged `no-cluster` (a document and its version would live in different
//! slots) and not `allow-oom`: a full server refuses a whole call before its first write.

use std::borrow::Cow;
use std::sync::LazyLock;

use ::redis::{Pipeline, Script};

use crate::planted::{Bug, planted};

/// Writes rows that carry their own version.
pub(super) static INLINE: LazyLock<Script> = LazyLock::new(|| Script::new(&inline()));
/// Writes rows whose version lives beside them.
pub(super) static BESIDE: LazyLock<Script> =
    LazyLock::new(|| Script::new(include_str!("lua/beside.lua")));
/// Raises the markers and the tally, or looks at them.
pub(super) static MARK: LazyLock<Script> =
    LazyLock::new(|| Script::new(include_str!("lua/mark.lua")));
/// Keeps the topic's identity beside the markers.
pub(super) static IDENTITY: LazyLock<Script> =
    LazyLock::new(|| Script::new(include_str!("lua/identity.lua")));

fn inline() -> Cow<'static, str> {
    let text = include_str!("lua/inline.lua");
    if planted(Bug::NumericComparison) {
        return text
            .replace("held >= new", "tonumber(held) >= tonumber(new)")
            .into();
    }
    text.into()
}

/// Appends the commands that load every script.
pub(super) fn load(pipeline: &mut Pipeline) {
    for text in [
        &*inline(),
        include_str!("lua/beside.lua"),
        include_str!("lua/mark.lua"),
        include_str!("lua/identity.lua"),
    ] {
        pipeline.cmd("SCRIPT").arg("LOAD").arg(text);
    }
}
