//! The process is killed in the middle of a load.

use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use super::model::{BOTH, Model, Sink};
use super::{RECOVERY, alone, passes, while_loaded};
use crate::lane::rig::{self, Options, Rig};

/// A `twolane run`; it ends with this value.
struct Process(Child);

// === impl Process ===

impl Process {
    /// With the settings, topics and pipelines of a folder; what it says goes into `log` there.
    fn start(folder: &Path) -> Self {
        let log = std::fs::File::options()
            .create(true)
            .append(true)
            .open(folder.join("log"))
            .expect("a log");
        let child = Command::new(env!("CARGO_BIN_EXE_twolane"))
            .args(["run", "--settings", "twolane.toml"])
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a log"))
            .stderr(log)
            .spawn();
        Self(child.expect("twolane starts"))
    }

    /// Ends it as a crash would.
    fn kill(&mut self) {
        self.0.kill().expect("it was still running");
        self.0.wait().expect("it ends");
    }

    /// Asks it to end, and waits.
    async fn terminate(&mut self) -> ExitStatus {
        let pid = self.0.id().to_string();
        let asked = Command::new("kill").args(["-TERM", &pid]).status();
        assert!(asked.expect("kill runs").success());
        let deadline = Instant::now() + RECOVERY;
        loop {
            match self.0.try_wait().expect("it can be waited for") {
                Some(status) => return status,
                None if Instant::now() > deadline => panic!("it does not end"),
                None => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
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
fn a_process_killed_in_the_middle_of_a_load_and_started_again_loses_nothing() {
    let (_turn, stack) = alone(&["kafka", "elasticsearch", "redis"]);
    rig::system(async {
        let rig = Rig::new(&stack, "killed", Options::default()).await;
        let mut process = Process::start(rig.directory());
        let mut model = Model::new(500);
        for round in 0..3 {
            let rev = model.rev();
            while_loaded(&rig, &mut model, async {
                // Each sink is in the midst of it once.
                let sink = BOTH[round % 2];
                passes(&rig, sink, rev).await;
                process.kill();
                process = Process::start(rig.directory());
            })
            .await;
        }
        let rev = model.rev();
        while_loaded(&rig, &mut model, async {
            passes(&rig, Sink::Redis, rev).await;
            passes(&rig, Sink::Elasticsearch, rev).await;
        })
        .await;
        model.arrives(&rig, &BOTH).await;
        let status = process.terminate().await;
        let log = std::fs::read_to_string(rig.directory().join("log")).expect("a log");
        assert!(status.success(), "{status}: {log}");
        assert!(!log.contains("dead letter"), "{log}");
    });
}
