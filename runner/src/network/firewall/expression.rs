//! Expressions, of which rules are made: each reads into a register, compares or decides.

use crate::network::netlink::Message;

use super::message::put_number;
use super::sets::Set;

/// An element of a list.
pub(super) const LIST_ELEMENT: u16 = 1;
/// A value in an attribute of data.
pub(super) const DATA_VALUE: u16 = 1;

const EXPRESSION_NAME: u16 = 1;
const EXPRESSION_DATA: u16 = 2;

/// Four bytes of the kernel's memory for what was read. Values go through as many as they need.
#[derive(Clone, Copy, Debug)]
pub(super) struct Register(u32);

impl Register {
    /// The one after so many others.
    pub(super) const fn number(number: u32) -> Self {
        Self(libc::NFT_REG32_00 as u32 + number)
    }

    /// The one behind a value of `length` bytes.
    const fn after(self, length: u32) -> Self {
        Self(self.0 + length.div_ceil(4))
    }
}

/// The first register.
pub(super) const FIRST: Register = Register::number(0);

/// Which version of IP a rule is for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Version {
    V4,
    V6,
}

impl Version {
    pub(super) const BOTH: [Self; 2] = [Self::V4, Self::V6];

    pub(super) fn number(self) -> u8 {
        match self {
            Self::V4 => libc::NFPROTO_IPV4 as u8,
            Self::V6 => libc::NFPROTO_IPV6 as u8,
        }
    }

    pub(super) fn address_length(self) -> u32 {
        match self {
            Self::V4 => 4,
            Self::V6 => 16,
        }
    }

    fn source_offset(self) -> u32 {
        match self {
            Self::V4 => 12,
            Self::V6 => 8,
        }
    }

    fn destination_offset(self) -> u32 {
        self.source_offset() + self.address_length()
    }
}

/// The longest name of an interface, with its end.
pub(super) const NAME_LENGTH: u32 = libc::IFNAMSIZ as u32;

/// What a packet's fate is.
#[derive(Clone, Copy, Debug)]
pub(super) enum Verdict {
    Accept,
    Drop,
    Return,
    /// What another chain says, or what comes next here.
    Jump(&'static str),
}

type Expression = Box<dyn FnOnce(&mut Message)>;

/// The expressions of a rule, in their order.
#[derive(Default)]
pub(super) struct Rule(Vec<Expression>);

impl Rule {
    /// For packets of this version.
    pub(super) fn of(version: Version) -> Self {
        Self::default().meta(libc::NFT_META_NFPROTO, FIRST).is(vec![version.number()])
    }

    /// For packets that came in by a link of these.
    pub(super) fn by_bridges(self) -> Self {
        self.meta(libc::NFT_META_IIFNAME, FIRST).within(Set::Bridges)
    }

    /// For packets that go out by a link of these.
    pub(super) fn into_bridges(self) -> Self {
        self.meta(libc::NFT_META_OIFNAME, FIRST).within(Set::Bridges)
    }

    /// For packets that go out by another.
    pub(super) fn leaving_bridges(self) -> Self {
        self.meta(libc::NFT_META_OIFNAME, FIRST).lookup(Set::Bridges, LOOKUP_INVERTED)
    }

    /// For packets that come in and go out by links that are connected.
    pub(super) fn between_open(self) -> Self {
        self.meta(libc::NFT_META_IIFNAME, FIRST)
            .meta(libc::NFT_META_OIFNAME, FIRST.after(NAME_LENGTH))
            .within(Set::Open)
    }

    /// For packets whose source is in a subnet of containers.
    pub(super) fn of_containers(self, version: Version) -> Self {
        self.source(version).within(Set::Subnets(version))
    }

    /// For packets whose source is the host's loopback.
    pub(super) fn of_own_loopback(self, version: Version) -> Self {
        self.source(version).loopback(version)
    }

    /// For packets whose destination is a loopback.
    pub(super) fn at_loopback(self, version: Version) -> Self {
        self.payload(NETWORK_HEADER, version.destination_offset(), version.address_length(), FIRST)
            .loopback(version)
    }

    fn source(self, version: Version) -> Self {
        self.payload(NETWORK_HEADER, version.source_offset(), version.address_length(), FIRST)
    }

    fn loopback(self, version: Version) -> Self {
        match version {
            Version::V4 => self.mask(vec![255, 0, 0, 0]).is(vec![127, 0, 0, 0]),
            Version::V6 => self.is(std::net::Ipv6Addr::LOCALHOST.octets().to_vec()),
        }
    }

    /// For packets whose destination is an address of the host.
    pub(super) fn at_host(self) -> Self {
        self.expression("fib", |data| {
            put_number(data, 1, FIRST.0);
            put_number(data, 2, FIB_KIND_OF_ADDRESS);
            put_number(data, 3, FIB_DESTINATION);
        })
        .is(u32::from(libc::RTN_LOCAL).to_ne_bytes().to_vec())
    }

    /// For packets of connections of which one of these states is true.
    pub(super) fn state(self, states: u32) -> Self {
        self.connection(libc::NFT_CT_STATE, states)
    }

    /// For packets of connections whose destination was changed.
    pub(super) fn sent_on_before(self) -> Self {
        self.connection(libc::NFT_CT_STATUS, STATUS_DESTINATION_CHANGED)
    }

