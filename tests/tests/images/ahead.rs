//! A registry on the same machine that makes the layers of what is pushed ready before anybody pulls it.

use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use berth_tests::fixtures::{self, Layout};
use berth_tests::registry::sha256;
use berth_tests::tree::blob_data;
use berth_tests::{Launch, Server, wait};
use reqwest::blocking::Client;
use rustix::fs::{CWD, FileType, FlockOperation, Mode, flock, mknodat};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::machine::{Machine, files, publish};
use crate::scripted::MANIFEST;

const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

/// The policy of a thread that gets what no other wants, as `/proc` has it.
const SCHED_IDLE: &str = "5";

/// A registry and an engine on one machine.
struct Pair {
    tree: TempDir,
    machine: Machine,
    launch: Launch,
}

impl Pair {
    fn new() -> Result<Self> {
        let (tree, machine) = (tempfile::tempdir()?, Machine::new()?);
        let launch = Launch::filesystem(tree.path())?
            .env("REGISTRY_LOG_LEVEL", "debug")
            .env("REGISTRY_ENGINE_DATAROOT", machine.home.path("data"))
            .env("REGISTRY_ENGINE_EXECROOT", machine.home.path("exec"));
        Ok(Self { tree, machine, launch })
    }

    fn with(mut self, name: &str, value: &str) -> Self {
        self.launch = self.launch.env(name, value);
        self
    }

    /// Has the engine take blobs over from where the registry has them.
    fn nearby(&mut self, server: &Server) -> Result<()> {
        let storage = self.tree.path().display();
        self.machine.set_up(&format!("registries:\n  {}: {{storage: {storage}}}\n", server.host()))
    }

    fn layer(&self, diff_id: &str) -> PathBuf {
        self.machine.home.path("data/layers").join(diff_id.replace(':', "-"))
    }

    fn blob(&self, digest: &str) -> PathBuf {
        blob_data(self.tree.path(), digest)
    }

    fn are_ready(&self, diff_ids: &[String]) -> Result<()> {
        wait::until("the layers are ready", || {
            Ok(diff_ids.iter().all(|diff_id| self.layer(diff_id).join("tar").exists()))
        })
    }

    /// What there is of layers, on their way or not, and the notes of those that are kept.
    fn kept(&self) -> Result<Vec<PathBuf>> {
        let mut found = Vec::new();
        for folder in ["data/layers", "data/images/ahead"] {
            files(&self.machine.home.path(folder), &mut found)?;
        }
        Ok(found)
    }

    /// Keeps everybody from adding content to the engine, until it is dropped.
    fn held(&self) -> Result<File> {
        let lock = File::create(self.machine.home.path("data/images/content"))?;
        flock(&lock, FlockOperation::LockExclusive)?;
        Ok(lock)
    }
}

fn blob(layout: &Layout, digest: &str) -> Result<Value> {
    let path = layout.path.join("blobs").join(digest.replace(':', "/"));
    Ok(serde_json::from_slice(&fs::read(path)?)?)
}

/// The layers of an image of the suite, as they are pushed and uncompressed.
fn layers(layout: &Layout) -> Result<(Vec<String>, Vec<String>)> {
    let digests = |value: &Value, path: &str| -> Vec<String> {
        let values = value.pointer(path).and_then(Value::as_array).into_iter().flatten();
        let text = |value: &Value| value.get("digest").unwrap_or(value).as_str().map(str::to_owned);
        values.filter_map(text).collect()
    };
    let manifest = blob(layout, &layout.digest)?;
    let config = blob(layout, manifest["config"]["digest"].as_str().context("a config")?)?;
    Ok((digests(&manifest, "/layers"), digests(&config, "/rootfs/diff_ids")))
}

