//! What years do to a tree, each with what is expected of an import.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use berth_tests::content::{Blob, Manifest, sha512};
use berth_tests::tree::blob_data;
use berth_tests::wire::{self, get};
use berth_tests::{Launch, Server, Target, berth_binary};

use crate::client::{Image, berth, blob_status, push_blob, push_image, push_manifest, succeed};
use crate::old_registry::{OldRegistry, programs};

/// A tree with three good images in it, of which `app:1` is harmed.
struct Scene {
    root: PathBuf,
    image: Image,
}

impl Scene {
    fn tree(&self) -> PathBuf {
        self.root.join("docker/registry/v2")
    }

    fn data(&self, digest: &str) -> PathBuf {
        blob_data(&self.root, digest)
    }

    fn layer(&self) -> PathBuf {
        self.data(&self.image.layer.digest)
    }

    fn manifest(&self) -> PathBuf {
        self.data(&self.image.manifest.digest)
    }

    fn repository(&self) -> PathBuf {
        self.tree().join("repositories/app")
    }

    fn layer_link(&self) -> PathBuf {
        let hex = self.image.layer.digest.trim_start_matches("sha256:");
        self.repository().join("_layers/sha256").join(hex).join("link")
    }

    fn tag_link(&self) -> PathBuf {
        self.repository().join("_manifests/tags/1/current/link")
    }
}

/// What a harmed image is afterwards.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Outcome {
    /// As good as before.
    Whole,
    /// Its manifest is there, and its layer is answered so, when it is read and when it is asked for.
    Layer(u16, u16),
    /// The same, once all bytes have been looked at.
    LayerWhenScrubbed(u16, u16),
    /// The tag is gone.
    NoTag,
}

/// What is said of a tree that an import finds nothing wrong with.
const GOOD: &str = "everything was as it should be";

/// How many empty folders there are; `BERTH_EMPTY_FOLDERS=1000000` for as many as the worst of them have.
fn empty_folders() -> Result<u32> {
    match std::env::var("BERTH_EMPTY_FOLDERS") {
        Ok(number) => number.parse().with_context(|| format!("BERTH_EMPTY_FOLDERS={number}")),
        Err(_) => Ok(20_000),
    }
}

type Harm = fn(&Scene) -> Result<()>;

const TABLE: &[(&str, Harm, &str, Outcome)] = &[
    (
        "a truncated blob",
        |scene| Ok(fs::OpenOptions::new().write(true).open(scene.layer())?.set_len(100)?),
        "is damaged (it has 100 bytes where 50000 are expected)",
        Outcome::Layer(500, 404),
    ),
    (
        "a blob of no bytes",
        |scene| Ok(fs::write(scene.layer(), "")?),
        "is damaged (it has 0 bytes where 50000 are expected)",
        Outcome::Layer(500, 404),
    ),
    (
        "a blob with a flipped bit",
        |scene| {
            let mut bytes = fs::read(scene.layer())?;
            bytes[10] ^= 1;
            Ok(fs::write(scene.layer(), bytes)?)
        },
        GOOD,
        Outcome::LayerWhenScrubbed(500, 404),
    ),
    (
        "a missing blob",
        |scene| Ok(fs::remove_file(scene.layer())?),
        "was taken without its blob",
        Outcome::Layer(404, 404),
    ),
    (
        "an empty link to a blob",
        |scene| Ok(fs::write(scene.layer_link(), "")?),
        "does not hold what its name says; the name was taken",
        Outcome::Whole,
    ),
    (
        "a link to a blob with garbage in it",
        |scene| Ok(fs::write(scene.layer_link(), "garbage")?),
        "does not hold what its name says; the name was taken",
        Outcome::Whole,
    ),
    (
        "a link to a blob that is gone and that no manifest needs",
        |scene| {
            let hex = "0".repeat(64);
            let link = scene.repository().join("_layers/sha256").join(&hex);
            fs::create_dir(&link)?;
            Ok(fs::write(link.join("link"), format!("sha256:{hex}"))?)
        },
        "1 links lead to blobs that are gone",
        Outcome::Whole,
    ),
    (
        "a missing link to a blob",
        |scene| Ok(fs::remove_file(scene.layer_link())?),
        "which its manifest",
        Outcome::Whole,
    ),
    (
        "an empty link of a tag",
        |scene| Ok(fs::write(scene.tag_link(), "")?),
        "the tag app:1 was not taken: its link is empty",
        Outcome::NoTag,
    ),
    (
        "a link of a tag with garbage in it",
        |scene| Ok(fs::write(scene.tag_link(), "\0\0\0\0")?),
        "the tag app:1 was not taken: its link holds no digest",
        Outcome::NoTag,
    ),
    (
        "a tag to a missing manifest",
        |scene| Ok(fs::write(scene.tag_link(), format!("sha256:{}", "0".repeat(64)))?),
        "is not in the repository",
        Outcome::NoTag,
    ),
    (
        "a missing manifest",
        |scene| Ok(fs::remove_file(scene.manifest())?),
        "was not taken: its bytes are not there",
        Outcome::NoTag,
    ),
    (
        "a manifest with a flipped bit",
        |scene| {
            let mut bytes = fs::read(scene.manifest())?;
            bytes[10] ^= 1;
            Ok(fs::write(scene.manifest(), bytes)?)
        },
        "are not what the digest says",
        Outcome::NoTag,
    ),
    (
        "a push that broke off before its manifest",
        |scene| {
            let half = scene.tree().join("repositories/half");
            fs::create_dir(&half)?;
            copy(&scene.repository().join("_layers"), &half.join("_layers"))
        },
        GOOD,
        Outcome::Whole,
    ),
    (
        "a missing link to a manifest",
        |scene| {
            let hex = scene.image.manifest.digest.trim_start_matches("sha256:");
            let revisions = scene.repository().join("_manifests/revisions/sha256");
            Ok(fs::remove_dir_all(revisions.join(hex))?)
        },
        "is not in the repository",
        Outcome::NoTag,
    ),
    (
        "empty folders without number",
        |scene| {
            for number in 0..empty_folders()? {
                let folder = format!("repositories/empty/{}/{number}", number % 1000);
                fs::create_dir_all(scene.tree().join(folder))?;
            }
            Ok(())
        },
        GOOD,
        Outcome::Whole,
    ),
    (
        "foreign files",
        |scene| {
            fs::write(scene.tree().join("blobs/README"), "mine")?;
            fs::write(scene.tree().join("repositories/.DS_Store"), "mine")?;
            Ok(fs::write(scene.repository().join("_layers/notes"), "mine")?)
        },
        "no registry puts such a file there; left alone",
        Outcome::Whole,
    ),
    (
        "a repository that differs only in case",
        |scene| copy(&scene.repository(), &scene.tree().join("repositories/App")),
        "the name of the repository is not valid",
        Outcome::Whole,
    ),
    (
        "a tag that is no longer valid",
        |scene| {
            let tags = scene.repository().join("_manifests/tags");
            copy(&tags.join("1"), &tags.join("-old"))
        },
        "the tag is not valid",
        Outcome::Whole,
    ),
    (
        "a folder in the place of a link",
        |scene| {
            fs::remove_file(scene.layer_link())?;
            Ok(fs::create_dir(scene.layer_link())?)
        },
        "which its manifest",
        Outcome::Whole,
    ),
    (
        "a loop of symbolic links",
        |scene| Ok(std::os::unix::fs::symlink("..", scene.repository().join("loop"))?),
        "it is neither a file nor a folder",
        Outcome::Whole,
    ),
];

