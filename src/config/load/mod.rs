//! Loading everything at once: the settings, then the topics, then the pipelines, then what they are to each
//! other. Every problem of every file is reported, not only the first; nothing is returned unless all is well.
//!
//! It reads files and nothing else: whether the servers agree is checked when they are reached.

mod address;
mod cross;
mod document;
mod ingest;
mod live;
mod live_fields;
mod mapping;
mod pipeline;
mod pipeline_fields;
mod properties;
mod reading;
mod schema_registry;
mod settings;
mod settings_fields;
mod settings_gateway;
mod settings_live;
mod shown;
mod sink;
mod topic;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub(super) use live_fields::LIVE;
pub(super) use pipeline_fields::{ELASTICSEARCH, PIPELINE, REDIS, SINK};
pub(super) use settings::variable;
pub(super) use settings_fields::SETTINGS;
pub use shown::{Origin, ShownSetting, shown_settings};
pub(super) use topic::TOPIC;

use super::read::{did_you_mean, listed};
use super::{LiveSpec, PipelineSpec, Place, Problems, Settings, TopicSpec};

/// Where to look.
#[derive(Clone, Default)]
pub struct LoadOptions {
    /// The settings file; `TWOLANE_SETTINGS` where absent, and `twolane.toml` of `directory`, if it is
    /// there, where that is absent too.
    pub settings: Option<PathBuf>,
    /// `TWOLANE_…` variables by name. They win over the file.
    pub variables: BTreeMap<String, String>,
    /// Where paths on the command line, in variables and in defaults start from; the working directory
    /// where empty.
    pub directory: PathBuf,
}

/// Everything that was read, and right.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where the servers are and how to talk to them.
    pub settings: Settings,
    /// Every topic, in the order of their names.
    pub topics: Vec<Arc<TopicSpec>>,
    /// Every pipeline, in the order of their names.
    pub pipelines: Vec<PipelineSpec>,
    /// The live lane, where there is a `live.toml` among the topics.
    pub live: Option<Arc<LiveSpec>>,
}

/// What the folders hold.
#[derive(Default)]
struct Specs {
    topics: Vec<Arc<TopicSpec>>,
    pipelines: Vec<PipelineSpec>,
    live: Option<Arc<LiveSpec>>,
}

/// Loads settings, topics and pipelines.
///
/// # Errors
/// Everything that is wrong with any of them.
pub fn load(options: &LoadOptions) -> Result<Config, Problems> {
    let mut problems = options.unreadable();
    let settings = settings::load(options, &mut problems);
    let Specs {
        topics,
        pipelines,
        live,
    } = match &settings {
        Some(settings) => specs(settings, &mut problems),
        None => Specs::default(),
    };
    match settings {
        Some(settings) if problems.is_empty() => Ok(Config {
            settings,
            topics,
            pipelines,
            live,
        }),
        Some(_) | None => Err(problems),
    }
}

/// Loads the settings alone, for commands that need no topic and no pipeline.
///
/// # Errors
/// Everything that is wrong with them.
pub fn load_settings(options: &LoadOptions) -> Result<Settings, Problems> {
    let mut problems = options.unreadable();
    match settings::load(options, &mut problems) {
        Some(settings) if problems.is_empty() => Ok(settings),
        Some(_) | None => Err(problems),
    }
}

fn specs(settings: &Settings, problems: &mut Problems) -> Specs {
    let (live_file, topic_files): (Vec<_>, Vec<_>) = files(
        &settings.topics_dir,
        "topics_dir",
        &["avsc", "md", "txt"],
        problems,
    )
    .into_iter()
    .partition(|file| live::is_spec(file));
    let live = live_file
        .first()
        .and_then(|file| live::read(file, problems));
    let mut known = pipeline::Topics::new();
    let mut read_topics = Vec::new();
    for file in &topic_files {
        match topic::read(file, problems) {
            Some(read) => read_topics.push(read),
            // Nobody knows what is in it; its name says what was meant.
            None => {
                let stem = file.file_stem().and_then(|stem| stem.to_str());
                known.extend(stem.map(|stem| (stem.to_owned(), None)));
            }
        }
    }
    cross::topics(&read_topics, problems);
    cross::registry(&read_topics, settings, problems);
    for read in &mut read_topics {
        if let Some(name) = &read.name {
            let spec = read.spec.take().map(Arc::new);
            known.entry(name.value.clone()).or_insert(spec);
        }
    }
    let mut pipelines = Vec::new();
    let mut claims = Vec::new();
    for file in files(
        &settings.pipelines_dir,
        "pipelines_dir",
        &["json", "md"],
        problems,
    ) {
        if let Some(read) = pipeline::read(&file, &known, problems) {
            pipelines.extend(read.spec);
            claims.extend(read.claims);
        }
    }
    cross::claims(&claims, problems);
    cross::compaction(&read_topics, &claims, problems);
    Specs {
        topics: known.into_values().flatten().collect(),
        pipelines,
        live: live.map(Arc::new),
    }
}

