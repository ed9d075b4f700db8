//! Trees that other registries have made, with all that they do to them.

use std::path::Path;

use anyhow::{Result, ensure};
use berth_test_stores::VersityGateway;
use berth_tests::registry::Contents;
use berth_tests::stores::s3_launch;
use berth_tests::{Launch, Registry, Target, tree};

use crate::client::{push_image, succeed};
use crate::old_registry::{OldRegistry, programs};

fn contents(address: std::net::SocketAddr) -> Result<Contents> {
    Registry::new(&format!("http://{address}"))?.contents()
}

/// Every file of the tree, with its bytes.
fn bytes(root: &Path) -> Result<Vec<(std::path::PathBuf, Vec<u8>)>> {
    let mut files = Vec::new();
    for path in tree::files(&root.join("docker"))? {
        files.push((path.clone(), std::fs::read(path)?));
    }
    files.sort();
    Ok(files)
}

#[test]
#[ignore = "run by cargo xtask faults"]
fn a_tree_is_adopted_in_place_while_its_registry_goes_on() -> Result<()> {
    for program in programs()? {
        println!("{}", program.display());
        let folder = tempfile::tempdir()?;
        let root = folder.path();
        let mut old = OldRegistry::on_folder(&program, root)?;
        old.use_it()?;
        let (theirs, before) = (contents(old.address)?, bytes(root)?);

        let told = succeed(root, &["import", &root.display().to_string()])?;
        ensure!(told.contains("everything was as it should be"), "{told}");
        ensure!(bytes(root)? == before, "the import changed the tree");

        let more = push_image(old.address, "library/app", "v99", 99)?;
        push_image(old.address, "library/app", "moved", 5)?;
        let theirs_later = contents(old.address)?;
        ensure!(theirs != theirs_later);
        let told = succeed(root, &["import"])?;
        ensure!(told.contains("1 manifests, 2 tags"), "the difference alone: {told}");
        ensure!(succeed(root, &["import"])?.contains("0 manifests, 0 tags and 0 links"));
        old.stop()?;

        let ours = Launch::filesystem(root)?.target(Target::Berth).start()?;
        let found = ours.registry().contents()?;
        ensure!(found == theirs_later, "{found:#?}\n{theirs_later:#?}");
        crate::client::expect_blob(ours.address(), "library/app", &more.layer)?;
        push_image(ours.address(), "library/app", "ours", 100)?;
        let ours_at_the_end = ours.registry().contents()?;
        ours.stop()?;

        // And back: the tree was theirs all along.
        let back = OldRegistry::on_folder(&program, root)?;
        ensure!(contents(back.address)? == ours_at_the_end);
    }
    Ok(())
}

#[test]
#[ignore = "run by cargo xtask faults"]
fn a_bucket_is_adopted_in_place() -> Result<()> {
    for program in programs()? {
        println!("{}", program.display());
        let store = VersityGateway::start()?;
        let mut old = OldRegistry::on_bucket(&program, store.access())?;
        old.use_it()?;
        let theirs = contents(old.address)?;
        old.stop()?;

        let folder = tempfile::tempdir()?;
        let launch = s3_launch(store.access())?
            .target(Target::Berth)
            .env("REGISTRY_METADATA_SQLITE_PATH", folder.path().join("berth.db"));
        for expected in ["everything was as it should be", "0 manifests, 0 tags and 0 links"] {
            let output = launch.command(&["import"])?.output()?;
            let told = String::from_utf8_lossy(&output.stdout).into_owned();
            let error = String::from_utf8_lossy(&output.stderr);
            ensure!(output.status.success() && told.contains(expected), "{told}{error}");
        }
        let ours = launch.start()?;
        ensure!(ours.registry().contents()? == theirs);
        push_image(ours.address(), "library/app", "ours", 100)?;
        ours.registry().verify("library/app", "ours")?;
        ours.stop()?;
    }
    Ok(())
}

#[test]
#[ignore = "run by cargo xtask faults"]
fn a_start_says_that_a_tree_is_there_or_adopts_it() -> Result<()> {
    let [program, _] = programs()?;
    let folder = tempfile::tempdir()?;
    let mut old = OldRegistry::on_folder(&program, folder.path())?;
    old.use_it()?;
    let theirs = contents(old.address)?;
    old.stop()?;
    let launch = Launch::filesystem(folder.path())?.target(Target::Berth);
    let server = launch.start()?;
    ensure!(server.log().contains("run `berth import`, or set storage.adopt"), "{}", server.log());
    ensure!(server.registry().contents()?.tags.is_empty());
    server.stop()?;
    let server = launch.env("REGISTRY_STORAGE_ADOPT", "true").start()?;
    ensure!(server.registry().contents()? == theirs);
    server.stop()
}
