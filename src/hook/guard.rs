//! Which addresses a request may reach. Addresses in the configuration are the operator's and may be
//! internal; those that came by the API may not, whatever they are called or resolve to.
//!
//! A name is looked up once, what is refused is left out, and the connection goes to what remains:
//! between the look and the connection nothing can change (DNS rebinding). A literal address never
//! passes the resolver, so it is looked at by itself.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::Arc;

use async_trait::async_trait;
use reqwest::Url;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

/// Who chose an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trust {
    /// The operator, in the configuration.
    Operator,
    /// Whoever may write by the API.
    Api,
}

/// Looks names up; the system's resolver, or a test's.
#[async_trait]
pub trait Lookup: Send + Sync {
    /// All addresses of a name.
    ///
    /// # Errors
    /// If the name cannot be resolved.
    async fn lookup(&self, host: &str) -> std::io::Result<Vec<IpAddr>>;
}

/// The system's resolver.
pub struct SystemLookup;

#[async_trait]
impl Lookup for SystemLookup {
    async fn lookup(&self, host: &str) -> std::io::Result<Vec<IpAddr>> {
        Ok(tokio::net::lookup_host((host, 0)).await?.map(|address| address.ip()).collect())
    }
}

/// Why an address is not reached.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Where it is.
    #[error("the address belongs to {0}; addresses given by the API may not")]
    Network(&'static str),
    /// How it is written.
    #[error("an address given by the API must begin with `https://` and name port 443 or 8443")]
    Scheme,
}

/// Ports that addresses given by the API may name.
const PORTS: [u16; 2] = [443, 8443];

impl Trust {
    /// Looks at a URL before anything is done with it.
    ///
    /// # Errors
    /// [`Refused`], if it may not be reached whatever its name resolves to.
    pub fn check(self, url: &Url) -> Result<(), Refused> {
        if self == Trust::Operator {
            return Ok(());
        }
        let port = url.port_or_known_default().unwrap_or(0);
        if url.scheme() != "https" || !PORTS.contains(&port) {
            return Err(Refused::Scheme);
        }
        // The parser has canonicalised `0x7f.1` and the like before we see it.
        let host = url.host_str().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
        match host.parse::<IpAddr>() {
            Ok(address) => self.allows(address),
            Err(_) => Ok(()),
        }
    }

    /// Looks at an address before it is connected to.
    ///
    /// # Errors
    /// [`Refused`] with the network it belongs to.
    pub fn allows(self, address: IpAddr) -> Result<(), Refused> {
        if self == Trust::Operator {
            return Ok(());
        }
        let network = match address {
            IpAddr::V4(v4) => refused_v4(v4),
            IpAddr::V6(v6) => refused_v6(v6),
        };
        match network.or_else(|| own(address)) {
            Some(network) => Err(Refused::Network(network)),
            None => Ok(()),
        }
    }
}

/// Networks of the IANA special-purpose registry, as in smokescreen's list.
const V4: [(Ipv4Addr, u32, &str); 15] = [
    (Ipv4Addr::new(0, 0, 0, 0), 8, "this network"),
    (Ipv4Addr::new(10, 0, 0, 0), 8, "a private network"),
    (Ipv4Addr::new(100, 64, 0, 0), 10, "a carrier's shared network"),
    (Ipv4Addr::new(127, 0, 0, 0), 8, "this machine"),
    (Ipv4Addr::new(169, 254, 0, 0), 16, "the local link"),
    (Ipv4Addr::new(172, 16, 0, 0), 12, "a private network"),
    (Ipv4Addr::new(192, 0, 0, 0), 24, "a reserved network"),
    (Ipv4Addr::new(192, 0, 2, 0), 24, "a network for documentation"),
    (Ipv4Addr::new(192, 88, 99, 0), 24, "6to4 relays"),
    (Ipv4Addr::new(192, 168, 0, 0), 16, "a private network"),
    (Ipv4Addr::new(198, 18, 0, 0), 15, "a network for benchmarks"),
    (Ipv4Addr::new(198, 51, 100, 0), 24, "a network for documentation"),
    (Ipv4Addr::new(203, 0, 113, 0), 24, "a network for documentation"),
    (Ipv4Addr::new(224, 0, 0, 0), 4, "multicast"),
    (Ipv4Addr::new(240, 0, 0, 0), 4, "a reserved network"),
];

fn refused_v4(address: Ipv4Addr) -> Option<&'static str> {
    let within = |network: Ipv4Addr, bits: u32| (address.to_bits() ^ network.to_bits()) >> (32 - bits) == 0;
    V4.into_iter().find(|(network, bits, _)| within(*network, *bits)).map(|(_, _, name)| name)
}

