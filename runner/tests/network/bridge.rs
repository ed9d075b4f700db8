//! Containers, their host and the world beyond.

use std::collections::HashSet;
use std::net::IpAddr;

use berth_runner::network::{Attach, NetworkError, NetworkMode};

use super::host::{HOST, Host, WORLD, WORLD_IPV6};
use super::place::Place;

fn request<'a>(id: &'a str, mode: &'a NetworkMode) -> Attach<'a> {
    Attach { container: id, mode, joined: None, ports: &[], exposed: &[], publish_all: false }
}

#[test]
#[ignore = "needs root: cargo xtask runner"]
fn containers_reach_each_other_and_the_host() {
    let host = Host::new();
    let (one, two) = (host.container("one", &[]), host.container("two", &[]));
    one.place.serve(80, "one");
    host.place.serve(90, "host");
    let answer = |ip: IpAddr| Some(format!("one {ip}"));
    assert_eq!(two.place.call((one.ipv4(), 80)), answer(two.ipv4().into()));
    assert_eq!(two.place.call((one.ipv6(), 80)), answer(two.ipv6().into()));
    assert_eq!(host.place.call((one.ipv4(), 80)), answer(one.gateway().into()));
    assert_eq!(host.place.call((one.ipv6(), 80)), answer(one.gateway_ipv6().into()));
    assert_eq!(one.place.call("127.0.0.1:80"), Some("one 127.0.0.1".into()));
    let seen = Some(format!("host {}", one.ipv4()));
    assert_eq!(one.place.call((one.gateway(), 90)), seen);
    assert_eq!(one.place.call((HOST, 90)), seen);
    let seen = Some(format!("host {}", one.ipv6()));
    assert_eq!(one.place.call((one.gateway_ipv6(), 90)), seen);
}

#[test]
#[ignore = "needs root: cargo xtask runner"]
fn the_world_sees_containers_with_the_address_of_the_host_and_does_not_reach_them() {
    let host = Host::new();
    let one = host.container("one", &[]);
    host.world.serve(80, "world");
    one.place.serve(80, "one");
    assert_eq!(one.place.call((WORLD, 80)), Some(format!("world {HOST}")));
    assert_eq!(one.place.call_by_udp((WORLD, 80)), Some(format!("world {HOST}")));
    assert!(one.place.call((WORLD_IPV6, 80)).unwrap().starts_with("world 2001:db8::1"));
    // A neighbour that knows the way still gets nothing.
    host.world.ip(&format!("route add {}/32 via {HOST}", one.ipv4()));
    assert_eq!(host.world.call((one.ipv4(), 80)), None);
    assert_eq!(host.world.call_by_udp((one.ipv4(), 80)), None);
}

#[test]
#[ignore = "needs root: cargo xtask runner"]
fn a_container_cannot_reach_the_loopback_of_the_host() {
    let host = Host::new();
    let one = host.container("one", &[]);
    host.place.serve(90, "host");
    // It may say what it wants of its own routes.
    one.place.ip("route del local 127.0.0.0/8 dev lo table local");
    one.place.ip("route del local 127.0.0.1 dev lo table local");
    one.place.ip("addr del 127.0.0.1/8 dev lo");
    one.place.run(|| std::fs::write("/proc/sys/net/ipv4/conf/eth0/route_localnet", "1").unwrap());
    one.place.ip(&format!("route add 127.0.0.0/8 via {} dev eth0", one.gateway()));
    assert_eq!(
        one.place.call((one.gateway(), 90)).as_deref(),
        Some(&*format!("host {}", one.ipv4()))
    );
    assert_eq!(one.place.call("127.0.0.1:90"), None);
}

#[test]
#[ignore = "needs root: cargo xtask runner"]
fn a_container_without_a_network_has_a_loopback() {
    let host = Host::new();
    let endpoint = host.place.run(|| host.networks.attach(&request("one", &NetworkMode::None)));
    let place = Place::of(&endpoint.unwrap().namespace);
    place.serve(80, "one");
    assert_eq!(place.call("127.0.0.1:80"), Some("one 127.0.0.1".into()));
    assert_eq!(place.call((HOST, 80)), None);
    let links = place.ip("-brief link");
    assert!(links.lines().all(|line| !line.contains("eth")), "{links}");
}

#[test]
#[ignore = "needs root: cargo xtask runner"]
fn the_network_of_the_host_or_of_a_process_is_joined() {
    let host = Host::new();
    let endpoint = host.place.run(|| host.networks.attach(&request("one", &NetworkMode::Host)));
    let place = Place::of(&endpoint.unwrap().namespace);
    assert_eq!(place.ip("link show up0"), host.place.ip("link show up0"));

    let other = host.container("other", &[]);
    let mut sleeper =
        other.place.run(|| std::process::Command::new("sleep").arg("60").spawn().unwrap());
    let mode = NetworkMode::Container("other".into());
    let joined = Attach { joined: Some(sleeper.id()), ..request("two", &mode) };
    let endpoint = host.place.run(|| host.networks.attach(&joined)).unwrap();
    assert_eq!(Place::of(&endpoint.namespace).ip("addr"), other.place.ip("addr"));
    sleeper.kill().unwrap();
    sleeper.wait().unwrap();

    let named = NetworkMode::Named("backend".into());
    let error = host.networks.attach(&request("three", &named)).unwrap_err();
    assert!(matches!(error, NetworkError::NotFound(name) if name == "backend"));
}

#[test]
#[ignore = "needs root: cargo xtask runner"]
fn a_subnet_that_the_host_uses_is_not_taken() {
    let host = Host::new();
    host.place.ip("route add 172.29.64.0/24 dev up0");
    let one = host.container("one", &[]);
    assert_eq!(one.ipv4().octets()[..2], [172, 30]);
    // It stays the same, although there is a route to it now.
    assert_eq!(host.container("two", &[]).ipv4().octets()[..2], [172, 30]);
}

#[test]
#[ignore = "needs root: cargo xtask runner"]
fn two_hundred_containers_have_addresses_and_links_of_their_own() {
    let host = Host::new();
    let ids: Vec<_> = (0..200).map(|n| format!("c{n}")).collect();
    let containers: Vec<_> = ids
        .iter()
        .enumerate()
        .map(|(n, id)| host.container(id, &[&format!("{}:80", 20_000 + n)]))
        .collect();
    let addresses: HashSet<_> = containers.iter().map(|one| one.ipv4()).collect();
    assert_eq!(addresses.len(), 200);
    containers[199].place.serve(80, "last");
    assert!(containers[0].place.call((containers[199].ipv4(), 80)).unwrap().starts_with("last"));
    assert!(host.world.call((HOST, 20_199)).unwrap().starts_with("last"));
    for id in &ids {
        host.detach(id);
    }
    assert_eq!(host.world.call((HOST, 20_199)), None);
}
