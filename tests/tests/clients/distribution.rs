use anyhow::Result;
use berth_tests::fixtures;
use berth_tests::registry::digest_of;
use berth_tests::{Home, Launch, Target};

use crate::{publish, same};

/// A tree of ours is a tree of registry:2: who wants to leave, can.
#[test]
#[ignore = "run by cargo xtask clients"]
fn the_docker_registry_of_debian_serves_a_copy_of_our_tree() -> Result<()> {
    let home = Home::new()?;
    let tree = home.path("tree");
    let server = Launch::filesystem(&tree)?.start()?;
    let host = server.host();
    publish(&home, &fixtures::busybox()?, &server, "busybox:1")?;
    publish(&home, &fixtures::busybox()?, &server, "busybox:latest")?;
    publish(&home, &fixtures::multi_platform()?, &server, "deep/er/multi:1")?;
    publish(&home, &fixtures::debian()?, &server, "debian:12")?;
    home.run(&format!(
        "skopeo copy --format v2s2 --dest-tls-verify=false {} docker://{host}/busybox:docker",
        fixtures::busybox()?.oci()
    ))?;
    std::fs::write(home.path("home/note"), "a note")?;
    home.run(&format!("oras attach --plain-http --artifact-type application/vnd.example.note {host}/busybox:1 note"))?;
    home.run(&format!("crane copy {host}/busybox:1 {host}/mounted/busybox:1"))?;
    publish(&home, &fixtures::multi_platform()?, &server, "moved:1")?;
    publish(&home, &fixtures::busybox()?, &server, "moved:1")?;
    publish(&home, &fixtures::busybox()?, &server, "gone:1")?;
    home.run(&format!("skopeo delete --tls-verify=false docker://{host}/gone:1"))?;

    let ours = server.registry().contents()?;
    let pushed = [
        "busybox:1",
        "busybox:docker",
        "busybox:latest",
        "debian:12",
        "deep/er/multi:1",
        "mounted/busybox:1",
        "moved:1",
    ];
    let listed: Vec<&str> = ours.tags.iter().map(|(name, _)| name.as_str()).collect();
    same("what we list ourselves", &listed.as_slice(), &pushed.as_slice())?;
    let notes = server.registry().referrers("busybox", &fixtures::busybox()?.digest)?;
    same("the number of notes", &notes.len(), &1)?;
    server.stop()?;

    let copy = home.path("copy");
    home.run(&format!("cp --archive {} {}", tree.display(), copy.display()))?;
    let debians = Launch::filesystem(&copy)?.target(Target::DockerRegistry).start()?;
    let theirs = debians.registry().contents()?;
    same("the tags in both registries", &theirs.tags, &ours.tags)?;
    same("the manifests and blobs in both registries", &theirs.objects, &ours.objects)?;
    // It has no referrers API, but it has the manifests without tags too.
    debians.registry().verify("busybox", digest_of(&notes[0])?)?;
    debians.stop()
}
