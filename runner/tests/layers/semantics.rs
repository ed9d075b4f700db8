//! What layers mean, the same in every way in which they are kept.

use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileExt as _, MetadataExt as _, PermissionsExt as _, chown, symlink};
use std::path::Path;

use berth_runner::Roots;
use berth_runner::layers::{LayerStore, Limits, Rung};
use rustix::fs::{
    CWD, FileType, Mode, Timespec, Timestamps, XattrFlags, lsetxattr, makedev, mknodat, utimensat,
};

use crate::archives::{Archive, checked, digest, header, of_folder, unpack};
use crate::listing::{self, assert_same, names};
use crate::store::{Store, on_each_rung};

/// Everything that a file system can have and an archive can say.
pub(crate) fn make_all_kinds(folder: &Path) {
    let at = |name: &str| folder.join(name);
    fs::write(at("empty"), "").unwrap();
    fs::write(at("small"), "small").unwrap();
    fs::write(at("block"), [7; 512]).unwrap();
    let large: Vec<u8> = (0..300_000_u32).flat_map(u32::to_le_bytes).collect();
    fs::write(at("large"), &large).unwrap();
    fs::hard_link(at("large"), at("large-2")).unwrap();
    fs::create_dir(at("folder")).unwrap();
    fs::hard_link(at("large"), at("folder/large-3")).unwrap();
    fs::set_permissions(at("folder"), fs::Permissions::from_mode(0o3711)).unwrap();
    fs::write(at("setuid"), "#!/bin/sh").unwrap();
    fs::create_dir(at("sticky")).unwrap();
    fs::set_permissions(at("sticky"), fs::Permissions::from_mode(0o1777)).unwrap();
    symlink("small", at("link")).unwrap();
    symlink("../../../../../../nowhere", at("link-out")).unwrap();
    symlink("x/".repeat(1500), at("link-long")).unwrap();
    symlink("x".repeat(400), at("link-middle")).unwrap();
    let long = "n".repeat(255);
    fs::write(at(&long), "a long name").unwrap();
    fs::create_dir_all(at(&format!("deep/{}", ["d".repeat(90).as_str(); 12].join("/")))).unwrap();
    fs::write(at("deep").join("p".repeat(200)), "").unwrap();
    fs::write(at("not-utf-8").with_file_name(std::ffi::OsStr::from_bytes(b"\xff\xfe")), "")
        .unwrap();
    // Names on both sides of `.` and `..`, and a folder of many blocks.
    for name in ["-", "!", "..a", ". ", "...", "~"] {
        fs::write(at("folder").join(name), name).unwrap();
    }
    fs::create_dir(at("many")).unwrap();
    for n in 0..1000 {
        fs::write(at(&format!("many/file-{n}-{}", "x".repeat(n % 40))), n.to_string()).unwrap();
    }
    for (kind, name, device) in [
        (FileType::Fifo, "fifo", 0),
        (FileType::CharacterDevice, "null", makedev(1, 3)),
        (FileType::CharacterDevice, "large-minor", makedev(4095, 0xf_ffff)),
        (FileType::BlockDevice, "disk", makedev(259, 300)),
    ] {
        mknodat(CWD, at(name), kind, Mode::from_raw_mode(0o640), device).unwrap();
    }
    let sparse = File::create(at("sparse")).unwrap();
    sparse.write_all_at(b"begin", 0).unwrap();
    sparse.write_all_at(&[1; 5000], 1 << 20).unwrap();
    sparse.write_all_at(b"middle", 5 << 20).unwrap();
    sparse.set_len((8 << 20) + 1).unwrap();
    File::create(at("hole")).unwrap().set_len(1 << 20).unwrap();
    for (n, name) in ["small", "link", "folder", "fifo", "sticky", "empty"].iter().enumerate() {
        let id = 65_536 + n as u32;
        std::os::unix::fs::lchown(at(name), Some(id), Some(4_000_000_000 + n as u32)).unwrap();
    }
    chown(at("setuid"), Some(1000), Some(1000)).unwrap();
    fs::set_permissions(at("setuid"), fs::Permissions::from_mode(0o6755)).unwrap();
    let set = |name: &str, attribute: &str, value: &[u8]| {
        lsetxattr(at(name), attribute, value, XattrFlags::empty()).unwrap();
    };
    set("small", "user.text", b"value");
    set("small", "user.empty", b"");
    set("small", "trusted.bytes", b"\0\x01=\n\xff");
    set("folder", "user.folder", &[b'v'; 700]);
    set("link", "trusted.of-a-link", b"yes");
    // cap_net_raw, permitted and effective.
    let capability = [1, 0, 0, 2, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    set("block", "security.capability", &capability);
    let access = |mask: u8| {
        let entry = |tag: u8, rights: u8, id: u32| {
            let mut entry = vec![tag, 0, rights, 0];
            entry.extend(id.to_le_bytes());
            entry
        };
        let any = u32::MAX;
        let parts = [
            entry(1, 6, any),
            entry(2, 4, 1234),
            entry(4, 4, any),
            entry(0x10, mask, any),
            entry(0x20, 4, any),
        ];
        [vec![2, 0, 0, 0], parts.concat()].concat()
    };
    set("empty", "system.posix_acl_access", &access(6));
    set("sticky", "system.posix_acl_default", &access(5));
    let time = |name: &str, seconds, nanoseconds| {
        let time = Timespec { tv_sec: seconds, tv_nsec: nanoseconds };
        let times = Timestamps { last_access: time, last_modification: time };
        utimensat(CWD, at(name), &times, rustix::fs::AtFlags::SYMLINK_NOFOLLOW).unwrap();
    };
    time("small", 1_700_000_000, 123_456_789);
    time("link", 1, 1);
    time("folder", 0, 999_999_999);
    time("null", 4_000_000_000, 5);
    time("many", 1_000_000_000, 10);
    // The last one: what is made in a folder changes its time.
    time(".", 1_600_000_000, 600);
}

#[test]
#[ignore = "mounts take root: run `cargo xtask runner`"]
fn a_layer_is_what_gnu_tar_makes_of_it() {
    let model = tempfile::tempdir().unwrap();
    make_all_kinds(model.path());
    let pax = ["--format=posix", "--xattrs", "--xattrs-include=*", "--acls"];
    let formats: [(&str, Vec<&str>); 5] = [
        ("pax", [&pax[..], &["--sparse", "--sparse-version=1.0"]].concat()),
        ("pax, sparse 0.1", [&pax[..], &["--sparse", "--sparse-version=0.1"]].concat()),
        ("pax, sparse 0.0", [&pax[..], &["--sparse", "--sparse-version=0.0"]].concat()),
        ("gnu", vec!["--format=gnu", "--sparse"]),
        ("gnu, not sparse", vec!["--format=gnu", "--exclude=./sparse"]),
    ];
    for (format, options) in formats {
        let archive = of_folder(model.path(), &options);
        let expected = tempfile::tempdir().unwrap();
        unpack(&archive, expected.path());
        let expected = listing::of(expected.path());
        assert!(expected.len() > 1030, "the model is made");
        on_each_rung(|store, rung| {
            let layer = store.layer(&archive);
            let root = store.root("a", &[layer]);
            assert_eq!(root.mounted.rung, rung);
            let mut found = listing::of(&root.path);
            // The root belongs to the container: its time is that of the container's folder.
            let root_of = Path::new("");
            let facts = found.get_mut(root_of).unwrap();
            let should = &expected[root_of];
            facts.mtime = should.mtime;
            facts.attributes.clone_from(&should.attributes);
            assert_same(&found, &expected, &format!("{format} as {rung}"));
        });
    }
}

#[test]
#[ignore = "mounts take root: run `cargo xtask runner`"]
fn a_sparse_file_may_seem_to_have_5_gib() {
    let model = tempfile::tempdir().unwrap();
    let size = (5 << 30) + 10;
    let file = File::create(model.path().join("sparse")).unwrap();
    file.write_all_at(b"in the middle", 3 << 30).unwrap();
    file.write_all_at(b"at the end", size - 10).unwrap();
    for options in [&["--format=posix", "--sparse"], &["--format=gnu", "--sparse"]] {
        let archive = of_folder(model.path(), options);
        on_each_rung(|store, rung| {
            let layer = store.layer(&archive);
            let root = store.root("a", &[layer]);
            assert_large(&root.at("sparse"), size);
            let upper = if rung == Rung::Copy { root.mounted.upper.clone() } else { "/".into() };
            drop(root);
            // Its zeros take nothing of the disk.
            assert!(store.layers.remove(&layer).unwrap() < 1 << 20, "{rung}");
            assert!(
                upper == Path::new("/")
                    || fs::metadata(upper.join("sparse")).unwrap().blocks() < 100
            );
        });
    }
}

fn assert_large(path: &Path, size: u64) {
    let file = File::open(path).unwrap();
    assert_eq!(file.metadata().unwrap().len(), size);
    for (at, text) in [(3 << 30, "in the middle"), (size - 10, "at the end"), (1 << 30, "\0\0")] {
        let mut found = vec![0; text.len()];
        file.read_exact_at(&mut found, at).unwrap();
        assert_eq!(found, text.as_bytes());
    }
}

#[test]
#[ignore = "mounts take root: run `cargo xtask runner`"]
fn layers_hide_what_is_below() {
    let lower = Archive::default()
        .directory("kept")
        .file("kept/a", "lower")
        .file("kept/gone", "lower")
        .directory("gone")
        .file("gone/a", "lower")
        .directory("opaque")
        .file("opaque/a", "lower")
        .file("opaque/deep/b", "lower")
        .directory("remade")
        .file("remade/a", "lower")
        .file("file", "lower")
        .hard_link("file-2", "file")
        .directory("folder-to-file")
        .file("folder-to-file/a", "lower")
        .file("file-to-folder", "lower")
        .symlink("link", "kept")
        .finish();
    let upper = Archive::default()
        .file("kept/.wh.gone", "")
        .file(".wh.gone", "")
        .directory("opaque")
        .file("opaque/.wh..wh..opq", "")
        .file("opaque/new", "upper")
        .file(".wh.remade", "")
        .file("remade/b", "upper")
        .file("file", "upper")
        .file("folder-to-file", "upper")
        .directory("file-to-folder")
        .file("file-to-folder/a", "upper")
        .file(".wh.link", "")
        .file(".wh.never-there", "")
        .finish();
    on_each_rung(|store, rung| {
        let layers = [store.layer(&lower), store.layer(&upper)];
        let root = store.root("a", &layers);
        let expected = [
            "file",
            "file-2",
            "file-to-folder/",
            "file-to-folder/a",
            "folder-to-file",
            "kept/",
            "kept/a",
            "opaque/",
            "opaque/new",
            "remade/",
            "remade/b",
        ];
        assert_eq!(names(&root.path), expected, "{rung}");
        assert_eq!(fs::read_to_string(root.at("file")).unwrap(), "upper");
        // The other name keeps what both were.
        assert_eq!(fs::read_to_string(root.at("file-2")).unwrap(), "lower");
        let missing = fs::symlink_metadata(root.at("gone")).unwrap_err();
        assert_eq!(missing.kind(), std::io::ErrorKind::NotFound);
    });
}

#[test]
#[ignore = "mounts take root: run `cargo xtask runner`"]
fn an_opaque_root_hides_all_layers_below() {
    let lower = Archive::default().file("a", "lower").finish();
    let upper = Archive::default().file(".wh..wh..opq", "").file("b", "upper").finish();
    on_each_rung(|store, rung| {
        let layers = [store.layer(&lower), store.layer(&upper)];
        assert_eq!(names(&store.root("a", &layers).path), ["b"], "{rung}");
        let layers = [layers[1], layers[0]];
        assert_eq!(names(&store.root("b", &layers).path), ["a", "b"], "{rung}");
    });
}

#[test]
#[ignore = "mounts take root: run `cargo xtask runner`"]
fn an_image_cannot_set_the_attributes_of_overlay() {
    let lower = Archive::default().file("folder/a", "lower").file("secret/b", "lower").finish();
    let upper = Archive::default()
        .pax(&[
            ("SCHILY.xattr.trusted.overlay.opaque", b"y"),
            ("SCHILY.xattr.user.overlay.opaque", b"y"),
            ("SCHILY.xattr.trusted.overlay.redirect", b"/secret"),
            ("SCHILY.xattr.user.kept", b"y"),
        ])
        .directory("folder")
        .finish();
    on_each_rung(|store, rung| {
        let root = store.root("a", &[store.layer(&lower), store.layer(&upper)]);
        assert_eq!(names(&root.path), ["folder/", "folder/a", "secret/", "secret/b"], "{rung}");
        let listing = listing::of(&root.path);
        let attributes = &listing[Path::new("folder")].attributes;
        assert_eq!(attributes.keys().collect::<Vec<_>>(), ["user.kept"], "{rung}");
    });
}

#[test]
#[ignore = "mounts take root: run `cargo xtask runner`"]
fn what_is_written_is_there_again_and_nowhere_else() {
    let archive = Archive::default().directory("etc").file("etc/a", "image").file("b", "").finish();
    on_each_rung(|store, rung| {
        let layer = store.layer(&archive);
        let root = store.root("a", &[layer]);
        fs::write(root.at("etc/a"), "changed").unwrap();
        fs::remove_file(root.at("b")).unwrap();
        fs::create_dir(root.at("new")).unwrap();
        fs::rename(root.at("new"), root.at("renamed")).unwrap();
        assert!(root.mounted.upper.join("renamed").is_dir());
        drop(root);
        let again = store.root("a", &[layer]);
        assert_eq!(names(&again.path), ["etc/", "etc/a", "renamed/"], "{rung}");
        assert_eq!(fs::read_to_string(again.at("etc/a")).unwrap(), "changed");
        let other = store.root("b", &[layer]);
        assert_eq!(names(&other.path), ["b", "etc/", "etc/a"], "{rung}");
        assert_eq!(fs::read_to_string(other.at("etc/a")).unwrap(), "image");
    });
}

#[test]
#[ignore = "mounts take root: run `cargo xtask runner`"]
fn programs_and_devices_of_an_image_work() {
    let busybox = fs::read("/bin/busybox").unwrap();
    let mut null = header(b'3', "null", "", 0);
    null[329..337].copy_from_slice(b"0000001\0");
    null[337..345].copy_from_slice(b"0000003\0");
    let mut archive = Archive::default();
    let mut program = header(b'0', "busybox", "", busybox.len());
    program[100..108].copy_from_slice(b"0004755\0");
    archive.0.extend(checked(program));
    archive.0.extend_from_slice(&busybox);
    archive.0.resize(archive.0.len().next_multiple_of(512), 0);
    archive.0.extend(checked(null));
    let archive = archive.finish();
    on_each_rung(|store, rung| {
        let root = store.root("a", &[store.layer(&archive)]);
        let output = std::process::Command::new(root.at("busybox")).arg("id").output().unwrap();
        assert!(output.status.success(), "{rung}");
        File::options().write(true).open(root.at("null")).unwrap().write_all(b"gone").unwrap();
        let parent = fs::metadata(root.path.parent().unwrap()).unwrap();
        assert_ne!(fs::metadata(root.at("busybox")).unwrap().dev(), 0, "{}", parent.dev());
    });
}

#[test]
#[ignore = "mounts take root: run `cargo xtask runner`"]
fn an_image_can_have_a_hundred_layers_and_more() {
    on_each_rung(|store, rung| {
        let mut layers = Vec::new();
        for n in 0..120 {
            let archive = Archive::default()
                .file("last", &n.to_string())
                .file(&format!("of-{n}"), "")
                .file(&format!(".wh.of-{}", n - 100), "")
                .finish();
            layers.push(store.layer(&archive));
        }
        let root = store.root("a", &layers);
        assert_eq!(fs::read_to_string(root.at("last")).unwrap(), "119", "{rung}");
        assert_eq!(names(&root.path).len(), 101, "{rung}");
        assert!(!root.at("of-19").exists());
        assert!(root.at("of-20").exists());
    });
}

#[test]
#[ignore = "mounts take root: run `cargo xtask runner`"]
fn an_image_can_have_no_layer() {
    on_each_rung(|store, rung| {
        let root = store.root("a", &[]);
        fs::write(root.at("written"), "").unwrap();
        assert_eq!(names(&root.path), ["written"], "{rung}");
    });
}

#[test]
#[ignore = "mounts take root: run `cargo xtask runner`"]
fn roots_may_lie_as_deep_as_a_path_can_be() {
    let archive = Archive::default().file("a", "").finish();
    for rung in Rung::ALL {
        let folder = tempfile::tempdir().unwrap();
        let deep = folder.path().join(["d".repeat(200).as_str(); 3].join("/"));
        let roots = Roots::new(deep.join("data"), deep.join("run"));
        let layers = LayerStore::open(&roots).unwrap().with_rung(rung);
        let layer = digest(&archive);
        let limits = Limits::default();
        layers.ingest(&layer, &limits, &mut &archive[..]).unwrap();
        let (writable, target) = (deep.join("writable"), deep.join("target"));
        fs::create_dir(&target).unwrap();
        layers.mount_root(&[layer], &writable, &target).unwrap();
        let found = names(&target);
        layers.unmount_root(&target).unwrap();
        assert_eq!(found, ["a"]);
    }
}

#[test]
#[ignore = "mounts take root: run `cargo xtask runner`"]
fn the_way_is_found_out_by_trying() {
    let store = Store::new(Rung::Copy);
    let layers = LayerStore::open(&store.roots).unwrap();
    let rung = layers.rung().unwrap();
    // What else is tested here needs it, so it is no kernel without.
    assert_eq!(rung, Rung::Erofs);
    assert_eq!(crate::store::mounts_below(store.path()), [""; 0]);
    store.assert_nothing_is_on_its_way();
    let record = fs::read_to_string(store.path().join("run/layers/rung")).unwrap();
    assert!(record.contains("\nerofs\n"), "{record}");
}
