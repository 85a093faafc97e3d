//! Reading settings, topics and pipelines again while the process runs, and doing what follows from that.
//!
//! Promises: everything is read and checked as at a start, and on any problem nothing changes. Branches whose specs mean
//! something else drain, commit and are made anew; the others do not notice. What cannot change in a running process
//! keeps the value that it started with and is named as such, each time, until the process is restarted.
//!
//! One reload goes on at a time. Of those that are asked for meanwhile one waits, which then reads what is there by then;
//! further ones are refused.
//!
//! What a running process takes over is [`TAKEN_OVER`], and everything in the files of topics and pipelines that its
//! branches refer to, Avro schemas and mappings included. A branch works with the settings that the process started
//! with, whenever it is made.

use std::sync::Arc;

use serde::Serialize;
use tokio::signal::unix::Signal;
use tokio::sync::{mpsc, oneshot};

use crate::branch::Branch;
use crate::config::{
    self, Config, LiveSpec, LoadOptions, PipelineSpec, Place, Problems, Settings, TopicSpec,
};
use crate::lane::{BranchChange, Kind, Lane, Plan};
use crate::ops::logging::Filter;
use crate::produce::EventTopic;
use crate::produce::http::Door;

/// The settings that a running process takes over.
pub const TAKEN_OVER: [&str; 5] = [
    "topics_dir",
    "pipelines_dir",
    "log.filter",
    "ingest.keys_file",
    "ingest.rate, ingest.burst",
];

/// Requests that may wait while a reload goes on.
const WAITING: usize = 1;

/// Where a reload is asked for. Clones are the same.
#[derive(Debug, Clone)]
pub struct Handle(mpsc::Sender<Request>);

#[derive(Debug)]
struct Request {
    who: String,
    answer: oneshot::Sender<Result<Reloaded, NotReloaded>>,
}

/// What a reload found and did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Reloaded {
    /// Every branch. A branch that was added or changed has been started, and gets ready by itself.
    pub branches: Vec<BranchChange>,
    /// Settings that were taken over.
    pub settings: Vec<&'static str>,
    /// What differs from the files and stays as it is until the process is restarted: settings by their names, and files
    /// with what they are for.
    pub needs_restart: Vec<String>,
}

/// Why nothing changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotReloaded {
    /// Something is wrong: each problem with its place.
    #[error("{0}")]
    Wrong(Problems),
    /// One goes on, and another waits.
    #[error("a reload goes on and another one waits: ask again once they are done")]
    Busy,
    /// The process ends.
    #[error("the process is ending")]
    Ending,
}

/// What a process was started with, and so what is compared with the files.
pub struct Reloader {
    options: LoadOptions,
    /// The pipelines that were named; all where none was.
    named: Pipelines,
    /// What the process works with.
    running: Arc<Settings>,
    /// As they were read at the last reload that changed something, for the settings that are taken over.
    current: Settings,
    live: Option<Arc<LiveSpec>>,
    /// The topics that the ingest serves, where it runs.
    ingest: Option<Vec<Arc<TopicSpec>>>,
    filter: Filter,
    door: Option<Door>,
    requests: mpsc::Receiver<Request>,
}

/// Which pipelines a process runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pipelines {
    /// All that there are.
    All,
    /// Those of these names, perhaps none.
    Named(Vec<String>),
}

/// What runs beside the pipelines and cannot be taken over.
#[derive(Debug, Clone, Default)]
pub struct Beside {
    /// The live lane's spec, where it runs.
    pub live: Option<Arc<LiveSpec>>,
    /// All topics, where the ingest runs.
    pub ingest: Option<Vec<Arc<TopicSpec>>>,
}

// === impl Handle ===

impl Handle {
    /// Asks for a reload on behalf of `who`, and waits until it is done: as long as the branches that leave take to drain.
    ///
    /// # Errors
    /// [`NotReloaded`].
    pub async fn reload(&self, who: String) -> Result<Reloaded, NotReloaded> {
        let (answer, answered) = oneshot::channel();
        let request = Request { who, answer };
        self.0.try_send(request).map_err(|why| match why {
            mpsc::error::TrySendError::Full(_) => NotReloaded::Busy,
            mpsc::error::TrySendError::Closed(_) => NotReloaded::Ending,
        })?;
        answered.await.unwrap_or(Err(NotReloaded::Ending))
    }
}

