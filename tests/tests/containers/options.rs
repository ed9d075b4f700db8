//! What readers of books type, and what must come of it (rows N2 to N24 of the walk-throughs).

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

use anyhow::Result;

use crate::host::{Host, IMAGE};

/// Options, a command of the shell, its exit code, and what it says: all of it, or a part between dots.
const ROWS: [(&str, &[&str], &str, i32, &str); 21] = [
    (
        "N5",
        &["--add-host", "server1:123.45.67.89"],
        "grep -c '123.45.67.89.server1' /etc/hosts; grep -c localhost /etc/hosts",
        0,
        "1\n2\n",
    ),
    (
        "N6",
        &["--dns", "9.9.9.9", "--dns-search", "example.org"],
        "cat /etc/resolv.conf",
        0,
        "…nameserver 9.9.9.9\n…",
    ),
    (
        "N6",
        &["--dns", "9.9.9.9", "--dns-search", "example.org"],
        "cat /etc/resolv.conf",
        0,
        "…search example.org\n…",
    ),
    ("N7", &["--hostname", "box"], "hostname; cat /etc/hostname", 0, "box\nbox\n"),
    (
        "N9",
        &["--read-only", "--tmpfs", "/run"],
        "touch /bin/x 2>&1; touch /run/x && echo written",
        0,
        "…Read-only file system…",
    ),
    (
        "N9",
        &["--read-only", "--tmpfs", "/run"],
        "touch /bin/x 2>&1; touch /run/x && echo written",
        0,
        "…\nwritten\n",
    ),
    ("N10", &["--privileged"], "test -e /dev/kmsg && test -e /dev/full && echo all", 0, "all\n"),
    ("N10", &["--privileged"], "echo 0 > /proc/sys/net/ipv4/ip_forward && echo set", 0, "set\n"),
    ("N10", &[], "echo 0 2>&1 > /proc/sys/net/ipv4/ip_forward || echo refused", 0, "…refused\n"),
    ("N11", &[], "grep CapEff /proc/self/status", 0, "CapEff:\t00000000a80425fb\n"),
    (
        "N11",
        &["--cap-drop", "ALL", "--cap-add", "CHOWN"],
        "grep CapEff /proc/self/status",
        0,
        "CapEff:\t0000000000000001\n",
    ),
    (
        "N11",
        &["--cap-drop", "CHOWN"],
        "chown 1:1 /etc/passwd 2>&1 || echo refused",
        0,
        "…refused\n",
    ),
    ("N11", &["--cap-add", "NET_ADMIN"], "ip link set lo down && echo down", 0, "down\n"),
    ("N11", &[], "ip link set lo down 2>/dev/null || echo refused", 0, "refused\n"),
    ("N17", &["--ulimit", "nofile=123:456"], "ulimit -n; ulimit -Hn", 0, "123\n456\n"),
    ("N1", &["-u", "ann"], "id -u; id -g; pwd", 0, "1000\n1000\n/\n"),
    ("N1", &["-w", "/made/here", "-e", "A=b"], "pwd; echo $A", 0, "/made/here\nb\n"),
    ("N12", &["--device", "/dev/zero:/dev/nought"], "head -c 3 /dev/nought | wc -c", 0, "3\n"),
    (
        "N13",
        &["--security-opt", "no-new-privileges"],
        "grep NoNewPrivs /proc/self/status",
        0,
        "NoNewPrivs:\t1\n",
    ),
    (
        "N13",
        &["--security-opt", "seccomp=unconfined"],
        "grep Seccomp: /proc/self/status",
        0,
        "Seccomp:\t0\n",
    ),
    ("N13", &[], "grep Seccomp: /proc/self/status", 0, "Seccomp:\t2\n"),
];

