use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Result, ensure};
use berth_tests::registry::sha256;
use berth_tests::{Server, fixtures};
use serde_json::json;

use crate::machine::{Machine, publish};

/// Loads the busybox of the suite, which has no name; its id.
pub(crate) fn load_busybox(machine: &Machine) -> Result<String> {
    let archive = machine.home.path("busybox.tar");
    let layout = fixtures::busybox()?;
    let status = Command::new("tar")
        .arg("-cf")
        .arg(&archive)
        .arg("-C")
        .arg(&layout.path)
        .arg(".")
        .status()?;
    ensure!(status.success(), "tar ended with {status}");
    let told = machine.berth(&format!("load -i {}", archive.display()))?;
    Ok(told.strip_prefix("Loaded image ID: ").unwrap_or(&told).to_owned())
}

#[test]
#[ignore = "started by cargo xtask runner"]
fn what_was_saved_is_loaded_elsewhere_as_the_same_image_and_pushed_as_the_same() -> Result<()> {
    let (server, here, there) = (Server::start()?, Machine::new()?, Machine::new()?);
    let (layout, host) = (fixtures::busybox()?, server.host());
    publish(&here, &layout, &format!("{host}/app:1"))?;
    here.berth(&format!("pull {host}/app:1"))?;
    here.berth(&format!("tag {host}/app:1 {host}/copy:1"))?;
    let archive = here.home.path("saved.tar");
    here.berth(&format!("save -o {} {host}/app:1 {host}/copy", archive.display()))?;
    // Images may hold secrets.
    assert_eq!(fs::metadata(&archive)?.permissions().mode() & 0o777, 0o600);
    for compression in ["cat", "gzip", "zstd"] {
        let compressed = there.home.path("saved");
        let made = Command::new(compression)
            .stdin(File::open(&archive)?)
            .stdout(File::create(&compressed)?)
            .status()?;
        ensure!(made.success(), "{compression} ended with {made}");
        let told = there.home.run_with_input(&there.line("load"), &fs::read(&compressed)?)?;
        assert_eq!(told, format!("Loaded image: {host}/app:1\nLoaded image: {host}/copy:1"));
    }
    let id = here.inspect(&format!("{host}/app:1"), "{{.Id}}")?;
    assert_eq!(there.inspect(&format!("{host}/copy:1"), "{{.Id}}")?, id);
    there.berth(&format!("push {host}/copy:1"))?;
    assert_eq!(server.registry().verify("copy", "1")?.0, layout.digest);
    // An archive depends on what is in it alone.
    let again = there.home.path("again.tar");
    there.berth(&format!("save -o {} {host}/app:1 {host}/copy", again.display()))?;
    assert_eq!(sha256(&fs::read(&archive)?), sha256(&fs::read(&again)?));
    server.stop()
}

#[test]
#[ignore = "started by cargo xtask runner"]
fn an_image_of_uncompressed_layers_is_pushed_as_it_was_loaded() -> Result<()> {
    let (server, machine) = (Server::start()?, Machine::new()?);
    let archive = machine.home.path("docker.tar");
    let name = format!("{}/app:1", server.host());
    machine.home.run(&format!(
        "skopeo copy --quiet {} docker-archive:{}:{name}",
        fixtures::busybox()?.oci(),
        archive.display()
    ))?;
    let told = machine.berth(&format!("load -i {}", archive.display()))?;
    assert_eq!(told, format!("Loaded image: {name}"));
    machine.berth(&format!("push {name}"))?;
    server.registry().verify("app", "1")?;
    machine.berth(&format!("rmi {name}"))?;
    machine.berth(&format!("pull {name}"))?;
    server.stop()
}

