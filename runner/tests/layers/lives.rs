//! What happens to layers and roots when those who use them come and go, also without a word.

use std::fs;
use std::io::{self, Read, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use berth_runner::Roots;
use berth_runner::layers::{LayerError, LayerStore, Limits, Rung};
use rustix::fs::{Mode, OFlags, openat};
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};

use crate::archives::{Archive, digest};
use crate::listing::names;
use crate::store::{Store, mounts_below};

/// Where the process that is killed takes a layer in, and which.
const CHILD: &str = "BERTH_TEST_INGEST";

#[test]
fn two_that_take_in_the_same_layer_take_it_in_once() {
    /// Says when it is read, and goes on when it may.
    struct Slow<'a>(&'a [u8], &'a Barrier, bool);
    impl Read for Slow<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            if !std::mem::replace(&mut self.2, true) {
                self.1.wait();
                self.1.wait();
            }
            self.0.read(buffer)
        }
    }
    struct Never(AtomicBool);
    impl Read for &Never {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            self.0.store(true, Ordering::Relaxed);
            Err(io::ErrorKind::Unsupported.into())
        }
    }
    let store = Store::new(Rung::Erofs);
    let archive = Archive::default().file("a", "").finish();
    let diff_id = digest(&archive);
    let (barrier, never) = (Barrier::new(2), Never(AtomicBool::new(false)));
    thread::scope(|scope| {
        let first = scope.spawn(|| {
            let mut input = Slow(&archive, &barrier, false);
            store.layers.ingest(&diff_id, &Limits::default(), &mut input)
        });
        barrier.wait();
        assert!(!store.layers.has(&diff_id));
        // As another process would.
        let other = LayerStore::open(&store.roots).unwrap();
        let second = scope
            .spawn(move || other.ingest(&diff_id, &Limits::default(), &mut &never).map(|()| never));
        barrier.wait();
        first.join().unwrap().unwrap();
        let never = second.join().unwrap().unwrap();
        assert!(!never.0.load(Ordering::Relaxed), "the second one reads nothing");
    });
    store.assert_nothing_is_on_its_way();
}

/// Not a test, but the process that the next one kills.
#[test]
fn child() {
    let Some(folder) = std::env::var_os(CHILD) else { return };
    let folder = Path::new(&folder);
    let roots = Roots::new(folder.join("data"), folder.join("run"));
    let layers = LayerStore::open(&roots).unwrap().with_rung(Rung::Erofs);
    let diff_id = digest(&fs::read(folder.join("archive")).unwrap());
    layers.ingest(&diff_id, &Limits::default(), &mut io::stdin()).unwrap();
}

#[test]
fn who_is_killed_while_a_layer_comes_leaves_nothing() {
    let store = Store::new(Rung::Erofs);
    let archive = Archive::default().file("a", &"x".repeat(8 << 20)).finish();
    fs::write(store.path().join("archive"), &archive).unwrap();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["lives::child", "--exact"])
        .env(CHILD, store.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    input.write_all(&archive[..6 << 20]).unwrap();
    let diff_id = digest(&archive);
    let name = diff_id.to_string().replace(':', "-");
    let way = store.path().join("data/layers/ingest").join(name);
    let deadline = Instant::now() + Duration::from_secs(60);
    while fs::metadata(way.join("tar")).map_or(0, |found| found.len()) < 1 << 20 {
        assert!(Instant::now() < deadline, "nothing is written");
        thread::yield_now();
    }
    // Whoever comes meanwhile leaves it alone.
    LayerStore::open(&store.roots).unwrap();
    assert!(way.join("tar").exists());
    child.kill().unwrap();
    child.wait().unwrap();
    let layers = LayerStore::open(&store.roots).unwrap();
    store.assert_nothing_is_on_its_way();
    assert!(!layers.has(&diff_id));
    store.ingest(diff_id, &archive).unwrap();
    assert_eq!(layers.list().unwrap(), [diff_id]);
}

