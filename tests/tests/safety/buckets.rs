//! Buckets that are not the registry's own: trees of `registry:2` that are written there, and layouts that are read.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::{Context as _, Result, ensure};
use berth_test_stores::{Moto, S3Access, VersityGateway};
use berth_tests::content::Blob;
use berth_tests::registry::Contents;
use berth_tests::stores::s3_launch;
use berth_tests::{Launch, Registry, Target, berth_binary};

use crate::client::{berth, push_image, succeed};
use crate::old_registry::{OldRegistry, programs};

/// The folder in the bucket that another registry has its layouts in.
const FOLDER: &str = "zot";

/// The file of a configuration that names the bucket.
fn configuration(folder: &Path, access: &S3Access, root: &str) -> Result<PathBuf> {
    let S3Access { endpoint, region, bucket, access_key, secret_key } = access;
    let text = format!(
        "storage: {{s3: {{regionendpoint: '{endpoint}', region: {region}, bucket: {bucket}, accesskey: '{access_key}', secretkey: '{secret_key}', rootdirectory: '{root}'}}}}"
    );
    let file = folder.join("bucket.yml");
    fs::write(&file, text)?;
    Ok(file)
}

fn contents(program: &Path, access: &S3Access) -> Result<Contents> {
    let theirs = OldRegistry::on_bucket(program, access)?;
    Registry::new(&format!("http://{}", theirs.address))?.contents()
}

fn text(path: &Path) -> String {
    path.display().to_string()
}

fn told(output: &Output) -> String {
    let (out, error) = (&output.stdout, &output.stderr);
    format!("{}{}", String::from_utf8_lossy(out), String::from_utf8_lossy(error))
}

#[test]
#[ignore = "run by cargo xtask faults"]
fn a_tree_goes_into_buckets_that_others_serve() -> Result<()> {
    let (folder, files) = (tempfile::tempdir()?, tempfile::tempdir()?);
    let root = folder.path();
    let server = Launch::filesystem(root)?.target(Target::Berth).start()?;
    for seed in 0..5 {
        push_image(server.address(), "library/app", &format!("v{seed}"), seed)?;
    }
    push_image(server.address(), "deep/er/name", "latest", 2)?;
    let ours = server.registry().contents()?;
    let (versity, moto) = (VersityGateway::start()?, Moto::start()?);
    for access in [versity.access(), moto.access()] {
        let file = configuration(files.path(), access, "")?;
        for copied in ["; 10 blobs copied", "; 0 blobs copied"] {
            let said = succeed(root, &["export", &text(&file)])?;
            ensure!(said.contains("6 manifests and 6 tags") && said.contains(copied), "{said}");
        }
        for program in programs()? {
            let theirs = contents(&program, access)?;
            ensure!(theirs == ours, "{}: {theirs:#?}\n{ours:#?}", program.display());
        }
    }

    let file = configuration(files.path(), versity.access(), "")?;
    let refused = berth(root, &["export", "--oci-layout", "library/app", &text(&file)])?;
    ensure!(told(&refused).contains("is written into a folder"), "{}", told(&refused));
    let wrong = S3Access { secret_key: "wrong".to_owned(), ..versity.access().clone() };
    let file = configuration(files.path(), &wrong, "")?;
    let refused = berth(root, &["export", &text(&file)])?;
    ensure!(!refused.status.success(), "{}", told(&refused));
    ensure!(told(&refused).contains("bucket.yml cannot be used: "), "{}", told(&refused));
    server.stop()
}

