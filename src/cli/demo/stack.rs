//! The local stack: brings it up by its script, shows the script's words, and reads where the servers are.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context as _, bail, ensure};
use tokio::process::Command;

/// The script, from the repository's top.
pub const SCRIPT: &str = "deploy/local/stack";

/// A running stack.
#[derive(Debug, Clone)]
pub struct Stack {
    /// The repository's top folder.
    pub root: PathBuf,
    /// The instance's name.
    pub instance: String,
    values: BTreeMap<String, String>,
}

// === impl Stack ===

impl Stack {
    /// Brings the instance up, or leaves it alone where it is up; the script's output goes to ours.
    ///
    /// # Errors
    /// Where the script is not found or fails: it has then said why.
    pub async fn up(instance: &str) -> anyhow::Result<Self> {
        Self::up_with(instance, &[], Stdio::inherit()).await
    }

    /// The same with these services alone, all of them where there are none, and with the script's output
    /// elsewhere.
    ///
    /// # Errors
    /// As [`Stack::up`].
    pub async fn up_with(
        instance: &str,
        services: &[&str],
        output: impl Into<Stdio>,
    ) -> anyhow::Result<Self> {
        let status = Command::new(root()?.join(SCRIPT))
            .args(["--instance", instance, "up"])
            .args(services)
            .stdin(Stdio::null())
            .stdout(output)
            .status()
            .await
            .with_context(|| format!("cannot run {SCRIPT}"))?;
        ensure!(
            status.success(),
            "`{SCRIPT} up` failed ({status}); what it said is above"
        );
        Self::running(instance).await
    }

    /// Reads the addresses of an instance that was brought up.
    ///
    /// # Errors
    /// Where the script fails.
    pub async fn running(instance: &str) -> anyhow::Result<Self> {
        let root = root()?;
        let output = Command::new(root.join(SCRIPT))
            .args(["--instance", instance, "env"])
            .stdin(Stdio::null())
            .stderr(Stdio::inherit())
            .output()
            .await
            .with_context(|| format!("cannot run {SCRIPT}"))?;
        ensure!(
            output.status.success(),
            "`{SCRIPT} env` failed ({})",
            output.status
        );
        Ok(Self {
            root,
            instance: instance.to_owned(),
            values: values(&String::from_utf8_lossy(&output.stdout)),
        })
    }

    /// A value by its name without `TWOLANE_STACK_`, such as `KAFKA` for the broker's address.
    ///
    /// # Errors
    /// Where the stack has no such value.
    pub fn get(&self, name: &str) -> anyhow::Result<&str> {
        self.find(name).with_context(|| {
            format!(
                "`{SCRIPT} env` names no {name}; is this repository's script the one that runs?"
            )
        })
    }

    /// The same, where it may be missing.
    pub fn find(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(String::as_str)
    }

    /// The section of a settings file about the gateway, which listens at `listen`.
    ///
    /// # Errors
    /// Where the stack has no such value.
    pub fn gateway_settings(&self, listen: &str) -> anyhow::Result<Vec<String>> {
        let text = |value: &str| toml::Value::from(value).to_string();
        Ok(vec![
            "[gateway]".to_owned(),
            format!("listen = {}", text(listen)),
            format!("nats_username = {}", text(self.get("NATS_GATEWAY_USER")?)),
            format!(
                "nats_password = {}",
                text(self.get("NATS_GATEWAY_PASSWORD")?)
            ),
        ])
    }

    /// The sections of a settings file that say where the live lane of this instance is, and how its users' tokens
    /// are signed.
    ///
    /// # Errors
    /// Where the stack has no such value.
    pub fn live_settings(&self) -> anyhow::Result<Vec<String>> {
        let text = |value: &str| toml::Value::from(value).to_string();
        let line = |key: &str, name: &str| {
            let value = self.get(name)?;
            anyhow::Ok(format!("{key} = {}", text(value)))
        };
        let mut lines = vec![
            "[nats]".to_owned(),
            line("url", "NATS")?,
            line("username", "NATS_USER")?,
            line("password", "NATS_PASSWORD")?,
        ];
        if let Some(ca) = self.find("CA_FILE") {
            lines.push(format!("ca_file = {}", text(ca)));
        }
        lines.extend([
            "[live.auth]".to_owned(),
            "algorithm = \"HS256\"".to_owned(),
            line("key", "TOKEN_KEY")?,
            line("issuer", "TOKEN_ISSUER")?,
            line("audience", "TOKEN_AUDIENCE")?,
            "[live.callout]".to_owned(),
            line("issuer_seed", "NATS_ISSUER_SEED")?,
            line("account", "NATS_ACCOUNT")?,
            line("username", "NATS_CALLOUT_USER")?,
            line("password", "NATS_CALLOUT_PASSWORD")?,
        ]);
        if let Some(seed) = self.find("NATS_XKEY_SEED") {
            lines.push(format!("xkey_seed = {}", text(seed)));
        }
        Ok(lines)
    }

    /// The script's command line for this instance, as a user would type it in the repository.
    pub fn command(&self, what: &str) -> String {
        if self.instance == "local" {
            format!("{SCRIPT} {what}")
        } else {
            format!("{SCRIPT} --instance {} {what}", self.instance)
        }
    }
}

/// The repository: where cargo says the package is, else the nearest folder above this one with the script.
///
/// # Errors
/// Where there is none.
pub(in crate::cli) fn root() -> anyhow::Result<PathBuf> {
    if let Some(folder) = std::env::var_os("CARGO_MANIFEST_DIR") {
        let folder = PathBuf::from(folder);
        if folder.join(SCRIPT).exists() {
            return Ok(folder);
        }
    }
    let here = std::env::current_dir().context("the current folder cannot be read")?;
    match here.ancestors().find(|folder| folder.join(SCRIPT).exists()) {
        Some(folder) => Ok(folder.to_owned()),
        None => bail!(
            "no {SCRIPT} here or above {}: run the demo in the repository",
            Path::display(&here)
        ),
    }
}

/// Writes a file that nobody else may read: the stack's passwords are in it.
///
/// # Errors
/// Where it cannot be written.
pub(in crate::cli) fn write_private(file: &Path, text: &str) -> std::io::Result<()> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    std::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(file)?
        .write_all(text.as_bytes())
}

/// `TWOLANE_STACK_NAME=value` lines, the value perhaps in single quotes.
fn values(lines: &str) -> BTreeMap<String, String> {
    lines
        .lines()
        .filter_map(|line| line.strip_prefix("TWOLANE_STACK_")?.split_once('='))
        .map(|(name, value)| {
            let inner = value.strip_prefix('\'').and_then(|v| v.strip_suffix('\''));
            let value = inner.map_or_else(|| value.to_owned(), |v| v.replace("'\\''", "'"));
            (name.to_owned(), value)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read_with_and_without_quotes() {
        let read = values(
            "TWOLANE_STACK_KAFKA=127.0.0.1:21092\nTWOLANE_STACK_DIR='/a b'\\''c/d'\nOTHER=1\n",
        );
        assert_eq!(read["KAFKA"], "127.0.0.1:21092");
        assert_eq!(read.len(), 2);
        assert_eq!(read["DIR"], "/a b'\\''c/d".replace("'\\''", "'"));
    }
}
