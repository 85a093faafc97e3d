//! What operators are told: freshness, alarms, and the rules and the dashboard that are made of them.

mod freshness;
mod prometheus;
mod promql;
