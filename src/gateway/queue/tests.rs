use proptest::prelude::*;

use super::*;
use crate::gateway::tally::Snapshot;

const LIMITS: Limits = Limits {
    one: 1_000,
    all: 1 << 20,
};

fn item(class: Class, units: u32, len: usize) -> Item {
    Item {
        class,
        units,
        bytes: Bytes::from(vec![0; len]),
    }
}

fn push(queue: &mut Queue, class: Class, units: u32, len: usize, tally: &Tally) {
    tally.sent(class, units);
    let _ = queue.push(item(class, units, len), LIMITS, tally);
}

/// Writes all that waits, and says how many messages that were.
fn drain(queue: &mut Queue, tally: &Tally) -> usize {
    let mut n = 0;
    while let Some(bytes) = queue.next(tally) {
        queue.wrote(bytes.len(), tally);
        n += 1;
    }
    n
}

#[test]
fn totals_are_shed_before_comments_and_the_oldest_comments_first() {
    let (mut queue, tally) = (Queue::default(), Tally::default());
    push(&mut queue, Class::Like, 1, 100, &tally);
    for n in 1..=9 {
        push(&mut queue, Class::Comment, n, 100, &tally);
    }
    assert_eq!(tally.snapshot(Class::Comment).shed, 0);
    push(&mut queue, Class::Comment, 10, 100, &tally);
    assert_eq!(tally.snapshot(Class::Like).shed, 1);
    assert_eq!(tally.snapshot(Class::Comment).shed, 0);
    push(&mut queue, Class::Comment, 11, 100, &tally);
    assert_eq!(tally.snapshot(Class::Comment).shed, 1);
    assert_eq!(
        queue.missed,
        Missed {
            comments: 1,
            likes: 1
        }
    );
    // The mark comes first, and then what is left.
    assert_eq!(drain(&mut queue, &tally), 1 + 10);
    assert_eq!(queue.missed, Missed::default());
    assert_eq!(tally.queued.load(Ordering::Relaxed), 0);
}

#[test]
fn a_newer_total_takes_the_place_of_one_that_waits() {
    let (mut queue, tally) = (Queue::default(), Tally::default());
    for _ in 0..5 {
        push(&mut queue, Class::Like, 1, 50, &tally);
    }
    assert_eq!(queue.bytes(), 50);
    let wanted = Snapshot {
        sent: 5,
        delivered: 0,
        shed: 4,
    };
    assert_eq!(tally.snapshot(Class::Like), wanted);
}

#[test]
fn what_is_never_shed_ends_the_socket_of_who_does_not_take_it() {
    let (mut queue, tally) = (Queue::default(), Tally::default());
    push(&mut queue, Class::Comment, 1, 900, &tally);
    tally.sent(Class::Recall, 1);
    let recall = queue.push(item(Class::Recall, 1, 200), LIMITS, &tally);
    assert_eq!(recall, Ok(()));
    assert_eq!(tally.snapshot(Class::Comment).shed, 1);
    let mut taken = 0;
    while queue.push(item(Class::Answer, 1, 200), LIMITS, &tally) == Ok(()) {
        taken += 200;
        assert!(taken <= LIMITS.one + RESERVE);
    }
}

#[test]
fn what_was_begun_is_finished() {
    let (mut queue, tally) = (Queue::default(), Tally::default());
    push(&mut queue, Class::Comment, 1, 600, &tally);
    queue.wrote(10, &tally);
    for _ in 0..10 {
        push(&mut queue, Class::Comment, 1, 600, &tally);
    }
    assert_eq!(queue.next(&tally).map(|b| b.len()), Some(590));
    queue.clear(&tally);
    assert_eq!(drain(&mut queue, &tally), 1);
    assert_eq!(tally.snapshot(Class::Comment).delivered, 1);
}

#[test]
fn marks_of_what_was_missed_do_not_pile_up_before_a_socket_that_takes_nothing() {
    let (mut queue, tally) = (Queue::default(), Tally::default());
    let mut most = 0;
    for _ in 0..1_000 {
        push(&mut queue, Class::Comment, 1, 100, &tally);
        // The socket was asked, and took nothing.
        queue.next(&tally);
        most = most.max(queue.bytes());
    }
    assert!(most <= LIMITS.one + 64, "{most}");
    assert_eq!(tally.snapshot(Class::Answer).sent, 1);
    let waits = tally.snapshot(Class::Comment).sent - tally.snapshot(Class::Comment).shed;
    let mark = queue.next(&tally).unwrap();
    let mark = String::from_utf8_lossy(&mark[2..]).into_owned();
    let said = format!("\"comments\":{}", tally.snapshot(Class::Comment).shed);
    assert!(mark.contains(&said), "{mark} is not of {said}");
    assert_eq!(
        drain(&mut queue, &tally),
        1 + usize::try_from(waits).unwrap()
    );
}

#[test]
fn with_no_memory_left_a_viewer_still_gets_one_message_at_a_time() {
    let (mut queue, tally) = (Queue::default(), Tally::default());
    tally.queued.store(1 << 20, Ordering::Relaxed);
    push(&mut queue, Class::Comment, 1, 100, &tally);
    push(&mut queue, Class::Comment, 1, 100, &tally);
    assert_eq!(tally.snapshot(Class::Comment).shed, 1);
    assert_eq!(queue.bytes(), 100);
}

proptest! {
    #[test]
    fn sent_is_delivered_and_shed(steps in prop::collection::vec((0_usize..6, 1_u32..9, 1_usize..700), 1..200)) {
        let (mut queue, tally) = (Queue::default(), Tally::default());
        for (what, units, len) in steps {
            match what {
                0 => push(&mut queue, Class::Like, 1, len, &tally),
                1 | 2 => push(&mut queue, Class::Comment, units, len, &tally),
                3 => push(&mut queue, Class::Recall, units, len, &tally),
                4 => push(&mut queue, Class::Answer, 1, len, &tally),
                _ => if let Some(bytes) = queue.next(&tally) {
                    queue.wrote(len.min(bytes.len()), &tally);
                },
            }
            prop_assert!(queue.bytes() <= LIMITS.one + RESERVE + 700);
        }
        queue.abandon(&tally);
        for class in Class::ALL {
            let now = tally.snapshot(class);
            prop_assert_eq!(now.sent, now.delivered + now.shed, "{:?}", class);
        }
        prop_assert_eq!(tally.queued.load(Ordering::Relaxed), 0);
    }
}
