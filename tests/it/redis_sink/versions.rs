//! One row: its versions, its deletes, its time to live, its neighbours.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use twolane::config::Deletes;
use twolane::sink::Outcome;
use twolane::sink::redis::StoredBody;

use super::lane::Wish;

const HOUR: Duration = Duration::from_secs(3600);

fn every_shape() -> [Wish; 4] {
    [
        Wish::hash(),
        Wish::hash().ttl(HOUR),
        Wish::hash().string(),
        Wish::hash().string().ttl(HOUR),
    ]
}

#[tokio::test]
async fn an_older_version_that_comes_later_changes_nothing_also_beyond_2_to_the_53() {
    for wish in every_shape() {
        // As Lua numbers, the versions of neighbouring offsets in epoch 40 are equal.
        for epoch in [1, 40, 32_767] {
            let lane = wish.clone().epoch(epoch).lane().await;
            let id = format!("row{epoch}");
            for high in [1 << 20, (1 << 48) - 3] {
                assert_eq!(lane.upsert(&id, high, "new").await, Outcome::Applied);
                assert_eq!(
                    lane.upsert(&id, high - 1, "old").await,
                    lane.superseded(high)
                );
                assert_eq!(lane.upsert(&id, high, "same").await, lane.superseded(high));
                assert_eq!(lane.delete(&id, high - 1).await, lane.superseded(high));
                assert_eq!(lane.x(&id).await.as_deref(), Some("new"));
                assert_eq!(lane.upsert(&id, high + 1, "newer").await, Outcome::Applied);
                assert_eq!(lane.x(&id).await.as_deref(), Some("newer"));
                assert_eq!(lane.row(&id).await.version, Some(lane.version(high + 1)));
            }
        }
    }
}

#[tokio::test]
async fn a_write_replaces_the_whole_row() {
    for wish in [Wish::hash(), Wish::hash().ttl(HOUR)] {
        let lane = wish.lane().await;
        for (offset, fields) in [
            (1, &[("a", "1"), ("b", "2")][..]),
            (2, &[("a", "3"), ("c", "4")]),
            (3, &[("c", "5")]),
            (
                4,
                &[("a", ""), ("b", "6"), ("c", "7"), ("d", "\0\r\n 表情 🎉")],
            ),
        ] {
            let mut rows = lane.rows();
            rows.upsert("row", 0, offset, fields);
            assert_eq!(lane.write(&rows, &[]).await.unwrap(), [Outcome::Applied]);
            let wanted: BTreeMap<_, _> = fields
                .iter()
                .map(|(n, v)| ((*n).to_owned(), v.as_bytes().to_vec()))
                .collect();
            assert_eq!(lane.row("row").await.body, Some(StoredBody::Hash(wanted)));
        }
    }
}

#[tokio::test]
async fn rows_of_more_fields_than_lua_takes_at_once_and_of_none_are_written() {
    let wide: Vec<(String, String)> = (0..9000)
        .map(|i| (format!("f{i}"), i.to_string()))
        .collect();
    let wide: Vec<(&str, &str)> = wide.iter().map(|(n, v)| (&**n, &**v)).collect();
    for wish in [Wish::hash(), Wish::hash().ttl(HOUR)] {
        let lane = wish.lane().await;
        let mut rows = lane.rows();
        rows.upsert("wide", 0, 1, &wide);
        rows.upsert("none", 0, 2, &[]);
        assert_eq!(
            lane.write(&rows, &[]).await.unwrap(),
            [Outcome::Applied, Outcome::Applied]
        );
        match lane.row("wide").await.body {
            Some(StoredBody::Hash(fields)) => assert_eq!(fields.len(), 9000),
            other => panic!("{other:?}"),
        }
        assert_eq!(lane.row("none").await.version, Some(lane.version(2)));
        assert_eq!(lane.upsert("none", 1, "old").await, lane.superseded(2));
    }
}

