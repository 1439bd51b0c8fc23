//! Which addresses on the network requests may go to: those of the public internet, and what is allowed beside it, decided when
//! the connection is made.
//!
//! A name says nothing: it may lead to a public address when it is looked at and to a private one when it is used. So the
//! addresses are judged in the resolver that the connection itself asks; nothing resolves the name again behind it. An
//! answer that holds one forbidden address is refused whole: a name that is half outside is no accident.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use futures::future::BoxFuture;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::network::Network;

/// Finds the addresses behind a name.
pub trait Lookup: fmt::Debug + Send + Sync {
    /// Its addresses now.
    fn look_up(&self, name: &str) -> BoxFuture<'static, std::io::Result<Vec<IpAddr>>>;
}

/// Asks the operating system.
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

/// An address that nothing may be sent to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forbidden {
    /// The name it was found under, or the address as it was given.
    pub host: String,
    /// The address.
    pub address: IpAddr,
}

impl std::error::Error for Forbidden {}

impl fmt::Display for Forbidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, address } = self;
        match host.trim_matches(['[', ']']).parse::<IpAddr>() {
            Ok(_) => write!(f, "{address} is no public address"),
            Err(_) => write!(f, "{host} leads to {address}, which is no public address"),
        }
    }
}

/// What may be connected to beside the public internet.
#[derive(Debug, Clone)]
pub enum Allowed {
    /// Everything: for tests and closed networks.
    Everything,
    /// These; link-local addresses (where clouds keep their metadata) never, whatever is named.
    Networks(Vec<Network>),
}

/// Decides which addresses may be connected to; the resolver of guarded clients.
#[derive(Debug, Clone)]
pub struct Guard {
    allowed: Allowed,
    lookup: Arc<dyn Lookup>,
    /// Whether a secret is sent in the clear: then only what is named is permitted.
    in_the_clear: bool,
}

type GuardError = Box<dyn std::error::Error + Send + Sync>;

impl Guard {
    /// A guard that lets through public addresses and these.
    pub fn new(allowed: Allowed, lookup: Arc<dyn Lookup>) -> Self {
        Self { allowed, lookup, in_the_clear: false }
    }

    /// The same for requests that show a secret to whoever listens: only to the addresses that are named.
    pub fn in_the_clear(self) -> Self {
        Self { in_the_clear: true, ..self }
    }

    /// Why an exchange may not go to an address, and what to do.
    pub(crate) fn refusal(&self, address: IpAddr) -> &'static str {
        match self.in_the_clear && is_public(unmapped(address)) {
            true => "http would send the secret there in the clear; use https",
            false => "it is private or local; allow it: --allow-address",
        }
    }

    /// Whether this address may be connected to.
    pub fn permits(&self, address: IpAddr) -> bool {
        let address = unmapped(address);
        match &self.allowed {
            Allowed::Everything => true,
            Allowed::Networks(_) if is_link_local(address) => false,
            Allowed::Networks(named) => {
                (is_public(address) && !self.in_the_clear)
                    || named.iter().any(|network| network.holds(address))
            }
        }
    }

    async fn permitted(self, host: String) -> Result<Vec<SocketAddr>, GuardError> {
        let found = self.lookup.look_up(&host).await?;
        match found.iter().find(|address| !self.permits(**address)) {
            Some(address) => Err(Box::new(Forbidden { host, address: *address })),
            None if found.is_empty() => Err(format!("{host} has no address").into()),
            None => Ok(found.into_iter().map(|address| SocketAddr::new(address, 0)).collect()),
        }
    }
}

impl Resolve for Guard {
    fn resolve(&self, name: Name) -> Resolving {
        let permitted = self.clone().permitted(name.as_str().to_owned());
        Box::pin(async move {
            let addresses: Addrs = Box::new(permitted.await?.into_iter());
            Ok(addresses)
        })
    }
}

/// Whether an address belongs to the public internet: not to this machine, its network, its cloud's metadata service, nor
/// to any range that is set aside.
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let set_aside = matches!(
        (a, b, c),
        (0 | 10 | 127, _, _)
            | (100, 64..=127, _)
            | (169, 254, _)
            | (172, 16..=31, _)
            | (192, 0, 0 | 2)
            | (192, 88, 99)
            | (192, 168, _)
            | (198, 18..=19, _)
            | (198, 51, 100)
            | (203, 0, 113)
            | (224..=255, _, _)
    );
    !set_aside
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let segments = address.segments();
    let embedded = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        is_public_v4(Ipv4Addr::new(a, b, c, d))
    };
    match segments {
        // An IPv4 address in other clothes: mapped, translated (NAT64), tunnelled (6to4).
        [0, 0, 0, 0, 0, 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => embedded(high, low),
        [0x2002, high, low, ..] => embedded(high, low),
        // Teredo, benchmarks, ORCHID, documentation.
        [0x2001, 0..=0x1ff, ..] | [0x2001, 0xdb8, ..] | [0x3fff, 0..=0xfff, ..] => false,
        [first, ..] => (0x2000..=0x3fff).contains(&first),
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
        let networks = allowed.iter().map(|text| text.parse().unwrap()).collect();
        Guard::new(Allowed::Networks(networks), Arc::new(SystemLookup))
    }

    fn permits(guard: &Guard, address: &str) -> bool {
        guard.permits(address.parse().unwrap())
    }

    #[test]
    fn addresses_inside_are_refused_in_all_their_forms_and_those_of_the_public_internet_are_not() {
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
            "::7f00:1",
            "::ffff:169.254.169.254",
            "240.0.0.1",
            "192.0.0.1",
            "2001:db8::1",
            "2001::1",
            "fec0::1",
            "3fff::1",
        ];
        let guard = guard(&[]);
        for address in inside {
            assert!(!permits(&guard, address), "{address}");
        }
        let public = [
            "8.8.8.8",
            "93.184.216.34",
            "172.32.0.1",
            "100.128.0.1",
            "2606:4700::1111",
            "2001:4860::8888",
            "::ffff:8.8.8.8",
            "64:ff9b::808:808",
        ];
        for address in public {
            assert!(permits(&guard, address), "{address}");
        }
    }

    #[test]
    fn what_is_allowed_is_allowed_and_nothing_beside_it() {
        let guard = guard(&["127.0.0.2", "10.1.0.0/16", "169.254.0.0/16", "fd00::/8"]);
        for address in ["127.0.0.2", "::ffff:127.0.0.2", "10.1.9.9", "fd12::1"] {
            assert!(permits(&guard, address), "{address}");
        }
        for address in ["127.0.0.1", "10.2.0.1"] {
            assert!(!permits(&guard, address), "{address}");
        }
        assert!(!permits(&guard, "169.254.169.254") && !permits(&guard, "fd00:ec2::254"), "metadata never");
    }

    #[test]
    fn a_secret_in_the_clear_is_sent_to_named_addresses_alone() {
        let guard = guard(&["10.1.0.0/16"]).in_the_clear();
        assert!(permits(&guard, "10.1.0.7") && !permits(&guard, "10.2.0.7") && !permits(&guard, "8.8.8.8"));
        assert!(guard.refusal("8.8.8.8".parse().unwrap()).contains("https"));
        assert!(guard.refusal("10.2.0.7".parse().unwrap()).contains("--allow-address"));
    }
}
