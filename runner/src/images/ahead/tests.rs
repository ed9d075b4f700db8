use std::io::Write as _;

use berth_oci::Algorithm;
use serde_json::json;

use super::*;

/// A registry's folder and an engine's.
struct Machine {
    folder: tempfile::TempDir,
    keep: Duration,
    most: u64,
}

impl Machine {
    fn new() -> Self {
        let keep = Duration::from_secs(3600);
        Self { folder: tempfile::tempdir().unwrap(), keep, most: 1 << 20 }
    }

    fn roots(&self) -> Roots {
        Roots::new(self.folder.path().join("data"), self.folder.path().join("run"))
    }

    fn open(&self) -> LayersAhead {
        let options = AheadOptions { keep: self.keep, most: self.most };
        LayersAhead::open(&self.roots(), &self.folder.path().join("registry"), options).unwrap()
    }

    fn blob(&self, bytes: &[u8]) -> Digest {
        let digest = Hasher::digest(Algorithm::Sha256, bytes);
        let path = nearby::data(&self.folder.path().join("registry").join(nearby::BLOBS), &digest);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
        digest
    }

    /// An image of one layer, which is the archive of its configuration unless that says otherwise.
    fn image(&self, layer: &[u8], diff_id: Digest, architecture: &str) -> StoredImage {
        let config = json!({
            "architecture": architecture, "os": "linux",
            "rootfs": {"type": "layers", "diff_ids": [diff_id]},
        });
        let config = self.blob(config.to_string().as_bytes());
        StoredImage { config, layers: vec![self.blob(layer)] }
    }
}

/// An archive with one file in it, and its digest.
fn archive(content: &[u8]) -> (Vec<u8>, Digest) {
    let mut header = tar::Header::new_gnu();
    header.set_size(content.len() as u64);
    header.set_mode(0o644);
    let mut archive = tar::Builder::new(Vec::new());
    archive.append_data(&mut header, "file", content).unwrap();
    let archive = archive.into_inner().unwrap();
    let digest = Hasher::digest(Algorithm::Sha256, &archive);
    (archive, digest)
}

fn host() -> &'static str {
    if cfg!(target_arch = "x86_64") { "amd64" } else { "arm64" }
}

#[test]
fn a_layer_is_made_once_and_kept_for_a_pull() {
    let machine = Machine::new();
    let ahead = machine.open();
    let (layer, diff_id) = archive(b"ahead");
    let image = machine.image(&layer, diff_id, host());
    assert_eq!(ahead.make(&image).unwrap(), Made::Ready(1));
    assert_eq!(ahead.make(&image).unwrap(), Made::Ready(0));
    ahead.give_back().unwrap();
    ahead.images.sweep(&ahead.layers).unwrap();
    assert!(ahead.layers.has(&diff_id));
    ahead.images.forget_ahead().unwrap();
    ahead.images.sweep(&ahead.layers).unwrap();
    assert_eq!(ahead.layers.list().unwrap(), []);
}

#[test]
fn a_layer_whose_time_is_over_goes_but_not_while_somebody_adds_content() {
    let machine = Machine { keep: Duration::ZERO, ..Machine::new() };
    let ahead = machine.open();
    let (layer, diff_id) = archive(b"late");
    ahead.make(&machine.image(&layer, diff_id, host())).unwrap();
    let pull = ahead.images.lease().unwrap();
    ahead.give_back().unwrap();
    ahead.images.sweep(&ahead.layers).unwrap();
    assert!(ahead.layers.has(&diff_id));
    drop(pull);
    ahead.give_back().unwrap();
    assert_eq!(ahead.layers.list().unwrap(), []);
    assert!(!ahead.images.ahead().has(&diff_id));
}

#[test]
fn of_more_than_may_be_kept_the_oldest_goes() {
    let machine = Machine { most: 16 << 10, ..Machine::new() };
    let ahead = machine.open();
    let layers = [b'a', b'b', b'c'].map(|byte| archive(&[byte; 6 << 10]));
    for (layer, diff_id) in &layers {
        ahead.make(&machine.image(layer, *diff_id, host())).unwrap();
        ahead.give_back().unwrap();
    }
    let left = layers.map(|(_, diff_id)| ahead.layers.has(&diff_id));
    assert_eq!(left, [false, true, true]);
}