#[test]
#[ignore = "run by cargo xtask runner"]
fn rows_of_the_books_come_out_as_they_say() -> Result<()> {
    let host = Host::new()?;
    let mut wrong = Vec::new();
    for (row, options, command, code, said) in ROWS {
        let ran = host.shell(options, command)?;
        let is_right = match said.strip_prefix('…') {
            Some(part) => ran.said.contains(part.trim_end_matches('…')),
            None => ran.said == said,
        };
        if ran.code != code || !is_right {
            wrong.push(format!("{row} {options:?} {command:?}: {ran:?}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    host.is_clean()
}

#[test]
#[ignore = "run by cargo xtask runner"]
fn processes_of_others_are_seen_where_that_is_asked_for() -> Result<()> {
    let host = Host::new()?;
    host.start(
        &["--name", "box"],
        "trap 'exit 0' TERM; sleep 4321 & while :; do wait; sleep 1; done",
    )?;
    let seen = host.shell(&["--pid", "container:box"], "ps -ef")?.said;
    assert!(seen.contains("sleep 4321") && seen.contains("ps -ef"), "{seen}");
    let own = host.shell(&[], "ps -ef")?.said;
    assert!(!own.contains("sleep 4321"), "{own}");
    let all = host.shell(&["--pid", "host"], "cat /proc/*/comm")?.said;
    assert!(all.contains("berth-monitor"), "{all}");
    Ok(())
}

#[test]
#[ignore = "run by cargo xtask runner"]
fn a_network_is_shared_with_another_or_with_the_host() -> Result<()> {
    let host = Host::new()?;
    host.idle(&["--name", "box", "--hostname", "shared"])?;
    let link = |network: &str| -> Result<String> {
        let ran = host.berth(&[
            "run",
            "--rm",
            "--network",
            network,
            IMAGE,
            "readlink",
            "/proc/self/ns/net",
        ])?;
        assert_eq!(ran.code, 0, "{ran:?}");
        Ok(ran.said)
    };
    let own = host.ok(&["exec", "box", "readlink", "/proc/self/ns/net"])?;
    assert_eq!(link("container:box")?, own);
    assert_eq!(link("host")?.trim(), fs::read_link("/proc/self/ns/net")?.to_string_lossy());
    assert_ne!(link("none")?, own);
    Ok(())
}

#[test]
#[ignore = "run by cargo xtask runner"]
fn too_much_memory_ends_a_program_and_that_is_told() -> Result<()> {
    let host = Host::new()?;
    let ran = host.berth(&[
        "run",
        "--name",
        "box",
        "-m",
        "8m",
        "--network",
        "none",
        IMAGE,
        "sh",
        "-c",
        "tail /dev/zero",
    ])?;
    assert_eq!(ran.code, 137, "{ran:?}");
    let state = &host.inspect("box")?["State"];
    assert_eq!(
        (state["OOMKilled"].as_bool(), state["ExitCode"].as_i64()),
        (Some(true), Some(137)),
        "{state}"
    );
    Ok(())
}

#[test]
#[ignore = "run by cargo xtask runner"]
fn what_is_mounted_over_a_folder_decides_who_may_what_there() -> Result<()> {
    let host = Host::new()?;
    let look = |options: &[&str]| host.shell(options, "stat -c '%a %u:%g' /etc; ls /etc | wc -l");
    assert_eq!(look(&[])?.said.lines().next(), Some("755 0:0"));
    let folder = host.path().join("private");
    fs::create_dir(&folder)?;
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o710))?;
    std::os::unix::fs::chown(&folder, Some(1000), Some(50))?;
    let path = folder.display().to_string();
    let bind = format!("type=bind,source={path},target=/etc");
    // The engine's own files are mounted there, whatever it is.
    for options in [&["-v", &format!("{path}:/etc")][..], &["--mount", &bind]] {
        assert_eq!(look(options)?.said, "710 1000:50\n3\n", "{options:?}");
    }
    assert_eq!(look(&["--tmpfs", "/etc:mode=1700"])?.said, "1700 0:0\n3\n");
    assert_eq!(
        look(&["--mount", "type=volume,src=empty,dst=/etc,volume-nocopy"])?.said,
        "755 0:0\n3\n"
    );
    host.is_clean()
}

#[test]
#[ignore = "run by cargo xtask runner"]
fn folders_of_the_host_and_volumes_are_as_docker_has_them() -> Result<()> {
    let host = Host::new()?;
    let shared = host.path().join("shared");
    let bind = format!("{}:/shared", shared.display());
    let ran =
        host.shell(&["-u", "1000:50", "-v", &format!("{bind}:ro")], "touch /shared/x 2>&1")?;
    assert!(ran.code != 0 && ran.said.contains("Read-only file system"), "{ran:?}");
    std::os::unix::fs::chown(&shared, Some(1000), Some(50))?;
    assert_eq!(
        host.shell(&["-u", "1000:50", "-v", &bind], "touch /shared/x; chmod 4755 /shared/x")?.code,
        0
    );
    let made = fs::metadata(shared.join("x"))?;
    assert_eq!((made.uid(), made.gid(), made.mode() & 0o7777), (1000, 50, 0o4755));

    host.ok(&["volume", "create", "named"])?;
    let ran = host.shell(&["-v", "named:/etc"], "ls /etc; echo more > /etc/more")?;
    assert!(ran.said.contains("passwd\n"), "{ran:?}");
    assert_eq!(host.shell(&["-v", "named:/there"], "cat /there/more")?.said, "more\n");
    host.ok(&["volume", "rm", "named"])?;
    host.is_clean()
}