// === impl Pipelines ===

impl Pipelines {
    /// Of what was read, those that are to run.
    ///
    /// # Errors
    /// One sentence that names the pipeline that is not there.
    pub fn of(&self, config: &Config) -> Result<Vec<Arc<PipelineSpec>>, String> {
        let selected = match self {
            Self::Named(names) if names.is_empty() => Vec::new(),
            Self::Named(names) => config.select(names)?,
            Self::All => config.select(&[])?,
        };
        Ok(selected.into_iter().cloned().map(Arc::new).collect())
    }
}

// === impl Reloader ===

impl Reloader {
    /// For a process that was started with these; `options` are read again each time.
    pub fn new(
        options: LoadOptions,
        named: Pipelines,
        settings: &Arc<Settings>,
        beside: Beside,
        filter: Filter,
    ) -> (Self, Handle) {
        let (to, requests) = mpsc::channel(WAITING);
        let reloader = Self {
            options,
            named,
            running: Arc::clone(settings),
            current: Settings::clone(settings),
            live: beside.live,
            ingest: beside.ingest,
            filter,
            door: None,
            requests,
        };
        (reloader, Handle(to))
    }

    /// The ingest runs, and takes over who may send.
    pub fn ingest_started(&mut self, door: &Door) {
        self.door = Some(door.clone());
    }

    /// Reloads `lane` whenever that is asked for or `hangup` (SIGHUP) comes; never returns. `shown` is told of the
    /// branches whenever others run.
    pub async fn run(
        mut self,
        lane: &mut Lane,
        mut hangup: Signal,
        shown: impl Fn(Vec<Arc<Branch>>),
    ) {
        loop {
            let request = tokio::select! {
                // None once the process ends, which nobody can ask from then on.
                Some(request) = self.requests.recv() => Some(request),
                Some(()) = hangup.recv() => None,
                else => std::future::pending().await,
            };
            let who = request.as_ref().map_or("SIGHUP", |r| r.who.as_str());
            tracing::info!(who, "reloading");
            let reloaded = self.reload(lane, &shown).await;
            match &reloaded {
                Ok(reloaded) => reloaded.log(who),
                Err(NotReloaded::Wrong(problems)) => {
                    for problem in problems.iter() {
                        tracing::error!(who, "not reloaded: {problem}");
                    }
                    tracing::error!(
                        who,
                        problems = problems.len(),
                        "not reloaded: nothing has changed"
                    );
                }
                Err(why @ (NotReloaded::Busy | NotReloaded::Ending)) => {
                    tracing::error!(who, "not reloaded: {why}");
                }
            }
            if let Some(request) = request
                && request.answer.send(reloaded).is_err()
            {
                tracing::debug!("nobody waits any more to hear of the reload");
            }
        }
    }

    async fn reload(
        &mut self,
        lane: &mut Lane,
        shown: &impl Fn(Vec<Arc<Branch>>),
    ) -> Result<Reloaded, NotReloaded> {
        let options = self.options.clone();
        let config = tokio::task::spawn_blocking(move || config::load(&options)).await;
        let config = config
            // The process ends, or the reading panicked: nothing was read.
            .map_err(|_| NotReloaded::Ending)?
            .map_err(NotReloaded::Wrong)?;
        let plan = self.plan(lane, &config).map_err(NotReloaded::Wrong)?;
        let settings = self.take_over(&config.settings);
        let reloaded = Reloaded {
            branches: plan.changes().to_vec(),
            settings,
            needs_restart: self.needs_restart(&config),
        };
        lane.change(plan, |lane| shown(lane.branches())).await;
        Ok(reloaded)
    }

    fn plan(&self, lane: &Lane, config: &Config) -> Result<Plan, Problems> {
        let wrong = |place, message: String| {
            let mut problems = Problems::default();
            problems.add(place, message);
            problems
        };
        let folder = || Place::File(config.settings.pipelines_dir.clone());
        let pipelines = self.named.of(config).map_err(|why| {
            wrong(
                folder(),
                format!("this process was started for it, and {why}"),
            )
        })?;
        lane.plan(&self.running, &pipelines)
            .map_err(|(file, why)| wrong(Place::File(file), why.to_string()))
    }

