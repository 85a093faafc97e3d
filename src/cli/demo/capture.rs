//! Debezium on Kafka Connect: registers the connector that captures the table, and waits until it runs.
//!
//! Registering is idempotent: a connector that is there keeps its position in the binlog.

use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use reqwest::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use super::http::{Http, complaint};
use super::table::{DATABASE, TABLE};

/// How long the connector may take to run: it writes its configuration, rebalances and starts one task,
/// which takes a few seconds on a quiet machine.
const DEADLINE: Duration = Duration::from_secs(120);
/// Between two questions.
const ASK_EVERY: Duration = Duration::from_millis(200);

/// What to capture, and how to reach it.
#[derive(Debug, Clone)]
pub struct Capture {
    /// The connector's name.
    pub name: String,
    /// The database as Connect reaches it, `host:port`.
    pub database: String,
    /// A user that may replicate.
    pub user: String,
    /// The user's password.
    pub password: crate::config::Secret,
    /// The id under which the connector poses as a replica, unique among the replicas.
    pub server_id: u32,
    /// What the topics' names begin with, before `.<database>.<table>`.
    pub prefix: String,
    /// Kafka, for the history of the table's schema.
    pub kafka: String,
}

#[derive(Deserialize)]
struct Status {
    connector: Part,
    tasks: Vec<Part>,
}

#[derive(Deserialize)]
struct Part {
    state: String,
    #[serde(default)]
    trace: String,
}

// === impl Capture ===

impl Capture {
    /// Registers the connector, or brings its configuration up to date, and waits until its task runs.
    ///
    /// # Errors
    /// Where Connect cannot be reached or refuses the configuration, where the task has failed, or where it
    /// does not run within two minutes.
    pub async fn start(&self, connect: &Http) -> anyhow::Result<()> {
        let path = format!("/connectors/{}", self.name);
        let before: Option<Status> = self.ask(connect).await?;
        let (status, answer) = connect
            .send(
                Method::PUT,
                &format!("{path}/config"),
                Some(&self.config()?),
            )
            .await?;
        if !status.is_success() {
            bail!(
                "Connect refuses the connector {}: {}",
                self.name,
                complaint(&answer)
            );
        }
        // A task that failed in an earlier run stays failed until someone restarts it.
        if before.is_some_and(|s| s.failure().is_some()) {
            let restart = format!("{path}/restart?includeTasks=true&onlyFailed=true");
            let (status, answer) = connect.send(Method::POST, &restart, None).await?;
            if !status.is_success() {
                bail!(
                    "Connect does not restart the connector {}: {}",
                    self.name,
                    complaint(&answer)
                );
            }
        }
        self.wait(connect).await
    }

    /// Why the connector or its task has failed; `None` where it has not.
    ///
    /// # Errors
    /// Where Connect cannot be asked.
    pub async fn failure(&self, connect: &Http) -> anyhow::Result<Option<String>> {
        let status = self.ask(connect).await?;
        Ok(status
            .and_then(|s| s.failure())
            .map(|trace| self.explain(&trace)))
    }

    async fn wait(&self, connect: &Http) -> anyhow::Result<()> {
        let started = Instant::now();
        // A restart leaves the old failure in the status for a moment.
        let mut failing = 0;
        loop {
            let status = self.ask(connect).await?;
            let now = match &status {
                None => "not there yet".to_owned(),
                Some(s) if s.runs() => return Ok(()),
                Some(s) => s.states(),
            };
            match status.and_then(|s| s.failure()) {
                Some(trace) if failing >= 10 => bail!(self.explain(&trace)),
                Some(_) => failing += 1,
                None => failing = 0,
            }
            if started.elapsed() > DEADLINE {
                bail!(
                    "the connector {} does not run after {} s ({now}): see `deploy/local/stack logs connect`",
                    self.name,
                    DEADLINE.as_secs()
                );
            }
            tokio::time::sleep(ASK_EVERY).await;
        }
    }

    async fn ask(&self, connect: &Http) -> anyhow::Result<Option<Status>> {
        let path = format!("/connectors/{}/status", self.name);
        let (status, answer) = connect.send(Method::GET, &path, None).await?;
        match status.as_u16() {
            200 => serde_json::from_slice(&answer)
                .map(Some)
                .context("Connect's status is not the JSON expected"),
            // No such connector; or the worker is just taking its configuration in.
            404 | 409 => Ok(None),
            _ => bail!(
                "Connect cannot say how the connector is: {status}: {}",
                complaint(&answer)
            ),
        }
    }

