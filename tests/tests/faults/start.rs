//! Starts that cannot succeed end at once, with a message that says what to do.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use anyhow::Result;
use berth_tests::refusal::{berth, fails, finish};
use berth_tests::server::berth_binary;

#[test]
#[ignore = "run by cargo xtask faults"]
fn a_storage_directory_that_cannot_be_used_is_named_with_its_setting() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let file = directory.path().join("file");
    fs::write(&file, "no directory")?;
    for root in [file.clone(), file.join("below"), "/proc/berth".into()] {
        let root = root.display().to_string();
        let setting = [("REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY", root.as_str())];
        for command in [&["serve"][..], &["config", "check"]] {
            let output = berth(directory.path(), command, &setting)?;
            fails(&output, &[&root, "storage.filesystem.rootdirectory"])?;
        }
    }
    Ok(())
}

#[test]
#[ignore = "run by cargo xtask faults"]
fn a_storage_directory_without_permission_is_named_with_its_setting() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let root = directory.path().join("data");
    fs::create_dir(&root)?;
    fs::set_permissions(&root, fs::Permissions::from_mode(0o000))?;
    let root = root.display().to_string();
    // Root may read everything, but for the capabilities that are taken away here.
    let mut command = Command::new("/usr/bin/setpriv");
    command.args(["--bounding-set", "-dac_override,-dac_read_search", "--inh-caps=-all", "--"]);
    command.arg(berth_binary()?).arg("serve");
    let setting = [("REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY", root.as_str())];
    let output = finish(&mut command, Path::new("/"), &setting)?;
    fails(&output, &[&root, "storage.filesystem.rootdirectory", "ermission"])
}

#[test]
#[ignore = "run by cargo xtask faults"]
fn an_address_that_is_taken_is_named() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let taken = TcpListener::bind("127.0.0.1:0")?;
    let address = taken.local_addr()?.to_string();
    let output = berth(directory.path(), &["serve"], &[("REGISTRY_HTTP_ADDR", &address)])?;
    fails(&output, &[&address, "in use"])
}

#[test]
#[ignore = "run by cargo xtask faults"]
fn an_address_that_others_can_reach_needs_words() -> Result<()> {
    let directory = tempfile::tempdir()?;
    for address in [":0", "0.0.0.0:0", "[::]:0"] {
        let output = berth(directory.path(), &["serve"], &[("REGISTRY_HTTP_ADDR", address)])?;
        fails(&output, &["http.allowinsecure"])?;
    }
    Ok(())
}

#[test]
#[ignore = "run by cargo xtask faults"]
fn a_mistake_in_the_configuration_is_told_by_line_and_key() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let file = directory.path().join("config.yml");
    for (text, words) in [
        (
            "version: 0.1\nstorage:\n  delete:\n    enable: true\n",
            &["config.yml:4", "storage.delete.enable", "did you mean"][..],
        ),
        ("version: 0.1\nhttp:\n  addr: [\n", &["config.yml:"]),
        (
            "version: 0.1\nhttp:\n  limits:\n    bodytimeout: 30\n",
            &["http.limits.bodytimeout", "30"],
        ),
    ] {
        fs::write(&file, text)?;
        for command in [&["serve", "config.yml"][..], &["config", "check", "config.yml"]] {
            fails(&berth(directory.path(), command, &[])?, words)?;
        }
    }
    fails(&berth(directory.path(), &["serve", "absent.yml"], &[])?, &["absent.yml"])
}
