//! Canal's messages: several rows a record, and a key that leaves its partition.

use std::sync::atomic::Ordering;

use crate::lane::rig::{self, Options, Rig};
use crate::stack;

fn message(kind: &str, rows: &[(i64, i64)], old: &str) -> String {
    let rows: Vec<String> = rows
        .iter()
        .map(|(id, rev)| format!(r#"{{"id":"{id}","rev":"{rev}","name":"a"}}"#))
        .collect();
    format!(
        r#"{{"database":"app","table":"t","type":"{kind}","isDdl":false,"es":1795393440000,"pkNames":["id"],"mysqlType":{{"id":"bigint","rev":"int","name":"varchar(9)"}},"data":[{}],"old":{old}}}"#,
        rows.join(",")
    )
}

#[test]
fn a_row_whose_key_left_another_partition_is_written_and_reported() {
    let stack = stack::plain(&["kafka", "elasticsearch", "redis"]);
    rig::system(async {
        let options = Options {
            format: "format = \"canal-json\"\npartitioner = \"canal\"",
            topic: "tables = [\"app.t\"]",
            ..Options::default()
        };
        let rig = Rig::new(&stack, "canal", options).await;
        let lane = rig.start().await;
        let branches = lane.branches();
        let send = async |partition, value: String| {
            rig.send_to(Some(partition), None, Some(value.as_bytes()))
                .await
        };
        // "app" hashes to 96801. With the codes of "1", "5", "9" (49, 53, 57) it is 96784, 96788, 96792, all
        // of partition 0 of 4; with that of "3" (51) it is 96786, of partition 2.
        send(0, message("INSERT", &[(1, 1), (5, 1), (9, 1)], "null")).await;
        send(2, message("INSERT", &[(3, 1)], "null")).await;
        rig::resolved(&branches, 2).await;
        assert_eq!(rig.visible().await, 4);
        // Within its partition: 9 becomes 5's neighbour under a new key, and the old document goes.
        send(0, message("UPDATE", &[(1, 2)], r#"[{"id":"9"}]"#)).await;
        // From partition 2: the row is written, the old document stays and a letter says so.
        send(0, message("UPDATE", &[(5, 2)], r#"[{"id":"3"}]"#)).await;
        rig::resolved(&branches, 4).await;
        for branch in &branches {
            let tally = branch.ledger.tally();
            assert_eq!(
                tally.dead_lettered.load(Ordering::Relaxed),
                1,
                "{}",
                branch.name
            );
            assert_eq!(branch.stats.reasons().get("key_moved"), Some(&1));
            assert_eq!(rig::consumed(branch), rig::sum(branch));
        }
        let (_, nine) = rig.document(9).await.expect("a tombstone");
        assert_eq!(nine["_deleted"], true);
        assert!(rig.hash(9).await.is_empty());
        for id in [1, 5] {
            assert_eq!(rig.document(id).await.expect("a document").1["rev"], 2);
            assert_eq!(rig.hash(id).await["rev"], "2");
        }
        assert_eq!(rig.document(3).await.expect("a document").1["rev"], 1);
        // A row where its key does not belong is a wrong spec, not poison.
        send(1, message("INSERT", &[(1, 3)], "null")).await;
        rig::until("both branches to halt", || async {
            branches.iter().all(|b| b.control.is_halted())
        })
        .await;
        lane.stop().await;
    });
}