/// Pushes an image with one layer of zeros; the digest by which the layer is kept, if that is told the truth.
fn push(server: &Server, tag: &str, zeros: usize, diff_id: Option<&str>) -> Result<String> {
    let http = Client::builder().no_proxy().build()?;
    let base = format!("http://{}/v2/app", server.host());
    let put = |media_type: &str, bytes: Vec<u8>| -> Result<Value> {
        let (digest, size) = (sha256(&bytes), bytes.len());
        let url = format!("{base}/blobs/uploads/?digest={digest}");
        let request = http.post(url).header("Content-Type", "application/octet-stream");
        request.body(bytes).send()?.error_for_status()?;
        Ok(json!({"mediaType": media_type, "digest": digest, "size": size}))
    };
    // The end of an archive is two blocks of zeros, and what is behind it is part of it.
    let archive = vec![0; zeros];
    let actual = sha256(&archive);
    let layer = put(LAYER, gzip(&archive)?)?;
    let config = json!({
        "architecture": "amd64", "os": "linux", "config": {"Labels": {"tag": tag}},
        "rootfs": {"type": "layers", "diff_ids": [diff_id.unwrap_or(&actual)]},
    });
    let config = put(CONFIG, config.to_string().into_bytes())?;
    let manifest =
        json!({"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": [layer]});
    let request = http.put(format!("{base}/manifests/{tag}")).header("Content-Type", MANIFEST);
    request.body(manifest.to_string()).send()?.error_for_status()?;
    Ok(actual)
}

fn gzip(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut child = Command::new("gzip").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    let mut input = child.stdin.take().context("gzip has an input")?;
    std::thread::scope(|scope| {
        let written = scope.spawn(move || input.write_all(bytes));
        let output = child.wait_with_output()?;
        written.join().map_err(|_| anyhow::anyhow!("the writer panicked"))??;
        Ok(output.stdout)
    })
}

#[test]
#[ignore = "started by cargo xtask runner"]
fn a_pull_of_what_was_pushed_moves_nothing_and_makes_nothing() -> Result<()> {
    let (mut pair, layout) = (Pair::new()?, fixtures::busybox()?);
    let server = pair.launch.start()?;
    let name = format!("{}/app:1", server.host());
    publish(&pair.machine, &layout, &name)?;
    let (digests, diff_ids) = layers(&layout)?;
    pair.are_ready(&diff_ids)?;
    let made = |diff_id: &String| -> Result<u64> {
        Ok(fs::metadata(pair.layer(diff_id).join("tar"))?.ino())
    };
    let before = diff_ids.iter().map(made).collect::<Result<Vec<_>>>()?;
    pair.nearby(&server)?;
    pair.machine.berth(&format!("pull {name}"))?;
    let made = |diff_id: &String| -> Result<u64> {
        Ok(fs::metadata(pair.layer(diff_id).join("tar"))?.ino())
    };
    assert_eq!(diff_ids.iter().map(made).collect::<Result<Vec<_>>>()?, before);
    for digest in &digests {
        ensure!(fs::metadata(pair.blob(digest))?.nlink() > 1, "{digest} was not linked");
    }
    let run = format!("run --rm --network none {name} cat /etc/architecture");
    assert_eq!(pair.machine.berth(&run)?, "amd64");
    // They are the image's now, and go with it.
    pair.machine.berth(&format!("rmi {name}"))?;
    assert_eq!(pair.kept()?, [] as [PathBuf; 0]);
    let log = server.stop_for_log()?;
    let asked = log.lines().filter(|line| line.contains("GET") && line.contains("/blobs/"));
    assert_eq!(asked.collect::<Vec<_>>(), [] as [&str; 0]);
    Ok(())
}

#[test]
#[ignore = "started by cargo xtask runner"]
fn what_is_wrong_with_a_pushed_layer_stops_nothing_and_leaves_nothing() -> Result<()> {
    let pair = Pair::new()?.with("REGISTRY_ENGINE_MAXSIZE", "1MiB");
    let server = pair.launch.start()?;
    push(&server, "wrong", 2048, Some(&sha256(b"another")))?;
    push(&server, "bomb", 64 << 20, None)?;
    let good = push(&server, "good", 1024, None)?;
    pair.are_ready(std::slice::from_ref(&good))?;
    let layer = pair.layer(&good);
    let note = pair.machine.home.path("data/images/ahead").join(good.replace(':', "-"));
    let left = pair.kept()?.into_iter().filter(|path| !path.starts_with(&layer) && *path != note);
    assert_eq!(left.collect::<Vec<_>>(), [] as [PathBuf; 0]);
    let log = server.stop_for_log()?;
    assert_eq!(log.matches("the layers of an image cannot be made ready").count(), 2, "{log}");
    assert!(log.contains("the image's configuration says"), "{log}");
    assert!(log.contains("the layer has more than 1048576 bytes"), "{log}");
    Ok(())
}