#[test]
fn nothing_is_kept_of_a_layer_that_is_refused() {
    let machine = Machine::new();
    let ahead = machine.open();
    let (layer, _) = archive(b"one");
    let (large, large_id) = archive(&[0; 2 << 20]);
    let other = Hasher::digest(Algorithm::Sha256, b"another");
    for image in [machine.image(&layer, other, host()), machine.image(&large, large_id, host())] {
        let refused = ahead.make(&image).unwrap_err();
        assert!(matches!(refused, ImageError::Layer(_)), "{refused}");
    }
    assert_eq!(ahead.layers.list().unwrap(), []);
    assert_eq!(ahead.images.ahead().all().unwrap(), []);
}

#[test]
fn an_image_of_another_machine_is_left_alone() {
    let machine = Machine::new();
    let ahead = machine.open();
    let (layer, diff_id) = archive(b"elsewhere");
    let image = machine.image(&layer, diff_id, "s390x");
    assert_eq!(ahead.make(&image).unwrap(), Made::Elsewhere);
    assert_eq!(ahead.layers.list().unwrap(), []);
}

#[test]
fn whoever_waits_for_a_layer_that_is_made_ahead_gets_it() {
    let machine = Machine::new();
    let ahead = machine.open();
    let (layer, diff_id) = archive(b"wanted");
    let image = machine.image(&layer, diff_id, host());
    // The layer comes from a pipe, and is stuck in the middle.
    let path = nearby::data(&ahead.blobs, &image.layers[0]);
    fs::remove_file(&path).unwrap();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &path,
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR,
        0,
    )
    .unwrap();
    std::thread::scope(|scope| {
        let made = scope.spawn(|| ahead.make(&image).unwrap());
        let mut pipe = File::options().write(true).open(&path).unwrap();
        pipe.write_all(&layer[..700]).unwrap();
        let ingest = machine.folder.path().join("data/layers/ingest");
        let way = ingest.join(format!("sha256-{}", diff_id.hex()));
        until(|| way.join("tar").exists());
        let pull = scope.spawn(|| {
            let layers = LayerStore::open(&machine.roots()).unwrap();
            let layers = layers.with_rung(crate::layers::Rung::Erofs);
            layers.ingest(&diff_id, &Limits::default(), &mut &layer[..]).unwrap();
        });
        // Where it was not in the middle of a read it has seen at once that somebody waits, and nobody reads on.
        until(|| way.join("wanted").exists() || made.is_finished());
        let _ = pipe.write_all(&layer[700..800]);
        assert_eq!(made.join().unwrap(), Made::Pulled);
        pull.join().unwrap();
    });
    assert!(ahead.layers.has(&diff_id));
    assert!(!ahead.images.ahead().has(&diff_id));
}

#[test]
fn the_queue_ends_where_it_is_full_and_nobody_waits() {
    let machine = Machine::new();
    let ahead = machine.open();
    let (layer, diff_id) = archive(b"queued");
    let image = machine.image(&layer, diff_id, host());
    let (tell, told) = std::sync::mpsc::channel();
    // Somebody removes content, so that none can be added.
    let lock = File::create(machine.folder.path().join("data/images/content")).unwrap();
    rustix::fs::flock(&lock, rustix::fs::FlockOperation::LockExclusive).unwrap();
    let worker = AheadWorker::start(ahead, move |news| drop(tell.send(news))).unwrap();
    let taken = (0..100).filter(|number| worker.offer(*number, image.clone())).count();
    // One may be in the worker's hands.
    assert!([64, 65].contains(&taken), "{taken}");
    drop(lock);
    drop(worker);
    assert_eq!(told.iter().filter(|told| matches!(told, Told::Made(..))).count(), taken);
}

/// Waits for what another thread does.
fn until(condition: impl Fn() -> bool) {
    let end = std::time::Instant::now() + Duration::from_secs(60);
    while !condition() {
        assert!(std::time::Instant::now() < end, "not within a minute");
        std::thread::yield_now();
    }
}
