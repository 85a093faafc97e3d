//! Where a room is in LIVE_OUT: found out at the start and after an outage, and made good where the feed left something out.

use std::sync::Arc;

use bytes::Bytes;
use tokio::time::Instant;

use super::{PATIENCE, Room};
use crate::gateway::history::{self, Gap, MOST, NoHistory};
use crate::gateway::recent::Seen;
use crate::gateway::tally::count;
use crate::live::names::UserId;
use crate::retry::Delays;

// === impl Room ===

impl Room {
    /// Brings what follows the last entry, up to this one, which has come by itself.
    pub(super) async fn heal(&mut self, upto: u64) {
        let began = Instant::now();
        let mut delays = Delays::server();
        loop {
            match self.follow().await {
                Ok(()) => return,
                Err(why) if began.elapsed() > PATIENCE => {
                    count(&self.hub.tally.unhealed);
                    tracing::warn!(room = %self.id, "what the feed left out cannot be had: {why}");
                    let after = self.last.unwrap_or(0);
                    self.pending.gap.get_or_insert(Gap {
                        after,
                        before: Some(upto),
                    });
                    self.recent.begin(upto.saturating_sub(1));
                    return;
                }
                Err(_) => tokio::time::sleep(delays.next_delay()).await,
            }
        }
    }

    /// Takes everything that follows the last entry.
    pub(super) async fn follow(&mut self) -> Result<(), NoHistory> {
        let Some(asker) = self.asker.clone() else {
            return Ok(());
        };
        let hub = Arc::clone(&self.hub);
        loop {
            let last = self.last.unwrap_or(0);
            let page = history::after(&hub.asks, &self.id, &asker, last, MOST).await?;
            if let Some(gap) = page.gap.filter(|_| last > 0) {
                self.pending.gap.get_or_insert(gap);
                self.recent
                    .begin(gap.before.unwrap_or(gap.after).saturating_sub(1));
            }
            let before = self.last;
            for one in page.entries {
                let json = Bytes::from(one.entry.get().to_owned());
                if let Some(entry) = Seen::new(one.seq, json)
                    && self.last.is_none_or(|last| one.seq > last)
                {
                    self.append(entry);
                }
            }
            // Nothing is to be held without bound: viewers get what there is.
            self.flush().await;
            if page.more == 0 || self.last == before {
                return Ok(());
            }
        }
    }

    /// Finds out where the room is: at the start, and after a connection was lost.
    pub(super) async fn find_place(&mut self) {
        if self.asker.is_none() {
            self.asker = self.waiting.first().map(|join| join.user.clone());
        }
        let Some(asker) = self.asker.clone() else {
            return;
        };
        let began = Instant::now();
        let mut delays = Delays::server();
        loop {
            match self.try_place(&asker).await {
                Ok(()) => return,
                Err(why) if began.elapsed() > PATIENCE => {
                    count(&self.hub.tally.unhealed);
                    tracing::warn!(room = %self.id, "the room opens without its history: {why}");
                    self.unplaced = Some(Instant::now());
                    return;
                }
                Err(_) => tokio::time::sleep(delays.next_delay()).await,
            }
        }
    }

    async fn try_place(&mut self, asker: &UserId) -> Result<(), NoHistory> {
        let hub = Arc::clone(&self.hub);
        if let Some(last) = self.last {
            let newest = history::last(&hub.asks, &self.id, asker, 1).await?;
            let newest = newest.entries.last().map(|e| e.seq);
            if newest.is_none_or(|newest| newest >= last) {
                return self.follow().await;
            }
            // The stream was made anew.
            self.pending.reset = true;
            self.last = None;
        }
        let page = history::last(&hub.asks, &self.id, asker, MOST).await?;
        // What lies before the first of a full page is not here.
        let floor = if page.entries.len() < MOST {
            0
        } else {
            page.entries.first().map_or(0, |e| e.seq.saturating_sub(1))
        };
        self.recent.begin(floor);
        let anew = self.pending.reset;
        self.last = Some(0);
        for one in page.entries {
            let json = Bytes::from(one.entry.get().to_owned());
            if let Some(entry) = Seen::new(one.seq, json) {
                self.last = Some(entry.seq);
                self.recent.push(entry.clone());
                // Nobody has seen any of it; at the start nobody is there.
                if anew {
                    self.pending.entries.push(entry);
                }
            }
        }
        Ok(())
    }
}