#[tokio::test]
async fn a_deleted_row_stays_deleted_for_exactly_the_horizon() {
    let horizon = Duration::from_secs(3);
    for wish in every_shape() {
        let lane = wish.horizon(horizon).lane().await;
        let sibling = lane.key("row:_v");
        assert_eq!(lane.upsert("row", 5, "x").await, Outcome::Applied);
        let before = Instant::now();
        assert_eq!(lane.delete("row", 10).await, Outcome::Applied);
        let after = Instant::now();
        assert_eq!(lane.row("row").await.body, None);
        assert_eq!(lane.upsert("row", 9, "late").await, lane.superseded(10));
        tokio::time::sleep(Duration::from_millis(300)).await;
        // The same delete again must not keep the version longer.
        assert_eq!(lane.delete("row", 10).await, lane.superseded(10));
        assert_eq!(lane.row("row").await.version, Some(lane.version(10)));
        let left: i64 = lane.run(&["PTTL", &sibling]);
        assert!((1..=2700).contains(&left), "{left}");

        while lane.run::<bool>(&["EXISTS", &sibling]) {
            // The slack is for a busy machine: Redis itself is exact to the millisecond.
            assert!(after.elapsed() < horizon + Duration::from_secs(2));
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert!(before.elapsed() >= horizon);
        assert_eq!(lane.upsert("row", 9, "late").await, Outcome::Applied);
    }
}

#[tokio::test]
async fn a_row_written_again_after_its_delete_lives_on_without_the_deletes_expiry() {
    for wish in [Wish::hash(), Wish::hash().string()] {
        let lane = wish.horizon(Duration::from_millis(200)).lane().await;
        assert_eq!(lane.delete("row", 1).await, Outcome::Applied);
        assert_eq!(lane.upsert("row", 2, "back").await, Outcome::Applied);
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert_eq!(lane.x("row").await.as_deref(), Some("back"));
        assert_eq!(lane.row("row").await.version, Some(lane.version(2)));
        assert_eq!(lane.upsert("row", 1, "late").await, lane.superseded(2));
        assert_eq!(lane.run::<i64>(&["PTTL", &lane.key("row")]), -1);
    }
}

#[tokio::test]
async fn a_hard_delete_leaves_nothing_but_still_loses_to_a_newer_version() {
    for wish in every_shape() {
        let lane = wish.deletes(Deletes::Hard).lane().await;
        assert_eq!(lane.upsert("row", 5, "x").await, Outcome::Applied);
        assert_eq!(lane.delete("row", 4).await, lane.superseded(5));
        assert_eq!(lane.delete("row", 6).await, Outcome::Applied);
        let left: i64 = lane.run(&["EXISTS", &lane.key("row"), &lane.key("row:_v")]);
        assert_eq!(left, 0);
    }
}

#[tokio::test]
async fn a_row_with_a_ttl_goes_in_time_and_its_version_outlives_it_by_the_horizon() {
    let (ttl, horizon) = (Duration::from_secs(2), Duration::from_secs(60));
    for wish in [Wish::hash(), Wish::hash().string()] {
        let lane = wish.ttl(ttl).horizon(horizon).lane().await;
        assert_eq!(lane.upsert("row", 5, "x").await, Outcome::Applied);
        let row: i64 = lane.run(&["PTTL", &lane.key("row")]);
        let version: i64 = lane.run(&["PTTL", &lane.key("row:_v")]);
        assert!((1..=2000).contains(&row), "{row}");
        assert!((58_000..=62_000).contains(&version), "{version}");
        tokio::time::sleep(ttl + Duration::from_millis(50)).await;
        assert_eq!(lane.row("row").await.body, None);
        assert_eq!(lane.upsert("row", 4, "late").await, lane.superseded(5));
        assert_eq!(lane.row("row").await.body, None);
    }
}

#[tokio::test]
async fn versions_survive_a_change_of_the_ttl_setting_in_both_directions() {
    let plain = Wish::hash();
    let (without, with) = (plain.lane().await, plain.clone().ttl(HOUR).lane().await);
    assert_eq!(without.upsert("row", 5, "x").await, Outcome::Applied);
    assert_eq!(with.upsert("row", 4, "old").await, with.superseded(5));
    assert_eq!(with.upsert("row", 6, "y").await, Outcome::Applied);
    assert_eq!(without.upsert("row", 5, "old").await, with.superseded(6));
    assert_eq!(without.upsert("row", 7, "z").await, Outcome::Applied);
    let key = without.key("row");
    assert_eq!(without.run::<i64>(&["PTTL", &key]), -1);
    assert!(!without.run::<bool>(&["EXISTS", &without.key("row:_v")]));
    assert_eq!(without.x("row").await.as_deref(), Some("z"));
}

#[tokio::test]
async fn keys_that_resemble_siblings_are_rows_of_their_own() {
    for wish in [Wish::hash(), Wish::hash().string()] {
        let lane = wish.lane().await;
        // What a template makes of the value `1:_v` holds no bare colon.
        for (id, offset) in [("1", 1), ("1%3A_v", 2), ("1_v", 3), ("_v", 4)] {
            assert_eq!(lane.upsert(id, offset, id).await, Outcome::Applied);
        }
        assert_eq!(lane.delete("1", 9).await, Outcome::Applied);
        for id in ["1%3A_v", "1_v", "_v"] {
            assert_eq!(lane.x(id).await.as_deref(), Some(id));
        }
        let prefix = lane.key("");
        let mut keys = lane.hub.scan(&prefix).await.unwrap();
        keys.sort();
        assert_eq!(
            keys,
            ["1%3A_v", "1_v", "_v"].map(|id| format!("{prefix}{id}"))
        );
    }
}

#[tokio::test]
async fn a_key_of_another_type_is_rejected_alone() {
    for (wish, foreign) in [
        (Wish::hash(), &["SET", "", "someone's"][..]),
        (Wish::hash().string(), &["HSET", "", "f", "v"]),
        (Wish::hash().ttl(HOUR), &["SET", "", "someone's"]),
        (Wish::hash(), &["HSET", "", "_v", "17"]),
        (Wish::hash(), &["HSET", "", "_v", "not a version at al"]),
    ] {
        let lane = wish.lane().await;
        let key = lane.key("foreign");
        let mut command = foreign.to_vec();
        command[1] = &key;
        lane.run::<redis::Value>(&command);
        let mut rows = lane.rows();
        rows.upsert("a", 0, 1, &[("x", "1")]);
        rows.upsert("foreign", 0, 2, &[("x", "1")]);
        rows.delete("foreign", 0, 3);
        rows.upsert("b", 0, 4, &[("x", "1")]);
        let outcomes = lane.write(&rows, &[]).await.unwrap();
        assert_eq!(
            (&outcomes[0], &outcomes[3]),
            (&Outcome::Applied, &Outcome::Applied)
        );
        for outcome in &outcomes[1..3] {
            match outcome {
                Outcome::Rejected(why) => {
                    assert!(matches!(&*why.kind, "wrongtype" | "badversion"), "{why:?}");
                }
                other => panic!("{other:?}"),
            }
        }
        assert!(lane.run::<bool>(&["EXISTS", &key]));
    }
}
