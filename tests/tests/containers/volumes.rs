//! Volumes through their commands, and as containers see them.

use std::fs;

use anyhow::Result;

use crate::host::Host;

fn volumes(host: &Host, filters: &[&str]) -> Result<Vec<String>> {
    let mut args = vec!["volume", "ls", "-q"];
    args.extend(filters.iter().flat_map(|filter| ["--filter", filter]));
    Ok(host.ok(&args)?.lines().map(str::to_owned).collect())
}

#[test]
#[ignore = "run by cargo xtask runner"]
fn volumes_are_made_shown_and_removed() -> Result<()> {
    let host = Host::new()?;
    assert_eq!(host.ok(&["volume", "create", "--label", "colour=red", "box"])?, "box\n");
    host.ok(&["volume", "create", "other"])?;
    assert_eq!(volumes(&host, &["label=colour=red"])?, ["box"]);
    assert_eq!(volumes(&host, &["name=oth"])?, ["other"]);
    let table = host.ok(&["volume", "ls"])?;
    assert_eq!(table, "DRIVER    VOLUME NAME\nlocal     box\nlocal     other\n");
    let labels = host.ok(&["volume", "inspect", "-f", "{{.Labels.colour}} {{.Scope}}", "box"])?;
    assert_eq!(labels, "red local\n");

    host.ok(&["create", "--name", "user", "-v", "box:/data", crate::host::IMAGE])?;
    assert_eq!(volumes(&host, &["dangling=true"])?, ["other"]);
    let refused = host.berth(&["volume", "rm", "box"])?;
    assert_eq!(refused.code, 1);
    let words = "berth: remove box: volume is in use - [";
    assert!(refused.complained.starts_with(words), "{refused:?}");
    host.ok(&["rm", "-v", "user"])?;
    assert_eq!(host.ok(&["volume", "rm", "box"])?, "box\n");
    let missing = host.berth(&["volume", "inspect", "box"])?;
    assert_eq!((missing.code, missing.said.as_str()), (1, "[]\n"));
    assert_eq!(missing.complained, "berth: get box: no such volume\n");
    Ok(())
}

#[test]
#[ignore = "run by cargo xtask runner"]
fn only_volumes_without_a_name_go_with_their_container_or_are_pruned() -> Result<()> {
    let host = Host::new()?;
    host.shell(&["-v", "named:/a", "-v", "/b"], "echo x > /a/x; echo x > /b/x")?;
    assert_eq!(volumes(&host, &[])?, ["named"]);
    host.ok(&[
        "run",
        "--name",
        "left",
        "--network",
        "none",
        "-v",
        "/b",
        crate::host::IMAGE,
        "sh",
        "-c",
        "echo 0123456 > /b/x",
    ])?;
    host.ok(&["rm", "left"])?;
    assert_eq!(volumes(&host, &[])?.len(), 2);
    let pruned = host.ok(&["volume", "prune", "-f"])?;
    assert!(pruned.starts_with("Deleted Volumes:\n"), "{pruned}");
    assert!(pruned.ends_with("\n\nTotal reclaimed space: 8B\n"), "{pruned}");
    assert_eq!(volumes(&host, &[])?, ["named"]);
    assert!(host.ok(&["volume", "prune", "-f", "-a"])?.contains("\nnamed\n"));
    assert_eq!(volumes(&host, &[])?, [""; 0]);
    Ok(())
}

#[test]
#[ignore = "run by cargo xtask runner"]
fn a_volume_is_filled_once_and_a_part_of_it_can_be_mounted() -> Result<()> {
    let host = Host::new()?;
    let mount = "type=volume,src=box,dst=/etc,volume-nocopy";
    assert_eq!(host.shell(&["--mount", mount], "ls /etc | grep -c passwd")?.said, "0\n");
    let listed =
        host.shell(&["-v", "full:/etc"], "ls /etc/passwd; rm /etc/passwd; mkdir /etc/part")?;
    assert_eq!(listed.said, "/etc/passwd\n");
    assert_eq!(host.shell(&["-v", "full:/etc"], "ls /etc/passwd")?.said, "");
    let part = "type=volume,src=full,dst=/part,volume-subpath=part";
    assert_eq!(host.shell(&["--mount", part], "echo x > /part/file")?.code, 0);
    assert_eq!(host.shell(&["-v", "full:/all"], "cat /all/part/file")?.said, "x\n");
    // A link that a container has made does not lead the next one out.
    host.shell(&["-v", "full:/all"], "ln -s / /all/out; ln -s ../../../.. /all/up")?;
    for path in ["out", "up", "missing"] {
        let part = format!("type=volume,src=full,dst=/part,volume-subpath={path}");
        let refused = host.shell(&["--mount", &part], "true")?;
        assert_eq!(refused.code, 125, "{refused:?}");
    }
    host.is_clean()
}

#[test]
#[ignore = "run by cargo xtask runner"]
fn a_volume_with_a_device_is_mounted_for_the_container_alone() -> Result<()> {
    let host = Host::new()?;
    let options = ["-o", "type=tmpfs", "-o", "device=tmpfs", "-o", "o=size=1m,mode=700"];
    host.ok(&[&["volume", "create"][..], &options, &["memory"]].concat())?;
    let seen = host.shell(&["-v", "memory:/m"], "grep ' /m ' /proc/mounts")?.said;
    assert!(seen.starts_with("tmpfs /m tmpfs") && seen.contains("size=1024k"), "{seen}");
    host.is_clean()
}

#[test]
#[ignore = "run by cargo xtask runner"]
fn an_init_reaps_and_passes_signals_on() -> Result<()> {
    let host = Host::new()?;
    let orphan = "sh -c 'sh -c \"exit 0\" &'; cat /proc/1/comm; \
        while ps -o stat | grep -q Z; do :; done; exit 9";
    let ran = host.shell(&["--init"], orphan)?;
    assert_eq!((ran.code, ran.said.as_str()), (9, "docker-init\n"));
    let id = host.start(&["--init", "--name", "box"], "echo ready; sleep 1000")?;
    host.ok(&["stop", "-t", "60", "box"])?;
    assert_eq!(host.inspect(&id)?["State"]["ExitCode"], 143);
    let missing = host.berth(&[
        "run",
        "--rm",
        "--network",
        "none",
        "--init",
        crate::host::IMAGE,
        "/no/such",
    ])?;
    assert_eq!(missing.code, 127, "{missing:?}");
    host.ok(&["rm", "-v", "box"])?;
    host.is_clean()
}

#[test]
#[ignore = "run by cargo xtask runner"]
fn a_working_directory_is_made_inside_of_the_root() -> Result<()> {
    let host = Host::new()?;
    assert_eq!(host.shell(&["-w", "/a/b/c"], "pwd")?.said, "/a/b/c\n");
    let outside = host.path().join("outside");
    let path = format!("/../../..{}", outside.display());
    host.shell(&["-w", &path], "pwd")?;
    assert!(!fs::exists(outside)?);
    let file = host.shell(&["-w", "/etc/passwd"], "pwd")?;
    assert_eq!(file.code, 125, "{file:?}");
    host.is_clean()
}
