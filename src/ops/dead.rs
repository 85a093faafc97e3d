//! The desk where dead letters are looked at and replayed: a thread of its own, since Kafka is asked there by calls
//! that block, and reading takes as long as there are letters.
//!
//! What was read is remembered, without keys and values, so that a look costs what came since the last one. One replay
//! is under way at a time; its last lines and its sum stay to be seen.

mod shelf;

use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::Serialize;
use tokio::sync::{mpsc, oneshot, watch};

use self::shelf::{Shelf, TopicView};
use super::audit::{Noted, Outcome};
use super::view::Subject;
use crate::config::Settings;
use crate::dead::{At, Branches, DeadTopic, LetterView, Redactor, Replayed, Tally, Which, replay};
use crate::sink::dead_letter::dead_topic;

/// Questions that wait; more are refused.
const ASKS: usize = 16;
/// Lines of a replay that stay to be seen, the last.
const LINES: usize = 200;

/// The way to the desk.
pub(super) struct Desk {
    asks: mpsc::Sender<Ask>,
    job: watch::Receiver<Option<Job>>,
    thread: Mutex<Option<std::thread::JoinHandle<()>>>,
}

/// Which letters are listed.
#[derive(Debug, Clone)]
pub(super) struct Filter {
    /// Of this source topic alone.
    pub(super) topic: Option<String>,
    /// With this reason alone.
    pub(super) reason: Option<String>,
    /// The newest so many.
    pub(super) limit: usize,
}

/// Why a question has no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Refusal {
    /// There is no such topic or letter.
    Absent(String),
    /// Another replay is under way, or too many ask.
    Busy(String),
    /// Kafka does not answer.
    Failed(String),
}

/// A replay.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Job {
    /// From 1 on.
    number: u64,
    /// Who asked.
    by: String,
    /// Which letters.
    target: String,
    /// `running`, `done` or `failed`.
    state: &'static str,
    /// How many ended how.
    counts: Tally,
    /// In words; why, where it failed.
    summary: String,
    /// The last lines.
    pub(super) lines: VecDeque<Line>,
}

/// What became of one letter.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Line {
    letter: String,
    branch: String,
    record: String,
    outcome: String,
}

enum Ask {
    List(Filter, oneshot::Sender<Vec<TopicView>>),
    Show(String, At, oneshot::Sender<Result<LetterView, Refusal>>),
    Replay(Box<Order>, oneshot::Sender<Result<u64, Refusal>>),
    Close,
}

/// What is to be replayed.
pub(super) struct Order {
    /// The source topic.
    pub(super) source: String,
    pub(super) which: Which,
    pub(super) by: String,
    pub(super) noted: Noted,
}

/// What the thread has.
struct Clerk {
    settings: Arc<Settings>,
    subject: Arc<dyn Subject>,
    shelves: BTreeMap<String, Shelf>,
    job: Rc<watch::Sender<Option<Job>>>,
}

// === impl Desk ===

