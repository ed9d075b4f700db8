//! Registries that lie: nothing of what they say is kept.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use berth_tests::fixtures;
use berth_tests::registry::sha256;
use serde_json::json;

use crate::machine::Machine;
use crate::scripted::{INDEX, MANIFEST, Scripted};

/// Refuses a pull, in these words, and has nothing of it.
fn refuses(registry: &Scripted, machine: &Machine, words: &str) -> Result<()> {
    let refused = machine.refused(&format!("pull {}", registry.name("app")))?;
    ensure!(refused.contains(words), "{words}: {refused}");
    ensure!(machine.berth("images -aq")?.is_empty(), "{words}: there is an image");
    assert_eq!(machine.content()?, [] as [PathBuf; 0], "{words}");
    Ok(())
}

#[test]
#[ignore = "started by cargo xtask runner"]
fn a_layer_that_is_not_what_its_digest_says_is_not_kept() -> Result<()> {
    let (registry, machine) = (Scripted::start()?, Machine::new()?);
    let layers = registry.serve(&fixtures::busybox()?)?;
    let layout = fixtures::busybox()?;
    let mut bytes = std::fs::read(layout.path.join("blobs").join(layers[0].replace(':', "/")))?;
    *bytes.last_mut().context("a layer has bytes")? ^= 1;
    registry.forged_blob(&layers[0], &bytes);
    refuses(&registry, &machine, "failed verification")
}

#[test]
#[ignore = "started by cargo xtask runner"]
fn a_layer_that_is_not_the_one_of_the_configuration_is_not_kept() -> Result<()> {
    let (registry, machine) = (Scripted::start()?, Machine::new()?);
    let layer = gzip(&[0; 1024])?;
    registry.image("latest", &[(&layer, &sha256(b"another"))]);
    refuses(&registry, &machine, "the image's configuration says")
}

#[test]
#[ignore = "started by cargo xtask runner"]
fn a_layer_that_goes_on_behind_its_size_is_not_kept() -> Result<()> {
    let (registry, machine) = (Scripted::start()?, Machine::new()?);
    let layers = registry.serve(&fixtures::busybox()?)?;
    registry.forged_blob(&layers[1], &[0; 10_000]);
    refuses(&registry, &machine, "is too large")
}

#[test]
#[ignore = "started by cargo xtask runner"]
fn manifests_that_are_two_things_or_none_are_refused() -> Result<()> {
    let (registry, machine) = (Scripted::start()?, Machine::new()?);
    registry.image("latest", &[]);
    let both = json!({
        "schemaVersion": 2, "mediaType": INDEX, "manifests": [],
        "config": {"mediaType": MANIFEST, "digest": sha256(b""), "size": 0}, "layers": [],
    });
    registry.manifest("latest", INDEX, both.to_string().as_bytes());
    refuses(&registry, &machine, "cannot have a member")?;
    let chart = json!({
        "schemaVersion": 2, "mediaType": MANIFEST, "layers": [],
        "config": {"mediaType": "application/vnd.cncf.helm.config.v1+json", "digest": sha256(b"{}"), "size": 2},
    });
    registry.manifest("latest", MANIFEST, chart.to_string().as_bytes());
    refuses(&registry, &machine, "its configuration is application/vnd.cncf.helm.config.v1+json")?;
    let long = format!("{{\"schemaVersion\": 2, \"padding\": \"{}\"}}", "x".repeat(4 << 20));
    registry.manifest("latest", MANIFEST, long.as_bytes());
    refuses(&registry, &machine, "longer than")?;
    let many: Vec<_> = (0..501)
        .map(|_| json!({"mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": sha256(b"x"), "size": 1}))
        .collect();
    let deep = json!({
        "schemaVersion": 2, "mediaType": MANIFEST, "layers": many,
        "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": sha256(b"{}"), "size": 2},
    });
    registry.manifest("latest", MANIFEST, deep.to_string().as_bytes());
    refuses(&registry, &machine, "the list of layers is too large")?;
    let huge = json!({
        "schemaVersion": 2, "mediaType": MANIFEST, "layers": [],
        "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": sha256(b"{}"), "size": 1u64 << 40},
    });
    registry.manifest("latest", MANIFEST, huge.to_string().as_bytes());
    refuses(&registry, &machine, "is too large")
}

#[test]
#[ignore = "started by cargo xtask runner"]
fn a_manifest_that_is_not_what_was_asked_for_is_refused() -> Result<()> {
    let (registry, machine) = (Scripted::start()?, Machine::new()?);
    let digest = registry.image("latest", &[]);
    registry.manifest(&digest, MANIFEST, b"{\"schemaVersion\": 2}");
    let refused = machine.refused(&format!("pull {}@{digest}", registry.name("app")))?;
    ensure!(refused.contains("failed verification"), "{refused}");
    Ok(())
}

fn gzip(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut child = Command::new("gzip").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    child.stdin.take().context("gzip has an input")?.write_all(bytes)?;
    Ok(child.wait_with_output()?.stdout)
}