#[test]
#[ignore = "started by cargo xtask runner"]
fn pushes_wait_for_nothing_and_what_does_not_fit_is_made_by_the_pull() -> Result<()> {
    let mut pair = Pair::new()?;
    let server = pair.launch.start()?;
    let held = pair.held()?;
    // Archives of all lengths are different ones.
    let pushed = (2..72).map(|blocks| push(&server, &format!("t{blocks}"), 512 * blocks, None));
    let pushed = pushed.collect::<Result<Vec<_>>>()?;
    let left = server.log().matches("too many images wait").count();
    // One may be in the thread's hands, and 64 wait.
    ensure!([5, 6].contains(&left), "{left} were left");
    drop(held);
    pair.are_ready(&pushed[..1])?;
    assert!(!pair.layer(&pushed[69]).exists());
    pair.nearby(&server)?;
    pair.machine.berth(&format!("pull {}/app:t71", server.host()))?;
    assert!(pair.layer(&pushed[69]).join("tar").exists());
    server.stop()
}

/// A layer that the registry makes and that is stuck in the middle.
struct Stuck {
    pipe: File,
    bytes: Vec<u8>,
    written: usize,
    /// Where the layer is on its way.
    way: PathBuf,
}

impl Stuck {
    /// Publishes an image, the first layer of which comes from a pipe, once.
    fn publish(pair: &Pair, layout: &Layout, name: &str) -> Result<Self> {
        let held = pair.held()?;
        publish(&pair.machine, layout, name)?;
        let (digests, diff_ids) = layers(layout)?;
        let path = pair.blob(&digests[0]);
        let aside = path.with_extension("aside");
        fs::rename(&path, &aside)?;
        mknodat(CWD, &path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0)?;
        drop(held);
        let pipe = File::options().write(true).open(&path)?;
        fs::rename(&aside, &path)?;
        let way = pair.machine.home.path("data/layers/ingest");
        let way = way.join(diff_ids[0].replace(':', "-"));
        let mut stuck = Self { pipe, bytes: fs::read(path)?, written: 0, way };
        stuck.goes_on(stuck.bytes.len() / 2)?;
        wait::until("the layer is on its way", || Ok(stuck.way.join("tar").exists()))?;
        Ok(stuck)
    }

    /// Some more bytes come.
    fn goes_on(&mut self, bytes: usize) -> Result<()> {
        let end = self.bytes.len().min(self.written + bytes);
        self.pipe.write_all(&self.bytes[self.written..end])?;
        self.written = end;
        Ok(())
    }
}

#[test]
#[ignore = "started by cargo xtask runner"]
fn layers_are_made_of_what_no_other_thread_wants() -> Result<()> {
    let (pair, layout) = (Pair::new()?, fixtures::busybox()?);
    let server = pair.launch.start()?;
    let _stuck = Stuck::publish(&pair, &layout, &format!("{}/app:1", server.host()))?;
    let mut makers = 0;
    for thread in fs::read_dir(format!("/proc/{}/task", server.id()))? {
        let stat = fs::read_to_string(thread?.path().join("stat"))?;
        // Behind the name, the policy is the 39th.
        let behind = stat.rsplit(')').next().unwrap_or_default();
        let is_idle = behind.split_whitespace().nth(38) == Some(SCHED_IDLE);
        assert_eq!(is_idle, stat.contains("(layers-ahead)"), "{stat}");
        makers += usize::from(is_idle);
    }
    // One uncompresses, the other writes.
    assert_eq!(makers, 2);
    server.kill()
}