fn copy(from: &Path, to: &Path) -> Result<()> {
    let status = Command::new("cp").arg("--archive").args([from, to]).status()?;
    ensure!(status.success());
    Ok(())
}

#[test]
#[ignore = "run by cargo xtask faults"]
fn each_corruption_is_told_and_spoils_nothing_else() -> Result<()> {
    let [program, _] = programs()?;
    let made = tempfile::tempdir()?;
    let mut old = OldRegistry::on_folder(&program, made.path())?;
    let image = push_image(old.address, "app", "1", 1)?;
    push_image(old.address, "app", "2", 2)?;
    push_image(old.address, "other", "1", 3)?;
    old.stop()?;
    let mut scene = Scene { root: PathBuf::new(), image };
    for (name, harm, told, outcome) in TABLE {
        println!("{name}");
        let folder = tempfile::tempdir()?;
        scene.root = folder.path().join("tree");
        copy(made.path(), &scene.root)?;
        harm(&scene)?;
        let said = succeed(&scene.root, &["import"])?;
        ensure!(said.contains(told), "{name}: {told:?} is not in:\n{said}");
        let server = Launch::filesystem(&scene.root)?.target(Target::Berth).start()?;
        check(&server, &scene, *outcome).with_context(|| format!("{name}\n{said}"))?;
        for (repository, tag) in [("app", "2"), ("other", "1")] {
            server.registry().verify(repository, tag)?;
        }
        server.stop()?;
    }
    Ok(())
}

fn check(server: &Server, scene: &Scene, outcome: Outcome) -> Result<()> {
    let tag = wire::send(server.address(), &get("/v2/app/manifests/1"))?.status;
    let layer = blob_status(server.address(), "app", &scene.image.layer.digest)?;
    match outcome {
        Outcome::Whole => server.registry().verify("app", "1").map(drop),
        Outcome::NoTag => {
            ensure!(tag == 404, "the tag is answered {tag}");
            Ok(())
        }
        Outcome::LayerWhenScrubbed(read, asked) => {
            let scrubbed = berth(&scene.root, &["scrub", "--once"])?;
            ensure!(!scrubbed.status.success(), "the damage was not found");
            check(server, scene, Outcome::Layer(read, asked))
        }
        Outcome::Layer(read, asked) => {
            ensure!((tag, layer) == (200, (read, asked)), "{tag}, {layer:?}");
            // The next push of the image repairs it.
            push_image(server.address(), "app", "1", 1)?;
            server.registry().verify("app", "1").map(drop)
        }
    }
}

