//! What is left, by whom it is taken away, and what is never touched.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use berth_runner::network::{Attach, NetworkError, NetworkMode, PortMapping};

use super::host::{HOST, Host, WORLD, open};

#[test]
#[ignore = "needs root: cargo xtask runner"]
fn what_is_given_back_twice_is_given_back() {
    let host = Host::new();
    let one = host.container("one", &["8080:80"]);
    host.detach("one");
    host.detach("one");
    host.detach("never");
    drop(one);
    let again = host.container("one", &["8080:80"]);
    again.place.serve(80, "again");
    assert_eq!(host.world.call((HOST, 8080)), Some(format!("again {WORLD}")));
}

#[test]
#[ignore = "needs root: cargo xtask runner"]
fn a_container_that_nobody_detached_gives_way_to_its_next_start() {
    let host = Host::new();
    let one = host.container("one", &["8080:80"]);
    let address = one.ipv4();
    drop(one);
    let again = host.container("one", &["8080:80"]);
    again.place.serve(80, "again");
    assert_ne!(again.ipv4(), address, "an address is used again as late as possible");
    assert_eq!(host.world.call((HOST, 8080)), Some(format!("again {WORLD}")));
}

#[test]
#[ignore = "needs root: cargo xtask runner"]
fn what_dead_containers_had_is_collected() {
    let host = Host::new();
    let dead = host.container("dead", &["8080:80", "127.0.0.1:53:53/udp"]);
    let alive = host.container("alive", &["9090:90"]);
    alive.place.serve(90, "alive");
    drop(dead);
    let networks = host.networks_again();
    let collect = || host.place.run(|| networks.collect(&|id| id == "alive")).unwrap();
    assert_eq!(collect(), ["dead"]);
    assert!(collect().is_empty());
    assert!(host.world.call((HOST, 9090)).is_some());
    assert_eq!(host.world.call((HOST, 8080)), None);
    host.container("next", &["8080:80", "127.0.0.1:53:53/udp"]);
}

#[test]
#[ignore = "needs root: cargo xtask runner"]
fn a_port_that_nobody_holds_any_more_is_its_containers_until_that_is_detached() {
    let host = Host::new();
    let killed = host.container("killed", &["8080:80"]);
    killed.place.serve(80, "killed");
    let place = killed.place;
    // Who held the port was killed, and the container runs on.
    drop(killed.endpoint);
    let refused = host.try_container("next", &["8081:80", "8080:80"], &[]).err();
    let Some(NetworkError::PortHeld { address, container }) = refused else {
        panic!("{refused:?}")
    };
    assert_eq!((address.port(), container.as_str()), (8080, "killed"));
    assert_eq!(host.world.call((HOST, 8080)), Some(format!("killed {WORLD}")));
    let resumed = host.place.run(|| host.networks_again().resume("killed", std::process::id()));
    let resumed = resumed.unwrap().unwrap();
    let refused = host.try_container("next", &["8080:80"], &[]).err();
    assert!(matches!(refused, Some(NetworkError::PortAllocated { .. })), "{refused:?}");
    drop((resumed, place));

    host.detach("killed");
    let next = host.container("next", &["8080:80", "8081:80"]);
    next.place.serve(80, "next");
    for port in [8080, 8081] {
        assert_eq!(host.world.call((HOST, port)), Some(format!("next {WORLD}")));
    }
}

/// Where the one that is killed has its engine.
const FOLDER: &str = "BERTH_TEST_ATTACH_IN";

/// What [`what_is_left_of_those_that_are_killed_is_collected`] starts in a process of its own.
#[test]
#[ignore = "started by another test"]
fn attach_and_detach_for_ever() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let networks = open(Path::new(&folder));
    let ports = PortMapping::parse("8080-8083:80-83").unwrap();
    for n in 0.. {
        let id = format!("c{n}");
        let mode = &NetworkMode::Bridge;
        let request = Attach {
            container: &id,
            mode,
            joined: None,
            ports: &ports,
            exposed: &[],
            publish_all: false,
        };
        let endpoint = networks.attach(&request).unwrap();
        networks.detach(&id).unwrap();
        drop(endpoint);
    }
}

