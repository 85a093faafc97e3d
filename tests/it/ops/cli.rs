//! Everything of the page at the command line, for people and for scripts.

use serde_json::Value;

use super::rig::{HIDDEN, Rig, TOKEN};

#[tokio::test]
async fn what_the_page_shows_and_does_is_at_the_command_line_too() {
    let rig = Rig::start("cli").await;
    let (pipeline, branch) = (rig.desk.pipeline.clone(), rig.redis());
    let json = |words: &[&str]| -> Value {
        let said = rig.say(words);
        serde_json::from_str(&said.out).unwrap_or_else(|why| panic!("{why}: {said:?}"))
    };
    let status = rig.say(&["status"]);
    assert_eq!(status.code, 0, "{status:?}");
    let line = |out: &str, of: &str| -> String {
        let found = out.lines().find(|l| l.starts_with(of));
        found.unwrap_or_else(|| panic!("{of}: {out}")).to_owned()
    };
    assert!(line(&status.out, &branch).contains("running"));

    let refused = rig.say_without_token(&["pause", &pipeline, "redis"]);
    assert_eq!(refused.code, 1, "{refused:?}");
    assert!(refused.err.contains("admin.token"), "{refused:?}");
    let paused = rig.say(&["pause", &pipeline, "redis"]);
    assert_eq!(paused.code, 0, "{paused:?}");
    let twice = rig.say(&["pause", &pipeline, "redis"]);
    assert_eq!(twice.code, 1, "{twice:?}");
    assert!(twice.err.contains("paused already"), "{twice:?}");
    let status = rig.say(&["status"]);
    assert_eq!(status.code, 0, "a pause is as it should be: {status:?}");
    assert!(line(&status.out, &branch).contains("paused"), "{status:?}");
    assert!(
        line(&status.out, &branch).contains("by 127.0.0.1 (token "),
        "{status:?}"
    );
    assert_eq!(rig.say(&["resume", &pipeline, "redis"]).code, 0);
    assert_eq!(rig.say(&["resume", &pipeline, "redis"]).code, 1);

    let lag = rig.say(&["lag"]);
    assert_eq!(lag.code, 0, "{lag:?}");
    let owner = line(&lag.out, &branch);
    assert!(
        owner.contains("twolane-") && owner.contains("(this process)"),
        "{lag:?}"
    );
    let lag = json(&["lag", "--json"]);
    assert_eq!(
        lag["groups"][1]["members"][0]["partitions"],
        serde_json::json!([0])
    );
    assert_eq!(lag["pipelines"][0]["branches"][1]["group"], branch.as_str());

    let worker = format!("{branch}/worker-0");
    assert_eq!(rig.say(&["restart", &worker]).code, 0);
    assert!(rig.say(&["actors"]).out.contains(&worker));
    assert_eq!(rig.say(&["rooms"]).code, 1, "there is no live lane");

    let settings = rig.say(&["settings"]);
    assert!(
        line(&settings.out, "admin.token ").contains("[redacted]"),
        "{settings:?}"
    );
    assert!(line(&settings.out, "kafka.brokers").ends_with("TWOLANE_KAFKA_BROKERS"));
    assert!(!settings.out.contains(TOKEN));
    let settings = json(&["settings", "--json"]);
    assert!(
        settings
            .as_array()
            .unwrap()
            .iter()
            .any(|s| s["origin"] == "default")
    );

    let shown = json(&["dead", "show", "0", "--json"]);
    assert_eq!(shown["reason"], "column_type");
    // Whoever reads the brokers by himself sees what is there.
    assert!(shown["value"]["text"].as_str().unwrap().contains(HIDDEN));
    let replayed = rig.say(&["dead", "replay", "1"]);
    assert_eq!(replayed.code, 0, "{replayed:?}");

    assert_eq!(rig.say_without_token(&["audit"]).code, 1);
    let audit = rig.say(&["audit"]);
    let last: Vec<&str> = audit.out.lines().rev().take(2).collect();
    // Another process's action is in the same file.
    assert!(
        last[0].contains("replay") && last[0].contains("the command line"),
        "{audit:?}"
    );
    assert!(
        last[1].contains("restart") && last[1].contains("done"),
        "{audit:?}"
    );
    let noted: Vec<(String, String)> = rig
        .audit()
        .iter()
        .map(|e| {
            (
                e["action"].as_str().unwrap().into(),
                e["outcome"].as_str().unwrap().into(),
            )
        })
        .collect();
    let noted: Vec<(&str, &str)> = noted.iter().map(|(a, o)| (&**a, &**o)).collect();
    let wanted = [
        ("pause", "denied"),
        ("pause", "asked"),
        ("pause", "done"),
        ("pause", "asked"),
        ("pause", "refused"),
        ("resume", "asked"),
        ("resume", "done"),
        ("resume", "asked"),
        ("resume", "refused"),
        ("restart", "asked"),
        ("restart", "done"),
        ("replay", "asked"),
        ("replay", "done"),
    ];
    assert_eq!(noted, wanted);
    let replay = rig.audit().pop().unwrap();
    assert_eq!(replay["target"], format!("{}, letter 1", rig.dead_topic()));
    // The lane may have applied the record by itself.
    let reason = replay["reason"].as_str().unwrap();
    assert!(
        ["1 letter: 1 superseded", "1 letter: 1 applied"].contains(&reason),
        "{reason}"
    );
    assert!(
        replay["from"]
            .as_str()
            .unwrap()
            .starts_with("the command line")
    );

    let completions = rig.say(&["completions", "bash"]);
    assert!(completions.out.contains("pause"), "{completions:?}");
}