#[test]
#[ignore = "run by cargo xtask faults"]
fn empty_folders_unfinished_uploads_and_old_manifests_do_no_harm() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let tree = folder.path().join("docker/registry/v2");
    for number in 0..1000 {
        fs::create_dir_all(tree.join(format!("repositories/empty/{number}/_layers/sha256")))?;
    }
    let upload = tree.join("repositories/app/_uploads/0b9e2f5c-8f1c-4d3e-9d2b-3c1f5f0f7a11");
    fs::create_dir_all(&upload)?;
    fs::write(upload.join("startedat"), "2020-01-01T00:00:00Z")?;
    fs::write(upload.join("data"), "half")?;
    let old = Manifest::new(&serde_json::json!({
        "schemaVersion": 1, "name": "app", "tag": "1", "fsLayers": [], "history": [],
    }));
    write_manifest(&tree, &old.digest, &old.bytes)?;

    let told = succeed(folder.path(), &["import"])?;
    ensure!(told.contains("schema 1 is not supported"), "{told}");
    ensure!(told.contains("1 unfinished uploads"), "{told}");
    let server = Launch::filesystem(folder.path())?.target(Target::Berth).start()?;
    ensure!(server.registry().repositories()?.is_empty());
    server.stop()
}

fn write_manifest(tree: &Path, digest: &str, bytes: &[u8]) -> Result<()> {
    let (algorithm, hex) = digest.split_once(':').context("no digest")?;
    let data = tree.join("blobs").join(algorithm).join(&hex[..2]).join(hex);
    fs::create_dir_all(&data)?;
    fs::write(data.join("data"), bytes)?;
    let revision = tree.join("repositories/app/_manifests/revisions").join(algorithm).join(hex);
    fs::create_dir_all(&revision)?;
    Ok(fs::write(revision.join("link"), digest)?)
}

#[test]
#[ignore = "run by cargo xtask faults"]
fn sha512_is_adopted_as_sha256_is() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (config, layer) = (Blob::random(1, 100), Blob::random(2, 1000));
    let image = Manifest::image(&config, &[&layer]);
    let long = sha512(&image.bytes);
    let server = Launch::filesystem(folder.path())?.target(Target::Berth).start()?;
    push_blob(server.address(), "app", &config)?;
    push_blob(server.address(), "app", &layer)?;
    push_manifest(server.address(), "app", &long, &image)?;
    server.stop()?;
    fs::remove_file(folder.path().join("berth.db"))?;
    let told = succeed(folder.path(), &["import"])?;
    ensure!(told.contains("1 manifests") && told.contains("as it should be"), "{told}");
    let server = Launch::filesystem(folder.path())?.target(Target::Berth).start()?;
    let request = get(format!("/v2/app/manifests/{long}"));
    ensure!(wire::send(server.address(), &request)?.expect(200)?.body == image.bytes);
    server.stop()
}

#[test]
#[ignore = "run by cargo xtask faults"]
fn a_folder_that_cannot_be_read_is_told_and_passed_over() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let root = folder.path();
    let server = Launch::filesystem(root)?.target(Target::Berth).start()?;
    push_image(server.address(), "app", "1", 1)?;
    push_image(server.address(), "closed", "1", 2)?;
    server.stop()?;
    fs::remove_file(root.join("berth.db"))?;
    let closed = root.join("docker/registry/v2/repositories/closed");
    fs::set_permissions(&closed, Permissions::from_mode(0o000))?;
    // Root reads what it likes, unless that is taken from it.
    let mut import = match rustix::process::geteuid().is_root() {
        true => {
            let mut command = Command::new("setpriv");
            command.args(["--bounding-set", "-dac_override,-dac_read_search"]);
            command.arg(berth_binary()?);
            command
        }
        false => Command::new(berth_binary()?),
    };
    import.arg("import").env("REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY", root);
    let output = import.output()?;
    fs::set_permissions(&closed, Permissions::from_mode(0o755))?;
    let told = String::from_utf8_lossy(&output.stdout);
    ensure!(output.status.success(), "{told}{}", String::from_utf8_lossy(&output.stderr));
    let expected = "repositories/closed cannot be looked at and was passed over";
    ensure!(told.contains(expected) && told.contains("1 manifests, 1 tags"), "{told}");
    // Once it can be read, another import takes it.
    ensure!(succeed(root, &["import"])?.contains("1 manifests, 1 tags"));
    let server = Launch::filesystem(root)?.target(Target::Berth).start()?;
    for repository in ["app", "closed"] {
        server.registry().verify(repository, "1")?;
    }
    server.stop()
}

#[test]
#[ignore = "run by cargo xtask faults"]
fn a_folder_without_a_tree_is_refused() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let output = berth(folder.path(), &["import", &folder.path().display().to_string()])?;
    let told = String::from_utf8_lossy(&output.stderr);
    ensure!(!output.status.success() && told.contains("holds no docker/registry/v2"), "{told}");
    Ok(())
}
