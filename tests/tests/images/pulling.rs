use std::fs;
use std::process::Stdio;

use anyhow::{Result, ensure};
use berth_tests::disk::Disk;
use berth_tests::{Server, fixtures, wait};

use crate::machine::{Machine, publish};
use crate::scripted::Scripted;

#[test]
#[ignore = "started by cargo xtask runner"]
fn a_pull_is_told_as_docker_tells_it() -> Result<()> {
    let (server, machine, layout) = (Server::start()?, Machine::new()?, fixtures::busybox()?);
    let name = format!("{}/team/busybox", server.host());
    publish(&machine, &layout, &name)?;
    let told = machine.berth(&format!("pull {name}"))?;
    let lines: Vec<&str> = told.lines().collect();
    assert_eq!(lines[..2], ["Using default tag: latest", "latest: Pulling from team/busybox"]);
    assert_eq!(told.matches(": Pull complete").count(), 2, "{told}");
    let digest = format!("Digest: {}", layout.digest);
    let status = format!("Status: Downloaded newer image for {name}:latest");
    assert_eq!(lines[lines.len() - 3..], [&*digest, &*status, &*format!("{name}:latest")]);

    let again = machine.berth(&format!("pull {name}:latest"))?;
    assert_eq!(again.matches(": Already exists").count(), 2, "{again}");
    assert!(again.contains(&format!("Status: Image is up to date for {name}:latest")), "{again}");
    assert_eq!(machine.berth(&format!("pull -q {name}"))?, format!("{name}:latest"));

    let by_digest = format!("{name}@{}", layout.digest);
    machine.berth(&format!("pull {by_digest}"))?;
    assert_eq!(machine.inspect(&by_digest, "{{json .RepoDigests}}")?, format!("[\"{by_digest}\"]"));
    server.stop()
}

#[test]
#[ignore = "started by cargo xtask runner"]
fn the_platform_decides_which_image_of_an_index_is_pulled() -> Result<()> {
    let (server, machine) = (Server::start()?, Machine::new()?);
    let (many, one) = (format!("{}/many:1", server.host()), format!("{}/one:1", server.host()));
    publish(&machine, &fixtures::multi_platform()?, &many)?;
    publish(&machine, &fixtures::busybox()?, &one)?;
    machine.berth(&format!("pull {many}"))?;
    assert_eq!(machine.inspect(&many, "{{.Os}}/{{.Architecture}}")?, "linux/amd64");
    machine.berth(&format!("pull --platform linux/arm64/v8 {many}"))?;
    assert_eq!(machine.inspect(&many, "{{.Architecture}}")?, "arm64");

    let refused = machine.refused(&format!("pull --platform linux/s390x {many}"))?;
    assert!(refused.contains("no matching manifest for linux/s390x in the manifest list entries"));
    let refused = machine.refused(&format!("pull --platform linux/arm64 {one}"))?;
    assert!(
        refused.contains("was found but its platform (linux/amd64) does not match"),
        "{refused}"
    );
    let refused = machine.refused(&format!("pull --platform lin/ux/a/b {one}"))?;
    assert!(refused.contains("invalid OS/architecture"), "{refused}");
    server.stop()
}

#[test]
#[ignore = "started by cargo xtask runner"]
fn a_blob_that_breaks_off_goes_on_at_its_next_byte() -> Result<()> {
    let (registry, machine) = (Scripted::start()?, Machine::new()?);
    let layers = registry.serve(&fixtures::busybox()?)?;
    registry.breaking_blob(&layers[0], 500_000, false);
    machine.berth(&format!("pull {}", registry.name("app")))?;
    assert_eq!(registry.ranges(&layers[0]), [None, Some("bytes=500000-".to_owned())]);
    Ok(())
}

#[test]
#[ignore = "started by cargo xtask runner"]
fn a_pull_that_was_killed_goes_on_where_it_was() -> Result<()> {
    let (registry, machine) = (Scripted::start()?, Machine::new()?);
    let layers = registry.serve(&fixtures::busybox()?)?;
    registry.breaking_blob(&layers[0], 500_000, true);
    let line = machine.line(&format!("pull {}", registry.name("app")));
    let mut killed = machine.home.command(&line)?.stdout(Stdio::null()).spawn()?;
    let partial = machine.home.path("data/images/partial").join(layers[0].replace(':', "-"));
    wait::until("half of the layer is written", || {
        Ok(fs::metadata(&partial).is_ok_and(|metadata| metadata.len() == 500_000))
    })?;
    killed.kill()?;
    killed.wait()?;
    machine.berth(&format!("pull {}", registry.name("app")))?;
    assert_eq!(registry.ranges(&layers[0]), [None, Some("bytes=500000-".to_owned())]);
    assert!(!partial.exists());
    Ok(())
}

