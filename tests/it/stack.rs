//! The local stack, brought up once for the whole process and taken down when the process has ended.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};

/// What `stack env` says of one instance, without the `TWOLANE_STACK_` in front.
#[derive(Debug, Clone)]
pub struct Stack(BTreeMap<String, String>);

/// Services that this process has brought up, by instance.
static UP: Mutex<BTreeSet<(String, String)>> = Mutex::new(BTreeSet::new());

/// The instance without passwords and TLS: `test`, or what `TWOLANE_TEST_INSTANCE` says.
pub fn plain(services: &[&str]) -> Stack {
    up(&instance(), false, services)
}

/// The instance with passwords and TLS, named as the other one and `-secure`.
pub fn secure(services: &[&str]) -> Stack {
    up(&format!("{}-secure", instance()), true, services)
}

// === impl Stack ===

impl Stack {
    /// One value, such as `ELASTICSEARCH`.
    pub fn get(&self, name: &str) -> &str {
        match self.0.get(name) {
            Some(value) => value,
            None => panic!("stack env does not say {name}"),
        }
    }

    /// Ends a server in an orderly way.
    pub async fn stop(&self, service: &str) {
        self.act("stop", service).await;
    }

    /// Ends a server as a crash would.
    pub async fn kill(&self, service: &str) {
        self.act("kill", service).await;
    }

    /// Starts a server on its data and waits until it answers.
    pub async fn start(&self, service: &str) {
        self.act("start", service).await;
    }

    /// The same with a variable for the stack command.
    pub async fn start_with(&self, service: &str, name: &str, value: &str) {
        self.act_with("start", service, &[(name, value)]).await;
    }

    /// The same stack with another value.
    pub fn with(&self, name: &str, value: &str) -> Self {
        let mut other = self.clone();
        other.0.insert(name.to_owned(), value.to_owned());
        other
    }

    async fn act(&self, what: &str, service: &str) {
        self.act_with(what, service, &[]).await;
    }

    /// On a thread of its own: what the test does beside it goes on.
    async fn act_with(&self, what: &str, service: &str, variables: &[(&str, &str)]) {
        let mut command = command(self.get("INSTANCE"));
        command
            .envs(variables.iter().copied())
            .args([what, service]);
        let output = tokio::task::spawn_blocking(move || command.output())
            .await
            .expect("it ends")
            .expect("the stack command runs");
        assert!(
            output.status.success(),
            "stack {what} {service}: {}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
    }
}

/// An instance whose servers may be stopped and killed, named as the first one and `-faults`. What an earlier
/// test left down is brought up again. One test has it at a time: see `faults::alone`.
pub fn faults(services: &[&str]) -> Stack {
    let instance = format!("{}-faults", instance());
    UP.lock()
        .unwrap_or_else(PoisonError::into_inner)
        .retain(|(of, _)| *of != instance);
    up(&instance, false, services)
}

/// A program that tests use beside the servers, built if it is missing; `None`, and said so, where there is no Go to
/// build it with.
pub fn tool(name: &str) -> Option<PathBuf> {
    let there = Command::new("go").arg("version").output();
    if !there.is_ok_and(|go| go.status.success()) {
        println!(
            "SKIPPED: {name} is built with Go 1.24 or later, which is not installed here (https://go.dev/dl)"
        );
        return None;
    }
    let output = command("local").args(["tool", name]).output();
    let output = output.expect("the stack command runs");
    assert!(
        output.status.success(),
        "{name}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    let path = String::from_utf8(output.stdout).expect("a path in UTF-8");
    Some(PathBuf::from(path.trim_end()))
}

/// The name of the instance without passwords.
pub fn instance() -> String {
    std::env::var("TWOLANE_TEST_INSTANCE").unwrap_or_else(|_| String::from("test"))
}

fn command(instance: &str) -> Command {
    let stack = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("deploy/local/stack");
    let mut command = Command::new(stack);
    command.args(["--instance", instance]).stdin(Stdio::null());
    command
}

fn up(instance: &str, secure: bool, services: &[&str]) -> Stack {
    let mut up = UP.lock().unwrap_or_else(PoisonError::into_inner);
    let key = |service: &str| (instance.to_owned(), service.to_owned());
    if !services.iter().all(|s| up.contains(&key(s))) {
        let mut command = command(instance);
        if secure {
            command.arg("--secure");
        }
        let pid = std::process::id().to_string();
        command.args(["--until-exit", &pid, "up"]).args(services);
        let output = command.output().expect("the stack command runs");
        assert!(
            output.status.success(),
            "the stack does not come up: {}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        up.extend(services.iter().map(|s| key(s)));
    }
    let output = command(instance).arg("env").output().expect("stack env");
    assert!(output.status.success(), "stack env fails");
    let text = String::from_utf8(output.stdout).expect("stack env is UTF-8");
    let lines = text.lines().filter_map(|line| {
        let (name, value) = line.strip_prefix("TWOLANE_STACK_")?.split_once('=')?;
        Some((name.to_owned(), value.trim_matches('\'').to_owned()))
    });
    Stack(lines.collect())
}
