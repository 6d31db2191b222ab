//! How many connections one address may have.
//!
//! Shared by all threads; asked once a connection, never once a call.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The limits on connections of a process.
#[derive(Clone, Debug)]
pub(crate) struct Connections {
    total: Arc<Semaphore>,
    per_address: Option<u32>,
    counts: Arc<Mutex<HashMap<IpAddr, u32>>>,
}

/// A connection that counts for its address until it is dropped.
#[derive(Debug)]
pub(crate) struct Counted {
    address: IpAddr,
    counts: Arc<Mutex<HashMap<IpAddr, u32>>>,
}

impl Connections {
    /// At most `total`, and `per_address` from each address unless that is 0.
    pub(crate) fn new(total: u32, per_address: u32) -> Self {
        Self {
            total: Arc::new(Semaphore::new(usize::try_from(total).unwrap_or(Semaphore::MAX_PERMITS))),
            per_address: (per_address > 0).then_some(per_address),
            counts: Arc::default(),
        }
    }

    /// Waits until one more connection may be accepted.
    pub(crate) async fn room(&self) -> OwnedSemaphorePermit {
        Arc::clone(&self.total).acquire_owned().await.expect("this semaphore is never closed")
    }

    /// Counts a connection; `Err` when its address has as many as it may.
    pub(crate) fn count(&self, address: IpAddr) -> Result<Option<Counted>, ()> {
        let Some(limit) = self.per_address else { return Ok(None) };
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(address).or_default();
        if *count >= limit {
            return Err(());
        }
        *count += 1;
        Ok(Some(Counted { address, counts: Arc::clone(&self.counts) }))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    #[test]
    fn an_address_has_room_again_when_a_connection_ends() {
        let address = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let connections = Connections::new(10, 1);
        let first = connections.count(address).unwrap();
        assert!(connections.count(address).is_err());
        drop(first);
        assert!(connections.count(address).is_ok());
        assert!(connections.counts.lock().unwrap().is_empty(), "nothing is kept of addresses that are gone");
    }
}
