//! Namespaces: new ones, joined ones, and the host's.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result};
use serde_json::json;

use crate::bundle::Bundle;

#[test]
#[ignore = "run by cargo xtask runner"]
fn a_container_sees_its_own_processes_names_and_interfaces() -> Result<()> {
    let bundle = Bundle::shell(
        "echo $$; ls /proc | grep -cE '^[0-9]+$'; hostname; ls /sys/class/net; \
                                ip addr show lo | grep -c UP",
    )?;
    let said = bundle.says()?;
    // The shell, ls and grep.
    assert_eq!(said, "1\n3\nbox\nlo\n1\n");
    Ok(())
}

#[test]
#[ignore = "run by cargo xtask runner"]
fn namespaces_of_another_container_are_joined() -> Result<()> {
    let first = Bundle::idle()?.start()?;
    let pid = first.state()?["pid"].to_string();
    let path = |name: &str| format!("/proc/{pid}/ns/{name}");
    let second = Bundle::shell(
        "ps -o comm | grep -c '^sleep$'; readlink /proc/self/ns/net; readlink /proc/self/ns/pid",
    )?
    .with_namespace("pid", Some(&path("pid")))
    .with_namespace("network", Some(&path("net")));
    let said = second.says()?;
    let expected = [fs::read_link(path("net"))?, fs::read_link(path("pid"))?];
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines[1..], expected.each_ref().map(|link| link.to_str().unwrap()));
    assert_eq!(lines[0], "1");
    Ok(())
}

#[test]
#[ignore = "run by cargo xtask runner"]
fn those_of_the_host_stay_where_none_is_asked_for() -> Result<()> {
    let bundle = Bundle::shell("readlink /proc/self/ns/net")?.with_namespace("network", None);
    assert_eq!(bundle.says()?.trim(), fs::read_link("/proc/self/ns/net")?.to_str().unwrap());
    Ok(())
}

#[test]
#[ignore = "run by cargo xtask runner"]
fn ids_are_mapped_in_a_user_namespace() -> Result<()> {
    let maps = json!([{"containerID": 0, "hostID": 100_000, "size": 65_536}]);
    let mut bundle = Bundle::shell(
        "id -u; cat /proc/self/uid_map | tr -s ' '; touch /tmp/mine && stat -c %u /tmp/mine; head -c 2 /dev/zero | wc -c",
    )?
    .with("/linux/uidMappings", maps.clone())
    .with("/linux/gidMappings", maps)
    .with_mount(json!({"destination": "/tmp", "type": "tmpfs", "source": "tmpfs", "options": ["mode=1777"]}));
    bundle.config["linux"]["namespaces"].as_array_mut().unwrap().push(json!({"type": "user"}));
    // A new user must be able to reach the root.
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(bundle.path(), fs::Permissions::from_mode(0o755))?;
    fs::set_permissions(bundle.root(), fs::Permissions::from_mode(0o755))?;
    for folder in fs::read_dir(bundle.root())? {
        std::os::unix::fs::chown(folder?.path(), Some(100_000), Some(100_000))?;
    }
    std::os::unix::fs::chown(bundle.root(), Some(100_000), Some(100_000))?;
    assert_eq!(bundle.says()?, "0\n 0 100000 65536\n0\n2\n");
    Ok(())
}

#[test]
#[ignore = "run by cargo xtask runner"]
fn clocks_are_set_ahead_in_a_time_namespace() -> Result<()> {
    let mut bundle = Bundle::shell("cut -d. -f1 /proc/uptime")?
        .with("/linux/timeOffsets", json!({"boottime": {"secs": 1_000_000_000, "nanosecs": 0}}));
    bundle.config["linux"]["namespaces"].as_array_mut().unwrap().push(json!({"type": "time"}));
    assert!(bundle.says()?.trim().parse::<u64>()? >= 1_000_000_000);
    Ok(())
}

#[test]
#[ignore = "run by cargo xtask runner"]
fn a_cgroup_namespace_has_the_container_for_its_root() -> Result<()> {
    let mut bundle = Bundle::shell("grep -v '^0:' /proc/self/cgroup | grep -vc ':/$'; true")?;
    bundle.config["linux"]["namespaces"].as_array_mut().unwrap().push(json!({"type": "cgroup"}));
    assert_eq!(bundle.says()?, "0\n");
    Ok(())
}

