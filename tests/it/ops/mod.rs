//! The operator's page and its twin on the command line, on a process of its own.

mod cli;
mod page;
mod rig;
