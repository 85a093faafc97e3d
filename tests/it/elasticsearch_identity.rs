//! Making the index and refusing what contradicts, against a real Elasticsearch.

use elasticsearch::http::Method;
use serde_json::{Value, json};
use twolane::config::{ColumnType, Deletes};
use twolane::sink::{Resume, SinkHub as _, TopicIdentity};

use crate::elasticsearch_support::{Lane, identity, refused, settings, unavailable};

fn filter() -> Value {
    json!({"bool": {"must_not": {"term": {"_deleted": true}}}})
}

#[tokio::test]
async fn many_processes_that_start_at_once_make_one_index_with_its_filtered_alias() {
    let lane = Lane::new("race");
    let hubs: Vec<_> = (0..8).map(|_| lane.hub()).collect();
    let identity = identity();
    let checks = hubs.iter().map(|hub| hub.check(&identity));
    for check in futures_util::future::join_all(checks).await {
        check.unwrap();
    }
    // A second round changes nothing.
    for hub in &hubs {
        hub.check(&identity).await.unwrap();
    }
    let index = lane.ok(Method::Get, &lane.alias, Value::Null).await;
    let names: Vec<_> = index.as_object().unwrap().keys().collect();
    assert_eq!(names, [&lane.index()]);
    let index = &index[lane.index()];
    assert_eq!(
        index["aliases"],
        json!({&lane.alias: {"filter": filter(), "is_write_index": true}})
    );
    assert_eq!(
        index["mappings"]["_meta"]["twolane"],
        json!({"topic": "app.app.user_profile", "topic_id": "AAAA", "epoch": 1, "partitions": 8, "pipeline": "profiles"})
    );
    assert_eq!(
        index["mappings"]["properties"]["_deleted"]["type"],
        "boolean"
    );
    assert_eq!(
        index["mappings"]["properties"]["_deleted_at"]["type"],
        "date"
    );
    // One of them made it, and reads the log again whatever was committed.
    let mut started = 0;
    for hub in &hubs {
        started += i32::from(hub.resume(0, Some(5)).await.unwrap() == Resume::Start);
    }
    assert_eq!(started, 1);
}

#[tokio::test]
async fn an_epoch_belongs_to_one_topic_id() {
    let mut lane = Lane::new("identity");
    lane.mapping = Some(json!({"_meta": {"mine": 1}, "properties": {}}));
    let (hub, _sink) = lane.open().await;
    let changed = |change: fn(&mut TopicIdentity)| {
        let mut identity = identity();
        change(&mut identity);
        identity
    };
    for (identity, remedy) in [
        (
            changed(|i| i.topic_id = "BBBB".into()),
            "raise the epoch in topics/app.app.user_profile.toml to 2",
        ),
        (changed(|i| i.epoch = 2), "set epoch = 1 again"),
        (changed(|i| i.partitions = 9), "a new topic and a new index"),
        (changed(|i| i.topic = "other".into()), "an index of its own"),
    ] {
        let text = refused(hub.check(&identity).await);
        assert!(
            text.contains(remedy) && text.contains(&lane.index()),
            "{text}"
        );
    }
    let raised = changed(|i| {
        i.topic_id = "BBBB".into();
        i.epoch = 3;
    });
    hub.check(&raised).await.unwrap();
    let path = format!("{}/_mapping", lane.alias);
    let mapping = lane.ok(Method::Get, &path, Value::Null).await;
    let meta = &mapping[lane.index()]["mappings"]["_meta"];
    assert_eq!(meta["twolane"]["epoch"], 3);
    assert_eq!(meta["twolane"]["topic_id"], "BBBB");
    assert_eq!(meta["mine"], 1);
    let text = refused(hub.check(&identity()).await);
    assert!(
        text.contains("raise the epoch") && text.contains("to 4"),
        "{text}"
    );
}

#[tokio::test]
async fn what_stands_under_the_name_and_is_not_ours_is_refused_with_the_remedy() {
    let lane = Lane::new("taken");
    let index = lane.index();
    let alias = lane.alias.clone();
    let check = async || refused(lane.hub().check(&identity()).await);

    lane.ok(Method::Put, &alias, json!({})).await;
    let text = check().await;
    assert!(text.contains("is an index"), "{text}");
    lane.ok(Method::Delete, &alias, Value::Null).await;

    lane.ok(Method::Put, &index, json!({"aliases": {&alias: {}}}))
        .await;
    let text = check().await;
    assert!(text.contains("was not made by twolane"), "{text}");

    let remove = json!({"actions": [{"remove": {"index": index, "alias": alias}}]});
    lane.ok(Method::Post, "_aliases", remove).await;
    let text = check().await;
    assert!(text.contains("POST /_aliases"), "{text}");
    lane.ok(Method::Delete, &index, Value::Null).await;

    lane.hub().check(&identity()).await.unwrap();
    let second = format!("{alias}-v2");
    lane.ok(Method::Put, &second, json!({"aliases": {&alias: {}}}))
        .await;
    let text = check().await;
    assert!(
        text.contains("several indices") && text.contains(&second),
        "{text}"
    );
    lane.ok(Method::Delete, &second, Value::Null).await;

    let other = json!({"actions": [{"add": {"index": index, "alias": alias, "filter": {"term": {"a": 1}}}}]});
    lane.ok(Method::Post, "_aliases", other).await;
    let text = check().await;
    assert!(text.contains("filter of its own"), "{text}");
}