/// The `.toml` files of a folder by name. Files of the other kinds given belong there and are left alone, as
/// are those whose name begins with a dot; whatever else is there is a slip, and said to be one.
fn files(folder: &Path, setting: &str, others: &[&str], problems: &mut Problems) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let entries = match entries {
        Ok(entries) => entries,
        Err(error) => {
            let message = format!("cannot be read ({error}): make this folder, or set {setting}");
            problems.add(Place::File(folder.to_owned()), message);
            return Vec::new();
        }
    };
    let mut files = Vec::new();
    for entry in entries {
        let path = entry.path();
        let extension = path.extension().and_then(|extension| extension.to_str());
        if entry.file_name().to_string_lossy().starts_with('.') {
            continue;
        }
        match extension {
            Some("toml") => files.push(path),
            Some(extension) if others.contains(&extension) => {}
            Some(_) | None => problems.add(
                Place::File(path),
                "is not a spec: name it *.toml, or move it away",
            ),
        }
    }
    files.sort();
    files
}

// === impl Config ===

impl Config {
    /// The pipelines of these names, or all of them where no name is given.
    ///
    /// # Errors
    /// One sentence that names the pipeline that is not there, and those that are.
    pub fn select(&self, names: &[String]) -> Result<Vec<&PipelineSpec>, String> {
        if names.is_empty() {
            return Ok(self.pipelines.iter().collect());
        }
        let known = || self.pipelines.iter().map(|pipeline| pipeline.name.as_str());
        let find = |name: &String| {
            let found = self
                .pipelines
                .iter()
                .find(|pipeline| pipeline.name == *name);
            found.ok_or_else(|| match did_you_mean(name, known()) {
                Some(near) => format!("there is no pipeline {name:?}: did you mean {near:?}?"),
                None => format!(
                    "there is no pipeline {name:?}: there are {}",
                    listed(known(), "and")
                ),
            })
        };
        let mut selected: Vec<&PipelineSpec> = names.iter().map(find).collect::<Result<_, _>>()?;
        selected.sort_by_key(|pipeline| &pipeline.name);
        selected.dedup_by_key(|pipeline| &pipeline.name);
        Ok(selected)
    }
}

// === impl LoadOptions ===

impl LoadOptions {
    /// This process's own variables, and the settings file of its command line.
    pub fn from_process(settings: Option<PathBuf>) -> Self {
        let ours = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
            let name = name
                .into_string()
                .ok()
                .filter(|name| name.starts_with(settings::PREFIX))?;
            // What is not UTF-8 is kept in a form that is still recognised, and then refused.
            Some((name, value.to_string_lossy().into_owned()))
        };
        Self {
            settings,
            variables: std::env::vars_os().filter_map(ours).collect(),
            directory: PathBuf::new(),
        }
    }

    /// Variables that are not UTF-8.
    fn unreadable(&self) -> Problems {
        let mut problems = Problems::default();
        for (name, value) in &self.variables {
            if value.contains(char::REPLACEMENT_CHARACTER) {
                problems.add(Place::Variable(name.clone()), "is not UTF-8");
            }
        }
        problems
    }
}

/// Variables may be secrets: their names alone are printed.
impl fmt::Debug for LoadOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoadOptions")
            .field("settings", &self.settings)
            .field("variables", &self.variables.keys())
            .field("directory", &self.directory)
            .finish()
    }
}
