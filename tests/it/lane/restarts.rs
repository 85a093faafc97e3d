//! Actors that die are made anew, and what they held comes again.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use futures_util::future::BoxFuture;
use twolane::branch;
use twolane::event::{Batch, Shape};
use twolane::sink::{
    Outcome, Resume, Sink, SinkError, SinkHub, TopicIdentity, Watermarks, registry,
};
use twolane::supervise::Tree;

use super::rig::{self, Options, Rig};
use super::tools;
use crate::stack;

/// Which calls panic: the first ones of each kind, as many as are asked for.
#[derive(Default)]
struct Panics {
    write: AtomicU32,
    resume: AtomicU32,
    checkpoint: AtomicU32,
}

/// A sink that panics where a defect of ours would.
struct Frail {
    hub: Arc<dyn SinkHub>,
    panics: Arc<Panics>,
}

struct FrailSink {
    sink: Arc<dyn Sink>,
    panics: Arc<Panics>,
}

fn due(left: &AtomicU32) -> bool {
    let taken = left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1));
    taken.is_ok()
}

impl Sink for FrailSink {
    fn write<'a>(
        &'a self,
        batch: &'a Batch,
        select: &'a [u32],
        acknowledged: &'a dyn Watermarks,
    ) -> BoxFuture<'a, Result<Vec<Outcome>, SinkError>> {
        assert!(!due(&self.panics.write), "a write that panics");
        self.sink.write(batch, select, acknowledged)
    }
}

impl SinkHub for Frail {
    fn shape(&self) -> Shape {
        self.hub.shape()
    }

    fn check<'a>(&'a self, identity: &'a TopicIdentity) -> BoxFuture<'a, Result<(), SinkError>> {
        self.hub.check(identity)
    }

    fn inspect<'a>(&'a self, identity: &'a TopicIdentity) -> BoxFuture<'a, Result<(), SinkError>> {
        self.hub.inspect(identity)
    }

    fn connect(&self) -> Result<Arc<dyn Sink>, SinkError> {
        Ok(Arc::new(FrailSink {
            sink: self.hub.connect()?,
            panics: Arc::clone(&self.panics),
        }))
    }

    fn resume<'a>(
        &'a self,
        partition: i32,
        committed: Option<i64>,
    ) -> BoxFuture<'a, Result<Resume, SinkError>> {
        assert!(!due(&self.panics.resume), "a resume that panics");
        self.hub.resume(partition, committed)
    }

    fn checkpoint<'a>(&'a self, marks: &'a dyn Watermarks) -> BoxFuture<'a, Result<(), SinkError>> {
        assert!(!due(&self.panics.checkpoint), "a checkpoint that panics");
        self.hub.checkpoint(marks)
    }

    fn verify<'a>(&'a self, partitions: &'a [i32]) -> BoxFuture<'a, Result<(), SinkError>> {
        self.hub.verify(partitions)
    }

    fn purge(&self) -> BoxFuture<'_, Result<u64, SinkError>> {
        self.hub.purge()
    }
}

/// Runs the rig's Redis branch with these panics over `rows` rows, and looks that all of them arrive.
async fn survives(rig: &Rig, panics: Panics, child: &str, restarts: u64) {
    const ROWS: i64 = 2_000;
    let records: Vec<_> = (0..ROWS)
        .map(|id| (rig::key(id), Some(rig::event("c", id, 1, "ada"))))
        .collect();
    rig.send_all(&records).await;
    let settings = Arc::new(rig.config.settings.clone());
    let pipeline = Arc::new(rig.config.pipelines[0].clone());
    let spec = &pipeline.sinks[0];
    let tree = Arc::new(Tree::default());
    let hub = registry::hub(&settings, &pipeline, spec).expect("a hub");
    let panics = Arc::new(panics);
    let frail = Arc::new(Frail {
        hub,
        panics: Arc::clone(&panics),
    });
    let running = branch::start_with(frail, &settings, &pipeline, spec, &tree).expect("a branch");
    let branch = Arc::clone(&running.branch);
    rig::resolved(std::slice::from_ref(&branch), ROWS.unsigned_abs()).await;
    let status = tree
        .children()
        .into_iter()
        .find(|c| c.name.ends_with(child));
    let status = status.expect("a child of that name");
    rig::until("the restarts", || async { status.restarts() >= restarts }).await;
    assert!(
        format!("{:?}", status.last_exit()).contains("Panicked"),
        "{:?}",
        status.last_exit()
    );
    assert_eq!(tools::dead_lettered(&branch), 0);
    running.stop().await;
    tools::assert_sum(&branch);
    tools::assert_committed_to_the_end(&[branch]).await;
    for id in 0..ROWS {
        assert_eq!(rig.hash(id).await["name"], "ada", "{id}");
    }
}

fn only_redis() -> Options {
    Options {
        elasticsearch: None,
        redis: Some("shape = \"hash\"\nworkers = 1\nbatch_documents = 50"),
        ..Options::default()
    }
}

#[test]
fn a_worker_that_panics_is_made_anew_and_nothing_it_held_is_lost() {
    let stack = stack::plain(&["kafka", "redis", "elasticsearch"]);
    rig::system(async {
        let rig = Rig::new(&stack, "worker", only_redis()).await;
        let panics = Panics {
            write: AtomicU32::new(3),
            ..Panics::default()
        };
        survives(&rig, panics, "/worker-0", 3).await;
    });
}

#[test]
fn a_source_that_panics_is_made_anew_and_begins_at_the_commits() {
    let stack = stack::plain(&["kafka", "redis", "elasticsearch"]);
    rig::system(async {
        let rig = Rig::new(&stack, "source", only_redis()).await;
        let panics = Panics {
            resume: AtomicU32::new(2),
            ..Panics::default()
        };
        survives(&rig, panics, "/source", 2).await;
    });
}

#[test]
fn a_committer_that_panics_is_made_anew_and_commits_what_was_resolved() {
    let stack = stack::plain(&["kafka", "redis", "elasticsearch"]);
    rig::system(async {
        let rig = Rig::new(&stack, "committer", only_redis()).await;
        let panics = Panics {
            checkpoint: AtomicU32::new(2),
            ..Panics::default()
        };
        survives(&rig, panics, "/committer", 2).await;
    });
}
