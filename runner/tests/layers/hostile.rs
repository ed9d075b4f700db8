//! Layers that nobody made with good intentions: each has an outcome that is stated here.

use std::fs;
use std::io::Write as _;

use berth_runner::layers::{LayerError, Limits, Rung, check_tar};

use crate::archives::{Archive, checked, digest, header};
use crate::listing::names;
use crate::store::{Store, on_each_rung};

/// A path of `depth` folders, which is too long for a header.
fn deep(depth: usize) -> Vec<u8> {
    Archive::default().pax(&[("path", "d/".repeat(depth).as_bytes())]).directory("x").finish()
}

#[test]
fn what_no_layer_may_be_is_refused() {
    let with = |archive: Archive| archive.finish();
    let one = Archive::default;
    let changed = |change: &dyn Fn(&mut [u8; 512])| {
        let mut block = header(b'0', "a", "", 0);
        change(&mut block);
        Archive(checked(block).to_vec()).finish()
    };
    let mut bad_checksum = header(b'0', "a", "", 0);
    bad_checksum[0] = b'b';
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("leads out of the layer", with(one().file("../a", ""))),
        ("leads out of the layer", with(one().file("a/../../b", ""))),
        ("leads out of the layer", with(one().directory(".."))),
        ("leads out of the layer", with(one().pax(&[("path", b"../a")]).file("a", ""))),
        ("leads out of the layer", with(one().entry(b'L', "x", "", b"../a\0").file("a", ""))),
        ("leads out of the layer", with(one().file("../.wh.a", ""))),
        ("outside of the layer", with(one().hard_link("a", "../../etc/passwd"))),
        ("not in the layer", with(one().hard_link("a", "/etc/passwd"))),
        ("not in the layer", with(one().symlink("l", "/etc").hard_link("a", "l/passwd"))),
        ("not in the layer", with(one().hard_link("a", "b").file("b", ""))),
        ("is a folder", with(one().directory("b").hard_link("a", "b"))),
        ("through a link to nothing", with(one().symlink("l", "/etc").file("l/passwd", ""))),
        ("through a link to nothing", with(one().symlink("l", "/etc").file("l/.wh.passwd", ""))),
        ("in a circle", with(one().symlink("l", "l").file("l/a", ""))),
        ("no folder", with(one().file("a", "").file("a/b", ""))),
        ("a folder itself", with(one().file(".wh...", ""))),
        ("a folder itself", with(one().file("a/.wh.", ""))),
        ("root and no folder", with(one().symlink("./", "/etc"))),
        ("more than 255 bytes", with(one().pax(&[("path", &[b'n'; 256])]).file("a", ""))),
        ("4095 bytes in a path", deep(2100)),
        ("512 folders in each other", deep(600)),
        ("4095 bytes in a path", deep(100_000)),
        ("its type is 'Z'", with(one().entry(b'Z', "a", "", b""))),
        ("checksum", Archive(bad_checksum.to_vec()).finish()),
        ("checksum", b"this is no archive".repeat(100)),
        ("octal digits", changed(&|block| block[100] = b'9')),
        ("a size is negative", changed(&|block| block[124..136].fill(0xff))),
        (
            "too large",
            changed(&|block| {
                block[124..136].copy_from_slice(b"\x80\0\0\x7f\xff\xff\xff\xff\xff\xff\xff\xff")
            }),
        ),
        (
            "in the middle of a file",
            changed(&|block| {
                block[124..136].copy_from_slice(b"\x80\0\0\0\x7f\xff\xff\xff\xff\xff\xff\xff")
            }),
        ),
        ("its owner", changed(&|block| block[108..116].fill(0xff))),
        ("its owner", with(one().pax(&[("uid", b"4294967295")]).file("a", ""))),
        ("its owner", with(one().pax(&[("gid", b"99999999999")]).file("a", ""))),
        ("a number that there is not", {
            let mut block = header(b'3', "a", "", 0);
            block[329..337].copy_from_slice(b"7777777\0");
            Archive(checked(block).to_vec()).finish()
        }),
        ("something after a block of zeros", {
            let mut archive = one().file("a", "");
            archive.0.extend([0; 512]);
            archive.file("b", "").finish()
        }),
        ("bytes in an extended header", {
            let mut archive = one();
            archive.0.extend(header(b'x', "pax", "", (1 << 20) + 1));
            archive.finish()
        }),
        ("bytes in an extended header", {
            // It says 4 GiB, and has nothing.
            let mut archive = one();
            archive.0.extend(header(b'L', "long", "", 4 << 30));
            archive.0
        }),
        (
            "extended header has a record",
            with(one().entry(b'x', "p", "", b"99 path=a\n").file("a", "")),
        ),
        (
            "larger than file systems",
            with(one().pax(&[("SCHILY.xattr.user.a", &[0; 65_536])]).file("a", "")),
        ),
        (
            "access control list",
            with(one().pax(&[("SCHILY.xattr.system.posix_acl_access", b"x")]).file("a", "")),
        ),
        ("contradicts itself", {
            with(
                one()
                    .pax(&[("GNU.sparse.map", b"0,9,5,9"), ("GNU.sparse.size", b"99")])
                    .file("a", "123456789012345678"),
            )
        }),
        (
            "contradicts itself",
            with(
                one()
                    .pax(&[("GNU.sparse.map", b"0,9"), ("GNU.sparse.size", b"3")])
                    .file("a", "123456789"),
            ),
        ),
        (
            "in sparse files",
            with(
                one()
                    .pax(&[("GNU.sparse.map", b"0,1"), ("GNU.sparse.size", b"9000000000000000000")])
                    .file("a", "1"),
            ),
        ),
        ("too many pieces", {
            let records: [(&str, &[u8]); 3] = [
                ("GNU.sparse.major", b"1"),
                ("GNU.sparse.minor", b"0"),
                ("GNU.sparse.realsize", b"9"),
            ];
            with(one().pax(&records).file("a", &format!("{:<512}", "99999999\n")))
        }),
        ("the map of a sparse file has no end", {
            let records: [(&str, &[u8]); 2] =
                [("GNU.sparse.major", b"1"), ("GNU.sparse.realsize", b"9")];
            with(one().pax(&records).file("a", &format!("3\n{}", "1\n1\n1\n1\n1\n".repeat(0))))
        }),
    ];
    for (why, archive) in &cases {
        match check_tar(archive) {
            Err(error) => assert!(error.to_string().contains(why), "{error} is not about {why}"),
            Ok(_) => panic!("what is about {why} was taken"),
        }
    }
}

