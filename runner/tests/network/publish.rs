//! Published ports, from all sides.

use std::net::{IpAddr, UdpSocket};

use berth_runner::network::NetworkError;

use super::host::{HOST, HOST_IPV6, Host, WORLD, WORLD_IPV6};

#[test]
#[ignore = "needs root: cargo xtask runner"]
fn a_published_port_is_reached_from_the_world_which_is_seen_as_it_is() {
    let host = Host::new();
    let one = host.container("one", &["8080:80", "8080:80/udp"]);
    one.place.serve(80, "one");
    let seen = Some(format!("one {WORLD}"));
    assert_eq!(host.world.call((HOST, 8080)), seen);
    assert_eq!(host.world.call_by_udp((HOST, 8080)), seen);
    let seen = Some(format!("one {WORLD_IPV6}"));
    assert_eq!(host.world.call((HOST_IPV6, 8080)), seen);
    assert_eq!(host.world.call_by_udp((HOST_IPV6, 8080)), seen);
    assert_eq!(host.world.call((HOST, 8081)), None);
}

#[test]
#[ignore = "needs root: cargo xtask runner"]
fn a_published_port_is_reached_from_the_host() {
    let host = Host::new();
    let one = host.container("one", &["8080:80", "8080:80/udp"]);
    one.place.serve(80, "one");
    assert_eq!(host.place.call((HOST, 8080)), Some(format!("one {HOST}")));
    let gateway = Some(format!("one {}", one.gateway()));
    assert_eq!(host.place.call("127.0.0.1:8080"), gateway);
    assert_eq!(host.place.call_by_udp("127.0.0.1:8080"), gateway);
    assert_eq!(host.place.call((HOST_IPV6, 8080)), Some(format!("one {HOST_IPV6}")));
    assert!(host.place.is_refused("[::1]:8080"), "so that clients go on to 127.0.0.1");
}

#[test]
#[ignore = "needs root: cargo xtask runner"]
fn a_published_port_is_reached_from_its_container_and_from_another() {
    let host = Host::new();
    let one = host.container("one", &["8080:80", "8080:80/udp"]);
    let two = host.container("two", &[]);
    one.place.serve(80, "one");
    for filtered in ["1", "0"] {
        // Bridges give packets to the rules of IP, or do not, as another program of the host wants.
        let setting = "/proc/sys/net/bridge/bridge-nf-call-iptables";
        if std::fs::exists(setting).unwrap() {
            host.place.run(|| std::fs::write(setting, filtered).unwrap());
        }
        for place in [&one.place, &two.place] {
            let answers =
                |answer: Option<String>| answer.is_some_and(|text| text.starts_with("one "));
            assert!(answers(place.call((HOST, 8080))), "filtered: {filtered}");
            assert!(answers(place.call((one.gateway(), 8080))), "filtered: {filtered}");
            assert!(answers(place.call_by_udp((HOST, 8080))), "filtered: {filtered}");
            assert!(answers(place.call((HOST_IPV6, 8080))), "filtered: {filtered}");
        }
    }
}

#[test]
#[ignore = "needs root: cargo xtask runner"]
fn a_port_of_one_address_is_published_there_alone() {
    let host = Host::new();
    host.place.ip("addr add 203.0.113.9/24 dev up0");
    let one = host.container("one", &["127.0.0.1:8080:80", "203.0.113.9:8081:80"]);
    one.place.serve(80, "one");
    assert!(host.place.call("127.0.0.1:8080").is_some());
    assert_eq!(host.place.call((HOST, 8080)), None);
    assert!(host.world.call("203.0.113.9:8081").is_some());
    assert_eq!(host.world.call((HOST, 8081)), None);
    // Who is on the same link could send to the loopback all the same.
    host.world.run(|| std::fs::write("/proc/sys/net/ipv4/conf/all/route_localnet", "1").unwrap());
    host.world.ip("addr del 127.0.0.1/8 dev lo");
    host.world.ip(&format!("route add 127.0.0.1/32 via {HOST}"));
    assert_eq!(host.world.call("127.0.0.1:8080"), None);
}