#[tokio::test]
async fn an_index_taken_over_under_another_name_behind_the_alias_is_used() {
    let lane = Lane::new("moved");
    let (hub, _sink) = lane.open().await;
    let mapping = lane.ok(Method::Get, &lane.alias, Value::Null).await;
    let second = format!("{}-v2", lane.alias);
    let body = json!({"mappings": mapping[lane.index()]["mappings"]});
    lane.ok(Method::Put, &second, body).await;
    let swap = json!({"actions": [
        {"remove": {"index": lane.index(), "alias": lane.alias}},
        {"add": {"index": second, "alias": lane.alias, "filter": filter()}},
    ]});
    lane.ok(Method::Post, "_aliases", swap).await;
    lane.hub().check(&identity()).await.unwrap();
    // A branch that has been filling the former index does not go on with the latter by itself.
    let text = refused(hub.check(&identity()).await);
    assert!(
        text.contains("is another one") && text.contains(&second),
        "{text}"
    );
}

#[tokio::test]
async fn what_the_alias_and_the_mapping_lack_is_added_and_nothing_else_is_changed() {
    let mut lane = Lane::new("mend");
    lane.columns = vec![("a", ColumnType::Integer)];
    lane.open().await;
    let bare = json!({"actions": [{"remove": {"index": lane.index(), "alias": lane.alias}}, {"add": {"index": lane.index(), "alias": lane.alias}}]});
    lane.ok(Method::Post, "_aliases", bare).await;
    lane.columns = vec![("a", ColumnType::Integer), ("b", ColumnType::Text)];
    lane.open().await;
    let index = lane.ok(Method::Get, &lane.alias, Value::Null).await;
    let index = &index[lane.index()];
    assert_eq!(index["aliases"][&lane.alias]["filter"], filter());
    assert_eq!(index["mappings"]["properties"]["b"]["type"], "text");
    assert_eq!(index["mappings"]["dynamic"], "false");
    assert_eq!(index["mappings"]["_meta"]["twolane"]["topic_id"], "AAAA");

    lane.columns = vec![("a", ColumnType::Text)];
    let text = refused(lane.hub().check(&identity()).await);
    assert!(text.contains("field a is long there and text"), "{text}");
}

#[tokio::test]
async fn a_mapping_that_the_server_does_not_take_is_refused() {
    let mut lane = Lane::new("mapping");
    lane.mapping = Some(json!({"properties": {"a": {"type": "nonsense"}}}));
    let text = refused(lane.hub().check(&identity()).await);
    assert!(
        text.contains("nonsense") && text.contains("correct the mapping"),
        "{text}"
    );
}

#[tokio::test]
async fn an_index_that_is_deleted_under_a_running_lane_is_not_made_again() {
    let lane = Lane::new("gone");
    let (hub, _sink) = lane.open().await;
    lane.ok(Method::Delete, &lane.index(), Value::Null).await;
    let text = refused(hub.check(&identity()).await);
    assert!(text.contains("consumer group"), "{text}");
    // Another process that starts makes a new one: the running branch filled the former.
    lane.hub().check(&identity()).await.unwrap();
    let text = refused(hub.check(&identity()).await);
    assert!(text.contains("is another one"), "{text}");
}

#[tokio::test]
async fn hard_deletes_keep_deleted_versions_for_the_time_of_retries() {
    let mut lane = Lane::new("gc");
    lane.deletes = Deletes::Hard;
    lane.open().await;
    let path = format!("{}/_settings?flat_settings=true", lane.alias);
    let settings = lane.ok(Method::Get, &path, Value::Null).await;
    assert_eq!(settings[lane.index()]["settings"]["index.gc_deletes"], "1h");
}

#[tokio::test]
async fn a_server_that_is_not_there_is_an_alarm_that_names_the_setting() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let lane = Lane::at("nowhere", settings(&url));
    let (detail, alarm) = unavailable(lane.hub().check(&identity()).await);
    assert!(
        alarm && detail.contains("elasticsearch.url") && detail.contains(&url),
        "{detail}"
    );
}
