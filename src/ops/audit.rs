//! The audit log: who asked for what, and what became of it.
//!
//! Promises: nothing is done that is not noted first, so that an action that its process did not outlive is there as
//! well; each action has two lines of one `id`, `asked` and its outcome, and a request that was not allowed has one.
//! No line holds a token: who asked is told by the address and by the token's fingerprint.
//!
//! The file is opened for each line and closed again, so that logrotate may move it at any time; a line is on disk
//! before the action begins. Every line is a `tracing` event of the target [`TARGET`] as well.

use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use serde::{Deserialize, Serialize};

use crate::branch::now_ms;

/// The target of the events.
pub const TARGET: &str = "twolane::audit";

/// Actions that are shown; some screens.
const RECENT: usize = 200;
/// What is read of the file's end: lines have some 400 bytes.
const TAIL: u64 = 128 << 10;
/// Refused requests that are noted at once, and then one a second: whoever may do nothing is not to fill the disk.
const REFUSALS: f64 = 30.0;

/// Who asks for an action.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    /// The address, or that it is the command line.
    pub from: String,
    /// The fingerprint of the token that the request carried.
    pub token: Option<String>,
}

/// What became of an action.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// It is begun; another line says what became of it, unless the process ended meanwhile.
    Asked,
    /// It was done.
    Done,
    /// It could not be done, and nothing was changed.
    Refused,
    /// It was begun and did not come to its end.
    Failed,
    /// Whoever asked may not.
    Denied,
}

/// A line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// When, in UTC and to the millisecond.
    pub time: String,
    /// The same for all lines of one action.
    pub id: String,
    /// What: `pause`, `resume`, `restart`, `replay`.
    pub action: String,
    /// Of what: a branch, an actor, a dead letter.
    pub target: String,
    /// The address that asked.
    pub from: String,
    /// The token's fingerprint.
    pub token: Option<String>,
    /// What became of it.
    pub outcome: Outcome,
    /// Why, or how it went.
    pub reason: Option<String>,
    /// Refused requests before this one that were not noted, since there were too many.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub unnoted: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes it so")]
fn is_zero(n: &u64) -> bool {
    *n == 0
}

/// The audit log of a process.
#[derive(Debug)]
pub struct Audit {
    file: Option<PathBuf>,
    began_ms: i64,
    next: AtomicU64,
    recent: Mutex<VecDeque<Entry>>,
    refusals: Mutex<Refusals>,
}

/// How many refused requests may be noted now.
#[derive(Debug)]
struct Refusals {
    left: f64,
    at: Instant,
    unnoted: u64,
}

/// An action that was noted, and is not at its end. Dropped, it failed.
#[derive(Debug)]
pub struct Noted {
    audit: Arc<Audit>,
    entry: Option<Entry>,
}

// === impl Actor ===

impl Actor {
    /// Whoever is at the command line.
    pub fn command_line() -> Self {
        let user = std::env::var("USER").unwrap_or_default();
        Self {
            from: match user.as_str() {
                "" => "the command line".to_owned(),
                user => format!("the command line of {user}"),
            },
            token: None,
        }
    }
}

impl std::fmt::Display for Actor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.token {
            Some(token) => write!(f, "{} (token {token})", self.from),
            None => f.write_str(&self.from),
        }
    }
}

// === impl Audit ===

impl Audit {
    /// Appends to `file`, or writes to the logs alone.
    pub fn new(file: Option<PathBuf>) -> Arc<Self> {
        Arc::new(Self {
            file,
            began_ms: now_ms(),
            next: AtomicU64::new(0),
            recent: Mutex::default(),
            refusals: Mutex::new(Refusals {
                left: REFUSALS,
                at: Instant::now(),
                unnoted: 0,
            }),
        })
    }

    /// Notes that an action is begun. It may be done only then.
    ///
    /// # Errors
    /// One sentence where the file cannot be written.
    pub fn begin(
        self: &Arc<Self>,
        who: &Actor,
        action: &str,
        target: &str,
    ) -> Result<Noted, String> {
        let entry = self.entry(who, action, target, Outcome::Asked, None);
        self.write(&entry).map_err(|why| {
            format!("nothing was done, since the audit log cannot be written: {why}")
        })?;
        Ok(Noted {
            audit: Arc::clone(self),
            entry: Some(entry),
        })
    }

    /// Notes a request that was not allowed; of very many some, and how many there were.
    pub fn denied(&self, who: &Actor, action: &str, target: &str, why: &str) {
        let mut entry = self.entry(who, action, target, Outcome::Denied, Some(why.to_owned()));
        {
            let mut refusals = lock(&self.refusals);
            let since = refusals.at.elapsed().as_secs_f64();
            refusals.at = Instant::now();
            refusals.left = (refusals.left + since).min(REFUSALS);
            if refusals.left < 1.0 {
                refusals.unnoted += 1;
                return;
            }
            refusals.left -= 1.0;
            entry.unnoted = std::mem::take(&mut refusals.unnoted);
        }
        if let Err(why) = self.write(&entry) {
            tracing::error!("an operator must act: the audit log cannot be written: {why}");
        }
    }

    /// The last actions, the newest first, each as it stands now; with the file, those of other processes as well.
    pub fn recent(&self) -> Vec<Entry> {
        let mut all = lock(&self.recent).clone();
        for entry in self.file.as_deref().map(tail).unwrap_or_default() {
            remember(&mut all, entry);
        }
        let mut all = Vec::from(all);
        all.sort_by(|a, b| b.time.cmp(&a.time));
        all
    }

