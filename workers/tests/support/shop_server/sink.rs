//! What must never be asked.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use super::ShopServer;

/// A server that must never be asked: it counts who does.
#[derive(Debug, Clone)]
pub(crate) struct Sink {
    pub(crate) address: SocketAddr,
    hits: Arc<std::sync::atomic::AtomicU64>,
}

impl Sink {
    pub(crate) fn open_at(address: SocketAddr) -> Option<Self> {
        let listener = std::net::TcpListener::bind(address).ok()?;
        let address = listener.local_addr().unwrap();
        let hits = Arc::<std::sync::atomic::AtomicU64>::default();
        let counted = hits.clone();
        std::thread::spawn(move || {
            for _ in listener.incoming() {
                counted.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            }
        });
        Some(Self { address, hits })
    }

    pub(crate) fn open() -> Self {
        Self::open_at("127.0.0.1:0".parse().unwrap()).unwrap()
    }

    pub(crate) fn hits(&self) -> u64 {
        self.hits.load(std::sync::atomic::Ordering::SeqCst)
    }
}

/// A shop and a sink at the same port of two addresses of this machine: what rebinding is about.
pub(crate) fn neighbours(products: u64) -> (ShopServer, Sink) {
    let (here, there): (IpAddr, IpAddr) = ("127.0.0.2".parse().unwrap(), "127.0.0.1".parse().unwrap());
    for _ in 0..50 {
        let shop = ShopServer::open_at(SocketAddr::new(here, 0), products, 0);
        if let Some(sink) = Sink::open_at(SocketAddr::new(there, shop.address.port())) {
            return (shop, sink);
        }
    }
    panic!("no port is free at both addresses");
}
