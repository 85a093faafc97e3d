//! A worker in a process of its own: this binary, run again with the one test below.

use std::process::{Child, Command, Stdio};

use super::rig::{self, Worker};

const URL: &str = "TWOLANE_TEST_LIVE_URL";

/// The process; it ends with this value.
pub struct Process(Child);

// === impl Process ===

impl Process {
    /// A worker that reaches NATS at `url`. It takes comments when it is ready, and not before.
    pub fn start(url: &str) -> Self {
        let child = Command::new(std::env::current_exe().expect("this binary"))
            .args(["--exact", "live::worker::works_until_it_is_killed"])
            .args(["--ignored", "--nocapture"])
            .env(URL, url)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::inherit())
            .spawn();
        Self(child.expect("it starts"))
    }

    /// Ends it as a crash would.
    pub fn kill(&mut self) {
        self.0.kill().expect("it was still running");
        self.0.wait().expect("it ends");
    }

    /// Stops it in the middle of whatever it does (`STOP`), or lets it go on (`CONT`).
    pub fn signal(&self, signal: &str) {
        let pid = self.0.id().to_string();
        let sent = Command::new("kill")
            .args([&format!("-{signal}"), &pid])
            .status();
        assert!(sent.expect("kill runs").success());
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It has ended where the test got to its end.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
#[ignore = "it is the worker process of other tests"]
fn works_until_it_is_killed() {
    let url = std::env::var(URL).expect("the address of NATS");
    rig::system(async {
        let _worker = Worker::start(&url, &rig::spec());
        std::future::pending::<()>().await;
    });
}