impl Desk {
    /// Opens it; no server is asked before somebody asks here.
    ///
    /// # Errors
    /// One sentence where no thread can be had.
    pub(super) fn open(settings: Arc<Settings>, subject: Arc<dyn Subject>) -> Result<Self, String> {
        let (asks, asked) = mpsc::channel(ASKS);
        let (job, seen) = watch::channel(None);
        let work = move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            match runtime {
                Ok(runtime) => {
                    let clerk = Clerk {
                        settings,
                        subject,
                        shelves: BTreeMap::new(),
                        job: Rc::new(job),
                    };
                    tokio::task::LocalSet::new().block_on(&runtime, clerk.work(asked));
                }
                Err(why) => tracing::error!("dead letters cannot be looked at: {why}"),
            }
        };
        let thread = std::thread::Builder::new().name("dead letters".to_owned());
        let thread = thread
            .spawn(work)
            .map_err(|why| format!("no thread can be started: {why}"))?;
        Ok(Self {
            asks,
            job: seen,
            thread: Mutex::new(Some(thread)),
        })
    }

    /// The letters, by topic.
    ///
    /// # Errors
    /// Where too many ask.
    pub(super) async fn list(&self, filter: Filter) -> Result<Vec<TopicView>, Refusal> {
        let (reply, answer) = oneshot::channel();
        self.ask(Ask::List(filter, reply))?;
        answer.await.map_err(|_| closed())
    }

    /// One letter, without what its pipelines hide.
    ///
    /// # Errors
    /// Where there is none, or Kafka does not answer.
    pub(super) async fn show(&self, source: String, at: At) -> Result<LetterView, Refusal> {
        let (reply, answer) = oneshot::channel();
        self.ask(Ask::Show(source, at, reply))?;
        answer.await.map_err(|_| closed())?
    }

    /// Begins a replay, and gives it at most `patience` to come to its end.
    ///
    /// # Errors
    /// Where another one is under way, or there is nothing to replay.
    pub(super) async fn replay(&self, order: Order, patience: Duration) -> Result<Job, Refusal> {
        let (reply, answer) = oneshot::channel();
        self.ask(Ask::Replay(Box::new(order), reply))?;
        let number = answer.await.map_err(|_| closed())??;
        let mut seen = self.job.clone();
        let ended = seen.wait_for(|job| {
            job.as_ref()
                .is_none_or(|j| j.number != number || j.state != "running")
        });
        // Whoever has no more patience is told how far it is.
        let _ = tokio::time::timeout(patience, ended).await;
        self.job().ok_or_else(closed)
    }

    /// The replay that is under way, or the last one.
    pub(super) fn job(&self) -> Option<Job> {
        self.job.borrow().clone()
    }

    /// Ends the thread; what is under way is given up, and noted so.
    pub(super) async fn close(&self) {
        // A full queue is taken first.
        let _ = self.asks.send(Ask::Close).await;
        let thread = lock(&self.thread).take();
        if let Some(thread) = thread {
            // A panic there was its own, and has been printed.
            let _ = tokio::task::spawn_blocking(move || thread.join()).await;
        }
    }

    fn ask(&self, ask: Ask) -> Result<(), Refusal> {
        self.asks.try_send(ask).map_err(|why| match why {
            mpsc::error::TrySendError::Full(_) => {
                Refusal::Busy("too many questions about dead letters wait: ask again later".into())
            }
            mpsc::error::TrySendError::Closed(_) => closed(),
        })
    }
}