#[test]
#[ignore = "needs root: cargo xtask runner"]
fn two_containers_share_a_port_at_two_addresses() {
    let host = Host::new();
    host.place.ip("addr add 203.0.113.9/24 dev up0");
    let one = host.container("one", &["203.0.113.1:8080:80"]);
    let two = host.container("two", &["203.0.113.9:8080:80"]);
    one.place.serve(80, "one");
    two.place.serve(80, "two");
    assert_eq!(host.world.call("203.0.113.1:8080"), Some(format!("one {WORLD}")));
    assert_eq!(host.world.call("203.0.113.9:8080"), Some(format!("two {WORLD}")));
}

#[test]
#[ignore = "needs root: cargo xtask runner"]
fn ranges_are_published_in_pairs_and_exposed_ports_anywhere() {
    let host = Host::new();
    let one = host.try_container("one", &["7000-7002:80-82"], &["80/tcp", "90/tcp"]).unwrap();
    one.place.serve(81, "one");
    one.place.serve(90, "exposed");
    assert!(host.world.call((HOST, 7001)).unwrap().starts_with("one"));
    let ports = &one.endpoint.settings.ports;
    let exposed: Vec<_> = ports.iter().filter(|port| port.container.number == 90).collect();
    assert_eq!(exposed.len(), 2, "by both versions of IP: {ports:?}");
    assert!(host.world.call((HOST, exposed[0].host_port)).unwrap().starts_with("exposed"));
    let bindings = one.endpoint.settings.to_network_settings().ports;
    assert_eq!(bindings.len(), 4);
    assert_eq!(bindings[&"80/tcp".parse().unwrap()].as_ref().unwrap()[0].host_port, "7000");
}

#[test]
#[ignore = "needs root: cargo xtask runner"]
fn a_port_that_is_taken_is_told_of_and_nothing_is_left() {
    let host = Host::new();
    let one = host.container("one", &["8080:80"]);
    let error = host.try_container("two", &["9090:90", "8080:80"], &[]).err().unwrap();
    assert_eq!(error.to_string(), "Bind for 0.0.0.0:8080 failed: port is already allocated");
    host.place.serve(7070, "host");
    let error = host.try_container("two", &["7070:80"], &[]).err().unwrap();
    assert!(matches!(error, NetworkError::PortTaken { .. }), "{error}");

    // Neither its address nor its other port is missing now.
    let two = host.container("two", &["9090:90"]);
    assert_ne!(two.ipv4(), one.ipv4());
    host.detach("one");
    drop(one);
    assert_eq!(host.container("three", &["8080:80"]).host_port(), 8080);
}

#[test]
#[ignore = "needs root: cargo xtask runner"]
fn a_client_that_keeps_on_asking_by_udp_reaches_who_has_the_port_now() {
    let host = Host::new();
    let ask = |address: IpAddr| host.world.call_by_udp_from(4000, (address, 8080));
    let (ipv4, ipv6) = (IpAddr::from(HOST), IpAddr::from(HOST_IPV6));
    let one = host.container("one", &["8080:80/udp"]);
    one.place.serve(80, "one");
    assert_eq!(
        [ask(ipv4), ask(ipv6)],
        [WORLD.into(), WORLD_IPV6.into()].map(|it: IpAddr| Some(format!("one {it}")))
    );
    host.detach("one");
    drop(one);
    // A program of the host has the port meanwhile, which is remembered as well.
    let program = host.place.run(|| UdpSocket::bind((ipv4, 8080)).unwrap());
    assert_eq!(ask(ipv4), None);
    drop(program);
    let two = host.container("two", &["8080:80/udp"]);
    two.place.serve(80, "two");
    assert_eq!(
        [ask(ipv4), ask(ipv6)],
        [WORLD.into(), WORLD_IPV6.into()].map(|it: IpAddr| Some(format!("two {it}")))
    );
}
