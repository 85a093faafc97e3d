//! Other formats than Debezium's JSON, from Kafka to both sinks.

mod avro;
mod canal;
pub mod registry;