fn closed() -> Refusal {
    Refusal::Failed("dead letters are not looked at any more: the process is ending".into())
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

// === impl Clerk ===

impl Clerk {
    async fn work(mut self, mut asked: mpsc::Receiver<Ask>) {
        while let Some(ask) = asked.recv().await {
            // Whoever asked may have gone.
            match ask {
                // Nobody waits for it any more: the one after it asks the same.
                Ask::List(_, reply) if reply.is_closed() => {}
                Ask::List(filter, reply) => {
                    let _ = reply.send(self.list(&filter).await);
                }
                Ask::Show(source, at, reply) => {
                    let _ = reply.send(self.show(&source, at).await);
                }
                Ask::Replay(order, reply) => {
                    let _ = reply.send(self.replay(*order));
                }
                Ask::Close => return,
            }
        }
    }

    /// The topics that this process reads.
    fn sources(&self) -> Vec<String> {
        let pipelines = self.subject.pipelines();
        let mut all: Vec<String> = pipelines.iter().map(|p| p.topic.name.clone()).collect();
        all.sort_unstable();
        all.dedup();
        all
    }

    fn known(&self, source: &str) -> Result<(), Refusal> {
        let sources = self.sources();
        if sources.iter().any(|s| s == source) {
            return Ok(());
        }
        Err(Refusal::Absent(format!(
            "no pipeline of this process reads topic {source:?}: they read {}",
            sources.join(", ")
        )))
    }

    async fn list(&mut self, filter: &Filter) -> Vec<TopicView> {
        let mut all = Vec::new();
        for source in self.sources() {
            if filter.topic.as_ref().is_some_and(|t| *t != source) {
                continue;
            }
            let error = self.read(&source).await.err().map(|why| format!("{why:#}"));
            let shelf = self.shelves.get(&source);
            all.push(TopicView::new(&source, shelf, filter, error));
        }
        all
    }

    /// Reads what came since the last time.
    async fn read(&mut self, source: &str) -> anyhow::Result<()> {
        if !self.shelves.contains_key(source) {
            let topic = DeadTopic::new(&self.settings.kafka, source)?;
            self.shelves.insert(source.to_owned(), Shelf::new(topic));
        }
        match self.shelves.get_mut(source) {
            Some(shelf) => shelf.read().await,
            None => Ok(()),
        }
    }

    async fn show(&self, source: &str, at: At) -> Result<LetterView, Refusal> {
        self.known(source)?;
        let failed = |why: anyhow::Error| Refusal::Failed(format!("{why:#}"));
        let absent = || format!("there is no letter {at} in {}", dead_topic(source));
        let topic = DeadTopic::open(&self.settings.kafka, source).map_err(failed)?;
        let mut topic = topic.ok_or_else(|| Refusal::Absent(absent()))?;
        topic
            .start_at(&[at])
            .map_err(|why| Refusal::Absent(format!("{why:#}")))?;
        let letter = topic.next().await.map_err(failed)?;
        let letter = letter.filter(|l| l.at == at);
        let letter = letter.ok_or_else(|| Refusal::Absent(absent() + " any more"))?;
        let pipelines = self.subject.pipelines();
        let reading = pipelines.iter().filter(|p| p.topic.name == source);
        // What another process's pipeline masks is not known here.
        let redactor = if reading.clone().any(|p| p.name == letter.about.pipeline) {
            Redactor::of(reading.map(|p| &**p))
        } else {
            Redactor::everything()
        };
        Ok(LetterView::new(&letter, &topic.name, &redactor, true))
    }

    fn replay(&self, order: Order) -> Result<u64, Refusal> {
        let refuse = |order: Order, refusal: Refusal| {
            let (Refusal::Absent(why) | Refusal::Busy(why) | Refusal::Failed(why)) = &refusal;
            order.noted.end(Outcome::Refused, Some(why.clone()));
            Err(refusal)
        };
        if let Err(refusal) = self.known(&order.source) {
            return refuse(order, refusal);
        }
        let last = self.job.borrow().as_ref().map(|j| (j.number, j.state));
        if let Some((number, "running")) = last {
            let why = format!("replay {number} is under way: wait for its end");
            return refuse(order, Refusal::Busy(why));
        }
        let topic = match DeadTopic::open(&self.settings.kafka, &order.source) {
            Ok(Some(topic)) => topic,
            Ok(None) => {
                let why = format!("there is no topic {}", dead_topic(&order.source));
                return refuse(order, Refusal::Absent(why));
            }
            Err(why) => return refuse(order, Refusal::Failed(format!("{why:#}"))),
        };
        let number = last.map_or(1, |(number, _)| number + 1);
        let job = Job {
            number,
            by: order.by.clone(),
            target: order.which.of(&topic.name),
            state: "running",
            counts: Tally::default(),
            summary: String::new(),
            lines: VecDeque::new(),
        };
        self.job.send_replace(Some(job));
        let branches = Branches::new(Arc::clone(&self.settings), self.subject.pipelines());
        tokio::task::spawn_local(run(topic, order, branches, Rc::clone(&self.job)));
        Ok(number)
    }
}

async fn run(
    mut topic: DeadTopic,
    order: Order,
    mut branches: Branches,
    job: Rc<watch::Sender<Option<Job>>>,
) {
    let tell = |replayed: &Replayed| {
        job.send_modify(|job| {
            if let Some(job) = job {
                job.tell(replayed);
            }
        });
    };
    let ended = replay(&mut topic, &order.which, &mut branches, false, tell).await;
    let (state, outcome, summary) = match &ended {
        Ok(tally) => ("done", Outcome::Done, tally.summary()),
        Err(why) => ("failed", Outcome::Failed, format!("{why:#}")),
    };
    order.noted.end(outcome, Some(summary.clone()));
    job.send_modify(|job| {
        if let Some(job) = job {
            job.state = state;
            job.summary = summary;
            if let Ok(tally) = ended {
                job.counts = tally;
            }
        }
    });
}

// === impl Job ===

impl Job {
    fn tell(&mut self, replayed: &Replayed) {
        self.counts.count(&replayed.verdict);
        self.summary = self.counts.summary();
        if self.lines.len() == LINES {
            self.lines.pop_front();
        }
        let (branch, record) = replayed.of.clone().unwrap_or_default();
        self.lines.push_back(Line {
            letter: replayed.at.to_string(),
            branch,
            record,
            outcome: replayed.verdict.told(),
        });
    }

    /// Whether it has come to its end.
    pub(super) fn is_over(&self) -> bool {
        self.state != "running"
    }
}
