//! Where a connection may lead: public addresses, and those its tenant's administrators name.
//!
//! What counts is the address that is connected to, not what a name was when somebody looked: names are resolved here, at
//! connect time, and an answer that holds one forbidden address is refused whole.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;
use std::sync::Arc;

use fairlane::Error;
use futures::future::BoxFuture;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use serde::{Deserialize, Serialize};

use crate::erp::outbound::guard::is_public;

/// Turns names into addresses.
pub trait Lookup: fmt::Debug + Send + Sync {
    /// The addresses of a name.
    fn look_up(&self, name: &str) -> BoxFuture<'static, std::io::Result<Vec<IpAddr>>>;
}

/// The operating system's resolver.
#[derive(Debug, Clone, Copy)]
pub struct SystemLookup;

impl Lookup for SystemLookup {
    fn look_up(&self, name: &str) -> BoxFuture<'static, std::io::Result<Vec<IpAddr>>> {
        let name = name.to_owned();
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            Ok(found.map(|address| address.ip()).collect())
        })
    }
}

/// Addresses of one network: `10.1.0.0/16`, or one address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Network {
    address: IpAddr,
    bits: u8,
}

impl Network {
    fn holds(self, address: IpAddr) -> bool {
        match (self.address, address) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(self.bits)).unwrap_or(0);
                own.to_bits() & mask == other.to_bits() & mask
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => {
                let mask = u128::MAX.checked_shl(128 - u32::from(self.bits)).unwrap_or(0);
                own.to_bits() & mask == other.to_bits() & mask
            }
            _ => false,
        }
    }
}

impl FromStr for Network {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let invalid = || Error::Invalid {
            what: format!("the allowed address \"{}\"", text.escape_debug()),
            why: "it must be an address or a network such as 10.1.0.0/16".into(),
        };
        let (address, bits) =
            text.split_once('/').map_or((text, None), |(address, bits)| (address, Some(bits)));
        let address: IpAddr = address.trim().parse().map_err(|_| invalid())?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let bits = bits.map_or(Ok(most), |bits| bits.trim().parse::<u8>().map_err(|_| invalid()))?;
        if bits > most {
            return Err(invalid());
        }
        Ok(Self { address, bits })
    }
}

impl TryFrom<String> for Network {
    type Error = Error;

    fn try_from(text: String) -> Result<Self, Error> {
        text.parse()
    }
}

impl From<Network> for String {
    fn from(network: Network) -> Self {
        format!("{}/{}", network.address, network.bits)
    }
}

/// Decides which addresses may be connected to.
#[derive(Debug, Clone)]
pub struct Guard {
    allowed: Vec<Network>,
    lookup: Arc<dyn Lookup>,
    /// Whether a secret is sent in the clear: then only what is named is permitted.
    in_the_clear: bool,
}

impl Guard {
    /// A guard that lets through public addresses and these.
    pub fn new(allowed: Vec<Network>, lookup: Arc<dyn Lookup>) -> Self {
        Self { allowed, lookup, in_the_clear: false }
    }

    /// The same for requests that show a secret to whoever listens: only to the addresses that are named.
    pub fn in_the_clear(self) -> Self {
        Self { in_the_clear: true, ..self }
    }

    /// Why an address is not permitted, and what to do.
    pub(super) fn refusal(&self, address: IpAddr) -> &'static str {
        match self.in_the_clear && is_public(unmapped(address)) {
            true => "http would send the secret there in the clear; use https",
            false => "it is private or local; allow it: --allow-address",
        }
    }

    /// Whether this address may be connected to. Link-local addresses (where clouds keep their metadata) never, whatever
    /// is allowed.
    pub fn permits(&self, address: IpAddr) -> bool {
        let address = unmapped(address);
        if is_link_local(address) {
            return false;
        }
        (is_public(address) && !self.in_the_clear)
            || self.allowed.iter().any(|network| network.holds(address))
    }

    async fn resolve_checked(self, name: String) -> Result<Vec<SocketAddr>, Forbidden> {
        let found = self.lookup.look_up(&name).await.map_err(|why| Forbidden::Unresolved(why.to_string()))?;
        if found.is_empty() {
            return Err(Forbidden::Unresolved("it has no address".into()));
        }
        match found.iter().find(|address| !self.permits(**address)) {
            Some(address) => Err(Forbidden::Address(*address)),
            None => Ok(found.into_iter().map(|address| SocketAddr::new(address, 0)).collect()),
        }
    }
}