#[test]
#[ignore = "started by cargo xtask runner"]
fn what_was_kept_of_a_blob_and_is_wrong_is_pulled_anew() -> Result<()> {
    let (registry, machine) = (Scripted::start()?, Machine::new()?);
    let layers = registry.serve(&fixtures::busybox()?)?;
    let partial = machine.home.path("data/images/partial");
    fs::create_dir_all(&partial)?;
    fs::write(partial.join(layers[0].replace(':', "-")), vec![7; 1000])?;
    machine.berth(&format!("pull {}", registry.name("app")))?;
    assert_eq!(registry.ranges(&layers[0]), [Some("bytes=1000-".to_owned()), None]);
    Ok(())
}

#[test]
#[ignore = "started by cargo xtask runner"]
fn many_pulls_of_one_image_read_each_blob_once() -> Result<()> {
    let (registry, machine) = (Scripted::start()?, Machine::new()?);
    let layers = registry.serve(&fixtures::busybox()?)?;
    let line = machine.line(&format!("pull {}", registry.name("app")));
    let pulls = (0..4).map(|_| Ok(machine.home.command(&line)?.stdout(Stdio::null()).spawn()?));
    for mut pull in pulls.collect::<Result<Vec<_>>>()? {
        ensure!(pull.wait()?.success(), "a pull failed");
    }
    for layer in &layers {
        assert_eq!(registry.ranges(layer).len(), 1);
    }
    Ok(())
}

#[test]
#[ignore = "started by cargo xtask runner"]
fn a_mirror_is_asked_first_and_the_registry_where_it_fails() -> Result<()> {
    let (mirror, server, mut machine) = (Scripted::start()?, Server::start()?, Machine::new()?);
    let layers = mirror.serve(&fixtures::busybox()?)?;
    let host = server.host();
    publish(&machine, &fixtures::busybox()?, &format!("{host}/other:1"))?;
    machine.set_up(&format!(
        "registries:\n  {host}:\n    mirrors: [\"http://{}\"]\n",
        mirror.name("").trim_end_matches('/')
    ))?;
    // The registry itself has no `app`.
    machine.berth(&format!("pull {host}/app"))?;
    assert_eq!(mirror.ranges(&layers[0]).len(), 1);
    machine.berth(&format!("pull {host}/other:1"))?;
    server.stop()
}

#[test]
#[ignore = "started by cargo xtask runner"]
fn settings_that_are_not_known_are_refused() -> Result<()> {
    let mut machine = Machine::new()?;
    machine.set_up("registry: {}")?;
    let refused = machine.refused("images")?;
    assert!(refused.contains("engine.yml") && refused.contains("registry"), "{refused}");
    Ok(())
}

#[test]
#[ignore = "started by cargo xtask runner"]
fn a_pull_onto_a_full_disk_gives_all_of_it_back() -> Result<()> {
    let (registry, disk) = (Scripted::start()?, Disk::tmpfs(2)?);
    let machine = Machine::on(&disk)?;
    registry.serve(&fixtures::busybox()?)?;
    let refused = machine.refused(&format!("pull {}", registry.name("app")))?;
    assert!(refused.contains("No space left on device"), "{refused}");
    assert_eq!(machine.content()?, [] as [std::path::PathBuf; 0]);
    Ok(())
}

#[test]
#[ignore = "started by cargo xtask runner"]
fn what_is_not_there_is_told_and_leaves_nothing() -> Result<()> {
    let (server, machine) = (Server::start()?, Machine::new()?);
    let refused = machine.refused(&format!("pull {}/absent", server.host()))?;
    assert!(refused.contains("manifest for"), "{refused}");
    assert!(refused.contains("/absent:latest not found: manifest unknown"), "{refused}");
    let refused = machine.refused("pull 127.0.0.1:1/absent")?;
    assert!(refused.contains("Connection refused"), "{refused}");
    let refused = machine.refused("pull Absent")?;
    let words = "invalid reference format: repository name (library/Absent) must be lowercase";
    assert!(refused.contains(words), "{refused}");
    assert_eq!(machine.content()?, [] as [std::path::PathBuf; 0]);
    server.stop()
}
