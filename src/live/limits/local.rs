//! The accounts of one room in one worker, while Redis is away.

use std::collections::{HashMap, VecDeque};
use std::time::Instant;

use super::gcra::Answer as Asked;
use super::{Answer, Charge, Limit, Rates};
use crate::live::names::UserId;

/// Answers remembered: what one worker holds of comments that may come again is some hundreds.
const SAID: usize = 1_024;
/// Accounts below which none is thrown away.
const FEW: usize = 1_024;

/// The accounts.
#[derive(Debug)]
pub(in crate::live) struct Local {
    begun: Instant,
    users: HashMap<UserId, Account>,
    room: i64,
    said: VecDeque<(u64, Answer)>,
    /// At so many accounts those that are settled are thrown away.
    sweep_at: usize,
}

#[derive(Debug, Clone, Copy)]
struct Account {
    at: i64,
    last: i64,
}

// === impl Local ===

impl Default for Local {
    fn default() -> Self {
        Self {
            begun: Instant::now(),
            users: HashMap::new(),
            room: 0,
            said: VecDeque::new(),
            sweep_at: FEW,
        }
    }
}

impl Local {
    pub(super) fn charge(&mut self, rates: Rates, charge: &Charge) -> Answer {
        let now = i64::try_from(self.begun.elapsed().as_micros()).unwrap_or(i64::MAX);
        self.charge_at(rates, charge, now)
    }

    fn charge_at(&mut self, rates: Rates, charge: &Charge, now: i64) -> Answer {
        if let Some((_, said)) = self.said.iter().find(|(seq, _)| *seq == charge.seq) {
            return *said;
        }
        let answer = self.ask(rates, charge, now);
        if self.said.len() >= SAID {
            self.said.pop_front();
        }
        self.said.push_back((charge.seq, answer));
        answer
    }

    fn ask(&mut self, rates: Rates, charge: &Charge, now: i64) -> Answer {
        let slow = i64::try_from(charge.slow.as_micros()).unwrap_or(i64::MAX);
        let waits = |limit, us: i64| Answer::Waits {
            limit,
            ms: u64::try_from(us).unwrap_or_default().div_ceil(1_000),
        };
        let account = self.users.get(&charge.user).copied();
        if let Some(account) = account
            && account.last.saturating_add(slow) > now
        {
            return waits(Limit::Slow, account.last.saturating_add(slow) - now);
        }
        let (at, left) = match rates.user.ask(account.map_or(0, |a| a.at), now) {
            Asked::Passes { at, left } => (at, left),
            Asked::Waits(us) => return waits(Limit::User, us),
        };
        match rates.room.ask(self.room, now) {
            Asked::Passes { at, .. } => self.room = at,
            Asked::Waits(us) => return waits(Limit::Room, us),
        }
        if self.users.len() >= self.sweep_at {
            self.users
                .retain(|_, a| a.at > now || a.last.saturating_add(slow) > now);
            self.sweep_at = (2 * self.users.len()).max(FEW);
        }
        self.users
            .insert(charge.user.clone(), Account { at, last: now });
        Answer::Passes {
            left: u32::try_from(left).unwrap_or(u32::MAX),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::config::RateSpec;
    use crate::live::limits::gcra::Gcra;

    const SECOND: i64 = 1_000_000;

    fn rates(user: u32, room: u32) -> Rates {
        let rate = |count| {
            Gcra::of(RateSpec {
                count,
                per: Duration::from_secs(1),
                burst: count,
            })
        };
        Rates {
            user: rate(user),
            room: rate(room),
        }
    }

    fn charge(user: &str, seq: u64, slow: u64) -> Charge {
        Charge {
            user: UserId::new(user).unwrap(),
            mark: String::new(),
            seq,
            slow: Duration::from_secs(slow),
        }
    }

    #[test]
    fn each_limit_answers_for_itself_and_a_refusal_costs_nothing() {
        let (mut local, rates) = (Local::default(), rates(2, 3));
        let mut ask = |user, seq, slow, now| local.charge_at(rates, &charge(user, seq, slow), now);
        assert_eq!(ask("a", 1, 0, 0), Answer::Passes { left: 1 });
        assert_eq!(ask("a", 2, 0, 0), Answer::Passes { left: 0 });
        let user = Answer::Waits {
            limit: Limit::User,
            ms: 500,
        };
        assert_eq!(ask("a", 3, 0, 0), user);
        assert_eq!(ask("b", 4, 0, 0), Answer::Passes { left: 1 });
        let room = Answer::Waits {
            limit: Limit::Room,
            ms: 334,
        };
        assert_eq!(ask("c", 5, 0, 0), room);
        // b's refusals by slow mode are not charged either.
        let slow = Answer::Waits {
            limit: Limit::Slow,
            ms: 4_000,
        };
        assert_eq!(ask("b", 6, 5, SECOND), slow);
        assert_eq!(ask("b", 7, 0, SECOND), Answer::Passes { left: 1 });
    }

    #[test]
    fn a_comment_that_comes_again_is_not_charged_again() {
        let (mut local, rates) = (Local::default(), rates(1, 100));
        let first = local.charge_at(rates, &charge("a", 1, 0), 0);
        assert_eq!(local.charge_at(rates, &charge("a", 1, 0), 10), first);
        assert!(matches!(
            local.charge_at(rates, &charge("a", 2, 0), 10),
            Answer::Waits { .. }
        ));
    }

    #[test]
    fn accounts_that_are_settled_are_thrown_away() {
        let (mut local, rates) = (Local::default(), rates(1, 1_000_000));
        for i in 0..100_000_u32 {
            let user = format!("u{i}");
            local.charge_at(
                rates,
                &charge(&user, u64::from(i), 0),
                i64::from(i) * SECOND,
            );
        }
        assert!(local.users.len() <= FEW && local.said.len() <= SAID);
    }
}