#[test]
#[ignore = "mounts take root: run `cargo xtask runner`"]
fn roots_share_the_mounts_of_their_layers_as_long_as_there_are_any() {
    let store = Store::new(Rung::Erofs);
    let layers = [
        store.layer(&Archive::default().file("a", "").finish()),
        store.layer(&Archive::default().file("b", "").finish()),
    ];
    let first = store.root("first", &layers);
    let second = store.root("second", &layers[..1]);
    assert_eq!(mounts_below(store.path()).len(), 4);
    for layer in &layers {
        let error = store.layers.remove(layer).unwrap_err();
        assert!(matches!(error, LayerError::Busy { .. }), "{error}");
    }
    drop(first);
    assert_eq!(mounts_below(store.path()).len(), 2);
    assert!(store.layers.remove(&layers[1]).unwrap() > 0);
    assert_eq!(names(&second.path), ["a"]);
    drop(second);
    assert_eq!(mounts_below(store.path()), [""; 0]);
    store.layers.remove(&layers[0]).unwrap();
    assert!(matches!(store.layers.remove(&layers[0]), Err(LayerError::NotFound(_))));
    let left: Vec<_> = fs::read_dir(store.path().join("run/layers")).unwrap().collect();
    assert_eq!(left.len(), 1, "only the folder of roots: {left:?}");
    store.assert_nothing_is_on_its_way();
}

#[test]
#[ignore = "mounts take root: run `cargo xtask runner`"]
fn a_root_is_unmounted_by_whoever_comes_and_as_often_as_wanted() {
    for rung in Rung::ALL {
        let store = Store::new(rung);
        let layer = store.layer(&Archive::default().file("a", "").finish());
        let root = store.root("a", &[layer]);
        let other = LayerStore::open(&store.roots).unwrap();
        for _ in 0..2 {
            other.unmount_root(&root.path).unwrap();
        }
        other.unmount_root(Path::new("/never/there")).unwrap();
        assert_eq!(mounts_below(store.path()), [""; 0]);
    }
}

#[test]
#[ignore = "mounts take root: run `cargo xtask runner`"]
fn a_root_that_was_detached_is_there_for_whoever_has_it_and_does_not_hold_its_layers() {
    let store = Store::new(Rung::Erofs);
    let layer = store.layer(&Archive::default().file("a", "text").finish());
    let root = store.root("a", &[layer]);
    let held = store.layers.detach_root(&root.path).unwrap().unwrap();
    assert_eq!(names(&root.path), [""; 0]);
    store.layers.remove(&layer).unwrap();
    let file = openat(&held, "a", OFlags::RDONLY, Mode::empty()).unwrap();
    assert_eq!(io::read_to_string(fs::File::from(file)).unwrap(), "text");
    drop(held);
    assert_eq!(mounts_below(store.path()), [""; 0]);
    assert!(store.layers.detach_root(Path::new("/never/there")).unwrap().is_none());
}

#[test]
#[ignore = "mounts take root: run `cargo xtask runner`"]
fn a_root_for_once_is_not_forced_to_the_disk() {
    let store = Store::new(Rung::Erofs);
    let layer = store.layer(&Archive::default().file("a", "text").finish());
    let (writable, target) = (store.path().join("writable"), store.path().join("target"));
    fs::create_dir_all(&target).unwrap();
    // Linux says `volatile`, newer ones `fsync=volatile`.
    let is_volatile = || mounts_below(&target).iter().any(|mount| mount.contains("volatile"));
    store.layers.mount_root_once(&[layer], &writable, &target).unwrap();
    assert!(is_volatile(), "{:?}", mounts_below(&target));
    assert_eq!(names(&target), ["a"]);
    store.layers.unmount_root(&target).unwrap();

    store.layers.mount_root(&[layer], &store.path().join("kept"), &target).unwrap();
    assert!(!is_volatile());
    store.layers.unmount_root(&target).unwrap();
    assert_eq!(mounts_below(store.path()), [""; 0]);
}

#[test]
#[ignore = "mounts take root: run `cargo xtask runner`"]
fn a_root_whose_container_died_does_not_hold_its_layers() {
    let store = Store::new(Rung::Erofs);
    let layer = store.layer(&Archive::default().file("a", "").finish());
    let root = store.root("a", &[layer]);
    // As after a new start of the machine, if the records had outlived it.
    unmount(&root.path, UnmountFlags::DETACH).unwrap();
    assert_eq!(mounts_below(store.path()).len(), 1);
    store.layers.remove(&layer).unwrap();
    assert_eq!(mounts_below(store.path()), [""; 0]);
}

#[test]
#[ignore = "mounts take root: run `cargo xtask runner`"]
fn many_come_and_go_at_once() {
    let store = Store::new(Rung::Erofs);
    let layers = [
        store.layer(&Archive::default().file("a", "").finish()),
        store.layer(&Archive::default().file("b", "").finish()),
    ];
    thread::scope(|scope| {
        for n in 0..4 {
            let (store, layers) = (&store, &layers);
            scope.spawn(move || {
                for _ in 0..20 {
                    let root = store.root(&n.to_string(), layers);
                    assert_eq!(names(&root.path), ["a", "b"]);
                }
            });
        }
    });
    assert_eq!(mounts_below(store.path()), [""; 0]);
}

