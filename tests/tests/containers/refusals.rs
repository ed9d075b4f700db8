//! What cannot be is refused in docker's words, with docker's exit codes, and leaves nothing.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::Result;
use berth_tests::disk::Disk;

use crate::host::{Host, IMAGE, Ran};

#[test]
#[ignore = "run by cargo xtask runner"]
fn programs_that_cannot_be_started_have_exit_codes_of_their_own() -> Result<()> {
    let host = Host::new()?;
    for (program, code, words) in [
        ("nothing", 127, "exec: \"nothing\": executable file not found in $PATH"),
        ("/nothing", 127, "exec: \"/nothing\": stat /nothing: no such file or directory"),
        ("/etc", 126, "permission denied"),
        ("/etc/passwd", 126, "permission denied"),
    ] {
        let ran = host.berth(&["run", "--rm", "--network", "none", IMAGE, program])?;
        assert_eq!((ran.code, ran.said.as_str()), (code, ""), "{program}: {ran:?}");
        assert!(ran.complained.contains(words), "{program}: {ran:?}");
        assert_eq!(ran.complained.lines().count(), 1, "{program}: {ran:?}");
    }
    host.is_clean()?;
    let ran =
        host.berth(&["run", "-d", "--name", "left", "--network", "none", IMAGE, "nothing"])?;
    let left = host.inspect("left")?;
    assert_eq!((ran.code, Some(ran.said.trim())), (127, left["Id"].as_str()), "{ran:?}");
    let state = &left["State"];
    assert_eq!(
        (state["Status"].as_str(), state["ExitCode"].as_i64()),
        (Some("created"), Some(127))
    );
    Ok(())
}

#[test]
#[ignore = "run by cargo xtask runner"]
fn what_makes_no_sense_is_refused_and_leaves_nothing() -> Result<()> {
    let host = Host::new()?;
    for (args, code, words) in [
        (&["run", "--pull", "never", "missing"][..], 125, "No such image: missing"),
        (&["run", "--nothing", IMAGE], 125, "unknown flag: --nothing"),
        (&["run", "--restart", "always", IMAGE, "true"], 125, "restart policies are not there yet"),
        (&["run", "--network", "nowhere", IMAGE, "true"], 125, "network nowhere not found"),
        (&["run", "--name", "a/b", IMAGE, "true"], 125, "Invalid container name (a/b)"),
        (
            &["run", "--log-driver", "syslog", IMAGE, "true"],
            125,
            "no log driver named 'syslog' is registered",
        ),
        (
            &["run", "-u", "nobody-here", "--network", "none", IMAGE, "true"],
            125,
            "unable to find user nobody-here: no matching entries in passwd file",
        ),
        (
            &["run", "--detach-keys", "ctrl-1", IMAGE, "true"],
            125,
            "invalid detach keys (ctrl-1) provided",
        ),
        (&["run", "-m", "1m", IMAGE, "true"], 125, "Minimum memory limit allowed is 6MB"),
        (&["start", "nobody"], 1, "No such container: nobody"),
        (&["inspect", "nobody"], 1, "No such object: nobody"),
        (&["kill", "-s", "NOTHING", "nobody"], 1, "nvalid signal: NOTHING"),
        (&["ps", "--filter", "colour=red"], 1, "invalid filter 'colour'"),
        (&["logs", "nobody"], 1, "No such container: nobody"),
    ] {
        let ran = host.berth(args)?;
        assert_eq!(
            (ran.code, ran.said.trim_start_matches("[]").trim()),
            (code, ""),
            "{args:?}: {ran:?}"
        );
        assert!(ran.complained.contains(words), "{args:?}: {ran:?}");
    }
    let ids = host.ok(&["ps", "-aq"])?;
    for id in ids.lines() {
        host.ok(&["rm", id])?;
    }
    host.is_clean()
}

#[test]
#[ignore = "run by cargo xtask runner"]
fn a_name_is_one_containers() -> Result<()> {
    let host = Host::new()?;
    let id = host.idle(&["--name", "web"])?;
    let ran = host.berth(&["create", "--name", "web", IMAGE])?;
    assert_eq!(ran.code, 1);
    assert!(
        ran.complained.contains(&format!(
            "Conflict. The container name \"/web\" is already in use by container \"{id}\""
        )),
        "{ran:?}"
    );
    assert_eq!(host.ok(&["ps", "-aq"])?.lines().count(), 1);
    Ok(())
}

