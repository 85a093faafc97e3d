//! The demo from its first change to its verdict, once the scene is set.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use tokio::sync::watch;

use super::changes::MARKERS;
use super::compare::Store;
use super::kafka::Offsets;
use super::lane::{BranchStatus, Lane};
use super::live::LiveRoom;
use super::load::{self, Counter};
use super::probe::{Freshness, Markers};
use super::scene::{Load, Scene, Stage};
use super::screen::{
    BOLD, BranchFrame, CaptureFrame, Frame, PLAIN, Screen, number, quantiles, short, step,
};
use super::settle::Settle;
use super::stores::Stores;
use super::verdict::Verdict;
use crate::config::SinkKind;

/// Between two drawings in a terminal.
const FRAME: Duration = Duration::from_millis(250);
/// Between two lines elsewhere.
const LINE: Duration = Duration::from_secs(1);
/// Rates are means over this time.
const RATE_OVER: Duration = Duration::from_secs(2);
/// Between two questions whether the connector still runs.
const CAPTURE_EVERY: Duration = Duration::from_secs(2);

// === impl Scene ===

impl Scene {
    /// Waits until what the table holds before the first change is in both sinks, so that what is measured
    /// afterwards is a lane at work and not servers that have just started; `false` where `stop` came first.
    ///
    /// # Errors
    /// Where a server or the lane fails.
    pub async fn arrive(
        &self,
        stage: &mut Stage,
        lane: &dyn Lane,
        stop: &watch::Sender<bool>,
        screen: &mut Screen,
    ) -> anyhow::Result<bool> {
        let began = Instant::now();
        let stores = Stores::open(&self.settings, &self.pipeline).await?;
        let mut markers = Markers::open(&self.database, stage.rev.clone(), MARKERS).await?;
        let settle = Settle::new(&self.kafka, &self.pipeline, &stores)?;
        let mut stopped = stop.subscribe();
        tokio::select! {
            settled = settle.wait(&mut markers, |progress| screen.passing(&format!("  {progress}"))) => settled,
            failed = self.failing(lane) => failed,
            _ = stopped.wait_for(|stop| *stop) => return Ok(false),
        }
        .context("the table's first rows have not arrived")?;
        stage.expected += MARKERS.count() as u64;
        let said = format!(
            "what the table holds is in both sinks, after {}",
            short(began.elapsed())
        );
        step(screen, "arrived", &said);
        Ok(true)
    }

    /// Changes rows and shows how they arrive, and what goes on in the live room, until the time is up or `stop`
    /// says so; then waits for the lanes, compares, and says what was found. The caller stops the lanes.
    ///
    /// # Errors
    /// Where a server or the lane fails. Differences are in the verdict.
    pub async fn play(
        &self,
        stage: Stage,
        load: Load,
        lane: &dyn Lane,
        live: LiveRoom,
        stop: &watch::Sender<bool>,
        screen: &mut Screen,
    ) -> anyhow::Result<Verdict> {
        let stores = Stores::open(&self.settings, &self.pipeline).await?;
        let freshness = Freshness::default();
        let counter = Counter::default();
        let probe = async |store, ids| {
            Markers::open(&self.database, stage.rev.clone(), ids)
                .await
                .map(|markers| {
                    markers.probe(stores.clone(), store, freshness.clone(), stop.subscribe())
                })
        };
        let middle = MARKERS.start() + 8;
        let probes = [
            probe(Store::Elasticsearch, *MARKERS.start()..=middle - 1).await?,
            probe(Store::Redis, middle..=*MARKERS.end()).await?,
        ];
        let changing = load::run(stage.changes, load.rate, counter.clone(), stop.subscribe());
        let started = Instant::now();
        let mut working = tokio::spawn(async move {
            tokio::try_join!(changing, futures_util::future::try_join_all(probes)).map(drop)
        });

        let show = Show {
            load,
            expected: stage.expected,
            counter: counter.clone(),
            freshness: freshness.clone(),
        };
        let watching = self.watch(&show, lane, &live, stop, screen);
        let ended = tokio::select! {
            watched = watching => watched.map(|()| None)?,
            // It ends before it is told to only where it fails.
            ended = &mut working => Some(ended),
        };
        let changed = started.elapsed();
        stop.send_replace(true);
        let ended = match ended {
            Some(ended) => ended,
            None => working.await,
        };
        ended.context("the changes ended")??;
        screen.keep();
        let made = counter.made();
        screen.say("");
        screen.say(&format!(
            "  {BOLD}{} changes{PLAIN} in {} transactions over {}; waiting for the lane",
            number(made.rows()),
            number(made.transactions),
            short(changed)
        ));
        for store in [Store::Elasticsearch, Store::Redis] {
            if let Some(q) = freshness.overall(store) {
                screen.say(&format!(
                    "  from commit to readable in {store}: p50 / p99 {}",
                    quantiles(q)
                ));
            }
        }
        if let Some(q) = live.seen() {
            screen.say(&format!(
                "  from sending to seeing in the live room: p50 / p99 {}",
                quantiles(q)
            ));
        }
        let live = live.close().await?;

        let began = Instant::now();
        let mut markers = Markers::open(&self.database, stage.rev, MARKERS).await?;
        let settle = Settle::new(&self.kafka, &self.pipeline, &stores)?;
        tokio::select! {
            settled = settle.wait(&mut markers, |progress| screen.passing(&format!("  {progress}"))) => settled,
            failed = self.failing(lane) => failed,
        }
        .context("not every change has arrived")?;
        let settled = began.elapsed();
        screen.say(&format!(
            "  the lane has caught up, {} after the last change",
            short(settled)
        ));
        screen.passing("  comparing every row …");
        let mut verdict = self.verdict(&stores, settled).await?;
        verdict.live = Some(live);
        Ok(verdict)
    }