#[test]
#[ignore = "started by cargo xtask runner"]
fn a_name_that_is_loaded_leaves_the_image_that_had_it() -> Result<()> {
    let machine = Machine::new()?;
    let id = load_busybox(&machine)?;
    machine.berth(&format!("tag {id} app:1"))?;
    let archive = machine.home.path("arm.tar");
    let layout = fixtures::multi_platform()?;
    machine.home.run(&format!(
        "skopeo copy --quiet --override-arch arm64 {} docker-archive:{}:app:1",
        layout.oci(),
        archive.display()
    ))?;
    let told = machine.berth(&format!("load -i {}", archive.display()))?;
    let words = format!(
        "The image app:1 already exists, renaming the old one with ID {id} to empty string"
    );
    assert!(told.starts_with(&words), "{told}");
    assert_eq!(machine.berth("images -q --no-trunc --filter dangling=true")?, id);
    Ok(())
}

#[test]
#[ignore = "started by cargo xtask runner"]
fn archives_that_lead_out_or_lie_are_refused_and_leave_nothing() -> Result<()> {
    let machine = Machine::new()?;
    let outside = machine.home.path("outside");
    let config = br#"{"rootfs":{"diff_ids":[]}}"#;
    let manifest = |config: &str, layers: &[&str]| {
        json!([{"Config": config, "RepoTags": ["evil:1"], "Layers": layers}]).to_string()
    };
    let link = outside.display().to_string();
    let whole = manifest("config.json", &[]);
    let forged = format!("blobs/sha256/{}", "0".repeat(64));
    let forged_index = json!({"schemaVersion": 2, "manifests": [{
        "mediaType": crate::scripted::MANIFEST, "digest": format!("sha256:{}", "0".repeat(64)), "size": 1,
    }]})
    .to_string();
    let layers = manifest("config.json", &["layer"]);
    let absent = manifest("absent.json", &[]);
    let cases: [(&[Member<'_>], &str); 7] = [
        (
            &[Member::File("../outside", b"x"), Member::File("manifest.json", whole.as_bytes())],
            "leads out",
        ),
        (
            &[Member::Link("config.json", &link), Member::File("manifest.json", whole.as_bytes())],
            "leads out",
        ),
        (&[Member::Link("a", "../../outside"), Member::File("a/b", b"x")], "leads out"),
        (&[Member::File("manifest.json", absent.as_bytes())], "is missing"),
        (
            &[
                Member::File("config.json", config),
                Member::File("layer", b"x"),
                Member::File("manifest.json", layers.as_bytes()),
            ],
            "1 layers, and its configuration 0",
        ),
        (
            &[Member::File(&forged, b"x"), Member::File("index.json", forged_index.as_bytes())],
            "failed verification",
        ),
        (&[Member::File("hello", b"x")], "there is no image in it"),
    ];
    for (members, words) in cases {
        let refused = machine.home.refused_with_input(&machine.line("load"), &archive(members))?;
        assert!(refused.contains(words), "{members:?}: {refused}");
        assert!(!outside.exists());
        assert_eq!(machine.content()?, [] as [PathBuf; 0], "{members:?}");
    }
    Ok(())
}

#[derive(Debug)]
enum Member<'a> {
    File(&'a str, &'a [u8]),
    Link(&'a str, &'a str),
}

/// A tar archive, written by hand: tools refuse to write what is tested here.
fn archive(members: &[Member<'_>]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for member in members {
        let (name, kind, link, content) = match member {
            Member::File(name, content) => (name, b'0', "", *content),
            Member::Link(name, target) => (name, b'2', *target, &[][..]),
        };
        let mut header = [0; 512];
        header[..name.len()].copy_from_slice(name.as_bytes());
        header[100..107].copy_from_slice(b"0000644");
        header[124..135].copy_from_slice(format!("{:011o}", content.len()).as_bytes());
        header[148..156].copy_from_slice(b"        ");
        header[156] = kind;
        header[157..157 + link.len()].copy_from_slice(link.as_bytes());
        header[257..265].copy_from_slice(b"ustar\x0000");
        let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
        header[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
        bytes.extend(header);
        bytes.extend(content);
        bytes.resize(bytes.len().next_multiple_of(512), 0);
    }
    bytes.resize(bytes.len() + 1024, 0);
    bytes
}
