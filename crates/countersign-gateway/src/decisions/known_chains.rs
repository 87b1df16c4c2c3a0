//! Chains that passed, by how they were sent: the proxy sends its client's chain with each request, and
//! reading it costs more than a remembered verdict. Each thread has its own.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
};

use countersign_verify::presented::Presented;
use rustls_pki_types::CertificateDer;

use crate::connection::Connection;

/// The most chains that are known, and the most bytes of how they were sent.
const MAX_KNOWN: usize = 4_096;
const MAX_BYTES: usize = 16 * 1024 * 1024;

/// Where the clients are that other proxies ask for: they know, and it is not asked.
const ELSEWHERE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);

/// Chains that passed. What is remembered of a connection's requests is remembered of them.
#[derive(Debug, Default)]
pub(super) struct KnownChains(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    chains: HashMap<Box<[u8]>, Arc<Connection>, foldhash::fast::RandomState>,
    bytes: usize,
}

impl KnownChains {
    /// The client of a chain that passed before.
    pub(super) fn find(&self, key: &[u8]) -> Option<Arc<Connection>> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.chains.get(key).map(Arc::clone)
    }

    /// Keeps a chain with which a request passed: what does not pass would let anyone push others out.
    pub(super) fn keep(&self, key: &[u8], client: &Arc<Connection>) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Cleared, and not evicted one by one: a chain that is still in use is read once more.
        if known.chains.len() >= MAX_KNOWN || known.bytes + key.len() > MAX_BYTES {
            known.chains.clear();
            known.bytes = 0;
        }
        let before = known.chains.insert(key.into(), Arc::clone(client));
        if before.is_none() {
            known.bytes += key.len();
        }
    }
}

/// A client that presented this chain to the proxy.
pub(super) fn client(chain: Vec<CertificateDer<'static>>) -> Arc<Connection> {
    Arc::new(Connection::new(Presented::new(chain), ELSEWHERE, None))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_known_is_bounded_by_number_and_bytes() {
        let known = KnownChains::default();
        let someone = client(Vec::new());
        let held = |known: &KnownChains| known.0.lock().unwrap().chains.len();
        for number in 0..=MAX_KNOWN {
            known.keep(&number.to_le_bytes(), &someone);
        }
        assert_eq!(held(&known), 1);
        let large = |first: u8| [&[first][..], &[0; MAX_BYTES / 4]].concat();
        for first in 0..4 {
            known.keep(&large(first), &someone);
            assert!(known.find(&large(first)).is_some());
        }
        assert!(held(&known) < 4);
        known.keep(&large(3), &someone);
        assert!(known.find(&large(0)).is_none());
    }
}