#[test]
fn an_archive_that_breaks_off_is_refused_wherever_it_does() {
    let entries = Archive::default()
        .pax(&[("path", b"long")])
        .file("a", &"x".repeat(600))
        .entry(b'L', "name", "", &[b'n'; 200])
        .file("b", "1")
        .0;
    // It may end after an entry, or after what belongs to one that is not there; and what only fills up
    // the last block may be missing.
    let ends = [0..=0, 525..=1024, 2136..=2560, 3272..=3584, 4097..=4608];
    for length in 0..=entries.len() {
        let whole = ends.iter().any(|end| end.contains(&length));
        assert_eq!(check_tar(&entries[..length]).is_ok(), whole, "{length}");
    }
}

#[test]
#[ignore = "mounts take root: run `cargo xtask runner`"]
fn what_is_taken_stays_in_the_layer() {
    on_each_rung(|store, rung| {
        let victim = store.path().join("victim");
        fs::create_dir(&victim).unwrap();
        fs::write(victim.join("file"), "untouched").unwrap();
        let victim_text = victim.to_str().unwrap();
        let inside = victim_text.trim_start_matches('/');
        let archive = Archive::default()
            // An absolute name is one from the layer's root.
            .file(&format!("{victim_text}/file"), "inside")
            .file(&format!("{victim_text}/.wh.gone"), "")
            .symlink("out", victim_text)
            .file("out/through-a-link", "inside")
            .file("out/.wh.through-a-link-too", "")
            .hard_link("hard", "out/file")
            .symlink("up", "../../../../../../../../..")
            .file("up/at-the-root", "inside")
            .finish();
        let layer = store.layer(&archive);
        let root = store.root("a", &[layer]);
        assert_eq!(fs::read_to_string(root.at("hard")).unwrap(), "inside", "{rung}");
        assert_eq!(fs::read_to_string(root.at(inside).join("through-a-link")).unwrap(), "inside");
        assert_eq!(fs::read_to_string(root.at("at-the-root")).unwrap(), "inside");
        assert_eq!(names(&victim), ["file"], "{rung}");
        assert_eq!(fs::read_to_string(victim.join("file")).unwrap(), "untouched", "{rung}");
    });
}

