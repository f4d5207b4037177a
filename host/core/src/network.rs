//! IP networks, as operators write them.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use serde::{Serialize, Serializer};

/// A network such as `192.0.2.0/24`, or one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Network {
    address: IpAddr,
    prefix: u8,
}

impl Network {
    /// Is the address in it? An IPv4-mapped IPv6 address counts as its IPv4 address (RFC 4291 §2.5.5.2).
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(network), IpAddr::V4(address)) => {
                shared_bits(network.to_bits().into(), address.to_bits().into(), 32) >= self.prefix.into()
            }
            (IpAddr::V6(network), IpAddr::V6(address)) => {
                shared_bits(network.to_bits(), address.to_bits(), 128) >= self.prefix.into()
            }
            _ => false,
        }
    }
}

fn shared_bits(a: u128, b: u128, width: u32) -> u32 {
    (a ^ b).leading_zeros() - (128 - width)
}

impl FromStr for Network {
    /// What is wrong, and what would be right.
    type Err = String;

    fn from_str(text: &str) -> Result<Network, String> {
        let wrong = "is no network; write one such as 192.0.2.0/24, 2001:db8::/32 or a single address";
        let (address, prefix) = text.split_once('/').map_or((text, None), |(a, p)| (a, Some(p)));
        let address: IpAddr = address.parse().map_err(|_| wrong.to_owned())?;
        // Clients are known by their IPv4 addresses, so it would never match (RFC 4291 section 2.5.5.2).
        if let IpAddr::V6(mapped) = address
            && let Some(v4) = mapped.to_ipv4_mapped()
        {
            return Err(format!(
                "holds IPv4 addresses in IPv6's form; write {v4}, with a prefix of 0 to 32 if it is a network"
            ));
        }
        let width = if address.is_ipv4() { 32 } else { 128 };
        let prefix = prefix.map_or(Ok(width), str::parse).ok().filter(|prefix| *prefix <= width).ok_or(wrong)?;
        let network = Network { address, prefix };
        // 10.1.2.3/8 is usually a slip: more is trusted than was meant.
        match network.first() {
            first if first == address => Ok(network),
            first => Err(format!("has bits set behind the prefix; did you mean {first}/{prefix}?")),
        }
    }
}

impl Network {
    /// Leading bits that all its addresses share: the more, the smaller it is.
    pub fn prefix(&self) -> u8 {
        self.prefix
    }

    fn first(&self) -> IpAddr {
        let mask = |width: u32| u128::MAX.checked_shl(width - u32::from(self.prefix)).unwrap_or(0);
        match self.address {
            IpAddr::V4(address) => IpAddr::V4((address.to_bits() & (mask(32) as u32)).into()),
            IpAddr::V6(address) => IpAddr::V6((address.to_bits() & mask(128)).into()),
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

impl Serialize for Network {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
