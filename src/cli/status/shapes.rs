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
pub(super) struct Pipeline {
    pub(super) topic: String,
    pub(super) branches: Vec<Branch>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Branch {
    pub(super) group: String,
    pub(super) state: String,
    pub(super) reason: Option<String>,
    pub(super) lag: Option<i64>,
    pub(super) last_freshness_seconds: Option<f64>,
    pub(super) freshness_seconds: Quantiles,
    pub(super) retried: u64,
    pub(super) records: Records,
    pub(super) buffer: Buffer,
    #[serde(default)]
    pub(super) per_second: PerSecond,
    pub(super) partitions: Vec<Partition>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Quantiles {
    pub(super) p99: Option<f64>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Records {
    pub(super) dead_lettered: u64,
}

#[derive(Debug, Deserialize)]
pub(super) struct Buffer {
    pub(super) bytes: u64,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct PerSecond {
    pub(super) records: Option<f64>,
}

/// One of `GET /groups`.
#[derive(Debug, Deserialize)]
pub(super) struct Group {
    pub(super) group: String,
    pub(super) members: Vec<Member>,
    pub(super) unowned: Vec<i32>,
    pub(super) error: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Member {
    pub(super) client_id: String,
    pub(super) host: String,
    pub(super) partitions: Vec<i32>,
    pub(super) this_process: bool,
}

/// One of `GET /settings`.
#[derive(Debug, Deserialize)]
pub(super) struct Setting {
    pub(super) path: String,
    pub(super) value: Option<String>,
    pub(super) origin: String,
    pub(super) place: Option<String>,
}

/// `GET /audit`.
#[derive(Debug, Deserialize)]
pub(super) struct Audited {
    pub(super) entries: Vec<Entry>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Entry {
    pub(super) time: String,
    pub(super) action: String,
    pub(super) target: String,
    pub(super) from: String,
    pub(super) token: Option<String>,
    pub(super) outcome: String,
    pub(super) reason: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Partition {
    pub(super) partition: i32,
    pub(super) end: i64,
    pub(super) watermark: Option<i64>,
    pub(super) committed: Option<i64>,
    pub(super) lag: Option<i64>,
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
