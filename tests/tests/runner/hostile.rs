//! Roots that mean harm, and what has gone wrong in other runtimes: a test for each.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::path::Path;

use anyhow::Result;
use berth_tests::berth_binary;
use rustix::fs::{CWD, FileType, Mode, mknodat};
use serde_json::json;

use crate::bundle::Bundle;

/// CVE-2019-5736: a container that has the runtime executed inside must not get at its file.
#[test]
#[ignore = "run by cargo xtask runner"]
fn the_runtime_cannot_be_overwritten_from_inside() -> Result<()> {
    let bundle = Bundle::new(&["/proc/self/exe", "--version"])?;
    let before = fs::metadata(berth_binary()?)?;
    // What is executed is the runtime, if the container can execute it at all.
    let ran = bundle.run()?;
    let bundle = Bundle::new(&["/entry"])?;
    fs::write(bundle.root().join("entry"), "#!/proc/self/exe\n")?;
    std::os::unix::fs::chown(bundle.root().join("entry"), Some(0), Some(0))?;
    rustix::fs::chmod(bundle.root().join("entry"), Mode::from_raw_mode(0o755))?;
    let _ = (ran, bundle.run()?);
    let idle = Bundle::idle()?.start()?;
    let ran = idle.exec(&[], "for p in /proc/[0-9]*/exe; do echo x >> $p; done 2>&1; true")?;
    assert!(ran.said.contains("Text file busy") || ran.said.contains("Read-only"), "{ran:?}");
    let after = fs::metadata(berth_binary()?)?;
    assert_eq!((before.len(), before.mtime()), (after.len(), after.mtime()));
    Ok(())
}

/// The same: the file that a process of ours shows is on a mount that cannot be written to.
#[test]
#[ignore = "run by cargo xtask runner"]
fn the_file_of_a_waiting_process_is_read_only() -> Result<()> {
    let bundle = Bundle::idle()?;
    bundle.create()?;
    let exe = format!("/proc/{}/exe", bundle.state()?["pid"]);
    assert!(rustix::fs::statvfs(exe)?.f_flag.contains(rustix::fs::StatVfsMountFlags::RDONLY));
    Ok(())
}

/// CVE-2024-21626: descriptors of the runtime must not be a way out, and a working directory must be inside.
#[test]
#[ignore = "run by cargo xtask runner"]
fn a_working_directory_cannot_lead_out() -> Result<()> {
    for number in 3..40 {
        let bundle =
            Bundle::shell("true")?.with("/process/cwd", json!(format!("/proc/self/fd/{number}")));
        let ran = bundle.refused()?;
        // What is open at that number is the runtime's affair: a folder that is not there, another that is not gone
        // into, or one that cannot be made.
        let is_missing = ["enter the", "No such file"].iter().all(|it| ran.complained.contains(it));
        let code = if is_missing { 127 } else { 1 };
        assert_eq!(ran.code, code, "{number}: {ran:?}");
        assert!(ran.complained.contains("working directory"), "{number}: {ran:?}");
    }
    let bundle = Bundle::idle()?.start()?;
    symlink("/proc/self/fd/4", bundle.root().join("out"))?;
    for cwd in ["/proc/self/fd/4", "/proc/self/cwd", "/proc/1/root", "/out"] {
        let ran = bundle.exec(&["--cwd", cwd], "pwd")?;
        assert_eq!((ran.code, ran.said.as_str()), (1, ""), "{cwd}: {ran:?}");
    }
    Ok(())
}

/// The same: nothing is open inside that was not passed.
#[test]
#[ignore = "run by cargo xtask runner"]
fn no_descriptor_of_the_runtime_is_open_inside() -> Result<()> {
    let list = "ls /proc/self/fd | tr '\\n' ' '";
    assert_eq!(Bundle::shell(list)?.says()?, "0 1 2 3 ");
    let bundle = Bundle::idle()?.start()?;
    assert_eq!(bundle.exec(&[], list)?.said, "0 1 2 3 ");
    Ok(())
}