#[test]
#[ignore = "run by cargo xtask runner"]
fn settings_of_the_kernel_are_made_in_the_namespace_and_never_for_the_host() -> Result<()> {
    let before = fs::read_to_string("/proc/sys/net/ipv4/ip_forward")?;
    let other = if before.trim() == "1" { "0" } else { "1" };
    let bundle = Bundle::shell("cat /proc/sys/net/ipv4/ip_forward /proc/sys/kernel/msgmax")?
        .with("/linux/sysctl", json!({"net.ipv4.ip_forward": other, "kernel.msgmax": "70000"}));
    assert_eq!(bundle.says()?, format!("{other}\n70000\n"));
    assert_eq!(fs::read_to_string("/proc/sys/net/ipv4/ip_forward")?, before);

    for name in ["vm.swappiness", "kernel.core_pattern", "net/../kernel/core_pattern"] {
        let refusal = Bundle::shell("true")?.with("/linux/sysctl", json!({name: "1"})).refusal()?;
        assert!(refusal.contains(name) && refusal.contains("for the host"), "{refusal}");
    }
    let refusal = bundle.with_namespace("network", None).refusal()?;
    assert!(refusal.contains("net.ipv4.ip_forward"), "{refusal}");
    Ok(())
}

#[test]
#[ignore = "run by cargo xtask runner"]
fn without_a_mount_namespace_there_is_the_root_and_nothing_is_left_of_it() -> Result<()> {
    let bundle = Bundle::idle()?.with_namespace("mount", None).start()?;
    let pid = bundle.state()?["pid"].as_i64().context("no process")?;
    let namespace = |pid: &str| fs::read_link(format!("/proc/{pid}/ns/mnt"));
    assert_eq!(namespace(&pid.to_string())?, namespace("self")?);
    // Neither the first process nor others see the root of the host.
    let roots = bundle.exec(&[], "ls -d /bin/busybox /proc/1/root/bin/busybox; ls /")?;
    assert_eq!(
        roots.said, "/bin/busybox\n/proc/1/root/bin/busybox\nbin\ndev\netc\nproc\nroot\nsys\ntmp\n",
        "{roots:?}"
    );
    assert!(
        fs::read_to_string("/proc/self/mountinfo")?.contains(&*bundle.root().to_string_lossy())
    );
    bundle.command(&["delete", "--force", &bundle.id])?;
    assert!(bundle.is_gone()?);
    let missing = Bundle::new(&["/missing"])?.with_namespace("mount", None);
    missing.refusal_by(127)?;
    Ok(())
}

#[test]
#[ignore = "run by cargo xtask runner"]
fn a_mount_namespace_is_joined_and_keeps_its_root() -> Result<()> {
    let mut other = Command::new("unshare")
        .args(["--mount", "sh", "-c", "echo there; exec sleep 1000"])
        .stdout(Stdio::piped())
        .spawn()?;
    let mut ready = String::new();
    let stdout = other.stdout.take().context("no output")?;
    std::io::BufRead::read_line(&mut std::io::BufReader::new(stdout), &mut ready)?;
    let path = format!("/proc/{}/ns/mnt", other.id());
    let bundle = Bundle::idle()?.with_namespace("mount", Some(&path)).start()?;
    let pid = bundle.state()?["pid"].as_i64().context("no process")?;
    assert_eq!(fs::read_link(format!("/proc/{pid}/ns/mnt"))?, fs::read_link(&path)?);
    assert!(bundle.exec(&[], "ls /")?.said.starts_with("bin\ndev\netc\nproc\n"));
    assert_eq!(fs::read_link(format!("/proc/{}/root", other.id()))?, Path::new("/"));
    assert!(fs::exists(format!("/proc/{}/root/usr", other.id()))?, "its root is the container's");
    bundle.command(&["delete", "--force", &bundle.id])?;
    assert!(bundle.is_gone()?, "something of it was mounted for the host");
    other.kill()?;
    other.wait()?;
    Ok(())
}
