use super::*;
use crate::event::{Epoch, Origin, Position, Shape};

fn batch(documents: usize, fields: usize, value: &[u8]) -> (Batch, Vec<u32>) {
    let mut batch = Batch::new(Shape::Fields);
    let select = (0..documents)
        .map(|i| {
            let position = Position {
                partition: 0,
                offset: i64::try_from(i).unwrap(),
            };
            let mut draft = batch.draft();
            draft
                .id(|out| {
                    out.extend_from_slice(format!("k:{i}").as_bytes());
                    Ok::<_, ()>(())
                })
                .unwrap();
            for f in 0..fields {
                let start = draft.arena().len();
                draft.arena().extend_from_slice(format!("f{f}").as_bytes());
                let middle = draft.arena().len();
                draft.arena().extend_from_slice(value);
                let end = draft.arena().len();
                draft.field(start..middle, middle..end);
            }
            let version = Version::new(Epoch::new(1).unwrap(), position.offset).unwrap();
            draft.commit_fields(Origin {
                position,
                version,
                record: 0,
                committed_ms: 0,
            })
        })
        .collect();
    (batch, select)
}

fn encoder(inline: bool) -> Encoder {
    Encoder {
        hash: true,
        inline,
        head: vec!["9".into()],
    }
}

#[test]
fn calls_cover_the_selection_in_order_and_stay_within_every_limit() {
    for (documents, fields, size) in [(1, 3, 4), (200, 10, 20), (50, 500, 1), (5, 1, 200_000)] {
        let (batch, select) = batch(documents, fields, &vec![b'x'; size]);
        let calls = encoder(true).calls(&batch, &select);
        assert_eq!(calls.first().unwrap().writes.start, 0);
        assert_eq!(calls.last().unwrap().writes.end, documents);
        for pair in calls.windows(2) {
            assert_eq!(pair[0].writes.end, pair[1].writes.start);
        }
        for call in calls {
            let command = encoder(true).command(&batch, &select, &call).unwrap();
            assert!(
                call.len() == 1
                    || (call.len() <= CALL_DOCUMENTS
                        && command.args_iter().len() <= CALL_ARGUMENTS + 8
                        && command.get_packed_command().len() < 2 * CALL_BYTES)
            );
        }
    }
}

fn text(batch: &Batch, select: &[u32]) -> String {
    let encoder = encoder(true);
    let calls = encoder.calls(batch, select);
    let command = encoder.command(batch, select, &calls[0]).unwrap();
    let arguments = command.args_iter().skip(3).map(|argument| match argument {
        ::redis::Arg::Simple(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        other => panic!("{other:?}"),
    });
    arguments.collect::<Vec<_>>().join(" ")
}

#[test]
fn a_call_names_row_and_sibling_as_keys_and_gives_the_version_in_19_digits() {
    let (batch, select) = batch(1, 1, b"v");
    assert_eq!(
        text(&batch, &select),
        "k:0 k:0:_v 9 1 1 f0 1 0000281474976710657 v"
    );
}

#[test]
fn names_are_sent_once_for_all_rows_that_have_them() {
    let (mut batch, mut select) = batch(2, 2, b"v");
    let origin = Origin {
        position: Position {
            partition: 0,
            offset: 9,
        },
        version: Version::from_raw(7),
        record: 0,
        committed_ms: 0,
    };
    // A row without a field, one that is deleted, and one without any.
    for (id, fields) in [("a", 1), ("d", 0), ("e", 0)] {
        let mut draft = batch.draft();
        let put = |out: &mut Vec<u8>| -> Result<(), ()> {
            out.extend_from_slice(id.as_bytes());
            Ok(())
        };
        draft.id(put).unwrap();
        for _ in 0..fields {
            let start = draft.arena().len();
            draft.arena().extend_from_slice(b"f1w");
            draft.field(start..start + 2, start + 2..start + 3);
        }
        select.push(match id {
            "d" => draft.commit_delete(origin),
            _ => draft.commit_fields(origin),
        });
    }
    assert_eq!(
        text(&batch, &select),
        "k:0 k:0:_v k:1 k:1:_v a a:_v d d:_v e e:_v 9 3 2 f0 f1 1 f1 0 \
         1 0000281474976710657 v v 1 0000281474976710658 v v 2 0000000000000000007 w - 0000000000000000007 \
         3 0000000000000000007"
    );
}

#[test]
fn digits_are_the_padded_version() {
    for raw in [0, 7, (1 << 53) + 1, u64::MAX >> 1] {
        let version = Version::from_raw(raw);
        assert_eq!(digits(version), version.padded().to_string().as_bytes());
    }
}

#[test]
fn answers_become_outcomes_one_for_each_write() {
    let mut got = Vec::new();
    outcomes(&Value::Int(2), 2, &mut got).unwrap();
    let bulk = |t: &str| Value::BulkString(t.as_bytes().to_vec());
    let mixed = Value::Array(vec![
        bulk(""),
        bulk("0000281474976710657"),
        bulk("!WRONGTYPE Operation against"),
    ]);
    outcomes(&mixed, 3, &mut got).unwrap();
    assert_eq!(
        got[..3],
        [Outcome::Applied, Outcome::Applied, Outcome::Applied]
    );
    assert_eq!(
        got[3],
        Outcome::Superseded {
            by: Some(Version::from_raw(281_474_976_710_657))
        }
    );
    assert!(matches!(&got[4], Outcome::Rejected(f) if &*f.kind == "wrongtype" && f.alone));
    assert!(outcomes(&Value::Int(1), 2, &mut got).is_err());
    assert!(outcomes(&Value::Array(vec![]), 1, &mut got).is_err());
}