    async fn watch(
        &self,
        show: &Show,
        lane: &dyn Lane,
        live: &LiveRoom,
        stop: &watch::Sender<bool>,
        screen: &mut Screen,
    ) -> anyhow::Result<()> {
        let Show {
            load,
            counter,
            freshness,
            ..
        } = show;
        let every = if screen.is_live() { FRAME } else { LINE };
        let mut stopped = stop.subscribe();
        let mut rates = Rates::default();
        let started = Instant::now();
        let capture = self.failing(lane);
        tokio::pin!(capture);
        let ends = self.ends().await?;
        loop {
            tokio::select! {
                () = tokio::time::sleep(every) => {}
                _ = stopped.wait_for(|stop| *stop) => return Ok(()),
                failed = &mut capture => return failed,
            }
            let branches = lane.branches();
            let made = counter.made();
            let ends = ends.borrow().clone();
            let captured: u64 = ends.values().map(|end| end.unsigned_abs()).sum();
            let live = live.frame();
            let counts = [made.rows(), captured, live.comments, live.likes];
            rates.note(
                counts
                    .into_iter()
                    .chain(branches.iter().map(BranchStatus::resolved)),
            );
            let elapsed = started.elapsed();
            screen.draw(&Frame {
                elapsed,
                until: load.length,
                rows: counter.rows() + MARKERS.count() as u64,
                rate: rates.of(0),
                made,
                capture: CaptureFrame {
                    rate: rates.of(1),
                    lag: (show.expected + made.records() + freshness.count())
                        .saturating_sub(captured),
                },
                branches: branches
                    .into_iter()
                    .enumerate()
                    .map(|(i, branch)| self.frame(branch, rates.of(i + 4), &ends, freshness))
                    .collect(),
                live,
                comment_rate: rates.of(2),
                like_rate: rates.of(3),
                hint: "Ctrl-C stops the changes and compares every row with both sinks".to_owned(),
            });
            if load.length.is_some_and(|length| elapsed >= length) {
                return Ok(());
            }
        }
    }

    fn frame(
        &self,
        branch: BranchStatus,
        rate: f64,
        ends: &Offsets,
        freshness: &Freshness,
    ) -> BranchFrame {
        let store = self
            .pipeline
            .sinks
            .iter()
            .find(|sink| sink.name == branch.name)
            .map(|sink| match sink.kind {
                SinkKind::Elasticsearch(_) => Store::Elasticsearch,
                SinkKind::Redis(_) => Store::Redis,
            });
        BranchFrame {
            rate,
            lag: branch.lag(ends),
            fresh: store.and_then(|store| freshness.recent(store)),
            applied: branch.applied,
            superseded: branch.superseded,
            dead: branch.dead_lettered,
            trouble: branch.trouble,
            name: branch.name,
        }
    }

    /// The topic's ends, asked again and again until the receiver is dropped.
    async fn ends(&self) -> anyhow::Result<watch::Receiver<Offsets>> {
        let reader = self.kafka.reader(None)?;
        let topic = self.pipeline.topic.name.clone();
        let (sender, receiver) = watch::channel(reader.ends(&topic).await?);
        tokio::spawn(async move {
            while !sender.is_closed() {
                // A broker that does not answer has no newer end to show.
                if let Ok(ends) = reader.ends(&topic).await {
                    sender.send_replace(ends);
                }
                tokio::time::sleep(FRAME).await;
            }
        });
        Ok(receiver)
    }

    /// Ends only when the lane or the capture has failed, with the reason.
    async fn failing(&self, lane: &dyn Lane) -> anyhow::Result<()> {
        loop {
            tokio::time::sleep(CAPTURE_EVERY).await;
            if let Some(why) = lane.failure() {
                bail!("the lane has ended: {why}");
            }
            // Connect may be restarted meanwhile: only a connector that says that it failed has failed.
            if let Ok(Some(why)) = self.capture.failure(&self.connect).await {
                bail!(why);
            }
        }
    }
}

/// What the screen is made of.
struct Show {
    load: Load,
    /// Records of the capture before any change.
    expected: u64,
    counter: Counter,
    freshness: Freshness,
}

/// Rates of several counters over the last moments.
#[derive(Debug, Default)]
struct Rates {
    samples: VecDeque<(Instant, Vec<u64>)>,
}

// === impl Rates ===

impl Rates {
    fn note(&mut self, counters: impl Iterator<Item = u64>) {
        self.samples.push_back((Instant::now(), counters.collect()));
        while self.samples.len() > 2
            && self
                .samples
                .get(1)
                .is_some_and(|(at, _)| at.elapsed() >= RATE_OVER)
        {
            self.samples.pop_front();
        }
    }

    /// A second, of the counter at this place.
    fn of(&self, at: usize) -> f64 {
        let rate = || {
            let ((then, first), (now, last)) = (self.samples.front()?, self.samples.back()?);
            let seconds = now.duration_since(*then).as_secs_f64();
            let more = last.get(at)?.saturating_sub(*first.get(at)?);
            (seconds > 0.0).then_some(more as f64 / seconds)
        };
        rate().unwrap_or(0.0)
    }
}
