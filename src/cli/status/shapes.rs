//! What the commands read of an admin address's answers; whatever else is in them is for `--json`.

use serde::Deserialize;

/// `GET /ready`.
#[derive(Debug, Deserialize)]
pub(super) struct Ready {
    pub(super) ready: bool,
    pub(super) not_ready: Vec<Unready>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Unready {
    pub(super) name: String,
    pub(super) state: String,
    pub(super) reason: String,
}

/// One of `GET /pipelines`.
#[derive(Debug, Deserialize)]
pub(in crate::cli) struct Pipeline {
    pub(in crate::cli) topic: String,
    pub(in crate::cli) branches: Vec<Branch>,
}

#[derive(Debug, Deserialize)]
pub(in crate::cli) struct Branch {
    pub(in crate::cli) group: String,
    pub(in crate::cli) state: String,
    pub(in crate::cli) reason: Option<String>,
    pub(in crate::cli) lag: Option<i64>,
    pub(in crate::cli) last_freshness_seconds: Option<f64>,
    pub(in crate::cli) freshness_seconds: Quantiles,
    pub(in crate::cli) retried: u64,
    pub(in crate::cli) records: Records,
    pub(in crate::cli) buffer: Buffer,
    #[serde(default)]
    pub(in crate::cli) per_second: PerSecond,
    pub(in crate::cli) partitions: Vec<Partition>,
}

#[derive(Debug, Deserialize)]
pub(in crate::cli) struct Quantiles {
    pub(in crate::cli) p99: Option<f64>,
}

#[derive(Debug, Deserialize)]
pub(in crate::cli) struct Records {
    pub(in crate::cli) dead_lettered: u64,
}

#[derive(Debug, Deserialize)]
pub(in crate::cli) struct Buffer {
    pub(in crate::cli) bytes: u64,
}

#[derive(Debug, Default, Deserialize)]
pub(in crate::cli) struct PerSecond {
    pub(in crate::cli) records: Option<f64>,
}

/// One of `GET /groups`.
#[derive(Debug, Deserialize)]
pub(in crate::cli) struct Group {
    pub(in crate::cli) group: String,
    pub(in crate::cli) members: Vec<Member>,
    pub(in crate::cli) unowned: Vec<i32>,
    pub(in crate::cli) error: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(in crate::cli) struct Member {
    pub(in crate::cli) client_id: String,
    pub(in crate::cli) host: String,
    pub(in crate::cli) partitions: Vec<i32>,
    pub(in crate::cli) this_process: bool,
}

/// One of `GET /settings`.
#[derive(Debug, Deserialize)]
pub(in crate::cli) struct Setting {
    pub(in crate::cli) path: String,
    pub(in crate::cli) value: Option<String>,
    pub(in crate::cli) origin: String,
    pub(in crate::cli) place: Option<String>,
}

/// `GET /audit`.
#[derive(Debug, Deserialize)]
pub(in crate::cli) struct Audited {
    pub(in crate::cli) entries: Vec<Entry>,
}

#[derive(Debug, Deserialize)]
pub(in crate::cli) struct Entry {
    pub(in crate::cli) time: String,
    pub(in crate::cli) action: String,
    pub(in crate::cli) target: String,
    pub(in crate::cli) from: String,
    pub(in crate::cli) token: Option<String>,
    pub(in crate::cli) outcome: String,
    pub(in crate::cli) reason: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(in crate::cli) struct Partition {
    pub(in crate::cli) partition: i32,
    pub(in crate::cli) end: i64,
    pub(in crate::cli) watermark: Option<i64>,
    pub(in crate::cli) committed: Option<i64>,
    pub(in crate::cli) lag: Option<i64>,
}

/// `GET /actors`.
#[derive(Debug, Deserialize)]
pub(super) struct Node {
    pub(super) name: String,
    pub(super) state: String,
    pub(super) since_seconds: f64,
    pub(super) restarts: u64,
    pub(super) queue: Option<u64>,
    pub(super) progress: Option<Progress>,
    pub(super) last_exit: Option<String>,
    #[serde(default)]
    pub(super) children: Vec<Node>,
    #[serde(default)]
    pub(super) more: usize,
}

#[derive(Debug, Deserialize)]
pub(super) struct Progress {
    pub(super) age_seconds: f64,
}

/// `GET /rooms`.
#[derive(Debug, Deserialize)]
pub(super) struct Live {
    pub(super) connected: bool,
    pub(super) overloaded: bool,
    pub(super) open_rooms: u64,
    pub(super) comments_waiting: u64,
    pub(super) classes: Vec<Class>,
    pub(super) rooms: Vec<Room>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Room {
    pub(super) room: String,
    pub(super) viewers: u64,
    pub(super) accepted: u64,
    pub(super) refused: u64,
    pub(super) likes: u64,
    pub(super) shed: u64,
    pub(super) redelivered: u64,
    pub(super) comments_per_second: Option<f64>,
    pub(super) likes_per_second: Option<f64>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Class {
    pub(super) class: String,
    pub(super) received_per_second: Option<f64>,
    pub(super) received: u64,
    pub(super) accepted: u64,
    pub(super) refused: u64,
    pub(super) shed: u64,
    pub(super) duplicate: u64,
    pub(super) dead_lettered: u64,
    pub(super) redelivered: u64,
}

// === impl Node ===

impl Node {
    /// This one and all below it, in order, each with its depth.
    pub(super) fn each(&self, depth: usize, see: &mut impl FnMut(&Self, usize)) {
        see(self, depth);
        for child in &self.children {
            child.each(depth + 1, see);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::ops::view_testing as ops;

    #[test]
    fn what_the_admin_address_answers_is_what_is_read() {
        let branch = serde_json::to_value(ops::branch("p", "redis")).unwrap();
        let branch: Branch = serde_json::from_value(branch).unwrap();
        assert_eq!((branch.group.as_str(), branch.lag), ("p.redis", Some(30)));
        let node = serde_json::to_value(ops::child("p.redis/source", "running")).unwrap();
        let node: Node = serde_json::from_value(node).unwrap();
        assert_eq!((node.restarts, node.queue), (7, Some(0)));
        let live = serde_json::to_value(ops::live()).unwrap();
        let live: Live = serde_json::from_value(live).unwrap();
        let classes: BTreeMap<_, _> = live
            .classes
            .iter()
            .map(|c| (&*c.class, c.received))
            .collect();
        assert!(live.connected && classes.contains_key("comment"));
    }
}
