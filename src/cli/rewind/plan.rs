//! What a rewind means for each partition: the whole policy, without a server.
//!
//! A group goes back and never forward. The records between its committed offset and a later one were resolved by
//! nobody: passing over them would lose them, and no option allows it. A record that cannot be used is a dead letter, not
//! a reason to skip; what the log no longer has needs a backfill.

use serde::Serialize;

use super::target::Target;

/// What Kafka says of one partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) partition: i32,
    /// The log's first offset, and one past its last.
    pub(super) low: i64,
    pub(super) end: i64,
    /// Where the group stands.
    pub(super) committed: Option<i64>,
    /// The first record of the target's time or later; `None` where it has none, or no time was asked for.
    pub(super) since: Option<i64>,
    /// The first record that is younger than the sink's horizon; `None` where all are older.
    pub(super) young: Option<i64>,
}

/// What becomes of one partition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Step {
    pub(super) partition: i32,
    /// The log's first offset.
    pub(super) low: i64,
    /// One past its last.
    pub(super) end: i64,
    pub(super) committed: Option<i64>,
    /// Where it goes back to; absent where it does not.
    pub(super) target: Option<i64>,
    /// Records that come again, at the most: offsets may have gaps.
    pub(super) again: i64,
    /// Whether records come again that are older than the sink remembers deletes.
    pub(super) beyond_horizon: bool,
    /// Why it does not move.
    pub(super) note: Option<String>,
    /// Whether that is a refusal of the whole.
    pub(super) refused: bool,
}

enum Verdict {
    Back(i64),
    Stays(String),
    Refused(String),
}

// === impl Step ===

impl Step {
    pub(super) fn new(target: Target, seen: &Seen) -> Self {
        let (to, note, refused) = match judge(target, seen) {
            Verdict::Back(to) => (Some(to), None, false),
            Verdict::Stays(why) => (None, Some(why), false),
            Verdict::Refused(why) => (None, Some(why), true),
        };
        let again = match (to, seen.committed) {
            (Some(to), Some(committed)) => committed - to,
            (Some(_) | None, _) => 0,
        };
        Self {
            partition: seen.partition,
            low: seen.low,
            end: seen.end,
            committed: seen.committed,
            target: to,
            again,
            beyond_horizon: to.is_some_and(|to| seen.young.is_none_or(|young| to < young)),
            note,
            refused,
        }
    }
}

fn judge(target: Target, seen: &Seen) -> Verdict {
    let Seen { low, end, .. } = *seen;
    let Some(committed) = seen.committed else {
        return Verdict::Refused(
            "the group has committed nothing yet: it begins at the log's start by itself"
                .to_owned(),
        );
    };
    match target {
        Target::Earliest if low > committed => Verdict::Refused(format!(
            "the log begins at {low}, past the committed offset: records were removed before they were read, which needs a \
             backfill"
        )),
        Target::Earliest if low == committed => {
            Verdict::Stays("it stands at the log's start".to_owned())
        }
        Target::Earliest => Verdict::Back(low),
        Target::Offset(offset) if !(low..=end).contains(&offset) => {
            Verdict::Refused(format!("the log holds {low} to {end}, and not {offset}"))
        }
        Target::Offset(offset) if offset > committed => Verdict::Refused(format!(
            "{offset} is forward of the committed offset: the {} records between were resolved by nobody and would be lost. A \
             record that cannot be used is a dead letter and holds nothing up",
            offset - committed
        )),
        Target::Offset(offset) if offset == committed => {
            Verdict::Stays("it stands there".to_owned())
        }
        Target::Offset(offset) => Verdict::Back(offset),
        Target::Time(_) => match seen.since {
            None => Verdict::Stays("it has no record of then or later".to_owned()),
            Some(offset) if offset >= committed => {
                Verdict::Stays(format!("it has not got so far: then is offset {offset}"))
            }
            Some(offset) if offset < low => Verdict::Refused(format!(
                "the log begins at {low}, and then is offset {offset}"
            )),
            Some(offset) => Verdict::Back(offset),
        },
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn seen(low: i64, committed: i64, end: i64) -> Seen {
        Seen {
            partition: 0,
            low,
            end,
            committed: Some(committed),
            since: None,
            young: Some(low),
        }
    }

    fn at(since: Option<i64>) -> (Target, Seen) {
        let time = jiff::Timestamp::UNIX_EPOCH;
        (
            Target::Time(time),
            Seen {
                since,
                ..seen(10, 50, 80)
            },
        )
    }

    #[test]
    fn back_within_the_log_is_read_again_up_to_what_was_committed() {
        let step = Step::new(Target::Offset(20), &seen(10, 50, 80));
        assert_eq!(
            (step.target, step.again, step.refused),
            (Some(20), 30, false)
        );
        let step = Step::new(Target::Earliest, &seen(10, 50, 80));
        assert_eq!((step.target, step.again), (Some(10), 40));
        let (target, seen) = at(Some(30));
        assert_eq!(Step::new(target, &seen).target, Some(30));
    }

    #[test]
    fn beyond_the_logs_ends_and_forward_are_refused() {
        for (offset, why) in [(9, "holds 10 to 80"), (81, "holds 10 to 80"), (51, "lost")] {
            let step = Step::new(Target::Offset(offset), &seen(10, 50, 80));
            assert!(step.refused && step.target.is_none(), "{offset}");
            assert!(step.note.unwrap().contains(why), "{offset}");
        }
        assert!(Step::new(Target::Earliest, &seen(60, 50, 80)).refused);
    }

    #[test]
    fn a_partition_without_a_record_since_then_stays_and_so_does_one_that_is_not_past_it() {
        for since in [None, Some(50), Some(70)] {
            let (target, seen) = at(since);
            let step = Step::new(target, &seen);
            assert_eq!((step.target, step.refused), (None, false), "{since:?}");
        }
    }

    #[test]
    fn what_is_older_than_the_horizon_is_said() {
        let older = |young| {
            let seen = Seen {
                young,
                ..seen(10, 50, 80)
            };
            Step::new(Target::Offset(20), &seen).beyond_horizon
        };
        assert!(older(Some(21)) && older(None));
        assert!(!older(Some(20)));
    }

    proptest! {
        #[test]
        fn no_target_leads_forward_or_out_of_the_log(
            low in 0i64..100, ahead in 0i64..100, lag in 0i64..100,
            offset in -5i64..320, since in prop::option::of(0i64..320), which in 0..3u8,
        ) {
            let (committed, end) = (low + ahead, low + ahead + lag);
            let target = match which {
                0 => Target::Earliest,
                1 => Target::Offset(offset),
                _ => Target::Time(jiff::Timestamp::UNIX_EPOCH),
            };
            let step = Step::new(target, &Seen { since, ..seen(low, committed, end) });
            if let Some(to) = step.target {
                prop_assert!((low..committed).contains(&to));
                prop_assert_eq!(step.again, committed - to);
            }
        }
    }
}
