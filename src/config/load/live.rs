//! From `topics/live.toml` to a [`LiveSpec`].

use std::path::{Path, PathBuf};

use super::live_fields::LIVE;
use crate::config::read::{Heading, Source, Values, show_duration};
use crate::config::{
    CommentSpec, InboxSpec, KeptSpec, LikeSpec, LiveSpec, OutSpec, Problems, RateSpec, RoomSpec,
};

/// The file's name in the folder of topics, and a name that no pipeline may have.
pub(super) const NAME: &str = "live";

/// Whether this file of the folder of topics is the live lane's spec, and no Kafka topic's.
pub(super) fn is_spec(file: &Path) -> bool {
    file.file_stem().is_some_and(|stem| stem == NAME)
}

/// Reads the file. What is wrong goes to `problems`.
pub(super) fn read(file: &Path, problems: &mut Problems) -> Option<LiveSpec> {
    let source = Source::read(file, problems)?;
    let table = source.toml(problems)?;
    let mut values = Values::new(&LIVE, source.at(1, 1));
    values.read_table(table.get_ref(), &source, &Heading::TOP, problems);
    let spec = LiveSpec {
        inbox: InboxSpec {
            max_bytes: values.size("inbox.max_bytes") as u64,
            max_age: values.duration("inbox.max_age")?,
            ack_wait: values.duration("inbox.ack_wait")?,
            max_deliver: count(&values, "inbox.max_deliver")?,
            max_ack_pending: count(&values, "inbox.max_ack_pending")?,
            worker_pending: count(&values, "inbox.worker_pending")?,
        },
        out: OutSpec {
            max_bytes: values.size("out.max_bytes") as u64,
            max_age: values.duration("out.max_age")?,
            max_per_room: count(&values, "out.max_per_room")?,
            duplicate_window: values.duration("out.duplicate_window")?,
        },
        dead: kept(&values, "dead.max_bytes", "dead.max_age")?,
        audit: kept(&values, "audit.max_bytes", "audit.max_age")?,
        notify: kept(&values, "notify.max_bytes", "notify.max_age")?,
        comments: CommentSpec {
            max_chars: count(&values, "comments.max_chars")?,
            user_rate: rate(
                &values,
                [
                    "comments.user_rate.count",
                    "comments.user_rate.per",
                    "comments.user_rate.burst",
                ],
            )?,
            room_rate: rate(
                &values,
                [
                    "comments.room_rate.count",
                    "comments.room_rate.per",
                    "comments.room_rate.burst",
                ],
            )?,
            keywords_file: keywords_file(&values, problems),
        },
        likes: LikeSpec {
            window: values.duration("likes.window")?,
            max_per_message: count(&values, "likes.max_per_message")?,
            queue: count(&values, "likes.queue")?,
        },
        rooms: RoomSpec {
            idle: values.duration("rooms.idle")?,
            viewer_expiry: values.duration("rooms.viewer_expiry")?,
            max_rooms: count(&values, "rooms.max_rooms")?,
        },
        file: file.to_owned(),
    };
    check(&values, &spec, problems);
    Some(spec)
}

/// What the values are to each other.
fn check(values: &Values, spec: &LiveSpec, problems: &mut Problems) {
    let LiveSpec { inbox, out, .. } = spec;
    if inbox.worker_pending > inbox.max_ack_pending {
        let message = format!(
            "inbox.worker_pending is {}, above max_ack_pending of {}: one worker would wait for what the server never delivers",
            inbox.worker_pending, inbox.max_ack_pending
        );
        problems.add(values.place("inbox.worker_pending"), message);
    }
    let deliveries = inbox.ack_wait.saturating_mul(inbox.max_deliver);
    if out.duplicate_window <= deliveries {
        let message = format!(
            "out.duplicate_window is {}, and inbox.max_deliver times inbox.ack_wait is {}: make the window longer, so that the last redelivery is still known",
            show_duration(out.duplicate_window),
            show_duration(deliveries)
        );
        problems.add(values.place("out.duplicate_window"), message);
    }
    if out.duplicate_window > out.max_age {
        let message = format!(
            "out.duplicate_window is {}, above out.max_age of {}: the server refuses that",
            show_duration(out.duplicate_window),
            show_duration(out.max_age)
        );
        problems.add(values.place("out.duplicate_window"), message);
    }
}

fn keywords_file(values: &Values, problems: &mut Problems) -> Option<PathBuf> {
    let file = values.path("comments.keywords_file")?;
    if let Err(error) = std::fs::read_to_string(&file) {
        let message = format!(
            "comments.keywords_file: {} cannot be read as UTF-8 text: {error}",
            file.display()
        );
        problems.add(values.place("comments.keywords_file"), message);
    }
    Some(file)
}

fn kept(values: &Values, max_bytes: &str, max_age: &str) -> Option<KeptSpec> {
    Some(KeptSpec {
        max_bytes: values.size(max_bytes) as u64,
        max_age: values.duration(max_age)?,
    })
}

fn rate(values: &Values, [number, per, burst]: [&str; 3]) -> Option<RateSpec> {
    Some(RateSpec {
        count: count(values, number)?,
        per: values.duration(per)?,
        burst: count(values, burst)?,
    })
}

fn count(values: &Values, path: &str) -> Option<u32> {
    u32::try_from(values.integer(path)).ok()
}
