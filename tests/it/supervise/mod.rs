//! Supervision as it is seen from outside: the process, its admin address, and the lane whose actors fail.

mod chaos;
mod outage;
mod process;
