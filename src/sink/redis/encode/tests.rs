use super::*;
use crate::event::{Epoch, Origin, PackedName, Position, Shape};

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
                let field = draft.begin_field(&PackedName::new(&format!("f{f}")));
                draft.arena().extend_from_slice(value);
                draft.end_field(&field);
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

/// The arguments of the first call, from the first key on.
fn arguments(batch: &Batch, select: &[u32]) -> Vec<Vec<u8>> {
    let encoder = encoder(true);
    let calls = encoder.calls(batch, select);
    let command = encoder.command(batch, select, &calls[0]).unwrap();
    let arguments = command.args_iter().skip(3).map(|argument| match argument {
        ::redis::Arg::Simple(bytes) => bytes.to_vec(),
        other => panic!("{other:?}"),
    });
    arguments.collect()
}

#[test]
fn a_call_names_row_and_sibling_as_keys_and_gives_the_version_in_19_digits() {
    let (batch, select) = batch(1, 1, b"v");
    let expected: [&[u8]; 6] = [
        b"k:0",
        b"k:0:_v",
        b"9",
        b"1",
        b"0000281474976710657",
        b"\xa2f0\xda\x00\x01v",
    ];
    assert_eq!(arguments(&batch, &select), expected);
}

#[test]
fn a_row_is_one_argument_and_a_delete_has_none() {
    let (mut batch, mut select) = batch(1, 2, b"v");
    let origin = Origin {
        position: Position {
            partition: 0,
            offset: 9,
        },
        version: Version::from_raw(7),
        record: 0,
        committed_ms: 0,
    };
    for (id, delete) in [("d", true), ("e", false)] {
        let mut draft = batch.draft();
        let put = |out: &mut Vec<u8>| -> Result<(), ()> {
            out.extend_from_slice(id.as_bytes());
            Ok(())
        };
        draft.id(put).unwrap();
        select.push(match delete {
            true => draft.commit_delete(origin),
            false => draft.commit_fields(origin),
        });
    }
    let expected: [&[u8]; 15] = [
        b"k:0",
        b"k:0:_v",
        b"d",
        b"d:_v",
        b"e",
        b"e:_v",
        b"9",
        b"2",
        b"0000281474976710657",
        b"\xa2f0\xda\x00\x01v\xa2f1\xda\x00\x01v",
        b"-",
        b"0000000000000000007",
        b"0",
        b"0000000000000000007",
        b"",
    ];
    assert_eq!(arguments(&batch, &select), expected);
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