/// CVE-2025-31133, CVE-2025-62161: what hides files is the null device, whatever the root has in its place.
#[test]
#[ignore = "run by cargo xtask runner"]
fn files_are_hidden_by_the_null_device_whatever_the_root_says_it_is() -> Result<()> {
    let mut bundle = Bundle::shell(
        "cat /proc/keys /proc/timer_list | wc -c; stat -c %t:%T /proc/keys /dev/null",
    )?;
    // No /dev of the engine's: the root's own is used.
    bundle.config["mounts"]
        .as_array_mut()
        .unwrap()
        .retain(|mount| !mount["destination"].as_str().unwrap().starts_with("/dev"));
    symlink("/proc/sys/kernel/core_pattern", bundle.root().join("dev/null"))?;
    let before = fs::read_to_string("/proc/sys/kernel/core_pattern")?;
    assert_eq!(bundle.says()?, "0\n1:3\n1:3\n");
    assert_eq!(fs::read_to_string("/proc/sys/kernel/core_pattern")?, before);
    Ok(())
}

/// CVE-2019-19921, CVE-2025-52881, CVE-2025-62596: a procfs is where it seems to be.
#[test]
#[ignore = "run by cargo xtask runner"]
fn a_procfs_that_is_somewhere_else_is_refused() -> Result<()> {
    for name in ["proc", "sys"] {
        let bundle = Bundle::shell("true")?;
        fs::remove_dir(bundle.root().join(name))?;
        symlink("/tmp", bundle.root().join(name))?;
        let refusal = bundle.refusal()?;
        assert!(refusal.contains(&format!("/{name} must be a folder")), "{refusal}");
    }
    let mount = |target: &str| json!({"destination": target, "type": "bind", "source": "/etc", "options": ["rbind"]});
    let refusal = Bundle::shell("true")?.with_mount(mount("/proc")).refusal()?;
    assert!(refusal.contains("only a procfs"), "{refusal}");
    for target in ["/proc/sys", "/proc/self/attr", "/link/self"] {
        let bundle = Bundle::shell("true")?.with_mount(mount(target));
        symlink("/proc", bundle.root().join("link"))?;
        let refusal = bundle.refusal()?;
        assert!(refusal.contains("procfs") || refusal.contains("No such"), "{target}: {refusal}");
    }
    Ok(())
}

/// CVE-2021-30465, CVE-2026-41579, CVE-2026-47766, CVE-2024-45310: targets of mounts and devices stay inside.
#[test]
#[ignore = "run by cargo xtask runner"]
fn links_of_the_root_lead_nowhere_on_the_host() -> Result<()> {
    let host = tempfile::tempdir()?;
    fs::create_dir(host.path().join("pts"))?;
    for target in [
        host.path().to_str().unwrap(),
        "../../../../../../../../../../../../../../../tmp/berth-escaped",
    ] {
        let bundle = Bundle::shell("ls -d /dev/null /data/new/folder")?
            .with_mount(
                json!({"destination": "/data/new/folder", "type": "tmpfs", "source": "tmpfs"}),
            )
            .with_mount(
                json!({"destination": "/data/new/file", "type": "bind", "source": "/etc/hostname",
                               "options": ["bind"]}),
            )
            .with("/process/cwd", json!("/data/made"));
        fs::remove_dir(bundle.root().join("dev"))?;
        symlink(target, bundle.root().join("dev"))?;
        symlink(target, bundle.root().join("data"))?;
        let ran = bundle.run()?;
        assert_eq!(ran.said, "/data/new/folder\n/dev/null\n", "{ran:?}");
        assert_eq!(fs::read_dir(host.path())?.count(), 1);
        assert_eq!(fs::read_dir(host.path().join("pts"))?.count(), 0);
        assert!(!Path::new("/tmp/berth-escaped").exists());
    }
    Ok(())
}