    /// The file, where there is one.
    pub fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    fn entry(
        &self,
        who: &Actor,
        action: &str,
        target: &str,
        outcome: Outcome,
        reason: Option<String>,
    ) -> Entry {
        let n = self.next.fetch_add(1, Ordering::Relaxed);
        Entry {
            time: now(),
            id: format!("{:x}-{:x}-{n}", self.began_ms, std::process::id()),
            action: action.to_owned(),
            target: target.to_owned(),
            from: who.from.clone(),
            token: who.token.clone(),
            outcome,
            reason,
            unnoted: 0,
        }
    }

    fn write(&self, entry: &Entry) -> Result<(), String> {
        if let Some(file) = &self.file {
            append(file, entry)
                .map_err(|why| format!("admin.audit_file = {:?}: {why}", file.display()))?;
        }
        tracing::info!(
            target: TARGET,
            id = entry.id,
            action = entry.action,
            on = entry.target,
            from = entry.from,
            token = entry.token,
            outcome = ?entry.outcome,
            reason = entry.reason,
            unnoted = entry.unnoted,
            "audit"
        );
        remember(&mut lock(&self.recent), entry.clone());
        Ok(())
    }
}

/// One line, on disk when this returns.
fn append(path: &Path, entry: &Entry) -> std::io::Result<()> {
    let mut line = serde_json::to_vec(entry)?;
    line.push(b'\n');
    let mut file = OpenOptions::new()
        .create(true)
        .append(true)
        .mode(0o640)
        .open(path)?;
    // One write: lines of several processes do not mix.
    file.write_all(&line)?;
    file.sync_data()
}

/// The actions at the end of a file; what is no line of ours is passed over.
fn tail(path: &Path) -> VecDeque<Entry> {
    let read = || -> std::io::Result<String> {
        let mut file = File::open(path)?;
        let from = file.metadata()?.len().saturating_sub(TAIL);
        file.seek(SeekFrom::Start(from))?;
        let mut bytes = Vec::new();
        file.take(TAIL).read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    };
    let mut all = VecDeque::new();
    // A file that is not there yet, or cannot be read, shows nothing; whether it can be written is another question.
    for line in read().unwrap_or_default().lines() {
        if let Ok(entry) = serde_json::from_str(line) {
            remember(&mut all, entry);
        }
    }
    all
}

/// A later line of an action takes the place of the earlier.
fn remember(all: &mut VecDeque<Entry>, entry: Entry) {
    if let Some(known) = all.iter_mut().rev().find(|e| e.id == entry.id) {
        *known = entry;
        return;
    }
    if all.len() == RECENT {
        all.pop_front();
    }
    all.push_back(entry);
}

fn now() -> String {
    let now = jiff::Timestamp::from_millisecond(now_ms()).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    now.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

// === impl Noted ===

impl Noted {
    /// Notes what became of it.
    pub fn end(mut self, outcome: Outcome, reason: Option<String>) {
        self.close(outcome, reason);
    }

    fn close(&mut self, outcome: Outcome, reason: Option<String>) {
        let Some(mut entry) = self.entry.take() else {
            return;
        };
        entry.time = now();
        entry.outcome = outcome;
        entry.reason = reason;
        if let Err(why) = self.audit.write(&entry) {
            // It was done, and that it was begun is noted.
            tracing::error!(
                id = entry.id,
                ?outcome,
                "an operator must act: the audit log cannot be written: {why}"
            );
        }
    }
}

impl Drop for Noted {
    fn drop(&mut self) {
        let why = "it was given up before its end".to_owned();
        self.close(Outcome::Failed, Some(why));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn who() -> Actor {
        Actor {
            from: "127.0.0.1".into(),
            token: Some("0a1b2c3d".into()),
        }
    }

    fn lines(file: &Path) -> Vec<Entry> {
        let text = std::fs::read_to_string(file).unwrap();
        let lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
        lines.collect()
    }

    #[test]
    fn an_action_is_noted_before_it_is_done_and_after_and_a_moved_file_is_made_anew() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("audit.ndjson");
        let audit = Audit::new(Some(file.clone()));
        let noted = audit.begin(&who(), "pause", "p.redis").unwrap();
        assert_eq!(lines(&file)[0].outcome, Outcome::Asked);
        std::fs::rename(&file, folder.path().join("audit.1")).unwrap();
        noted.end(Outcome::Done, None);
        drop(audit.begin(&who(), "replay", "t.dead/7").unwrap());
        let found: Vec<_> = lines(&file).into_iter().map(|e| e.outcome).collect();
        assert_eq!(found, [Outcome::Done, Outcome::Asked, Outcome::Failed]);
        let recent = audit.recent();
        assert_eq!(recent.len(), 2);
        // The next process shows what this one did.
        let next = Audit::new(Some(file));
        let outcomes = |all: Vec<Entry>| {
            all.into_iter()
                .map(|e| (e.id, e.outcome))
                .collect::<std::collections::BTreeMap<_, _>>()
        };
        assert_eq!(outcomes(next.recent()), outcomes(recent));
        assert!(next.begin(&who(), "pause", "p.redis").is_ok());
    }

    #[test]
    fn nothing_is_begun_where_the_file_cannot_be_written() {
        let folder = tempfile::tempdir().unwrap();
        let audit = Audit::new(Some(folder.path().join("absent/audit.ndjson")));
        let why = audit.begin(&who(), "pause", "p.redis").unwrap_err();
        assert!(why.contains("admin.audit_file"), "{why}");
        assert!(audit.recent().is_empty());
    }

    #[test]
    fn of_many_refused_requests_some_are_noted_and_the_others_counted() {
        let audit = Audit::new(None);
        for _ in 0..100 {
            audit.denied(&who(), "pause", "p.redis", "no token");
        }
        let noted = audit.recent().len();
        assert!((30..60).contains(&noted), "{noted}");
        assert!(lock(&audit.refusals).unnoted > 0);
    }
}
