//! From an image in a registry to one that can be run.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use berth_tests::fixtures::{self, Layout};
use berth_tests::wait;
use serde_json::Value;

use super::engines::Engine;
use super::machine::{apart, forget_files};
use super::{CONTAINERD, DOCKER, Images, Row, milliseconds};
use crate::Bench;
use crate::peers::BERTH;
use crate::results::{Metric, RowRun};
use crate::rows::in_turn;

pub(crate) const CASE: &str = "pull of 28,000 files in 6 layers";
pub(crate) const NEARBY: &str = "the same, pushed to a registry on this machine before";

pub(in crate::rows) fn run(bench: &Bench, run: &mut RowRun) -> Result<()> {
    apart(|| measure(bench, run))
}

fn measure(bench: &Bench, run: &mut RowRun) -> Result<()> {
    let rounds = bench.settings.pull_rounds;
    run.setting(format!(
        "an image of 6 layers with gzip, from Berth on the loopback, by an engine that has nothing of it; page cache dropped \
         before each pull, {rounds} rounds"
    ));
    run.setting(
        "a registry on this machine: Berth with `engine.dataroot`, and `storage` in the engine's settings; the image is pushed \
         before each pull, and its layers are made ready by the registry before the clock starts"
            .to_owned(),
    );
    let image = fixtures::many_files(bench.settings.files)?;
    let images = Images::with(bench, Row::PullReady, &image)?;
    let engines = Engine::find(bench, Row::PullReady, &[DOCKER, CONTAINERD], run)?;
    let nearby = Nearby::start(bench, &image)?;
    for round in 0..rounds {
        for engine in in_turn(&engines, round) {
            forget_files()?;
            let seconds = milliseconds(engine.pull(&images.name))? / 1e3;
            run.record(CASE, engine.name, round, &[(Metric::Seconds, seconds)]);
            engine.remove(&images.name)?;
        }
        let seconds = nearby.pull()? / 1e3;
        run.record(NEARBY, BERTH, round, &[(Metric::Seconds, seconds)]);
    }
    engines.into_iter().try_for_each(Engine::stop)?;
    nearby.images.stop()?;
    images.stop()
}

/// A registry and an engine that know of each other.
struct Nearby<'a> {
    images: Images,
    engine: Engine,
    /// Of the engine.
    folder: PathBuf,
    image: &'a Layout,
    diff_ids: Vec<String>,
}

impl<'a> Nearby<'a> {
    fn start(bench: &Bench, image: &'a Layout) -> Result<Self> {
        let folder = bench.folder(Row::PullReady, "nearby-engine")?;
        let mut engine = Engine::berth_in(bench, &folder)?;
        let launch = Row::PullReady.launch(bench, "nearby")?;
        let storage = launch.data();
        let path = |name: &str| folder.join(name).display().to_string();
        let launch = launch.set("REGISTRY_ENGINE_DATAROOT", &path("data"));
        let launch = launch.set("REGISTRY_ENGINE_EXECROOT", &path("run"));
        let images = Images::on(bench, &launch)?;
        let (host, storage) = (images.server.address, storage.display());
        engine.set_up(&folder, &format!("registries:\n  {host}: {{storage: {storage}}}\n"))?;
        Ok(Self { images, engine, folder, image, diff_ids: diff_ids(image)? })
    }

    /// The milliseconds of a pull of what was pushed and made ready.
    fn pull(&self) -> Result<f64> {
        self.images.push(self.image)?;
        let layers = self.folder.join("data/layers");
        let is_ready = |diff_id: &String| layers.join(diff_id.replace(':', "-")).exists();
        wait::until("the layers are ready", || Ok(self.diff_ids.iter().all(is_ready)))?;
        forget_files()?;
        let milliseconds = milliseconds(self.engine.pull(&self.images.name))?;
        self.engine.remove(&self.images.name)?;
        Ok(milliseconds)
    }
}

fn diff_ids(image: &Layout) -> Result<Vec<String>> {
    let manifest = blob(&image.path, &image.digest)?;
    let config = manifest["config"]["digest"].as_str().context("an image has a configuration")?;
    let config = blob(&image.path, config)?;
    let diff_ids = config["rootfs"]["diff_ids"].as_array().context("an image has layers")?;
    Ok(diff_ids.iter().filter_map(Value::as_str).map(str::to_owned).collect())
}

fn blob(layout: &Path, digest: &str) -> Result<Value> {
    let path = layout.join("blobs").join(digest.replace(':', "/"));
    Ok(serde_json::from_slice(&fs::read(path)?)?)
}
