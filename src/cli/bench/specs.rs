//! Settings, a topic spec and the pipelines of a run, written as files and loaded as any others are, so that
//! what is measured is what a user gets by default.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use super::records::{COLUMNS, INDEX};
use crate::cli::demo::stack::Stack;
use crate::config::{Config, LoadOptions, load};

/// A run's names and files.
#[derive(Debug)]
pub(super) struct Specs {
    /// The settings file.
    pub(super) settings: PathBuf,
    /// The topic's name.
    pub(super) topic: String,
    /// What every name of the run begins with, and no other's does.
    pub(super) unique: String,
    folder: PathBuf,
}

/// What a run asks of its specs.
#[derive(Debug)]
pub(super) struct Wish {
    /// Partitions of the topic.
    pub(super) partitions: i32,
    /// Workers of each branch; the default of pipelines where there is none.
    pub(super) workers: Option<usize>,
    /// A pipeline for each of these.
    pub(super) sinks: Vec<Sinks>,
}

/// Which branches run at the same time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Sinks {
    /// Elasticsearch alone.
    Elasticsearch,
    /// Redis alone.
    Redis,
    /// Both together.
    Both,
}

// === impl Sinks ===

impl Sinks {
    /// The name in figures.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Elasticsearch => "elasticsearch",
            Self::Redis => "redis",
            Self::Both => "both",
        }
    }

    /// Whether Elasticsearch is among them.
    pub(super) fn elasticsearch(self) -> bool {
        matches!(self, Self::Elasticsearch | Self::Both)
    }

    /// Whether Redis is among them.
    pub(super) fn redis(self) -> bool {
        matches!(self, Self::Redis | Self::Both)
    }
}

// === impl Specs ===

impl Specs {
    /// Writes the files of a run into a folder of its own in the stack's.
    ///
    /// # Errors
    /// Where the folder cannot be written, or the stack is not as expected.
    pub(super) fn write(stack: &Stack, wish: &Wish) -> anyhow::Result<Self> {
        let now = std::time::UNIX_EPOCH.elapsed().unwrap_or_default();
        let unique = format!("bench-{}-{}", now.as_secs(), std::process::id());
        let folder = PathBuf::from(stack.get("INSTANCE_DIR")?).join(&unique);
        let topic = format!("{unique}.user_profile");
        let specs = Self {
            settings: folder.join("twolane.toml"),
            topic,
            unique,
            folder,
        };
        specs.fill(stack, wish).with_context(|| {
            format!("cannot write the run's specs to {}", specs.folder.display())
        })?;
        Ok(specs)
    }

    fn fill(&self, stack: &Stack, wish: &Wish) -> anyhow::Result<()> {
        let partitions = wish.partitions;
        let workers = wish.workers.map(|n| format!("workers = {n}\n"));
        let workers = workers.as_deref().unwrap_or_default();
        let at = |path: &str, text: String| -> anyhow::Result<()> {
            let path = self.folder.join(path);
            fs::create_dir_all(path.parent().unwrap_or(Path::new("/")))?;
            Ok(fs::write(path, text)?)
        };
        let text = |value: &str| toml::Value::from(value).to_string();
        let folder = |name: &str| text(&self.folder.join(name).to_string_lossy());
        let lines = [
            format!("topics_dir = {}", folder("topics")),
            format!("pipelines_dir = {}", folder("pipelines")),
            format!("kafka.brokers = {}", text(stack.get("KAFKA")?)),
            format!("elasticsearch.url = {}", text(stack.get("ELASTICSEARCH")?)),
            format!("redis.url = {}", text(stack.get("REDIS")?)),
            String::from("log.filter = \"warn\"\n"),
        ];
        at("twolane.toml", lines.join("\n"))?;
        at(
            "topics/user_profile.toml",
            format!(
                "name = \"{}\"\nformat = \"debezium-json\"\nkey = [\"id\"]\npartitions = {partitions}\nepoch = 1\n\
                 partitioner = \"murmur2\"\n[columns]{COLUMNS}",
                self.topic
            ),
        )?;
        at("pipelines/index.json", INDEX.to_owned())?;
        for sinks in &wish.sinks {
            let name = self.pipeline(*sinks);
            let mut text = format!("topic = \"{}\"\n", self.topic);
            if sinks.elasticsearch() {
                text += &format!(
                    "[[sink]]\ntype = \"elasticsearch\"\nindex = \"{name}\"\nmapping = \"index.json\"\n{workers}"
                );
            }
            if sinks.redis() {
                text += &format!("[[sink]]\ntype = \"redis\"\nkey = \"{name}:{{id}}\"\n{workers}");
            }
            at(&format!("pipelines/{name}.toml"), text)?;
        }
        Ok(())
    }

    /// The pipeline of these sinks; also its index's alias and its keys' prefix.
    pub(super) fn pipeline(&self, sinks: Sinks) -> String {
        format!("{}-{}", self.unique, sinks.name())
    }

    /// Reads them.
    ///
    /// # Errors
    /// As [`read`].
    pub(super) fn load(&self) -> anyhow::Result<Config> {
        read(&self.settings)
    }

    /// Removes the files.
    pub(super) fn remove(&self) -> std::io::Result<()> {
        fs::remove_dir_all(&self.folder)
    }
}

/// Reads a run's specs. Variables of the environment play no part: they may be about other servers.
///
/// # Errors
/// Everything that is wrong with them.
pub(super) fn read(settings: &Path) -> anyhow::Result<Config> {
    let options = LoadOptions {
        settings: Some(settings.to_owned()),
        ..LoadOptions::default()
    };
    load(&options).map_err(|problems| anyhow::anyhow!("{problems}"))
}
