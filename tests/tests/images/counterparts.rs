//! The tools that people have beside berth: what we save they load, what we push they pull, and the reverse.

use std::os::unix::net::UnixStream;

use anyhow::Result;
use berth_tests::process::Daemon;
use berth_tests::{Home, Server, fixtures};

use crate::archives::load_busybox;
use crate::machine::{Machine, publish};

/// A Docker daemon of the test's own, in which nothing is run.
fn dockerd(home: &mut Home) -> Result<Daemon> {
    let socket = home.path("run/docker.sock");
    let line = format!(
        "dockerd --data-root {} --exec-root {} --pidfile {} --host unix://{} --iptables=false --ip6tables=false --bridge=none",
        home.path("docker").display(),
        home.path("run/docker").display(),
        home.path("run/docker.pid").display(),
        socket.display()
    );
    home.set("DOCKER_HOST", format!("unix://{}", socket.display()));
    let mut daemon = home.daemon("dockerd", &line)?;
    daemon.wait_until(|| UnixStream::connect(&socket).is_ok())?;
    Ok(daemon)
}

#[test]
#[ignore = "started by cargo xtask runner"]
fn docker_and_berth_take_each_others_archives_and_images() -> Result<()> {
    let (server, mut machine) = (Server::start()?, Machine::new()?);
    let daemon = dockerd(&mut machine.home)?;
    let id = load_busybox(&machine)?;
    machine.berth(&format!("tag {id} app:1"))?;
    let archive = machine.home.path("berth.tar");
    machine.berth(&format!("save -o {} app:1", archive.display()))?;
    let told = machine.home.run(&format!("docker load -i {}", archive.display()))?;
    assert!(told.contains("Loaded image: app:1"), "{told}");
    let known = machine.home.run("docker image inspect --format {{.Id}} app:1")?;
    assert_eq!(known, id);

    let archive = machine.home.path("docker.tar");
    machine.home.run(&format!("docker save -o {} app:1", archive.display()))?;
    machine.berth("rmi app:1")?;
    assert_eq!(machine.berth(&format!("load -i {}", archive.display()))?, "Loaded image: app:1");
    assert_eq!(machine.inspect("app:1", "{{.Id}}")?, id);

    let name = format!("{}/app:1", server.host());
    machine.berth(&format!("tag app:1 {name}"))?;
    machine.berth(&format!("push {name}"))?;
    machine.home.run("docker rmi app:1")?;
    machine.home.run(&format!("docker pull {name}"))?;
    assert_eq!(machine.home.run(&format!("docker image inspect --format {{{{.Id}}}} {name}"))?, id);

    let other = format!("{}/other:1", server.host());
    machine.home.run(&format!("docker tag {name} {other}"))?;
    machine.home.run(&format!("docker push {other}"))?;
    machine.berth(&format!("pull {other}"))?;
    assert_eq!(machine.inspect(&other, "{{.Id}}")?, id);
    daemon.stop()?;
    server.stop()
}

#[test]
#[ignore = "started by cargo xtask runner"]
fn podman_and_skopeo_take_our_archives_and_we_theirs() -> Result<()> {
    let (server, machine) = (Server::start()?, Machine::new()?);
    let id = load_busybox(&machine)?;
    machine.berth(&format!("tag {id} localhost/app:1"))?;
    let archive = machine.home.path("berth.tar");
    machine.berth(&format!("save -o {} localhost/app:1", archive.display()))?;
    let told = machine.home.run(&format!("podman load -i {}", archive.display()))?;
    assert!(told.contains("localhost/app:1"), "{told}");
    for format in ["docker-archive", "oci-archive"] {
        let theirs = machine.home.path("podman.tar");
        machine.home.run(&format!(
            "podman save --format {format} -o {} localhost/app:1",
            theirs.display()
        ))?;
        machine.berth("rmi localhost/app:1")?;
        let told = machine.berth(&format!("load -i {}", theirs.display()))?;
        assert_eq!(told, "Loaded image: localhost/app:1", "{format}");
        std::fs::remove_file(theirs)?;
    }
    // An OCI archive whose reference is a tag alone has no name.
    let theirs = machine.home.path("skopeo.tar");
    machine.home.run(&format!(
        "skopeo copy --quiet {} oci-archive:{}:1",
        fixtures::busybox()?.oci(),
        theirs.display()
    ))?;
    let told = machine.berth(&format!("load -i {}", theirs.display()))?;
    assert_eq!(told, format!("Loaded image ID: {id}"));
    publish(&machine, &fixtures::busybox()?, &format!("{}/app:1", server.host()))?;
    server.stop()
}