#[test]
#[ignore = "run by cargo xtask faults"]
fn a_bucket_becomes_one_of_registry_2_again() -> Result<()> {
    let files = tempfile::tempdir()?;
    let store = VersityGateway::start()?;
    let [program, _] = programs()?;
    let mut old = OldRegistry::on_bucket(&program, store.access())?;
    old.use_it()?;
    old.stop()?;
    let launch = s3_launch(store.access())?
        .target(Target::Berth)
        .env("REGISTRY_METADATA_SQLITE_PATH", files.path().join("berth.db"));
    let command = |arguments: &[&str]| -> Result<String> {
        let output = launch.command(arguments)?.output()?;
        ensure!(output.status.success(), "{arguments:?}: {}", told(&output));
        Ok(told(&output))
    };
    let file = configuration(files.path(), store.access(), "")?;
    let mut import = Command::new(berth_binary()?);
    import.arg("import").arg(&file);
    import.env("REGISTRY_METADATA_SQLITE_PATH", files.path().join("berth.db"));
    let output = import.output()?;
    ensure!(told(&output).contains("everything was as it should be"), "{}", told(&output));
    let server = launch.start()?;
    push_image(server.address(), "library/app", "ours", 100)?;
    push_image(server.address(), "library/app", "moved", 101)?;
    let ours = server.registry().contents()?;
    let before = contents(&program, store.access())?;
    ensure!(before != ours, "what was pushed here lies under keys of its own");
    let said = command(&["export", &text(&file)])?;
    ensure!(said.contains("; 4 blobs copied"), "those of two images alone: {said}");
    ensure!(server.registry().contents()? == ours);
    server.stop()?;
    let theirs = contents(&program, store.access())?;
    ensure!(theirs == ours, "{theirs:#?}\n{ours:#?}");
    Ok(())
}

/// Where a layout has a blob.
fn blob(layout: &Path, blob: &Blob) -> Result<PathBuf> {
    let (algorithm, hex) = blob.digest.split_once(':').context("no digest")?;
    Ok(layout.join("blobs").join(algorithm).join(hex))
}

/// Layouts as zot keeps them in a bucket: repositories below others, blobs of several in one of them or in a folder
/// of their own, and empty elsewhere.
#[test]
#[ignore = "run by cargo xtask faults"]
fn layouts_are_copied_from_a_bucket() -> Result<()> {
    let (from, to, files) = (tempfile::tempdir()?, tempfile::tempdir()?, tempfile::tempdir()?);
    let server = Launch::filesystem(from.path())?.target(Target::Berth).start()?;
    let names = ["team/app", "team/app/below", "twin", "third"];
    let shared = push_image(server.address(), names[0], "1", 1)?.layer;
    push_image(server.address(), names[0], "2", 2)?;
    push_image(server.address(), names[1], "1", 3)?;
    push_image(server.address(), names[2], "1", 1)?;
    let apart = push_image(server.address(), names[3], "1", 4)?.layer;
    let before = server.registry().contents()?;
    let store = VersityGateway::start()?;
    let zot = store.data().join(FOLDER);
    for name in names {
        let layout = text(&zot.join(name));
        succeed(from.path(), &["export", "--oci-layout", name, &layout])?;
    }
    server.stop()?;
    fs::write(blob(&zot.join("twin"), &shared)?, "")?;
    let kept = blob(&zot.join("_blobstore"), &apart)?;
    fs::create_dir_all(kept.parent().context("no folder")?)?;
    fs::rename(blob(&zot.join("third"), &apart)?, kept)?;
    fs::write(zot.join("_blobstore/oci-layout"), "{}")?;

    let file = text(&configuration(files.path(), store.access(), FOLDER)?);
    let server = Launch::filesystem(to.path())?.target(Target::Berth).start()?;
    let said = succeed(to.path(), &["import", "--oci-layout", &file])?;
    ensure!(said.contains("everything was as it should be"), "{said}");
    let found = server.registry().contents()?;
    ensure!(found == before, "{found:#?}\n{before:#?}");
    let again = succeed(to.path(), &["import", "--oci-layout", &file, "--json"])?;
    ensure!(again.contains("\"blobs\":0"), "nothing is copied twice: {again}");

    // What no repository can be called spoils nothing else, nor does what is damaged.
    fs::rename(zot.join("twin"), zot.join("Twin"))?;
    fs::write(blob(&zot.join("team/app/below"), &Blob::random(7, 50_000))?, "bad")?;
    let other = tempfile::tempdir()?;
    let said = succeed(other.path(), &["import", "--oci-layout", &file])?;
    ensure!(said.contains("Twin: no repository can be called so"), "{said}");
    ensure!(said.contains("its blob is damaged") && said.contains("2 things"), "{said}");
    let refused = berth(other.path(), &["import", "--oci-layout", &file, "--name", "x"])?;
    ensure!(told(&refused).contains("holds several OCI image layouts"), "{}", told(&refused));
    let file = text(&configuration(files.path(), store.access(), "nothing")?);
    let refused = berth(other.path(), &["import", "--oci-layout", &file])?;
    ensure!(told(&refused).contains("holds no OCI image layout"), "{}", told(&refused));
    server.stop()
}
