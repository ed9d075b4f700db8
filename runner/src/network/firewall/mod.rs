//! The firewall: the table `inet berth` of nf_tables.
//!
//! Its rules never change. What changes are sets and maps that the rules look into, so a container
//! with published ports costs an element of a map, however many there are. Several engines on one
//! host share the table, as each has a bridge of its own in the sets. Other tables are never touched.
//!
//! ```text
//! table inet berth {
//!     set bridges { type ifname }                        bridges of containers
//!     set open    { type ifname . ifname }               which containers may talk to which
//!     set subnets_ipv4 { type ipv4_addr; flags interval }     whose addresses are containers'
//!     set subnets_ipv6 { … }
//!     map ports_ipv4     { type inet_proto . inet_service : ipv4_addr . inet_service }
//!     map addresses_ipv4 { type ipv4_addr . inet_proto . inet_service : ipv4_addr . inet_service }
//!     map ports_ipv6, addresses_ipv6 { … }
//!     chain user {}                                      people's own rules: never touched
//!     …
//! }
//! ```
//!
//! [`rules`] has the chains.

mod expression;
mod message;
mod rules;
mod sets;

use std::io;

use rustix::io::Errno;

use super::conntrack;
use super::netlink::{Family, Message, Socket};
use super::subnet::{Subnet, SubnetIpv6};
use super::{EndpointSettings, NetworkError, PublishedPort};

/// A way to the firewall of the namespace that this process is in.
///
/// A kernel that has just taken something out lets nobody close a socket before all processors have seen
/// that, which takes longer than all the rest. So whoever is waited for keeps this.
#[derive(Debug)]
pub(super) struct Firewall(Socket);

/// A bridge as the firewall knows it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Network<'a> {
    pub(super) bridge: &'a str,
    pub(super) ipv4: Subnet,
    pub(super) ipv6: Option<SubnetIpv6>,
}

impl Firewall {
    pub(super) fn open() -> Result<Self, NetworkError> {
        Socket::open(Family::Netfilter).map(Self).map_err(NetworkError::Firewall)
    }

    /// Whether the table is there and knows the bridge: somebody may have flushed all rules.
    pub(super) fn knows(&self, bridge: &str) -> Result<bool, NetworkError> {
        match self.0.ask(sets::find(&sets::bridge(bridge))) {
            Ok(_) => Ok(true),
            Err(Errno::NOENT) => Ok(false),
            Err(error) => Err(NetworkError::Firewall(error.into())),
        }
    }

    /// Makes the table, as far as it is not there, and tells it of a bridge.
    pub(super) fn set_up(&self, network: Network<'_>) -> Result<(), NetworkError> {
        self.change(rules::table()).map_err(NetworkError::Firewall)?;
        let mut messages = sets::by_set(&sets::of_network(network), sets::add);
        // Last: who finds it knows that all is there.
        messages.push(sets::add(&[sets::bridge(network.bridge)]));
        for message in messages {
            match self.change(vec![message]) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                result => result.map_err(NetworkError::Firewall)?,
            }
        }
        Ok(())
    }

    /// Takes a bridge out again.
    pub(super) fn forget(&self, network: Network<'_>) {
        let mut messages = vec![sets::delete(&[sets::bridge(network.bridge)])];
        messages.extend(sets::by_set(&sets::of_network(network), sets::delete));
        for message in messages {
            let _ = self.change(vec![message]);
        }
    }

    /// Sends published ports on to the addresses of a container. `false` when one of them goes elsewhere; then
    /// nothing is changed.
    pub(super) fn publish(&self, container: &EndpointSettings) -> Result<bool, NetworkError> {
        match self.change(sets::by_set(&sets::of_ports(container), sets::add)) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            result => result.map(|()| true).map_err(NetworkError::Firewall),
        }
    }

    /// The same wherever they go until now: to a container that is gone, when nobody was left to take them out.
    pub(super) fn publish_anew(&self, container: &EndpointSettings) -> Result<(), NetworkError> {
        self.unpublish(&container.ports);
        let added = self.change(sets::by_set(&sets::of_ports(container), sets::add));
        added.map_err(NetworkError::Firewall)
    }

    /// Has packets of UDP that come to published ports go where the rules say, although they went elsewhere before.
    pub(super) fn forget_connections(&self, container: &EndpointSettings) {
        if container.ports.iter().any(conntrack::is_udp) {
            conntrack::forget_others(&self.0, container);
        }
    }

    /// The same for ports of a container that goes.
    pub(super) fn forget_container(&self, container: &EndpointSettings) {
        if container.ports.iter().any(conntrack::is_udp) {
            conntrack::forget_container(&self.0, container);
        }
    }

    /// Takes published ports out. Those that are not there any more do not matter.
    pub(super) fn unpublish(&self, ports: &[PublishedPort]) {
        let elements = sets::of_published(ports);
        if self.change(sets::by_set(&elements, sets::delete)).is_err() {
            for element in elements {
                let _ = self.change(vec![sets::delete(&[element])]);
            }
        }
    }

    /// Takes the table away, with people's own rules in it.
    pub(super) fn remove(&self) -> Result<(), NetworkError> {
        match self.change(vec![rules::remove()]) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            result => result.map_err(NetworkError::Firewall),
        }
    }

    /// Does all that the messages ask for, or nothing.
    fn change(&self, messages: Vec<Message>) -> io::Result<()> {
        if messages.is_empty() {
            return Ok(());
        }
        let batch = [vec![message::begin()], messages, vec![message::end()]].concat();
        Ok(self.0.execute_batch(batch)?)
    }

    /// Whether what is forwarded is dropped by who has not said otherwise: another's table decides
    /// that, and none of ours can undo it.
    pub(super) fn others_drop(&self) -> bool {
        let chain = rules::foreign_policy("filter", "FORWARD");
        let answers = self.0.ask(chain).unwrap_or_default();
        answers.first().is_some_and(|answer| rules::is_policy_drop(answer))
    }
}
