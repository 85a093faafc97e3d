//! The room that records take until Kafka has acknowledged them, in bytes and in number. Whoever wants in
//! when it is full waits, in the order of asking, so that a large record is not passed by small ones for ever.

use std::sync::Arc;

use tokio::sync::Semaphore;

/// What a record takes beside its key, value and headers: librdkafka's own structure and the ticket.
const OVERHEAD: usize = 256;

/// The room.
#[derive(Debug)]
pub(super) struct Room {
    bytes: Semaphore,
    records: Semaphore,
    all_bytes: u32,
    all_records: u32,
}

/// A place in it, until it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    room: Arc<Room>,
    bytes: u32,
}

// === impl Room ===

impl Room {
    pub(super) fn new(bytes: usize, records: u32) -> Arc<Self> {
        let all_bytes = u32::try_from(bytes).unwrap_or(u32::MAX).max(1);
        let all_records = records.max(1);
        let permits = |n: u32| usize::try_from(n).unwrap_or(usize::MAX);
        Arc::new(Self {
            bytes: Semaphore::new(permits(all_bytes)),
            records: Semaphore::new(permits(all_records)),
            all_bytes,
            all_records,
        })
    }

    /// Waits for room for one record of so many bytes. One that is larger than all of it takes all of it.
    pub(super) async fn place(self: &Arc<Self>, bytes: usize) -> Place {
        let bytes = u32::try_from(bytes.saturating_add(OVERHEAD)).unwrap_or(u32::MAX);
        let bytes = bytes.min(self.all_bytes);
        // Neither semaphore is ever closed.
        if let Ok(permit) = self.records.acquire().await {
            permit.forget();
        }
        // Whoever gives up here has the record's place to give back.
        let mut place = Place {
            room: Arc::clone(self),
            bytes: 0,
        };
        if let Ok(permit) = self.bytes.acquire_many(bytes).await {
            permit.forget();
            place.bytes = bytes;
        }
        place
    }

    /// Waits until nothing is in it.
    pub(super) async fn empty(&self) {
        // The permits go back at once: emptiness is noticed, not kept.
        let _ = self.records.acquire_many(self.all_records).await;
    }

    /// Bytes that are taken.
    pub(super) fn taken(&self) -> usize {
        let all = usize::try_from(self.all_bytes).unwrap_or(usize::MAX);
        all.saturating_sub(self.bytes.available_permits())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.room
            .bytes
            .add_permits(usize::try_from(self.bytes).unwrap_or(usize::MAX));
        self.room.records.add_permits(1);
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn who_comes_when_it_is_full_waits_and_gives_up_without_a_trace() {
        let room = Room::new(2 * (100 + OVERHEAD), 10);
        let first = room.place(100).await;
        let second = room.place(100).await;
        assert_eq!(room.taken(), 2 * (100 + OVERHEAD));
        assert!(room.place(0).now_or_never().is_none());
        drop(first);
        let third = room.place(0).now_or_never().unwrap();
        assert!(room.place(100).now_or_never().is_none());
        drop((second, third));
        assert_eq!(room.taken(), 0);
        room.empty().now_or_never().unwrap();
    }

    #[tokio::test]
    async fn records_are_counted_too_and_the_largest_takes_everything() {
        let room = Room::new(1 << 20, 2);
        let (first, second) = (room.place(1).await, room.place(1).await);
        assert!(room.place(1).now_or_never().is_none());
        assert!(room.empty().now_or_never().is_none());
        drop((first, second));
        let huge = room.place(1 << 30).now_or_never().unwrap();
        assert!(room.place(1).now_or_never().is_none());
        drop(huge);
        assert_eq!(room.taken(), 0);
    }
}