/// CVE-2024-45310, CVE-2021-30465: while a container that shares a volume turns a folder into a link and back.
#[test]
#[ignore = "run by cargo xtask runner"]
fn a_folder_that_becomes_a_link_meanwhile_leads_nowhere_either() -> Result<()> {
    let shared = tempfile::tempdir()?;
    let host = tempfile::tempdir()?;
    let volume = json!({"destination": "/shared", "type": "bind", "source": shared.path(), "options": ["rbind"]});
    let target = host.path().display();
    let flip = format!(
        "cd /shared; mkdir a; ln -s {target} b; while :; do mv a c; mv b a; mv a b; mv c a; done 2>/dev/null"
    );
    let racer = Bundle::shell(&flip)?.with_mount(volume.clone()).start()?;
    for _ in 0..40 {
        let bundle = Bundle::shell("true")?.with_mount(volume.clone()).with_mount(
            json!({"destination": "/shared/a/made/folder", "type": "tmpfs", "source": "tmpfs"}),
        );
        // It may be refused: what is there changes under it.
        bundle.run()?;
        assert_eq!(fs::read_dir(host.path())?.count(), 0);
    }
    drop(racer);
    Ok(())
}

/// CVE-2025-52565: the console is the terminal that was made, mounted by its descriptor.
#[test]
#[ignore = "run by cargo xtask runner"]
fn a_console_that_is_a_link_is_not_followed_out() -> Result<()> {
    let bundle = Bundle::shell("stat -c %t /dev/console")?.with("/process/terminal", json!(true));
    let mut bundle = bundle;
    bundle.config["mounts"].as_array_mut().unwrap().retain(|mount| mount["destination"] != "/dev");
    fs::create_dir_all(bundle.root().join("dev/pts"))?;
    symlink("../../../../../../../../tmp/berth-console", bundle.root().join("dev/console"))?;
    bundle.run()?;
    assert!(!Path::new("/tmp/berth-console").exists());
    Ok(())
}

/// CVE-2026-30892: who a process runs as is written in plain numbers.
#[test]
#[ignore = "run by cargo xtask runner"]
fn a_user_that_is_no_plain_number_is_refused() -> Result<()> {
    let bundle = Bundle::idle()?.start()?;
    for user in ["0x0", "+0", "4294967296", "4294967295", ":0", "root", "1:", " 0"] {
        let ran = bundle.exec(&["--user", user], "id -u")?;
        assert_eq!((ran.code, ran.said.as_str()), (1, ""), "{user}: {ran:?}");
    }
    Ok(())
}

/// Whatever kind of file the root has where something is expected, it is replaced or refused, and nothing hangs.
#[test]
#[ignore = "run by cargo xtask runner"]
fn any_kind_of_file_may_be_where_a_folder_should_be() -> Result<()> {
    for name in ["dev", "proc", "sys", "tmp"] {
        for kind in ["missing", "file", "fifo", "device", "socket", "dangling", "circle"] {
            let bundle = Bundle::shell("echo ran")?
                .with_mount(json!({"destination": "/tmp", "type": "tmpfs", "source": "tmpfs"}));
            let path = bundle.root().join(name);
            fs::remove_dir(&path)?;
            match kind {
                "file" => fs::write(&path, "")?,
                "fifo" => mknodat(CWD, &path, FileType::Fifo, Mode::from_raw_mode(0o666), 0)?,
                "device" => {
                    let null = rustix::fs::makedev(1, 3);
                    mknodat(
                        CWD,
                        &path,
                        FileType::CharacterDevice,
                        Mode::from_raw_mode(0o666),
                        null,
                    )?;
                }
                "socket" => drop(std::os::unix::net::UnixListener::bind(&path)?),
                "dangling" => symlink("/not/there/yet", &path)?,
                "circle" => symlink(name, &path)?,
                _ => {}
            }
            let ran = bundle.run()?;
            let expected = match (kind, name) {
                ("missing", _) | ("dangling", "dev" | "tmp") => "ran\n",
                _ => "",
            };
            assert_eq!(ran.said, expected, "{name} as {kind}: {ran:?}");
            assert!(bundle.is_gone()?, "{name} as {kind}");
        }
    }
    Ok(())
}