#[test]
#[ignore = "started by cargo xtask runner"]
fn a_registry_that_is_killed_while_it_makes_a_layer_leaves_nothing_for_long() -> Result<()> {
    let (pair, layout) = (Pair::new()?, fixtures::busybox()?);
    let server = pair.launch.start()?;
    let stuck = Stuck::publish(&pair, &layout, &format!("{}/app:1", server.host()))?;
    server.kill()?;
    assert!(stuck.way.join("tar").exists());
    let server = pair.launch.start()?;
    assert!(!stuck.way.exists());
    publish(&pair.machine, &layout, &format!("{}/app:1", server.host()))?;
    pair.are_ready(&layers(&layout)?.1)?;
    server.stop()
}

#[test]
#[ignore = "started by cargo xtask runner"]
fn a_pull_does_not_wait_for_what_is_made_at_leisure() -> Result<()> {
    let (mut pair, layout) = (Pair::new()?, fixtures::busybox()?);
    let server = pair.launch.start()?;
    let name = format!("{}/app:1", server.host());
    let mut stuck = Stuck::publish(&pair, &layout, &name)?;
    pair.nearby(&server)?;
    let line = pair.machine.line(&format!("pull {name}"));
    let mut pull = pair.machine.home.command(&line)?.stdout(Stdio::null()).spawn()?;
    wait::until("somebody waits for the layer", || {
        Ok(stuck.way.join("wanted").exists() || pull.try_wait()?.is_some())
    })?;
    // Where it was not in the middle of a read it has seen at once that somebody waits, and nobody reads on.
    let _ = stuck.goes_on(1);
    ensure!(pull.wait()?.success(), "the pull failed");
    let run = format!("run --rm --network none {name} cat /etc/architecture");
    assert_eq!(pair.machine.berth(&run)?, "amd64");
    let log = server.stop_for_log()?;
    assert!(log.contains("its layers are left to the pull"), "{log}");
    Ok(())
}

#[test]
#[ignore = "started by cargo xtask runner"]
fn what_nobody_pulls_goes_when_its_time_is_over() -> Result<()> {
    let pair = Pair::new()?.with("REGISTRY_ENGINE_KEEP", "1s");
    let server = pair.launch.start()?;
    push(&server, "1", 1024, None)?;
    wait::until("the layer is ready", || {
        Ok(server.log().contains("the layers of an image are ready"))
    })?;
    wait::until("the layer has gone", || Ok(pair.kept()?.is_empty()))?;
    server.stop()
}

#[test]
#[ignore = "started by cargo xtask runner"]
fn prune_leaves_what_waits_for_a_pull_and_with_all_takes_it() -> Result<()> {
    let pair = Pair::new()?;
    let server = pair.launch.start()?;
    let layer = push(&server, "1", 1024, None)?;
    pair.are_ready(std::slice::from_ref(&layer))?;
    pair.machine.berth("image prune -f")?;
    pair.machine.berth("image prune -a -f --filter until=1h")?;
    assert!(pair.layer(&layer).exists());
    pair.machine.berth("image prune -a -f")?;
    // Where the registry has just made it, it removes what the command could not.
    wait::until("the layer has gone", || Ok(pair.kept()?.is_empty()))?;
    server.stop()
}

#[test]
#[ignore = "started by cargo xtask runner"]
fn an_engine_that_cannot_be_given_layers_is_told_at_the_start() -> Result<()> {
    let pair = Pair::new()?;
    let check = || -> Result<String> {
        let output = pair.launch.command(&["config", "check"])?.output()?;
        let text = [output.stdout, output.stderr].concat();
        Ok(String::from_utf8(text)?)
    };
    let data = pair.machine.home.path("data");
    let good = check()?;
    assert!(good.contains(&format!("layers can be made ready in {}", data.display())), "{good}");
    chown(&data, Some(1000), None)?;
    let refused = check()?;
    assert!(refused.contains("`engine.dataroot`"), "{refused}");
    assert!(refused.contains("it belongs to user 1000, and this is user 0"), "{refused}");
    chown(&data, Some(0), None)?;
    permit_all(&data)?;
    assert!(check()?.contains("others can write there"));
    Ok(())
}

fn permit_all(folder: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    Ok(fs::set_permissions(folder, fs::Permissions::from_mode(0o777))?)
}