    fn explain(&self, trace: &str) -> String {
        // The last cause is nearest to what happened; the first line only says that something did.
        let first = trace.lines().next().unwrap_or_default();
        let cause = trace
            .lines()
            .rev()
            .find_map(|line| line.strip_prefix("Caused by: "));
        let what = cause.unwrap_or(first);
        let remedy = if trace.contains("no longer available on the server")
            || trace.contains("db history topic")
        {
            "`deploy/local/stack clean` starts afresh"
        } else {
            "see `deploy/local/stack logs connect`; once the cause is mended run the demo again, or start afresh \
             with `deploy/local/stack clean`"
        };
        format!("the connector {} has failed: {what}; {remedy}", self.name)
    }

    fn config(&self) -> anyhow::Result<Value> {
        let (host, port) = self.database.rsplit_once(':').with_context(|| {
            format!(
                "the database's address '{}' is not host:port",
                self.database
            )
        })?;
        Ok(json!({
            "connector.class": "io.debezium.connector.mariadb.MariaDbConnector",
            "tasks.max": "1",
            "topic.prefix": self.prefix,
            "database.hostname": host,
            "database.port": port,
            "database.user": self.user,
            "database.password": self.password.expose(),
            "database.server.id": self.server_id.to_string(),
            "database.ssl.mode": "disable",
            "database.include.list": DATABASE,
            "table.include.list": format!("{DATABASE}.{TABLE}"),
            "snapshot.mode": "initial",
            "tombstones.on.delete": "true",
            // The topic that they would go to is not made, and nobody reads them.
            "include.schema.changes": "false",
            "schema.history.internal.kafka.bootstrap.servers": self.kafka,
            "schema.history.internal.kafka.topic": format!("{}.schema-history", self.prefix),
            // How long a change waits for others to be sent with it.
            "poll.interval.ms": "10",
        }))
    }
}

// === impl Status ===

impl Status {
    fn parts(&self) -> impl Iterator<Item = &Part> {
        std::iter::once(&self.connector).chain(&self.tasks)
    }

    fn runs(&self) -> bool {
        !self.tasks.is_empty() && self.parts().all(|part| part.state == "RUNNING")
    }

    fn states(&self) -> String {
        let tasks: Vec<_> = self.tasks.iter().map(|task| task.state.as_str()).collect();
        format!(
            "connector {}, task {}",
            self.connector.state,
            tasks.join(" ")
        )
    }

    fn failure(&self) -> Option<String> {
        self.parts()
            .find(|part| part.state == "FAILED")
            .map(|part| part.trace.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn capture() -> Capture {
        Capture {
            name: "app".to_owned(),
            database: "127.0.0.1:3306".to_owned(),
            user: "cdc".to_owned(),
            password: crate::config::Secret::new("hush"),
            server_id: 1,
            prefix: "app".to_owned(),
            kafka: "127.0.0.1:9092".to_owned(),
        }
    }

    #[test]
    fn a_failure_names_the_last_cause_and_what_to_do() {
        let trace = "ConnectException: it stopped\n\tat a.b(C.java:1)\nCaused by: X: first\n\t... 5 more\nCaused by: Y: the root\n\tat d";
        let said = capture().explain(trace);
        assert!(
            said.contains("Y: the root") && said.contains("logs connect"),
            "{said}"
        );
        assert!(capture().explain("only this").contains("only this"));
    }

    #[test]
    fn it_runs_only_when_a_task_does() {
        let status = |json: &str| serde_json::from_str::<Status>(json).unwrap();
        assert!(!status(r#"{"connector":{"state":"RUNNING"},"tasks":[]}"#).runs());
        assert!(
            status(r#"{"connector":{"state":"RUNNING"},"tasks":[{"state":"RUNNING"}]}"#).runs()
        );
        let failed = status(
            r#"{"connector":{"state":"RUNNING"},"tasks":[{"state":"FAILED","trace":"why"}]}"#,
        );
        assert_eq!(
            (failed.runs(), failed.failure().as_deref()),
            (false, Some("why"))
        );
    }
}
