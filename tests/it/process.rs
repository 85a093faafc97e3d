//! A server of a test's own as a process: started with a log, waited for, and ended with its value.

use std::fs::File;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A running process; it ends, as by a crash, with this value.
pub struct Process(Child);

/// A port that nobody listens on.
pub fn free_port() -> u16 {
    // It is free again when the listener is dropped at the end of this statement.
    TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .expect("a free port")
        .port()
}

/// Whether somebody listens on this port.
pub fn listens(port: u16) -> bool {
    TcpStream::connect(("127.0.0.1", port)).is_ok()
}

// === impl Process ===

impl Process {
    /// Starts it, adds what it says to `log`, and waits until it answers.
    pub fn start(command: &mut Command, log: &Path, mut answers: impl FnMut() -> bool) -> Self {
        let out = File::options()
            .create(true)
            .append(true)
            .open(log)
            .expect("a log");
        let child = command
            .stdout(out.try_clone().expect("a log"))
            .stderr(out)
            .stdin(Stdio::null())
            .spawn()
            .unwrap_or_else(|why| panic!("{command:?}: {why}"));
        let process = Self(child);
        let deadline = Instant::now() + Duration::from_secs(30);
        while !answers() {
            assert!(
                Instant::now() < deadline,
                "{command:?} does not answer:\n{}",
                std::fs::read_to_string(log).unwrap_or_default()
            );
            std::thread::sleep(Duration::from_millis(10));
        }
        process
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.0.id()
    }

    /// Sends it a signal, such as `STOP`.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill")
            .args([format!("-{name}"), self.0.id().to_string()])
            .status();
        assert!(sent.expect("kill runs").success());
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.0.kill().expect("a process of our own can be killed");
        self.0.wait().expect("it ends");
    }
}
