//! What the rules look into: who is a container's bridge, and which port goes where.

use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::network::netlink::Message;
use crate::network::{EndpointSettings, Port, PublishedPort};

use super::Network;
use super::expression::{DATA_VALUE, LIST_ELEMENT, NAME_LENGTH, Version};
use super::message::{TABLE, about, create, put_number};

/// A set, or a map.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Set {
    Bridges,
    Open,
    Subnets(Version),
    /// Ports at all addresses of the host,
    Ports(Version),
    /// and at one of them.
    Addresses(Version),
}

impl Set {
    pub(super) const ALL: [Self; 8] = [
        Self::Bridges,
        Self::Open,
        Self::Subnets(Version::V4),
        Self::Subnets(Version::V6),
        Self::Ports(Version::V4),
        Self::Ports(Version::V6),
        Self::Addresses(Version::V4),
        Self::Addresses(Version::V6),
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Bridges => "bridges",
            Self::Open => "open",
            Self::Subnets(Version::V4) => "subnets_ipv4",
            Self::Subnets(Version::V6) => "subnets_ipv6",
            Self::Ports(Version::V4) => "ports_ipv4",
            Self::Ports(Version::V6) => "ports_ipv6",
            Self::Addresses(Version::V4) => "addresses_ipv4",
            Self::Addresses(Version::V6) => "addresses_ipv6",
        }
    }

    fn key(self) -> Type {
        match self {
            Self::Bridges => Type::of(&[NAME]),
            Self::Open => Type::of(&[NAME, NAME]),
            Self::Subnets(version) => Type::of(&[address(version)]),
            Self::Ports(_) => Type::of(&[PROTOCOL, PORT]),
            Self::Addresses(version) => Type::of(&[address(version), PROTOCOL, PORT]),
        }
    }

    /// What a map has for its keys.
    fn value(self) -> Option<Type> {
        match self {
            Self::Ports(version) | Self::Addresses(version) => {
                Some(Type::of(&[address(version), PORT]))
            }
            _ => None,
        }
    }

    fn flags(self) -> u32 {
        match self {
            Self::Bridges | Self::Open => 0,
            Self::Subnets(_) => libc::NFT_SET_INTERVAL as u32,
            Self::Ports(_) | Self::Addresses(_) => libc::NFT_SET_MAP as u32,
        }
    }

    /// A message that makes it, if it is not there; `id` is a number of its own in the batch.
    pub(super) fn make(self, id: u32) -> Message {
        let mut message = create(libc::NFT_MSG_NEWSET);
        message.put_text(1, TABLE);
        message.put_text(2, self.name());
        put_number(&mut message, 3, self.flags());
        put_number(&mut message, 4, self.key().number);
        put_number(&mut message, 5, self.key().length);
        if let Some(value) = self.value() {
            put_number(&mut message, 6, value.number);
            put_number(&mut message, 7, value.length);
        }
        put_number(&mut message, 10, id);
        message
    }
}

/// The type of keys or values. The kernel only wants to know the length; the number is the one by
/// which `nft` prints them.
struct Type {
    number: u32,
    length: u32,
}

impl Type {
    /// Of several, one behind the other.
    fn of(parts: &[(u32, u32)]) -> Self {
        Self {
            number: parts.iter().fold(0, |number, (part, _)| number << 6 | part),
            length: parts.iter().map(|(_, length)| length.next_multiple_of(4)).sum(),
        }
    }
}

const PROTOCOL: (u32, u32) = (12, 1);
const PORT: (u32, u32) = (13, 2);
const NAME: (u32, u32) = (41, NAME_LENGTH);

fn address(version: Version) -> (u32, u32) {
    match version {
        Version::V4 => (7, version.address_length()),
        Version::V6 => (8, version.address_length()),
    }
}

/// An element of a set, or of a map.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Element {
    set: Set,
    key: Vec<u8>,
    value: Option<Vec<u8>>,
    /// Whether an interval ends before it.
    is_end: bool,
}

impl Element {
    fn new(set: Set, key: Vec<u8>) -> Self {
        Self { set, key, value: None, is_end: false }
    }
}

/// That this is a bridge of containers.
pub(super) fn bridge(name: &str) -> Element {
    Element::new(Set::Bridges, link_name(name))
}

