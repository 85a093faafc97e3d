//! Documents a second that one thread makes requests of, and items a second that it reads answers of, by the thread's own
//! CPU time, so that a busy machine does not count. `cargo bench --bench sink`.
#![allow(clippy::unwrap_used, reason = "a bench that cannot go on has failed")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use twolane::event::{Batch, Epoch, Origin, PackedName, Position, Shape, Version};
use twolane::sink::elasticsearch::{bulk_answer, bulk_body};
use twolane::sink::redis::packed;

/// Long enough for a steady clock, short enough to be run often.
const FOR: Duration = Duration::from_secs(2);
/// Documents of a request.
const DOCUMENTS: usize = 500;
/// Fields of a document.
const FIELDS: usize = 20;

/// CPU time of this thread, or elapsed time where the kernel does not tell.
fn clock(begin: Instant) -> Duration {
    std::fs::read_to_string("/proc/thread-self/schedstat")
        .ok()
        .and_then(|text| text.split(' ').next()?.parse().ok())
        .map_or_else(|| begin.elapsed(), Duration::from_nanos)
}

fn measure(what: &str, mut once: impl FnMut()) {
    let begin = Instant::now();
    let (start, mut items) = (clock(begin), 0);
    while begin.elapsed() < FOR {
        once();
        items += DOCUMENTS;
    }
    let a_second = items as f64 / (clock(begin) - start).as_secs_f64();
    println!("{what:32} {a_second:10.0} documents/s");
}

/// Documents of about 450 bytes.
fn batch(shape: Shape) -> (Batch, Vec<u32>) {
    let mut batch = Batch::new(shape);
    let select = (0..DOCUMENTS).map(|n| {
        let position = Position {
            partition: 0,
            offset: i64::try_from(n).unwrap(),
        };
        let origin = Origin {
            position,
            version: Version::new(Epoch::new(1).unwrap(), position.offset).unwrap(),
            record: 0,
            committed_ms: 0,
        };
        let mut draft = batch.draft();
        draft
            .id(|out| {
                out.extend_from_slice(format!("{}", 100_000 + n).as_bytes());
                Ok::<_, ()>(())
            })
            .unwrap();
        let start = draft.arena().len();
        for field in 0..FIELDS {
            let (name, value) = (format!("column{field}"), format!("value {n}"));
            match shape {
                Shape::Json => {
                    let sign = if field == 0 { '{' } else { ',' };
                    let arena = draft.arena();
                    arena.extend_from_slice(format!("{sign}\"{name}\":\"{value}\"").as_bytes());
                }
                Shape::Fields => {
                    let field = draft.begin_field(&PackedName::new(&name));
                    draft.arena().extend_from_slice(value.as_bytes());
                    draft.end_field(&field);
                }
            }
        }
        match shape {
            Shape::Json => {
                draft.arena().push(b'}');
                draft.commit_json(start, origin)
            }
            Shape::Fields => draft.commit_fields(origin),
        }
    });
    let select = select.collect();
    (batch, select)
}

fn main() {
    // `cargo test --benches` asks only whether it starts.
    if std::env::args().any(|arg| arg == "--test") {
        return;
    }
    let (documents, select) = batch(Shape::Json);
    let mut body = Vec::new();
    measure("bulk body", || {
        body.clear();
        assert_eq!(bulk_body(&documents, &select, &mut body), DOCUMENTS);
        black_box(&body);
    });
    let items = vec![r#"{"index":{"status":200}}"#; DOCUMENTS].join(",");
    let answer = format!(r#"{{"items":[{items}]}}"#);
    measure("bulk answer", || {
        assert_eq!(bulk_answer(black_box(answer.as_bytes())), Some(DOCUMENTS));
    });
    let (rows, select) = batch(Shape::Fields);
    measure("pipeline for Redis", || {
        black_box(packed(&rows, &select).unwrap());
    });
}
