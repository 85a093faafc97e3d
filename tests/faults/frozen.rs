//! A server of ours that is stopped by SIGSTOP, and goes on when this value is dropped.

use super::process::signal;
use crate::stack::Stack;

pub struct Frozen(u32);

// === impl Frozen ===

impl Frozen {
    pub fn new(stack: &Stack, service: &str) -> Self {
        let file = stack.get(&format!("{}_PIDFILE", service.to_uppercase()));
        let pid = std::fs::read_to_string(file).expect("the server's id");
        let pid = pid.trim().parse().expect("a number");
        signal(pid, "STOP");
        Self(pid)
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        signal(self.0, "CONT");
    }
}