/// What is refused before anything is made: options, and words of the refusal.
const MALFORMED: [(&[&str], &str); 26] = [
    (&["-d", "-a", "stdout"], "conflicting options: cannot specify both --attach and --detach"),
    (
        &["--rm", "--restart", "always"],
        "conflicting options: cannot specify both --restart and --rm",
    ),
    (&["--uts", "host", "--hostname", "x"], "conflicting options: hostname and the UTS mode"),
    (
        &["--network", "container:x", "-p", "80:80"],
        "conflicting options: port publishing and the container type network mode",
    ),
    (&["--network", "container:nobody"], "No such container: nobody"),
    (&["--cpus", "0.5", "--cpu-quota", "1000"], "Nano CPUs and CPU Quota cannot both be set"),
    (&["--cpus", "1000"], "range of CPUs is from 0.01 to "),
    (&["--cpus", "many"], "invalid argument \"many\" for \"--cpus\" flag"),
    (&["-m", "lots"], "invalid size: 'lots'"),
    (
        &["-m", "64m", "--memory-swap", "32m"],
        "Minimum memoryswap limit should be larger than memory limit",
    ),
    (&["-p", "70000:80"], "70000"),
    (&["-p", "80/icmp"], "invalid proto: icmp"),
    (&["-v", "/a:b"], "mount path must be absolute"),
    (&["-v", "/a:/b:zz"], "invalid mode: zz"),
    (&["-v", "/a:/b", "-v", "/c:/b"], "Duplicate mount point: /b"),
    (&["--mount", "type=nothing,target=/x"], "nothing"),
    (
        &["--mount", "type=bind,source=/no/where,target=/x"],
        "bind source path does not exist: /no/where",
    ),
    (&["--cap-add", "NONSENSE"], "NONSENSE"),
    (&["--ulimit", "nofile"], "nofile"),
    (&["--device", "/dev/nowhere"], "/dev/nowhere"),
    (&["--security-opt", "seccomp=/no/where"], "/no/where"),
    (&["--env-file", "/no/where"], "/no/where"),
    (&["-w", "relative"], "it needs to be an absolute path"),
    (&["--user", "1:2:3"], "unable to find group 2:3"),
    (&["--pid", "container:nobody"], "No such container: nobody"),
    (&["--runtime", "/no/where"], "/no/where"),
];