    fn connection(self, key: i32, bits: u32) -> Self {
        self.expression("ct", move |data| {
            put_number(data, 1, FIRST.0);
            put_number(data, 2, key as u32);
        })
        .mask(bits.to_ne_bytes().to_vec())
        .compare(libc::NFT_CMP_NEQ, vec![0; 4])
    }

    /// Sends a packet on to where the map says that its port goes, by its destination's address
    /// too, if `by_address`.
    pub(super) fn send_on(self, version: Version, by_address: bool) -> Self {
        let length = version.address_length();
        let (set, rule, protocol) = if by_address {
            let offset = version.destination_offset();
            let rule = self.payload(NETWORK_HEADER, offset, length, FIRST);
            (Set::Addresses(version), rule, FIRST.after(length))
        } else {
            (Set::Ports(version), self, FIRST)
        };
        rule.meta(libc::NFT_META_L4PROTO, protocol)
            .payload(TRANSPORT_HEADER, DESTINATION_PORT, 2, protocol.after(1))
            .expression("lookup", move |data| {
                data.put_text(1, set.name());
                put_number(data, 2, FIRST.0);
                put_number(data, 3, FIRST.0);
            })
            .expression("nat", move |data| {
                put_number(data, 1, libc::NFT_NAT_DNAT as u32);
                put_number(data, 2, version.number().into());
                put_number(data, 3, FIRST.0);
                put_number(data, 5, FIRST.after(length).0);
            })
    }

    /// Gives a packet the address of the link that it leaves by.
    pub(super) fn masquerade(self) -> Self {
        self.expression("masq", |_| {})
    }

    pub(super) fn verdict(self, verdict: Verdict) -> Self {
        let (code, chain) = match verdict {
            Verdict::Accept => (libc::NF_ACCEPT, None),
            Verdict::Drop => (libc::NF_DROP, None),
            Verdict::Return => (libc::NFT_RETURN, None),
            Verdict::Jump(chain) => (libc::NFT_JUMP, Some(chain)),
        };
        self.expression("immediate", move |data| {
            put_number(data, 1, libc::NFT_REG_VERDICT as u32);
            data.nest(2, |value| {
                value.nest(DATA_VERDICT, |verdict| {
                    put_number(verdict, 1, code as u32);
                    if let Some(chain) = chain {
                        verdict.put_text(2, chain);
                    }
                });
            });
        })
    }

    /// Puts the expressions as a list.
    pub(super) fn put(self, message: &mut Message) {
        for expression in self.0 {
            message.nest(LIST_ELEMENT, expression);
        }
    }

    fn meta(self, key: i32, register: Register) -> Self {
        self.expression("meta", move |data| {
            put_number(data, 1, register.0);
            put_number(data, 2, key as u32);
        })
    }

    fn payload(self, base: u32, offset: u32, length: u32, register: Register) -> Self {
        self.expression("payload", move |data| {
            put_number(data, 1, register.0);
            put_number(data, 2, base);
            put_number(data, 3, offset);
            put_number(data, 4, length);
        })
    }

    fn mask(self, mask: Vec<u8>) -> Self {
        self.expression("bitwise", move |data| {
            put_number(data, 1, FIRST.0);
            put_number(data, 2, FIRST.0);
            put_number(data, 3, mask.len() as u32);
            data.nest(4, |value| value.put(DATA_VALUE, &mask));
            data.nest(5, |value| value.put(DATA_VALUE, &vec![0; mask.len()]));
        })
    }

    fn is(self, value: Vec<u8>) -> Self {
        self.compare(libc::NFT_CMP_EQ, value)
    }

    fn compare(self, how: i32, value: Vec<u8>) -> Self {
        self.expression("cmp", move |data| {
            put_number(data, 1, FIRST.0);
            put_number(data, 2, how as u32);
            data.nest(3, |other| other.put(DATA_VALUE, &value));
        })
    }

    fn within(self, set: Set) -> Self {
        self.lookup(set, 0)
    }

    fn lookup(self, set: Set, flags: u32) -> Self {
        self.expression("lookup", move |data| {
            data.put_text(1, set.name());
            put_number(data, 2, FIRST.0);
            put_number(data, 5, flags);
        })
    }

    fn expression(mut self, name: &'static str, data: impl FnOnce(&mut Message) + 'static) -> Self {
        self.0.push(Box::new(move |expression| {
            expression.put_text(EXPRESSION_NAME, name);
            expression.nest(EXPRESSION_DATA, data);
        }));
        self
    }
}

/// A verdict in an attribute of data.
const DATA_VERDICT: u16 = 2;

const NETWORK_HEADER: u32 = libc::NFT_PAYLOAD_NETWORK_HEADER as u32;
const TRANSPORT_HEADER: u32 = libc::NFT_PAYLOAD_TRANSPORT_HEADER as u32;
/// Where TCP, UDP and SCTP have it.
const DESTINATION_PORT: u32 = 2;

const LOOKUP_INVERTED: u32 = 1;
/// What is asked of the routes, and of which address.
const FIB_KIND_OF_ADDRESS: u32 = 3;
const FIB_DESTINATION: u32 = 2;
const STATUS_DESTINATION_CHANGED: u32 = 1 << 5;

/// States of a connection.
pub(super) const ESTABLISHED: u32 = 1 << 1;
pub(super) const RELATED: u32 = 1 << 2;