    /// Takes over what can be; returns what was other than before.
    fn take_over(&mut self, read: &Settings) -> Vec<&'static str> {
        let mut taken: Vec<_> = self.current.differences(read);
        taken.retain(|name| TAKEN_OVER.contains(name));
        if taken.contains(&"log.filter")
            && let Err(why) = self.filter.set(&read.log.filter)
        {
            // It was checked when it was read.
            tracing::error!("{why}");
            taken.retain(|name| *name != "log.filter");
        }
        taken.retain(|name| !name.starts_with("ingest.") || self.door.is_some());
        if let (Some(door), Some(ingest)) = (&self.door, &read.ingest)
            && taken.iter().any(|name| name.starts_with("ingest."))
        {
            door.take_over(ingest);
        }
        self.current = read.clone();
        taken
    }

    fn needs_restart(&self, config: &Config) -> Vec<String> {
        let differing = self.running.differences(&config.settings).into_iter();
        let mut all: Vec<String> = differing
            .filter(|name| !TAKEN_OVER.contains(name))
            .map(str::to_owned)
            .collect();
        let live = match (&self.live, &config.live) {
            (Some(runs), Some(read)) if runs != read => Some(&read.file),
            (Some(runs), None) => Some(&runs.file),
            (None, Some(read)) if self.named == Pipelines::All => Some(&read.file),
            (Some(_) | None, _) => None,
        };
        all.extend(live.map(|file| format!("{} (the live lane)", file.display())));
        if let Some(serves) = &self.ingest {
            let events = |topics: &[Arc<TopicSpec>]| -> Vec<Arc<TopicSpec>> {
                let take = topics.iter().filter(|t| EventTopic::takes_events(t));
                take.cloned().collect()
            };
            let (serves, read) = (events(serves), events(&config.topics));
            let missing = |of: &[Arc<TopicSpec>], from: &[Arc<TopicSpec>]| {
                let missing = of.iter().filter(|t| !from.contains(t));
                missing.map(|t| t.file.clone()).collect::<Vec<_>>()
            };
            let mut files = missing(&serves, &read);
            files.extend(missing(&read, &serves));
            files.sort();
            files.dedup();
            all.extend(
                files
                    .iter()
                    .map(|file| format!("{} (the ingest)", file.display())),
            );
        }
        all
    }
}

// === impl Reloaded ===

impl Reloaded {
    /// How many branches something becomes of.
    pub fn count(&self, of: Kind) -> usize {
        self.branches.iter().filter(|b| b.change == of).count()
    }

    fn log(&self, who: &str) {
        for branch in &self.branches {
            let BranchChange {
                pipeline,
                sink,
                change,
                differs,
            } = branch;
            if *change != Kind::Unchanged {
                let differs = differs.join(", ");
                tracing::info!(
                    branch = format!("{pipeline}.{sink}"),
                    differs,
                    "{}",
                    change.name()
                );
            }
        }
        for name in &self.needs_restart {
            tracing::warn!("{name} differs from what this process runs with, and needs a restart");
        }
        tracing::info!(
            who,
            added = self.count(Kind::Added),
            removed = self.count(Kind::Removed),
            changed = self.count(Kind::Changed),
            unchanged = self.count(Kind::Unchanged),
            settings = self.settings.join(", "),
            "reloaded"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[actix::test]
    async fn of_those_that_ask_while_one_goes_on_one_waits_and_the_next_is_refused() {
        let (to, mut requests) = mpsc::channel(WAITING);
        let handle = Handle(to);
        let ask = |who: &str| {
            let (handle, who) = (handle.clone(), who.to_owned());
            actix::spawn(async move { handle.reload(who).await })
        };
        let first = ask("first");
        // It goes on from here.
        let going = requests.recv().await.unwrap();
        let second = ask("second");
        while requests.len() < WAITING {
            tokio::task::yield_now().await;
        }
        assert_eq!(ask("third").await.unwrap(), Err(NotReloaded::Busy));
        let done = Reloaded {
            branches: Vec::new(),
            settings: Vec::new(),
            needs_restart: Vec::new(),
        };
        going.answer.send(Ok(done.clone())).unwrap();
        assert_eq!(first.await.unwrap(), Ok(done));
        assert_eq!(requests.recv().await.unwrap().who, "second");
        // Whoever waits while the process ends hears so.
        assert_eq!(second.await.unwrap(), Err(NotReloaded::Ending));
        drop(requests);
        assert_eq!(ask("fourth").await.unwrap(), Err(NotReloaded::Ending));
    }
}