/// Networks inside the global unicast range that lead elsewhere.
const V6: [(Ipv6Addr, u32, &str); 5] = [
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 32, "Teredo"),
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23, "a reserved network"),
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32, "a network for documentation"),
    (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16, "6to4"),
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20, "a network for documentation"),
];

fn refused_v6(address: Ipv6Addr) -> Option<&'static str> {
    // `::ffff:127.0.0.1` is 127.0.0.1.
    if let Some(v4) = address.to_ipv4_mapped() {
        return refused_v4(v4);
    }
    let within = |network: Ipv6Addr, bits: u32| (address.to_bits() ^ network.to_bits()) >> (128 - bits) == 0;
    if !within(Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3) {
        // Loopback, local link, unique local, multicast, NAT64, IPv4-compatible, site-local, discard.
        return Some("a network that is not global unicast");
    }
    V6.into_iter().find(|(network, bits, _)| within(*network, *bits)).map(|(_, _, name)| name)
}

/// This machine's own public addresses, on which the API may listen: only they can be bound.
fn own(address: IpAddr) -> Option<&'static str> {
    UdpSocket::bind((address, 0)).is_ok().then_some("this machine")
}

/// Looks up, and leaves out what is refused.
pub(super) struct Guarded {
    pub(super) trust: Trust,
    pub(super) lookup: Arc<dyn Lookup>,
}

impl Resolve for Guarded {
    fn resolve(&self, name: Name) -> Resolving {
        let (trust, lookup) = (self.trust, self.lookup.clone());
        Box::pin(async move {
            let found = lookup.lookup(name.as_str()).await?;
            let mut refused = None;
            let mut allowed = Vec::with_capacity(found.len());
            for address in found {
                match trust.allows(address) {
                    Ok(()) => allowed.push(SocketAddr::new(address, 0)),
                    Err(why) => refused = Some(why),
                }
            }
            match refused.filter(|_| allowed.is_empty()) {
                Some(why) => Err(why.into()),
                None => Ok(Box::new(allowed.into_iter()) as Addrs),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_networks_are_refused_in_every_spelling() {
        for url in [
            "https://127.0.0.1/",
            "https://127.1/",
            "https://0x7f.0.0.1/",
            "https://2130706433/",
            "https://0177.0.0.1/",
            "https://0.0.0.0/",
            "https://10.1.2.3/",
            "https://172.31.255.255/",
            "https://192.168.0.1/",
            "https://100.64.0.1/",
            "https://169.254.169.254/latest/meta-data",
            "https://198.18.0.1/",
            "https://224.0.0.1/",
            "https://255.255.255.255/",
            "https://[::1]/",
            "https://[::]/",
            "https://[::ffff:127.0.0.1]/",
            "https://[::ffff:169.254.169.254]/",
            "https://[::ffff:a00:1]/",
            "https://[::127.0.0.1]/",
            "https://[64:ff9b::a9fe:a9fe]/",
            "https://[64:ff9b:1::1]/",
            "https://[2002:7f00:1::]/",
            "https://[2001:0:53aa::1]/",
            "https://[2001:db8::1]/",
            "https://[fc00::1]/",
            "https://[fd12:3456::1]/",
            "https://[fe80::1]/",
            "https://[ff02::1]/",
        ] {
            let url = Url::parse(url).expect("a URL");
            assert!(matches!(Trust::Api.check(&url), Err(Refused::Network(_))), "{url}");
            assert_eq!(Trust::Operator.check(&url), Ok(()), "the operator may: {url}");
        }
    }

    #[test]
    fn public_addresses_pass_and_odd_ports_do_not() {
        for url in ["https://93.184.215.14/x", "https://hooks.example/x", "https://[2606:4700::1111]:8443/"] {
            assert_eq!(Trust::Api.check(&Url::parse(url).expect("a URL")), Ok(()), "{url}");
        }
        for url in ["http://hooks.example/", "https://hooks.example:6443/", "https://hooks.example:22/"] {
            assert_eq!(Trust::Api.check(&Url::parse(url).expect("a URL")), Err(Refused::Scheme), "{url}");
        }
    }

    #[test]
    fn neighbours_of_refused_networks_pass() {
        for address in ["9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "172.32.0.0", "192.169.0.0"] {
            assert_eq!(refused_v4(address.parse().expect("an address")), None, "{address}");
        }
        for address in ["2001:200::1", "2003::1", "2a00::1", "2001:db9::1"] {
            assert_eq!(refused_v6(address.parse().expect("an address")), None, "{address}");
        }
    }
}
