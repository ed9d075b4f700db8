//! What a container sees of files: mounts, devices, what is hidden and what is read-only.

use std::fs;
use std::os::unix::fs::MetadataExt as _;

use anyhow::Result;
use serde_json::json;

use crate::bundle::Bundle;

#[test]
#[ignore = "run by cargo xtask runner"]
fn a_read_only_root_refuses_and_what_is_mounted_over_it_does_not() -> Result<()> {
    let bundle = Bundle::shell("touch /bin/x; touch /tmp/x && touch /dev/shm/x && echo written")?
        .with("/root/readonly", json!(true))
        .with_mount(json!({"destination": "/tmp", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid"]}));
    let ran = bundle.run()?;
    assert_eq!(ran.said, "written\n");
    assert!(ran.complained.contains("Read-only file system"), "{}", ran.complained);
    Ok(())
}

#[test]
#[ignore = "run by cargo xtask runner"]
fn hidden_paths_are_empty_and_others_cannot_be_written() -> Result<()> {
    let bundle = Bundle::shell(
        "cat /proc/keys /proc/timer_list /proc/interrupts | wc -c; ls /sys/firmware | wc -l; \
         echo 1 > /proc/sys/vm/drop_caches; touch /sys/x; true",
    )?;
    let ran = bundle.run()?;
    assert_eq!(ran.said, "0\n0\n");
    assert_eq!(ran.complained.matches("Read-only file system").count(), 2, "{}", ran.complained);
    Ok(())
}

#[test]
#[ignore = "run by cargo xtask runner"]
fn devices_are_those_of_every_container_and_no_others_can_be_used() -> Result<()> {
    let bundle = Bundle::shell(
        "cd /dev; ls | tr '\\n' ' '; head -c 4 /dev/zero | wc -c; echo x > /dev/full; \
         mknod /tmp/disk b 254 0 && head -c 1 /tmp/disk; true",
    )?;
    let ran = bundle.run()?;
    let names = "fd full mqueue null ptmx pts random shm stderr stdin stdout tty urandom zero ";
    assert_eq!(ran.said, format!("{names}4\n"));
    assert!(ran.complained.contains("No space left on device"), "{}", ran.complained);
    assert!(ran.complained.contains("/tmp/disk: Operation not permitted"), "{}", ran.complained);
    Ok(())
}

#[test]
#[ignore = "run by cargo xtask runner"]
fn a_device_that_is_configured_is_made_and_allowed() -> Result<()> {
    let bundle =
        Bundle::shell("stat -c '%t:%T %a %u' /dev/deep/mine; head -c 3 /dev/deep/mine | wc -c")?
            .with(
                "/linux/devices",
                json!([{"path": "/dev/deep/mine", "type": "c", "major": 1, "minor": 5,
                                         "fileMode": 0o640, "uid": 7, "gid": 0}]),
            );
    assert_eq!(bundle.says()?, "1:5 640 7\n3\n");
    Ok(())
}

#[test]
#[ignore = "run by cargo xtask runner"]
fn a_folder_of_the_host_is_mounted_with_all_below_it_read_only_if_that_is_wanted() -> Result<()> {
    let bundle =
        Bundle::shell("cat /data/file; echo changed > /data/file; touch /data/new; ls /data")?;
    let data = bundle.path().join("data");
    fs::create_dir(&data)?;
    fs::write(data.join("file"), "content\n")?;
    let mount = |options: &[&str]| json!({"destination": "/data", "type": "bind", "source": data, "options": options});
    let bundle = bundle.with_mount(mount(&["rbind", "ro"]));
    let ran = bundle.run()?;
    assert_eq!(ran.said, "content\nfile\n");
    assert_eq!(fs::read_to_string(data.join("file"))?, "content\n");
    Ok(())
}

#[test]
#[ignore = "run by cargo xtask runner"]
fn mounts_below_a_recursively_read_only_one_are_read_only_too() -> Result<()> {
    let bundle = Bundle::shell("touch /sys2/fs/cgroup/x /sys2/x; grep -c ' /sys2' /proc/self/mounts; \
                                grep ' /sys2' /proc/self/mounts | grep -vc ' ro,'; true")?
        .with_mount(json!({"destination": "/sys2", "type": "bind", "source": "/sys", "options": ["rbind", "rro"]}));
    let ran = bundle.run()?;
    let counts: Vec<u32> = ran.said.lines().filter_map(|line| line.parse().ok()).collect();
    assert!(counts[0] > 1, "{}", ran.said);
    assert_eq!(counts[1], 0, "{}", ran.said);
    Ok(())
}

#[test]
#[ignore = "run by cargo xtask runner"]
fn a_single_file_is_mounted_and_keeps_its_owner() -> Result<()> {
    let bundle = Bundle::shell("stat -c %u /etc/hosts; cat /etc/hosts; echo more >> /etc/hosts")?;
    let hosts = bundle.path().join("hosts");
    fs::write(&hosts, "127.0.0.1 localhost\n")?;
    std::os::unix::fs::chown(&hosts, Some(1234), None)?;
    let bundle = bundle.with_mount(json!({"destination": "/etc/hosts", "type": "bind",
        "source": hosts, "options": ["rbind", "rprivate"]}));
    assert_eq!(bundle.says()?, "1234\n127.0.0.1 localhost\n");
    assert_eq!(fs::read_to_string(&hosts)?, "127.0.0.1 localhost\nmore\n");
    assert_eq!(fs::metadata(&hosts)?.uid(), 1234);
    Ok(())
}

#[test]
#[ignore = "run by cargo xtask runner"]
fn mounts_of_a_container_do_not_reach_the_host() -> Result<()> {
    let bundle = Bundle::idle()?;
    let folder = bundle.path().display().to_string();
    // Others mount and unmount at the same time.
    let mounts = || -> Result<Vec<String>> {
        let all = fs::read_to_string("/proc/self/mountinfo")?;
        Ok(all.lines().filter(|line| line.contains(&folder)).map(str::to_owned).collect())
    };
    let before = mounts()?;
    let bundle = bundle.start()?;
    assert_eq!(mounts()?, before);
    drop(bundle);
    Ok(())
}

#[test]
#[ignore = "run by cargo xtask runner"]
fn a_source_that_is_not_there_is_named() -> Result<()> {
    let bundle = Bundle::shell("true")?.with_mount(
        json!({"destination": "/x", "type": "bind", "source": "/not/there", "options": ["bind"]}),
    );
    let refusal = bundle.refusal()?;
    assert!(refusal.contains("mount /not/there on /x: No such file or directory"), "{refusal}");
    Ok(())
}

#[test]
#[ignore = "run by cargo xtask runner"]
fn a_file_cannot_be_mounted_on_a_folder() -> Result<()> {
    let bundle = Bundle::shell("true")?
        .with_mount(json!({"destination": "/tmp", "type": "bind", "source": "/etc/passwd", "options": ["bind"]}));
    assert!(bundle.refusal()?.contains("Not a directory"));
    Ok(())
}

#[test]
#[ignore = "run by cargo xtask runner"]
fn the_root_is_shared_where_that_is_wanted() -> Result<()> {
    let bundle = Bundle::shell("grep -c ' / .* shared:' /proc/self/mountinfo; true")?;
    assert_eq!(bundle.says()?, "0\n");
    assert_eq!(bundle.with("/linux/rootfsPropagation", json!("shared")).says()?, "1\n");
    Ok(())
}

#[test]
#[ignore = "run by cargo xtask runner"]
fn the_root_can_be_changed_without_pivot_root() -> Result<()> {
    let bundle = Bundle::shell("ls / | tr '\\n' ' '; touch /proc/1/root/made && ls /made")?;
    let output = bundle.making("run", &["--no-pivot"])?.output()?;
    assert_eq!(String::from_utf8(output.stdout)?, "bin dev etc proc root sys tmp /made\n");
    Ok(())
}
