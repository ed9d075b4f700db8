//! The chains of the table and their rules.
//!
//! ```text
//! chain prerouting  { type nat hook prerouting priority dstnat }    to the host's ports from outside
//! chain output      { type nat hook output priority dstnat }        and from the host itself
//! chain ports       {}                                              where they go
//! chain postrouting { type nat hook postrouting priority srcnat }   whose source is changed
//! chain guard       { type filter hook prerouting priority raw }    what containers must not reach
//! chain forward     { type filter hook forward priority filter }    who may talk to containers
//! chain user        {}                                              people's own rules
//! ```

use crate::network::netlink::{Message, attributes};

use super::expression::{ESTABLISHED, RELATED, Rule, Verdict, Version};
use super::message::{TABLE, about, append, create, of_family, put_number};
use super::sets::Set;

/// A chain of ours.
struct Chain {
    name: &'static str,
    hook: Option<Hook>,
    rules: Vec<Rule>,
}

/// Where in its way a packet meets a chain.
struct Hook {
    kind: &'static str,
    number: i32,
    priority: i32,
}

/// The messages that make the table as it should be, whether it was there or not. The chain `user`
/// is made if it is not there, and no rule in it is touched.
pub(super) fn table() -> Vec<Message> {
    let mut table = create(libc::NFT_MSG_NEWTABLE);
    table.put_text(1, TABLE);
    let mut messages = vec![table];
    messages.extend(Set::ALL.iter().zip(1..).map(|(set, id)| set.make(id)));
    messages.push(make(&Chain { name: USER, hook: None, rules: Vec::new() }));
    let chains = chains();
    // All of them first: rules jump from one to another.
    messages.extend(chains.iter().flat_map(|chain| [make(chain), flush(chain.name)]));
    for chain in chains {
        messages.extend(chain.rules.into_iter().map(|rule| add_rule(chain.name, rule)));
    }
    messages
}

/// The message that takes the table away with all that is in it.
pub(super) fn remove() -> Message {
    let mut message = about(libc::NFT_MSG_DELTABLE, 0);
    message.put_text(1, TABLE);
    message
}

const USER: &str = "user";
const PORTS: &str = "ports";
const INWARD: &str = "inward";

fn chains() -> Vec<Chain> {
    vec![
        Chain { name: PORTS, hook: None, rules: ports() },
        Chain { name: INWARD, hook: None, rules: inward() },
        Chain {
            name: "prerouting",
            hook: nat(libc::NF_INET_PRE_ROUTING, -100),
            rules: prerouting(),
        },
        Chain { name: "output", hook: nat(libc::NF_INET_LOCAL_OUT, -100), rules: output() },
        Chain {
            name: "postrouting",
            hook: nat(libc::NF_INET_POST_ROUTING, 100),
            rules: postrouting(),
        },
        Chain { name: "guard", hook: filter(libc::NF_INET_PRE_ROUTING, -300), rules: guard() },
        Chain { name: "forward", hook: filter(libc::NF_INET_FORWARD, 0), rules: forward() },
    ]
}

fn nat(number: i32, priority: i32) -> Option<Hook> {
    Some(Hook { kind: "nat", number, priority })
}

fn filter(number: i32, priority: i32) -> Option<Hook> {
    Some(Hook { kind: "filter", number, priority })
}

/// A loopback address has no business on a link: what is published there is for the host alone.
fn prerouting() -> Vec<Rule> {
    vec![
        Rule::of(Version::V4).at_loopback(Version::V4).verdict(Verdict::Return),
        Rule::default().at_host().verdict(Verdict::Jump(PORTS)),
    ]
}

/// The loopback of IPv6 cannot be sent on: the kernel drops what comes back. It is left alone, so that
/// who tries it is refused at once, and goes on to that of IPv4.
fn output() -> Vec<Rule> {
    vec![
        Rule::of(Version::V6).at_loopback(Version::V6).verdict(Verdict::Return),
        Rule::default().at_host().verdict(Verdict::Jump(PORTS)),
    ]
}

/// A port that is published at one address counts more than one that is at all.
fn ports() -> Vec<Rule> {
    let rules =
        |version| [true, false].map(|by_address| Rule::of(version).send_on(version, by_address));
    Version::BOTH.into_iter().flat_map(rules).collect()
}

/// Outwards, containers have the address of the host. A container that reaches itself or its
/// neighbour by a port of the host, and the host that reaches one by its loopback, are seen with the
/// address of the bridge: else the answer would not come back the same way.
fn postrouting() -> Vec<Rule> {
    let rules = |version| {
        let containers = || Rule::of(version).of_containers(version);
        [
            containers().leaving_bridges().masquerade(),
            containers().into_bridges().sent_on_before().masquerade(),
        ]
    };
    let mut all: Vec<_> = Version::BOTH.into_iter().flat_map(rules).collect();
    all.push(Rule::of(Version::V4).of_own_loopback(Version::V4).into_bridges().masquerade());
    all
}

/// The bridge lets packets through to the host's loopback, for the answers to what the host sends
/// from there; containers must not send any.
fn guard() -> Vec<Rule> {
    let rule = Rule::of(Version::V4).at_loopback(Version::V4);
    vec![rule.by_bridges().verdict(Verdict::Drop)]
}

fn forward() -> Vec<Rule> {
    vec![
        Rule::default().verdict(Verdict::Jump(USER)),
        Rule::default().between_open().verdict(Verdict::Accept),
        Rule::default().into_bridges().verdict(Verdict::Jump(INWARD)),
    ]
}

/// Only answers, and what comes by a published port, reach a container from elsewhere.
fn inward() -> Vec<Rule> {
    vec![
        Rule::default().state(ESTABLISHED | RELATED).verdict(Verdict::Accept),
        Rule::default().sent_on_before().verdict(Verdict::Accept),
        Rule::default().verdict(Verdict::Drop),
    ]
}

fn make(chain: &Chain) -> Message {
    let mut message = create(libc::NFT_MSG_NEWCHAIN);
    message.put_text(1, TABLE);
    message.put_text(3, chain.name);
    if let Some(hook) = &chain.hook {
        message.nest(4, |attributes| {
            put_number(attributes, 1, hook.number as u32);
            put_number(attributes, 2, hook.priority as u32);
        });
        put_number(&mut message, CHAIN_POLICY, libc::NF_ACCEPT as u32);
        message.put_text(7, hook.kind);
    }
    message
}

/// Takes out the rules of a chain of ours.
fn flush(chain: &str) -> Message {
    let mut message = about(libc::NFT_MSG_DELRULE, 0);
    message.put_text(1, TABLE);
    message.put_text(2, chain);
    message
}

fn add_rule(chain: &str, rule: Rule) -> Message {
    let mut message = append(libc::NFT_MSG_NEWRULE);
    message.put_text(1, TABLE);
    message.put_text(2, chain);
    message.nest(4, |expressions| rule.put(expressions));
    message
}

const CHAIN_POLICY: u16 = 5;

/// The question for a chain of another's table of IPv4.
pub(super) fn foreign_policy(table: &str, chain: &str) -> Message {
    let mut message = of_family(libc::NFPROTO_IPV4, libc::NFT_MSG_GETCHAIN, 0);
    message.put_text(1, table);
    message.put_text(3, chain);
    message
}

/// Whether the answer says that what nobody accepts is dropped.
pub(super) fn is_policy_drop(answer: &[u8]) -> bool {
    let drop = (libc::NF_DROP as u32).to_be_bytes();
    let attributes = answer.get(4..).unwrap_or_default();
    self::attributes(attributes).any(|(kind, value)| kind == CHAIN_POLICY && value == drop)
}