#[test]
#[ignore = "needs root: cargo xtask runner"]
fn what_is_left_of_those_that_are_killed_is_collected() {
    let host = Host::new();
    for milliseconds in (0..60).step_by(3) {
        let mut child = host.place.run(|| {
            let mut command = Command::new(std::env::current_exe().unwrap());
            command.args(["--exact", "leftovers::attach_and_detach_for_ever", "--ignored"]);
            command.env(FOLDER, host.folder()).stdout(Stdio::null()).spawn().unwrap()
        });
        // It does not matter where this meets it, only that it is not always the same.
        std::thread::sleep(std::time::Duration::from_millis(milliseconds));
        child.kill().unwrap();
        child.wait().unwrap();
        let networks = host.networks_again();
        host.place.run(|| networks.collect(&|_| false)).unwrap();
        let left = |folder: &str| {
            let entries = fs::read_dir(host.folder().join("run/network").join(folder)).unwrap();
            let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
            names.filter(|name| !name.starts_with("last")).collect::<Vec<_>>()
        };
        assert_eq!([left("addresses"), left("endpoints")], [const { Vec::<String>::new() }; 2]);
    }
    let next = host.container("next", &["8080-8083:80-83"]);
    next.place.serve(83, "next");
    assert_eq!(host.world.call((HOST, 8083)), Some(format!("next {WORLD}")));
}

#[test]
#[ignore = "needs root: cargo xtask runner"]
fn links_go_with_their_namespace() {
    let host = Host::new();
    let ports = || host.place.ip("-brief link show master berth0").lines().count();
    let one = host.container("one", &[]);
    assert_eq!(ports(), 1);
    drop(one);
    host.detach("one");
    // The kernel takes its time, but it needs nobody to ask for it.
    let gone = (0..500).any(|_| {
        std::thread::sleep(std::time::Duration::from_millis(10));
        ports() == 0
    });
    assert!(gone);
}

#[test]
#[ignore = "needs root: cargo xtask runner"]
fn rules_of_others_are_as_they_were() {
    let host = Host::new();
    host.place.command("iptables", "-A FORWARD -s 198.51.100.0/24 -j DROP");
    host.place.command("iptables", "-t nat -A POSTROUTING -s 198.51.100.0/24 -j MASQUERADE");
    host.place.command("ip6tables", "-A INPUT -s 2001:db8:5::/64 -j DROP");
    let rules = || {
        let save = |program| {
            let text = host.place.command(program, "");
            let lines = text.lines().filter(|line| !line.starts_with('#'));
            lines.map(|line| format!("{line}\n")).collect::<String>()
        };
        save("iptables-save") + &save("ip6tables-save")
    };
    let before = rules();
    assert!(before.contains("198.51.100.0/24"));
    let one = host.container("one", &["8080:80"]);
    assert_eq!(rules(), before);
    host.detach("one");
    drop(one);
    assert_eq!(rules(), before);
}

#[test]
#[ignore = "needs root: cargo xtask runner"]
fn containers_are_connected_again_when_somebody_flushed_all_rules() {
    let host = Host::new();
    let one = host.container("one", &["8080:80"]);
    one.place.serve(80, "one");
    host.world.serve(80, "world");
    flush(&host);
    assert_eq!(host.world.call((HOST, 8080)), None);
    let two = host.container("two", &[]);
    assert_eq!(two.place.call((WORLD, 80)), Some(format!("world {HOST}")));
    assert_eq!(host.world.call((HOST, 8080)), Some(format!("one {WORLD}")));
}

/// As `nft flush ruleset` does, which many hosts run when their own rules change.
fn flush(host: &Host) {
    host.place.run(|| berth_runner::network::remove_rules().unwrap());
}

#[test]
#[ignore = "needs root: cargo xtask runner"]
fn a_policy_of_others_that_drops_is_told_of() {
    let host = Host::new();
    host.place.command("iptables", "-P FORWARD DROP");
    let one = host.container("one", &[]);
    let [warning] = &one.endpoint.warnings[..] else { panic!("{:?}", one.endpoint.warnings) };
    assert!(warning.contains("iptables -I FORWARD -i berth0 -j ACCEPT"), "{warning}");
    host.world.serve(80, "world");
    assert_eq!(one.place.call((WORLD, 80)), None);
    host.place.command("iptables", "-I FORWARD -i berth0 -j ACCEPT");
    host.place.command("iptables", "-I FORWARD -o berth0 -j ACCEPT");
    assert_eq!(one.place.call((WORLD, 80)), Some(format!("world {HOST}")));
}
