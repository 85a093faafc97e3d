//! What a topic's segments hold, by Kafka's own tool.

use std::path::Path;
use std::process::Command;

use crate::stack::Stack;

/// The lines of a topic's record batches: offsets, producer, codec.
pub fn batches(stack: &Stack, topic: &str) -> Vec<String> {
    let folders = std::fs::read_dir(Path::new(stack.get("KAFKA_DIR"))).expect("the broker's data");
    let segments: Vec<String> = folders
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|folder| is_partition(folder, topic))
        .flat_map(|folder| std::fs::read_dir(folder).expect("a partition"))
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|file| file.extension().is_some_and(|e| e == "log"))
        .map(|file| file.to_string_lossy().into_owned())
        .collect();
    let output = Command::new(stack.get("JAVA"))
        .args(["-cp", &format!("{}/*", stack.get("KAFKA_LIBS"))])
        .arg("org.apache.kafka.tools.DumpLogSegments")
        .args(["--files", &segments.join(",")])
        .output()
        .expect("java runs");
    let dump = String::from_utf8_lossy(&output.stdout);
    let complaint = String::from_utf8_lossy(&output.stderr);
    let batches: Vec<String> = dump
        .lines()
        .filter(|l| l.contains("baseOffset:"))
        .map(str::to_owned)
        .collect();
    assert!(!batches.is_empty(), "{segments:?}: {dump}{complaint}");
    batches
}

/// Every batch is from an idempotent producer, and those of so many records are compressed with lz4: librdkafka
/// leaves a small batch as it is where compressing makes it larger.
pub fn assert_lz4_and_idempotent(stack: &Stack, topic: &str, records: u64) {
    let number = |batch: &str, name| field(batch, name).and_then(|n| n.parse::<u64>().ok());
    let batches = batches(stack, topic);
    let large = |batch: &&String| number(batch, "count:").is_some_and(|n| n >= records);
    assert!(batches.iter().any(|batch| large(&batch)), "{batches:?}");
    for batch in batches {
        if large(&&batch) {
            assert_eq!(field(&batch, "compresscodec:"), Some("lz4"), "{batch}");
        }
        let producer = field(&batch, "producerId:").and_then(|id| id.parse::<i64>().ok());
        assert!(producer.is_some_and(|id| id >= 0), "{batch}");
    }
}

fn field<'b>(batch: &'b str, name: &str) -> Option<&'b str> {
    let mut words = batch.split_whitespace();
    words.find(|word| *word == name)?;
    words.next()
}

/// The folder of one of the topic's partitions: its name, a dash and a number.
fn is_partition(folder: &Path, topic: &str) -> bool {
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    let number = name.strip_prefix(topic).and_then(|n| n.strip_prefix('-'));
    number.is_some_and(|n| n.parse::<u32>().is_ok())
}
