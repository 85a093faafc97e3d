//! The demo's servers and pipeline, and what is made there before anything is shown.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow, ensure};

use super::capture::Capture;
use super::changes::{Changes, MARKERS, Rev};
use super::http::Http;
use super::kafka::{Kafka, dead_topic};
use super::probe::Markers;
use super::screen::{Screen, number, step};
use super::stack::{Stack, write_private};
use super::stores::Stores;
use super::survey;
use super::table::{DATABASE, Database, TABLE};
use super::verdict::Verdict;
use crate::config::{Config, LiveSpec, LoadOptions, PipelineSpec, Secret, Settings, load};

/// The pipeline that is shown.
const PIPELINE: &str = "user_profile";
/// Where browsers find the demo's room: two above the admin address.
const GATEWAY: &str = "127.0.0.1:9466";
/// The settings file of a stack, in its instance's folder.
pub(super) const SETTINGS: &str = "demo.toml";
/// The id under which the connector poses as a replica; the stack's server has 1.
const SERVER_ID: u32 = 5_401;

/// What the changes should be like.
#[derive(Debug, Clone, Copy)]
pub struct Load {
    /// Rows around which the table stays.
    pub rows: usize,
    /// Rows changed a second.
    pub rate: u64,
    /// Seed of the random changes.
    pub seed: u64,
    /// When to stop; `None`: when told to.
    pub length: Option<Duration>,
}

/// The servers and the pipeline.
pub struct Scene {
    /// Where the sinks are.
    pub settings: Settings,
    /// The pipeline that is shown.
    pub pipeline: PipelineSpec,
    /// The live lane that is shown beside it.
    pub live: Arc<LiveSpec>,
    /// The database.
    pub database: Database,
    /// The broker.
    pub kafka: Kafka,
    /// Kafka Connect.
    pub connect: Http,
    /// The connector.
    pub capture: Capture,
}

/// The table filled and captured, ready to be changed.
pub struct Stage {
    /// What changes the rows.
    pub changes: Changes,
    /// The `rev` of the last change.
    pub rev: Rev,
    /// Records that the topic will have when all of what the table holds now is captured; of a second run,
    /// supposing that the first was captured whole.
    pub expected: u64,
}

// === impl Scene ===

impl Scene {
    /// The servers of this stack, with the repository's topics and pipelines. A settings file for them is
    /// left in the instance's folder as `demo.toml`.
    ///
    /// # Errors
    /// Where a spec is wrong, or not about the demo's table.
    pub fn of(stack: &Stack) -> anyhow::Result<Self> {
        let file = PathBuf::from(stack.get("INSTANCE_DIR")?).join(SETTINGS);
        let config = configure(stack, &file)?;
        let pipeline = config
            .pipelines
            .into_iter()
            .find(|pipeline| pipeline.name == PIPELINE)
            .with_context(|| format!("there is no pipelines/{PIPELINE}.toml"))?;
        let topic = format!("{DATABASE}.{DATABASE}.{TABLE}");
        ensure!(
            pipeline.topic.name == topic,
            "{}: the demo's table is captured into the topic {topic}, not {}",
            pipeline.file.display(),
            pipeline.topic.name
        );
        Ok(Self {
            database: Database::new(
                stack.get("MARIADB")?,
                stack.get("MARIADB_USER")?,
                stack.get("MARIADB_PASSWORD")?,
            )?,
            kafka: Kafka::new(stack.get("KAFKA")?),
            connect: Http::open(stack.get("CONNECT")?)?,
            capture: Capture {
                name: DATABASE.to_owned(),
                database: stack.get("MARIADB")?.to_owned(),
                user: stack.get("MARIADB_CDC_USER")?.to_owned(),
                password: Secret::new(stack.get("MARIADB_CDC_PASSWORD")?),
                server_id: SERVER_ID,
                prefix: DATABASE.to_owned(),
                kafka: stack.get("KAFKA")?.to_owned(),
            },
            settings: config.settings,
            live: config.live.context("there is no topics/live.toml")?,
            pipeline,
        })
    }

