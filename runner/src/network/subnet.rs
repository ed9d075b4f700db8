//! Subnets: those that a bridge hands addresses out of.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A subnet of IPv4 with room for a host and a container at least.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(try_from = "String", into = "String")]
pub(super) struct Subnet {
    first: u32,
    pub(super) prefix: u8,
}

impl Subnet {
    pub(super) const fn new(first: Ipv4Addr, prefix: u8) -> Self {
        Self { first: first.to_bits() & !Self::within(prefix), prefix }
    }

    /// The bits that say which address of the subnet is meant.
    const fn within(prefix: u8) -> u32 {
        match u32::MAX.checked_shr(prefix as u32) {
            Some(bits) => bits,
            None => 0,
        }
    }

    /// The first address of it, which is the network's own.
    pub(super) fn first(self) -> Ipv4Addr {
        self.first.into()
    }

    /// The last one, which means all.
    pub(super) fn last(self) -> Ipv4Addr {
        (self.first | Self::within(self.prefix)).into()
    }

    /// The address of the bridge.
    pub(super) fn gateway(self) -> Ipv4Addr {
        (self.first + 1).into()
    }

    /// The addresses for containers, as numbers in the subnet.
    pub(super) fn hosts(self) -> std::ops::Range<u32> {
        2..u32::from(self.last()) - self.first
    }

    pub(super) fn address(self, number: u32) -> Ipv4Addr {
        (self.first + number).into()
    }

    /// Which number an address has in the subnet.
    pub(super) fn number(self, address: Ipv4Addr) -> Option<u32> {
        (self.first()..=self.last()).contains(&address).then(|| u32::from(address) - self.first)
    }

    pub(super) fn overlaps(self, other: Self) -> bool {
        self.first() <= other.last() && other.first() <= self.last()
    }
}

impl FromStr for Subnet {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let invalid = || format!("{text:?} is no subnet of IPv4: write it as 172.29.0.0/16");
        let (address, prefix) = text.split_once('/').ok_or_else(invalid)?;
        let address = address.parse().map_err(|_| invalid())?;
        match prefix.parse() {
            Ok(prefix @ 8..=30) => Ok(Self::new(address, prefix)),
            Ok(_) => Err(format!("{text:?} is too large or too small: from /8 to /30 is possible")),
            Err(_) => Err(invalid()),
        }
    }
}

impl fmt::Display for Subnet {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.first(), self.prefix)
    }
}

impl TryFrom<String> for Subnet {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Subnet> for String {
    fn from(subnet: Subnet) -> Self {
        subnet.to_string()
    }
}

/// A subnet of IPv6, which is always a /64.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(try_from = "String", into = "String")]
pub(super) struct SubnetIpv6 {
    first: u128,
}

impl SubnetIpv6 {
    pub(super) const PREFIX: u8 = 64;

    /// One of the subnets that nobody else has, by forty bits that are random (RFC 4193).
    pub(super) fn unique(random: [u8; 5]) -> Self {
        let [a, b, c, d, e] = random;
        let octets = [0xfd, a, b, c, d, e, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        Self { first: u128::from_be_bytes(octets) }
    }

    pub(super) fn first(self) -> Ipv6Addr {
        self.first.into()
    }

    pub(super) fn last(self) -> Ipv6Addr {
        (self.first | u128::from(u64::MAX)).into()
    }

    pub(super) fn gateway(self) -> Ipv6Addr {
        self.address(1)
    }

    /// The address of whoever has this number in the subnet of IPv4.
    pub(super) fn address(self, number: u32) -> Ipv6Addr {
        (self.first + u128::from(number)).into()
    }
}

impl FromStr for SubnetIpv6 {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let invalid = || format!("{text:?} is no /64 of IPv6: write it as fd00:1:2:3::/64");
        let address = text.strip_suffix("/64").ok_or_else(invalid)?;
        let address = address.parse::<Ipv6Addr>().map_err(|_| invalid())?;
        Ok(Self { first: u128::from(address) & !u128::from(u64::MAX) })
    }
}

impl fmt::Display for SubnetIpv6 {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.first(), Self::PREFIX)
    }
}

impl TryFrom<String> for SubnetIpv6 {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<SubnetIpv6> for String {
    fn from(subnet: SubnetIpv6) -> Self {
        subnet.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subnet(text: &str) -> Subnet {
        text.parse().unwrap()
    }

    #[test]
    fn a_subnet_has_a_gateway_and_hosts() {
        let subnet = subnet("172.29.3.4/24");
        assert_eq!(subnet.to_string(), "172.29.3.0/24");
        assert_eq!(subnet.gateway(), Ipv4Addr::new(172, 29, 3, 1));
        assert_eq!(subnet.last(), Ipv4Addr::new(172, 29, 3, 255));
        assert_eq!(subnet.hosts(), 2..255);
        assert_eq!(subnet.number(Ipv4Addr::new(172, 29, 3, 9)), Some(9));
        assert_eq!(subnet.number(Ipv4Addr::new(172, 29, 4, 9)), None);
        let ipv6: SubnetIpv6 = "fd00:1::/64".parse().unwrap();
        assert_eq!(ipv6.address(258).to_string(), "fd00:1::102");
    }

    #[test]
    fn subnets_overlap_when_one_holds_the_other() {
        assert!(subnet("10.0.0.0/8").overlaps(subnet("10.9.0.0/16")));
        assert!(subnet("10.9.0.0/16").overlaps(subnet("10.0.0.0/8")));
        assert!(!subnet("10.8.0.0/16").overlaps(subnet("10.9.0.0/16")));
        let one = Subnet::new(Ipv4Addr::new(10, 9, 0, 7), 32);
        assert!(one.overlaps(subnet("10.9.0.0/16")));
        assert!(!one.overlaps(subnet("10.8.0.0/16")));
    }

    #[test]
    fn what_is_no_subnet_is_refused() {
        for text in ["", "10.0.0.0", "10.0.0/8", "10.0.0.0/", "10.0.0.0/31", "10.0.0.0/7", "::/64"]
        {
            assert!(text.parse::<Subnet>().is_err(), "{text}");
        }
        for text in ["", "fd00::", "fd00::/65", "10.0.0.0/64"] {
            assert!(text.parse::<SubnetIpv6>().is_err(), "{text}");
        }
    }
}