#[test]
#[ignore = "mounts take root: run `cargo xtask runner`"]
fn a_layer_that_came_in_one_way_is_mounted_in_another() {
    let archive = Archive::default().directory("a").file("a/b", "text").finish();
    for came in Rung::ALL {
        for rung in Rung::ALL {
            let mut store = Store::new(came);
            let layer = store.layer(&archive);
            store.layers = store.layers.with_rung(rung);
            let root = store.root("a", &[layer]);
            assert_eq!(root.mounted.rung, rung);
            assert_eq!(names(&root.path), ["a/", "a/b"], "{came} to {rung}");
            store.assert_nothing_is_on_its_way();
        }
    }
}

#[test]
fn a_layer_that_is_not_here_is_named() {
    let store = Store::new(Rung::Erofs);
    let missing = digest(b"missing");
    let mounted = store.layers.mount_root(&[missing], store.path(), store.path());
    assert!(matches!(mounted, Err(LayerError::NotFound(layer)) if layer == missing));
    assert!(matches!(store.layers.size(&missing), Err(LayerError::NotFound(_))));
    assert!(store.layers.tar(&missing).is_err());
}

/// A file system that is unmounted at the end.
struct Mounted<'path>(&'path Path);

impl Drop for Mounted<'_> {
    fn drop(&mut self) {
        unmount(self.0, UnmountFlags::DETACH).unwrap();
    }
}

#[test]
#[ignore = "mounts take root: run `cargo xtask runner`"]
fn a_full_disk_is_told_of_and_has_its_space_back() {
    let folder = tempfile::tempdir().unwrap();
    mount("tmpfs", folder.path(), "tmpfs", MountFlags::empty(), Some(c"size=8m")).unwrap();
    let _mounted = Mounted(folder.path());
    let roots = Roots::new(folder.path().join("data"), folder.path().join("run"));
    for rung in Rung::ALL {
        let layers = LayerStore::open(&roots).unwrap().with_rung(rung);
        let archive = Archive::default().file("a", &"x".repeat(9 << 20)).finish();
        let error = layers.ingest(&digest(&archive), &Limits::default(), &mut &archive[..]);
        let error = error.unwrap_err().to_string();
        assert!(error.contains("No space left on device"), "{error}");
        let small = Archive::default().file("a", &"x".repeat(3 << 20)).finish();
        layers.ingest(&digest(&small), &Limits::default(), &mut &small[..]).unwrap();
        layers.remove(&digest(&small)).unwrap();
    }
}

#[test]
#[ignore = "mounts take root: run `cargo xtask runner`"]
fn where_no_overlay_can_be_written_all_files_are_copied_and_it_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    for name in ["base", "upper", "work", "merged"] {
        fs::create_dir(at(name)).unwrap();
    }
    let options = format!(
        "lowerdir={},upperdir={},workdir={}",
        at("base").display(),
        at("upper").display(),
        at("work").display()
    );
    let options = std::ffi::CString::new(options).unwrap();
    mount("overlay", at("merged"), "overlay", MountFlags::empty(), Some(&*options)).unwrap();
    let merged = at("merged");
    let _mounted = Mounted(&merged);
    let roots = Roots::new(merged.join("data"), folder.path().join("run"));
    let archive = Archive::default().file("a", "text").finish();
    let found = LayerStore::open(&roots).unwrap();
    assert_eq!(found.rung().unwrap(), Rung::Copy);
    for (layers, why) in [
        (found.clone(), "layers are not kept as erofs"),
        (found.with_rung(Rung::Directories), "cannot carry an overlay"),
    ] {
        layers.ingest(&digest(&archive), &Limits::default(), &mut &archive[..]).unwrap();
        let (writable, target) = (merged.join(why), folder.path().join("target"));
        fs::create_dir_all(&target).unwrap();
        let mounted = layers.mount_root(&[digest(&archive)], &writable, &target).unwrap();
        let files = names(&target);
        layers.unmount_root(&target).unwrap();
        assert_eq!(files, ["a"]);
        assert_eq!(mounted.rung, Rung::Copy);
        assert!(
            mounted.notice.as_deref().is_some_and(|notice| notice.contains(why)),
            "{mounted:?}"
        );
    }
}
