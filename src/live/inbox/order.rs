//! Lets what was judged out in the order in which it came in, room by room, however long each verdict took.

use std::collections::{HashMap, VecDeque};

use crate::live::names::RoomId;

/// Comments of all rooms whose verdict is due, or is there and waits for an earlier one.
#[derive(Debug)]
pub(super) struct RoomOrder<T> {
    rooms: HashMap<RoomId, Queue<T>>,
}

/// A comment's place in its room's order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    room: RoomId,
    number: u64,
}

#[derive(Debug)]
struct Queue<T> {
    /// The number of the first slot.
    first: u64,
    slots: VecDeque<Option<T>>,
}

// === impl RoomOrder ===

impl<T> Default for RoomOrder<T> {
    fn default() -> Self {
        Self {
            rooms: HashMap::new(),
        }
    }
}

impl<T> RoomOrder<T> {
    /// Takes the last place of a room. The place must be filled: until then it holds up those behind it.
    pub(super) fn enter(&mut self, room: &RoomId) -> Place {
        let queue = self.rooms.entry(room.clone()).or_insert_with(|| Queue {
            first: 0,
            slots: VecDeque::new(),
        });
        let number = queue.first + queue.slots.len() as u64;
        queue.slots.push_back(None);
        Place {
            room: room.clone(),
            number,
        }
    }

    /// Fills a place and returns what may go now, in order.
    pub(super) fn fill(&mut self, place: &Place, value: T) -> Vec<T> {
        let Some(queue) = self.rooms.get_mut(&place.room) else {
            // A place is filled once, and its room stays until then.
            return vec![value];
        };
        let index = place.number.saturating_sub(queue.first) as usize;
        if let Some(slot) = queue.slots.get_mut(index) {
            *slot = Some(value);
        }
        let mut ready = Vec::new();
        while let Some(value) = queue.slots.front_mut().and_then(Option::take) {
            queue.slots.pop_front();
            queue.first += 1;
            ready.push(value);
        }
        if queue.slots.is_empty() {
            self.rooms.remove(&place.room);
        }
        ready
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn room(name: &str) -> RoomId {
        RoomId::new(name).unwrap()
    }

    #[test]
    fn a_late_verdict_holds_up_its_own_room_alone() {
        let mut order = RoomOrder::default();
        let (a1, b1) = (order.enter(&room("a")), order.enter(&room("b")));
        let (a2, a3) = (order.enter(&room("a")), order.enter(&room("a")));
        assert!(order.fill(&a3, 3).is_empty());
        assert_eq!(order.fill(&b1, 10), [10]);
        assert!(order.fill(&a2, 2).is_empty());
        assert_eq!(order.fill(&a1, 1), [1, 2, 3]);
    }

    #[test]
    fn nothing_is_kept_of_a_room_that_has_nothing_due() {
        let mut order = RoomOrder::default();
        for n in 0..3 {
            let place = order.enter(&room("a"));
            assert_eq!(order.fill(&place, n), [n]);
            assert!(order.rooms.is_empty());
        }
        let (first, second) = (order.enter(&room("a")), order.enter(&room("a")));
        assert_eq!(order.fill(&first, 1), [1]);
        let third = order.enter(&room("a"));
        assert!(order.fill(&third, 3).is_empty());
        assert_eq!(order.fill(&second, 2), [2, 3]);
    }
}