#[test]
fn nothing_is_left_of_what_was_refused() {
    // The index is written without any rights.
    let store = Store::new(Rung::Erofs);
    let megabyte = "x".repeat(1 << 20);
    let late = Archive::default().file("a", &megabyte).file("../b", "").finish();
    assert!(matches!(store.refused(&late), LayerError::Entry { path, .. } if path == "../b"));

    let good = Archive::default().file("a", &megabyte).finish();
    let error = store.ingest(digest(b"another"), &good).unwrap_err();
    assert!(matches!(error, LayerError::Digest { found, .. } if *found == digest(&good)));
    store.assert_nothing_is_on_its_way();

    let mut broken = gzip(&good);
    broken.truncate(broken.len() / 2);
    let error = store.ingest(digest(&good), &broken).unwrap_err();
    assert!(matches!(error, LayerError::Compression(_)), "{error}");
    store.assert_nothing_is_on_its_way();

    struct Breaks;
    impl std::io::Read for Breaks {
        fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
            Err(std::io::ErrorKind::ConnectionReset.into())
        }
    }
    let begun = gzip(&good);
    let mut input = std::io::Read::chain(&begun[..500], Breaks);
    let error = store.layers.ingest(&digest(&good), &Limits::default(), &mut input).unwrap_err();
    assert!(matches!(error, LayerError::Input(_)), "{error}");
    store.assert_nothing_is_on_its_way();
    assert_eq!(store.layers.list().unwrap(), []);
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn compressed_layers_are_known_by_their_first_bytes() {
    let archive = Archive::default().file("a", &"x".repeat(700_000)).finish();
    let (first, second) = archive.split_at(5000);
    let zstd = |bytes: &[u8]| zstd::encode_all(bytes, 1).unwrap();
    let skipped = [&[0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3][..], &zstd(&archive)].concat();
    let forms: [(&str, Vec<u8>); 6] = [
        ("none", archive.clone()),
        ("gzip", gzip(&archive)),
        ("gzip in two members", [gzip(first), gzip(second)].concat()),
        ("zstd", zstd(&archive)),
        ("zstd in two frames", [zstd(first), zstd(second)].concat()),
        ("zstd after a frame that is none", skipped),
    ];
    for (form, bytes) in forms {
        let store = Store::new(Rung::Erofs);
        store.ingest(digest(&archive), &bytes).unwrap_or_else(|error| panic!("{form}: {error}"));
        let mut kept = Vec::new();
        std::io::Read::read_to_end(&mut store.layers.tar(&digest(&archive)).unwrap(), &mut kept)
            .unwrap();
        assert!(kept == archive, "{form}");
    }
    let store = Store::new(Rung::Erofs);
    for (name, bytes) in [("bzip2", &b"BZh91AY"[..]), ("xz", b"\xfd7zXZ\0\0")] {
        let error = store.ingest(digest(&archive), bytes).unwrap_err().to_string();
        assert!(error.contains(name), "{error}");
    }
}

#[test]
fn bombs_are_stopped_by_limits() {
    let zeros = Archive::default().file("zeros", &"\0".repeat(4 << 20)).finish();
    let limits = Limits { ratio: 100, ratio_from: 1 << 20, bytes: 3 << 20, ..Limits::default() };
    // A frame that wants a window of 256 MiB, and then has one block as it is.
    let small = Archive::default().file("a", "").finish();
    let mut wide = vec![0x28, 0xb5, 0x2f, 0xfd, 0, (28 - 10) << 3];
    wide.extend_from_slice(&((small.len() as u32) << 3 | 1).to_le_bytes()[..3]);
    wide.extend_from_slice(&small);
    let store = Store::new(Rung::Erofs);
    let cases: [(&str, Limits, Vec<u8>); 4] = [
        ("100 times the bytes", Limits { bytes: u64::MAX, ..limits }, gzip(&zeros)),
        (
            "100 times the bytes",
            Limits { bytes: u64::MAX, ..limits },
            zstd::encode_all(&zeros[..], 1).unwrap(),
        ),
        ("3145728 bytes", limits, zeros.clone()),
        ("memory", Limits::default(), wide),
    ];
    for (why, limits, bytes) in cases {
        let error = store.layers.ingest(&digest(&zeros), &limits, &mut &bytes[..]).unwrap_err();
        assert!(error.to_string().contains(why), "{error} is not about {why}");
        store.assert_nothing_is_on_its_way();
    }
}