#[test]
#[ignore = "run by cargo xtask runner"]
fn malformed_and_conflicting_options_are_refused() -> Result<()> {
    let host = Host::new()?;
    let mut wrong = Vec::new();
    for (options, words) in MALFORMED {
        let network = if options.contains(&"--network") { &[][..] } else { &["--network", "none"] };
        let ran = host.berth(&[&["run", "--rm"], network, options, &[IMAGE, "true"]].concat())?;
        if ran.code != 125 || !ran.said.is_empty() || !ran.complained.contains(words) {
            wrong.push(format!("{options:?}: {ran:?}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    // Before a command that looks after what others left.
    host.is_clean()?;
    assert_eq!(host.ok(&["ps", "-aq"])?, "");
    assert_eq!(host.ok(&["volume", "ls", "-q"])?, "");
    Ok(())
}

#[test]
#[ignore = "run by cargo xtask runner"]
fn a_port_that_a_program_of_the_host_has_is_refused() -> Result<()> {
    let host = Host::isolated()?;
    let program = std::net::TcpListener::bind("0.0.0.0:0")?;
    let port = program.local_addr()?.port();
    let args = ["run", "--rm", "-v", "/anonymous", "-p", &format!("{port}:80"), IMAGE, "true"];
    let ran = host.berth(&args)?;
    let words = format!("failed to bind host port 0.0.0.0:{port}/tcp: address already in use");
    assert!(ran.code == 125 && ran.complained.contains(&words), "{ran:?}");
    host.is_clean()?;
    assert_eq!(host.ok(&["volume", "ls", "-q"])?, "");
    drop(program);
    host.ok(&args)?;
    host.is_clean()
}

#[test]
#[ignore = "run by cargo xtask runner"]
fn the_bridge_is_as_the_engines_settings_have_it_and_wrong_ones_are_refused() -> Result<()> {
    let host = Host::isolated()?;
    let address = ["run", "--rm", IMAGE, "ip", "-4", "-o", "addr", "show", "eth0"];
    host.set("network: {bridge: other0, subnet: 10.99.7.0/24}\n")?;
    let shown = host.ok(&address)?;
    assert!(shown.contains(" 10.99.7.2/24 "), "{shown}");
    host.set("network: {bridge: a/b}\n")?;
    let ran = host.berth(&address)?;
    let words = "engine.yml: network: bridge: \"a/b\" is no name of a link";
    assert!(ran.code == 125 && ran.complained.contains(words), "{ran:?}");
    host.is_clean()
}

#[test]
#[ignore = "run by cargo xtask runner"]
fn what_keeps_packets_from_the_world_is_told() -> Result<()> {
    let host = Host::isolated()?;
    let dropping = Command::new("iptables").args(["-P", "FORWARD", "DROP"]).status()?;
    assert!(dropping.success());
    let ran = host.berth(&["run", "--rm", IMAGE, "echo", "works"])?;
    assert_eq!((ran.code, ran.said.as_str()), (0, "works\n"), "{ran:?}");
    let words = "WARNING: the policy of the chain FORWARD of iptables is DROP";
    assert!(ran.complained.starts_with(words) && ran.complained.lines().count() == 1, "{ran:?}");
    host.is_clean()
}

#[test]
#[ignore = "run by cargo xtask runner"]
fn a_full_disk_is_told_of_and_nothing_stays_on_it() -> Result<()> {
    let disk = Disk::ext4(64)?;
    let host = Host::on(&disk)?;
    host.shell(&[], "true")?;
    disk.fill()?;
    for args in [&["run", "--rm"][..], &["run", "-d", "--name", "box"], &["create"]] {
        let ran = host.berth(&[args, &["--network", "none", IMAGE, "true"]].concat())?;
        let code = if args == ["create"] { 1 } else { 125 };
        assert!(ran.code == code && ran.said.is_empty(), "{args:?}: {ran:?}");
        assert!(ran.complained.contains("No space left on device"), "{args:?}: {ran:?}");
    }
    assert_eq!(host.ok(&["ps", "-aq"])?, "");
    host.is_clean()?;
    disk.free()?;
    assert_eq!(host.shell(&[], "echo again")?.said, "again\n");
    host.is_clean()
}

#[test]
#[ignore = "run by cargo xtask runner"]
fn whoever_may_not_run_containers_is_told_so() -> Result<()> {
    let host = Host::new()?;
    let folder = tempfile::tempdir()?;
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777))?;
    let program = folder.path().join("berth");
    fs::copy(berth_tests::berth_binary()?, &program)?;
    let as_nobody = |data: &Path| {
        let mut command = Command::new(&program);
        command.args(["run", "--rm", "--network", "none", IMAGE, "true"]).uid(65534).gid(65534);
        command.env("BERTH_DATA_ROOT", data).env("BERTH_EXEC_ROOT", folder.path().join("run"));
        Ran::new(command.stdin(Stdio::null()).output()?)
    };
    for data in [host.data(), folder.path().join("data")] {
        let ran = as_nobody(&data)?;
        assert!(ran.code == 125 && ran.said.is_empty(), "{ran:?}");
        let words =
            "berth: containers take root: use sudo (those of other users are not there yet)\n";
        assert_eq!(ran.complained, words);
    }
    host.is_clean()
}

#[test]
#[ignore = "run by cargo xtask runner"]
fn a_limit_that_nobody_counts_is_refused() -> Result<()> {
    let pids = Path::new("/sys/fs/cgroup/pids");
    if !pids.exists() {
        // With version 2 there is one hierarchy, which has it or is not there at all.
        return Ok(());
    }
    let host = Host::new()?;
    let run =
        host.command(&["run", "--rm", "--network", "none", "--pids-limit", "10", IMAGE, "true"])?;
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", "umount /sys/fs/cgroup/pids && exec \"$@\"", "sh"]);
    command.arg(run.get_program()).args(run.get_args());
    command.envs(run.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let ran = Ran::new(command.output()?)?;
    assert!(ran.code == 125 && ran.said.is_empty(), "{ran:?}");
    assert!(ran.complained.contains("pids"), "{ran:?}");
    host.is_clean()
}