    /// Makes topics and table, fills the table, and starts the capture.
    ///
    /// # Errors
    /// Where a server refuses: one sentence with what to do.
    pub async fn set(&self, load: Load, screen: &mut Screen) -> anyhow::Result<Stage> {
        let topic = &self.pipeline.topic;
        self.kafka.create_topics(topic).await?;
        step(
            screen,
            "topics",
            &format!(
                "{} ({} partitions) and {}",
                topic.name,
                topic.partitions,
                dead_topic(&topic.name)
            ),
        );

        let ends = self.kafka.reader(None)?.ends(&topic.name).await?;
        let before: u64 = ends.values().map(|end| end.unsigned_abs()).sum();

        self.database.create_table().await?;
        let rev = Rev::default();
        let mut changes = Changes::open(&self.database, load.seed, load.rows, rev.clone()).await?;
        let found = changes.rows();
        let filled = changes.fill().await?;
        Markers::open(&self.database, rev.clone(), MARKERS)
            .await?
            .fill()
            .await?;
        let table = match found {
            0 => format!("app.user_profile: {} rows written", number(filled)),
            found => format!(
                "app.user_profile: {} rows from an earlier run, {} added",
                number(found as u64),
                number(filled)
            ),
        };
        step(screen, "table", &table);

        screen.passing("  capture  starting …");
        self.capture.start(&self.connect).await?;
        step(
            screen,
            "capture",
            &format!(
                "Debezium's connector '{}' reads the binlog",
                self.capture.name
            ),
        );
        // The first capture reads every row there is.
        let expected = match before {
            0 => changes.rows() as u64 + MARKERS.count() as u64,
            before => before + filled,
        };
        Ok(Stage {
            changes,
            rev,
            expected,
        })
    }

    /// Compares, and counts what is left over. The live room is not in it.
    ///
    /// # Errors
    /// Where the table, a sink or the broker cannot be read.
    pub async fn verdict(&self, stores: &Stores, settled: Duration) -> anyhow::Result<Verdict> {
        let began = Instant::now();
        let report = survey::compare(&self.database, stores, &self.pipeline.document).await?;
        let tombstones = stores.documents.tombstones().await?;
        let dead = self
            .kafka
            .reader(None)?
            .count(&dead_topic(&self.pipeline.topic.name))
            .await?;
        Ok(Verdict {
            report,
            tombstones,
            dead,
            settled,
            compared: began.elapsed(),
            live: None,
        })
    }
}

/// Writes a settings file for this stack, which `twolane run --settings` takes as well, and loads it with
/// the repository's topics and pipelines. Variables of the environment play no part: they may be about other
/// servers.
fn configure(stack: &Stack, file: &Path) -> anyhow::Result<Config> {
    let text = |value: &str| toml::Value::from(value).to_string();
    let path = |name: &str| text(&stack.root.join(name).to_string_lossy());
    let mut lines = vec![
        format!(
            "# Where the local stack's instance {} is. Written anew by each `cargo demo`.",
            stack.instance
        ),
        format!("topics_dir = {}", path("topics")),
        format!("pipelines_dir = {}", path("pipelines")),
        "[kafka]".to_owned(),
        format!("brokers = {}", text(stack.get("KAFKA")?)),
        "[elasticsearch]".to_owned(),
        format!("url = {}", text(stack.get("ELASTICSEARCH")?)),
    ];
    let optional = |lines: &mut Vec<String>, key: &str, name: &str| {
        lines.extend(
            stack
                .find(name)
                .map(|value| format!("{key} = {}", text(value))),
        );
    };
    optional(&mut lines, "username", "ELASTICSEARCH_USER");
    optional(&mut lines, "password", "ELASTICSEARCH_PASSWORD");
    optional(&mut lines, "ca_file", "CA_FILE");
    lines.push("[redis]".to_owned());
    lines.push(format!("url = {}", text(stack.get("REDIS")?)));
    optional(&mut lines, "password", "REDIS_PASSWORD");
    optional(&mut lines, "ca_file", "CA_FILE");
    lines.extend(stack.live_settings()?);
    lines.extend(stack.gateway_settings(GATEWAY)?);
    write_private(file, &(lines.join("\n") + "\n"))
        .with_context(|| format!("cannot write {}", file.display()))?;
    let options = LoadOptions {
        settings: Some(file.to_owned()),
        ..LoadOptions::default()
    };
    load(&options).map_err(|problems| anyhow!("{problems}"))
}