/// Why no connection was made.
#[derive(Debug, thiserror::Error)]
pub(super) enum Forbidden {
    #[error("{0} is no address that may be connected to")]
    Address(IpAddr),
    #[error("the name cannot be resolved: {0}")]
    Unresolved(String),
}

impl Resolve for Guard {
    fn resolve(&self, name: Name) -> Resolving {
        let checked = self.clone().resolve_checked(name.as_str().to_owned());
        Box::pin(async move {
            let addresses = checked.await?;
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}

/// The IPv4 address that an IPv6 one stands for.
fn unmapped(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V6(v6) => v6.to_ipv4_mapped().map_or(address, IpAddr::V4),
        IpAddr::V4(_) => address,
    }
}

fn is_link_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.is_link_local(),
        // The second is where one cloud keeps its metadata.
        IpAddr::V6(v6) => v6.segments()[0] & 0xffc0 == 0xfe80 || v6.segments()[..3] == [0xfd00, 0xec2, 0],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guard(allowed: &[&str]) -> Guard {
        Guard::new(allowed.iter().map(|text| text.parse().unwrap()).collect(), Arc::new(SystemLookup))
    }

    fn permits(guard: &Guard, address: &str) -> bool {
        guard.permits(address.parse().unwrap())
    }

    #[test]
    fn addresses_inside_are_refused_in_all_their_forms() {
        let inside = [
            "127.0.0.1",
            "127.8.8.8",
            "0.0.0.0",
            "10.0.0.1",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "100.64.0.1",
            "169.254.169.254",
            "198.18.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "192.0.2.1",
            "::",
            "::1",
            "fe80::1",
            "fc00::1",
            "fd00:ec2::254",
            "ff02::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::127.0.0.1",
            "64:ff9b::7f00:1",
            "2002:7f00:1::",
            "2001:db8::1",
            "2001::1",
            "fec0::1",
            "3fff::1",
        ];
        let guard = guard(&[]);
        for address in inside {
            assert!(!permits(&guard, address), "{address}");
        }
        for address in
            ["8.8.8.8", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "::ffff:8.8.8.8", "2001:4860::8888"]
        {
            assert!(permits(&guard, address), "{address}");
        }
    }

    #[test]
    fn what_is_allowed_is_allowed_and_nothing_beside_it() {
        let guard = guard(&["127.0.0.2", "10.1.0.0/16", "169.254.0.0/16", "fd00::/8"]);
        assert!(
            permits(&guard, "127.0.0.2")
                && permits(&guard, "::ffff:127.0.0.2")
                && permits(&guard, "10.1.9.9")
        );
        assert!(permits(&guard, "fd12::1"));
        assert!(!permits(&guard, "127.0.0.1") && !permits(&guard, "10.2.0.1"));
        assert!(!permits(&guard, "169.254.169.254") && !permits(&guard, "fd00:ec2::254"), "metadata never");
    }

    #[test]
    fn a_secret_in_the_clear_is_sent_to_named_addresses_alone() {
        let guard = guard(&["10.1.0.0/16"]).in_the_clear();
        assert!(permits(&guard, "10.1.0.7") && !permits(&guard, "10.2.0.7") && !permits(&guard, "8.8.8.8"));
        assert!(guard.refusal("8.8.8.8".parse().unwrap()).contains("https"));
        assert!(guard.refusal("10.2.0.7".parse().unwrap()).contains("--allow-address"));
    }

    #[test]
    fn networks_are_read_and_written() {
        for text in ["10.1.0.0/16", "127.0.0.1/32", "fd00::/8"] {
            assert_eq!(String::from(text.parse::<Network>().unwrap()), text);
        }
        for text in ["", "10.0.0.0/33", "ten", "::/129", "10.0.0.0/"] {
            assert!(text.parse::<Network>().is_err(), "{text}");
        }
    }
}
