//! Settings and the live lane's spec of a run, written as files and loaded as any others are. They are the
//! defaults but for the rates: fifty authors write what thousands would.

use std::fs;
use std::path::PathBuf;

use anyhow::Context as _;

use crate::cli::bench::specs::read;
use crate::cli::demo::stack::{Stack, write_private};
use crate::config::Config;

/// What the run needs otherwise than by default.
const LIVE: &str = "# Written by `twolane bench`.
[comments]
user_rate = { count = 1000000, per = \"1s\", burst = 1000000 }
room_rate = { count = 1000000, per = \"1s\", burst = 1000000 }
";

/// A run's names and files.
#[derive(Debug)]
pub(in crate::cli::bench) struct Specs {
    /// The settings file.
    pub(in crate::cli::bench) settings: PathBuf,
    /// What the name of every room of the run begins with, and no other's does.
    pub(in crate::cli::bench) unique: String,
    folder: PathBuf,
}

// === impl Specs ===

impl Specs {
    /// Writes the files of a run into a folder of its own in the stack's.
    ///
    /// # Errors
    /// Where the folder cannot be written, or the stack is not as expected.
    pub(in crate::cli::bench) fn write(stack: &Stack) -> anyhow::Result<Self> {
        Self::write_with(stack, &[])
    }

    /// The same with further lines at the end of the settings file.
    ///
    /// # Errors
    /// The same.
    pub(in crate::cli::bench) fn write_with(
        stack: &Stack,
        more: &[String],
    ) -> anyhow::Result<Self> {
        let now = std::time::UNIX_EPOCH.elapsed().unwrap_or_default();
        let unique = format!("bench-{}-{}", now.as_secs(), std::process::id());
        let folder = PathBuf::from(stack.get("INSTANCE_DIR")?).join(&unique);
        let specs = Self {
            settings: folder.join("twolane.toml"),
            unique,
            folder,
        };
        specs.fill(stack, more).with_context(|| {
            format!("cannot write the run's specs to {}", specs.folder.display())
        })?;
        Ok(specs)
    }

    fn fill(&self, stack: &Stack, more: &[String]) -> anyhow::Result<()> {
        let text = |value: &str| toml::Value::from(value).to_string();
        for name in ["topics", "pipelines"] {
            fs::create_dir_all(self.folder.join(name))?;
        }
        let folder = |name: &str| text(&self.folder.join(name).to_string_lossy());
        let mut lines = vec![
            format!("topics_dir = {}", folder("topics")),
            format!("pipelines_dir = {}", folder("pipelines")),
            format!("redis.url = {}", text(stack.get("REDIS")?)),
            // Any port: nobody asks.
            "admin.listen = \"127.0.0.1:0\"".to_owned(),
            "log.filter = \"warn\"".to_owned(),
        ];
        lines.extend(stack.live_settings()?);
        lines.extend_from_slice(more);
        write_private(&self.settings, &(lines.join("\n") + "\n"))?;
        fs::write(self.folder.join("topics").join("live.toml"), LIVE)?;
        Ok(())
    }

    /// Reads them.
    ///
    /// # Errors
    /// Everything that is wrong with them.
    pub(in crate::cli::bench) fn load(&self) -> anyhow::Result<Config> {
        read(&self.settings)
    }

    /// Removes the files.
    pub(in crate::cli::bench) fn remove(&self) -> std::io::Result<()> {
        fs::remove_dir_all(&self.folder)
    }
}
