//! A key is where Java's producer puts it.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::process::{Command, Stdio};

use super::desk::{self, Desk, event, key};
use crate::lane::rig;
use crate::stack;

#[test]
fn every_key_is_in_the_partition_that_javas_producer_chooses() {
    let stack = stack::plain(&["kafka"]);
    rig::system(async {
        let desk = Desk::new(&stack, "ours", "json", 7).await;
        let input: String = (1..=1_000).map(|id| event(id * id) + "\n").collect();
        let said = desk.run(&["produce", &desk.topic], &input);
        assert_eq!(said.code, Some(0), "{said:?}");
        let ours = placed(&desk.records().await);
        assert_eq!(ours.len(), 1_000);

        let theirs = desk::unique("theirs");
        rig::create_topic(&desk.brokers, &theirs, desk.partitions, &[]).await;
        let mut java = Command::new(stack.get("JAVA"))
            .args(["-cp", &format!("{}/*", stack.get("KAFKA_LIBS"))])
            .arg("org.apache.kafka.tools.ConsoleProducer")
            .args(["--bootstrap-server", &desk.brokers, "--topic", &theirs])
            .args(["--reader-property", "parse.key=true"])
            .args(["--reader-property", "key.separator=\t"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("java runs");
        let mut to = java.stdin.take().expect("its input");
        for key in ours.keys() {
            writeln!(to, "{key}\tx").expect("written");
        }
        drop(to);
        let output = java.wait_with_output().expect("it ends");
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{complaint}");
        let theirs = placed(&desk::records(&desk.brokers, &theirs, desk.partitions).await);
        assert_eq!(ours, theirs, "{complaint}");
    });
}

fn placed(records: &[rdkafka::message::OwnedMessage]) -> BTreeMap<String, i32> {
    use rdkafka::message::Message as _;
    records.iter().map(|r| (key(r), r.partition())).collect()
}
