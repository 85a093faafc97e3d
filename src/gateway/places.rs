//! Places for sockets: so many in all, of one user, and of one address; and on which threads a user's sockets are.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::config::GatewaySettings;
use crate::live::names::UserId;

/// The places of one process.
#[derive(Debug)]
pub(super) struct Places {
    most: usize,
    most_of_user: usize,
    most_of_address: usize,
    taken: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    all: usize,
    /// By thread.
    users: HashMap<UserId, Vec<(usize, usize)>>,
    addresses: HashMap<IpAddr, usize>,
}

/// A place that is taken; it is free again when this is dropped.
#[derive(Debug)]
pub(super) struct Place {
    places: Arc<Places>,
    user: UserId,
    address: IpAddr,
    thread: usize,
}

/// There is no place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Full {
    #[error("this gateway has as many sockets as it may have: try another one, or later")]
    All,
    #[error("this user has as many sockets as one user may have: close one")]
    User,
    #[error("this address has as many sockets as one address may have")]
    Address,
}

/// An IPv6 network hands out a /64 to a customer: all of it is one address.
fn customer(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(v4) => IpAddr::V4(v4),
        IpAddr::V6(v6) => {
            let bits = u128::from(v6) & !u128::from(u64::MAX);
            IpAddr::V6(Ipv6Addr::from(bits))
        }
    }
}

// === impl Places ===

impl Places {
    pub(super) fn new(settings: &GatewaySettings) -> Self {
        Self {
            most: settings.max_connections,
            most_of_user: settings.max_per_user,
            most_of_address: settings.max_per_address,
            taken: Mutex::default(),
        }
    }

    /// Takes a place on a thread.
    pub(super) fn take(
        self: &Arc<Self>,
        user: &UserId,
        address: IpAddr,
        thread: usize,
    ) -> Result<Place, Full> {
        let address = customer(address);
        let mut taken = self.lock();
        if taken.all >= self.most {
            return Err(Full::All);
        }
        let of_address = taken.addresses.get(&address).copied().unwrap_or(0);
        if of_address >= self.most_of_address {
            return Err(Full::Address);
        }
        let of_user = taken.users.get(user);
        let of_user = of_user.map_or(0, |threads| threads.iter().map(|t| t.1).sum());
        if of_user >= self.most_of_user {
            return Err(Full::User);
        }
        taken.all += 1;
        *taken.addresses.entry(address).or_default() += 1;
        let threads = taken.users.entry(user.clone()).or_default();
        match threads.iter_mut().find(|t| t.0 == thread) {
            Some(there) => there.1 += 1,
            None => threads.push((thread, 1)),
        }
        Ok(Place {
            places: Arc::clone(self),
            user: user.clone(),
            address,
            thread,
        })
    }

    /// Sockets that are open.
    pub(super) fn open(&self) -> usize {
        self.lock().all
    }

    /// The threads that serve sockets of this user.
    pub(super) fn threads_of(&self, user: &UserId) -> Vec<usize> {
        let taken = self.lock();
        let threads = taken.users.get(user);
        threads.map_or_else(Vec::new, |t| t.iter().map(|t| t.0).collect())
    }

    fn lock(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.lock();
        taken.all = taken.all.saturating_sub(1);
        if let Some(n) = taken.addresses.get_mut(&self.address) {
            *n -= 1;
            if *n == 0 {
                taken.addresses.remove(&self.address);
            }
        }
        if let Some(threads) = taken.users.get_mut(&self.user) {
            if let Some(there) = threads.iter_mut().find(|t| t.0 == self.thread) {
                there.1 -= 1;
            }
            threads.retain(|t| t.1 > 0);
            if threads.is_empty() {
                taken.users.remove(&self.user);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(most: usize, user: usize, address: usize) -> Arc<Places> {
        Arc::new(Places {
            most,
            most_of_user: user,
            most_of_address: address,
            taken: Mutex::default(),
        })
    }

    #[test]
    fn a_place_is_one_of_its_user_its_address_and_all() {
        let places = places(3, 2, 2);
        let user = |name: &str| UserId::new(name).unwrap();
        let at = |text: &str| text.parse::<IpAddr>().unwrap();
        let one = places.take(&user("a"), at("10.0.0.1"), 0).unwrap();
        let _two = places.take(&user("a"), at("10.0.0.2"), 1).unwrap();
        assert_eq!(
            places.take(&user("a"), at("10.0.0.3"), 0).unwrap_err(),
            Full::User
        );
        let _three = places.take(&user("b"), at("10.0.0.1"), 0).unwrap();
        assert_eq!(
            places.take(&user("c"), at("10.0.0.9"), 0).unwrap_err(),
            Full::All
        );
        assert_eq!(places.threads_of(&user("a")), [0, 1]);
        drop(one);
        assert_eq!(places.threads_of(&user("a")), [1]);
        assert!(places.take(&user("c"), at("10.0.0.9"), 0).is_ok());
        assert_eq!(places.open(), 2);
    }

    #[test]
    fn a_network_of_ipv6_is_one_address() {
        let places = places(9, 9, 1);
        let user = UserId::new("a").unwrap();
        let _one = places
            .take(&user, "2001:db8::1".parse().unwrap(), 0)
            .unwrap();
        let other = places.take(&user, "2001:db8::2".parse().unwrap(), 0);
        assert_eq!(other.unwrap_err(), Full::Address);
        assert!(
            places
                .take(&user, "2001:db8:0:1::2".parse().unwrap(), 0)
                .is_ok()
        );
        let mapped = "::ffff:10.0.0.1".parse().unwrap();
        let _mapped = places.take(&user, mapped, 0).unwrap();
        assert!(places.take(&user, "10.0.0.1".parse().unwrap(), 0).is_err());
    }
}
