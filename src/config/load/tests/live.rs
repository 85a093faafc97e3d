use super::*;

/// The live lane's spec of this text, and what is said of it.
fn problems(text: &str) -> Vec<String> {
    Folder::with(&[("topics/live.toml", text)]).problems(&[])
}

#[test]
fn live_toml_is_the_live_lane_and_no_topic() {
    let config = Folder::with(&[("topics/live.toml", "# all by default\n")]).load();
    assert_eq!(config.topics.len(), 1);
    let live = config.live.unwrap();
    assert_eq!(live.inbox.ack_wait.as_millis(), 1_000);
    assert_eq!(live.inbox.max_bytes, 256 << 20);
    assert_eq!(live.comments.user_rate.count, 5);
    assert!(live.file.ends_with("topics/live.toml"));
    assert!(Folder::with(&[]).load().live.is_none());
}

#[test]
fn the_repositorys_live_toml_says_the_defaults() {
    let options = LoadOptions {
        directory: Path::new(env!("CARGO_MANIFEST_DIR")).to_owned(),
        ..LoadOptions::default()
    };
    let written = load(&options).unwrap_or_else(|problems| panic!("{problems}"));
    let by_default = Folder::with(&[("topics/live.toml", "# nothing\n")]).load();
    let mut by_default = LiveSpec::clone(&by_default.live.unwrap());
    let written = written.live.unwrap();
    by_default.file.clone_from(&written.file);
    assert_eq!(*written, by_default);
}

#[test]
fn the_live_spec_is_refused_at_the_line_that_is_wrong() {
    let cases: [(&str, &[&str]); 9] = [
        (
            "[inbox]\nmax_delivr = 3\n",
            &[
                "topics/live.toml:2:1: unknown key \"max_delivr\" in [inbox]: did you mean \"max_deliver\"?",
            ],
        ),
        (
            "[inbx]\nack_wait = \"1s\"\n",
            &["topics/live.toml:1:2: unknown key \"inbx\": did you mean \"inbox\"?"],
        ),
        (
            "[inbox]\nack_wait = \"1ms\"\n",
            &[
                "topics/live.toml:2:12: inbox.ack_wait must be a duration from \"500ms\" to \"1m\", not \"1ms\"",
            ],
        ),
        (
            "[comments]\nuser_rate = { count = 0, per = \"1s\", bursts = 3 }\n",
            &[
                "topics/live.toml:2:23: comments.user_rate.count must be a whole number from 1 to 1000000, not 0",
                "topics/live.toml:2:38: unknown key \"bursts\" in [comments.user_rate]: did you mean \"burst\"?",
            ],
        ),
        (
            "[comments]\nuser_rate = 5\n",
            &["topics/live.toml:2:1: comments.user_rate is a section: write [comments.user_rate]"],
        ),
        (
            "[inbox]\nworker_pending = 9000\n",
            &[
                "topics/live.toml:2:18: inbox.worker_pending is 9000, above max_ack_pending of 8192: one worker would wait for what the server never delivers",
            ],
        ),
        (
            "[inbox]\nmax_deliver = 100\nack_wait = \"2s\"\n[out]\nduplicate_window = \"200s\"\n",
            &[
                "topics/live.toml:5:20: out.duplicate_window is 200s, and inbox.max_deliver times inbox.ack_wait is 200s: make the window longer, so that the last redelivery is still known",
            ],
        ),
        (
            "[out]\nmax_age = \"1m\"\n",
            &[
                "topics/live.toml:1:1: out.duplicate_window is 2m, above out.max_age of 1m: the server refuses that",
            ],
        ),
        (
            "[comments]\nkeywords_file = \"absent.txt\"\n",
            &[
                "topics/live.toml:2:17: comments.keywords_file: topics/absent.txt cannot be read as UTF-8 text: No such file or directory (os error 2)",
            ],
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(problems(text), expected, "{text}");
    }
}

#[test]
fn no_pipeline_is_called_live() {
    let folder = Folder::with(&[
        ("pipelines/users.toml", ""),
        ("pipelines/live.toml", GOOD_PIPELINE),
    ]);
    assert_eq!(
        folder.problems(&[]),
        [
            "pipelines/live.toml: the file's name makes the pipeline's, \"live\", which is the live lane's: choose another name"
        ]
    );
}