/// What else is known of a bridge.
pub(super) fn of_network(network: Network<'_>) -> Vec<Element> {
    let name = link_name(network.bridge);
    let mut elements = vec![Element::new(Set::Open, [name.clone(), name].concat())];
    let (first, last) = (network.ipv4.first(), network.ipv4.last());
    elements.extend(interval(Version::V4, first.into(), last.into()));
    if let Some(subnet) = network.ipv6 {
        elements.extend(interval(Version::V6, subnet.first().into(), subnet.last().into()));
    }
    elements
}

/// Where an interval begins, and where the next address is that is not in it.
fn interval(version: Version, first: IpAddr, last: IpAddr) -> [Element; 2] {
    let behind = match last {
        IpAddr::V4(last) => u32::from(last).wrapping_add(1).to_be_bytes().to_vec(),
        IpAddr::V6(last) => u128::from(last).wrapping_add(1).to_be_bytes().to_vec(),
    };
    let set = Set::Subnets(version);
    let end = Element { is_end: true, ..Element::new(set, behind) };
    [Element::new(set, octets(first)), end]
}

/// That the published ports of a container go to it.
pub(super) fn of_ports(container: &EndpointSettings) -> Vec<Element> {
    let element = |port: &PublishedPort| {
        let mut addresses = container.addresses();
        let goes_to = addresses.find(|ip| ip.is_ipv4() == port.host_ip.is_ipv4())?;
        let value = [octets(goes_to), padded(&port.container.number.to_be_bytes())].concat();
        Some(Element { value: Some(value), ..of_published_port(port) })
    };
    container.ports.iter().filter_map(element).collect()
}

/// The same without what they go to, which a deletion need not say.
pub(super) fn of_published(ports: &[PublishedPort]) -> Vec<Element> {
    ports.iter().map(of_published_port).collect()
}

fn of_published_port(port: &PublishedPort) -> Element {
    let version = if port.host_ip.is_ipv4() { Version::V4 } else { Version::V6 };
    let key = port_key(port.container, port.host_port);
    if port.host_ip.is_unspecified() {
        Element::new(Set::Ports(version), key)
    } else {
        Element::new(Set::Addresses(version), [octets(port.host_ip), key].concat())
    }
}

fn port_key(container: Port, host_port: u16) -> Vec<u8> {
    [padded(&[container.protocol.number()]), padded(&host_port.to_be_bytes())].concat()
}

fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

fn padded(bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

fn link_name(name: &str) -> Vec<u8> {
    let mut bytes = name.as_bytes().to_vec();
    bytes.resize(NAME_LENGTH as usize, 0);
    bytes
}

/// One message for each set that has some of the elements.
pub(super) fn by_set(elements: &[Element], message: fn(&[Element]) -> Message) -> Vec<Message> {
    let mut sets: BTreeMap<&str, Vec<Element>> = BTreeMap::new();
    for element in elements {
        sets.entry(element.set.name()).or_default().push(element.clone());
    }
    sets.values().map(|elements| message(elements)).collect()
}

/// A message that adds elements of one set that must not be there.
pub(super) fn add(elements: &[Element]) -> Message {
    let create = libc::NLM_F_CREATE | libc::NLM_F_EXCL;
    put_elements(about(libc::NFT_MSG_NEWSETELEM, create as u16), elements)
}

/// A message that takes elements out of one set that must be there.
pub(super) fn delete(elements: &[Element]) -> Message {
    put_elements(about(libc::NFT_MSG_DELSETELEM, 0), elements)
}

/// A question for an element.
pub(super) fn find(element: &Element) -> Message {
    put_elements(about(libc::NFT_MSG_GETSETELEM, 0), std::slice::from_ref(element))
}

fn put_elements(mut message: Message, elements: &[Element]) -> Message {
    message.put_text(1, TABLE);
    if let Some(first) = elements.first() {
        message.put_text(2, first.set.name());
    }
    message.nest(3, |list| {
        for element in elements {
            list.nest(LIST_ELEMENT, |one| {
                one.nest(1, |key| key.put(DATA_VALUE, &element.key));
                if let Some(value) = &element.value {
                    one.nest(2, |data| data.put(DATA_VALUE, value));
                }
                if element.is_end {
                    put_number(one, 3, libc::NFT_SET_ELEM_INTERVAL_END as u32);
                }
            });
        }
    });
    message
}
