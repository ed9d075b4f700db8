//! What a real dockerd makes of the same image, file by file.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use berth_runner::layers::Rung;
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};

use crate::archives::{Archive, digest, of_folder};
use crate::listing::{self, assert_same};
use crate::semantics::make_all_kinds;
use crate::store::Store;

/// A dockerd that has nothing to do with any other on this machine.
struct Docker {
    folder: tempfile::TempDir,
    process: Child,
}

impl Docker {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let log = fs::File::create(at("log")).unwrap();
        let process = Command::new("dockerd")
            .args(["--iptables=false", "--bridge=none", "--storage-driver=overlay2"])
            .arg("--data-root")
            .arg(at("data"))
            .arg("--exec-root")
            .arg(at("exec"))
            .arg("--pidfile")
            .arg(at("pid"))
            .arg("--host")
            .arg(format!("unix://{}", at("socket").display()))
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        let docker = Self { folder, process };
        let deadline = Instant::now() + Duration::from_secs(60);
        while !docker.command(&["version"]).output().unwrap().status.success() {
            assert!(Instant::now() < deadline, "{}", docker.log());
            thread::sleep(Duration::from_millis(50));
        }
        docker
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("docker");
        let socket = self.folder.path().join("socket");
        command.env("DOCKER_HOST", format!("unix://{}", socket.display())).args(arguments);
        command
    }

    /// Loads an image: what it says of what it did not like.
    fn load(&self, layers: &[&[u8]]) -> Result<(), String> {
        let mut archive = tempfile::NamedTempFile::new().unwrap();
        archive.write_all(&docker_archive(layers)).unwrap();
        let output = self.command(&["load", "--input"]).arg(archive.path()).output().unwrap();
        match output.status.success() {
            true => Ok(()),
            false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
        }
    }

    /// The folders of the loaded image's layers, the uppermost first.
    fn folders(&self) -> Vec<PathBuf> {
        let one = |field: &str| {
            let format = format!("{{{{.GraphDriver.Data.{field}}}}}");
            let output = self.command(&["image", "inspect", "--format", &format, "test:latest"]);
            let output = { output }.output().unwrap();
            assert!(output.status.success(), "{}", self.log());
            String::from_utf8(output.stdout).unwrap().trim().to_owned()
        };
        let lower = one("LowerDir");
        let lower = lower.split(':').filter(|path| path.starts_with('/'));
        let upper = one("UpperDir");
        [upper.as_str()].into_iter().chain(lower).map(PathBuf::from).collect()
    }
}

impl Drop for Docker {
    fn drop(&mut self) {
        let id = rustix::process::Pid::from_child(&self.process);
        rustix::process::kill_process(id, rustix::process::Signal::TERM).unwrap();
        self.process.wait().unwrap();
    }
}

/// What `docker save` writes, of an image that has these layers.
fn docker_archive(layers: &[&[u8]]) -> Vec<u8> {
    let ids: Vec<_> = layers.iter().map(|layer| format!("\"{}\"", digest(layer))).collect();
    let config = format!(
        r#"{{"architecture":"amd64","os":"linux","config":{{}},"rootfs":{{"type":"layers","diff_ids":[{}]}}}}"#,
        ids.join(",")
    );
    let names: Vec<_> = (0..layers.len()).map(|n| format!("\"{n}.tar\"")).collect();
    let manifest = format!(
        r#"[{{"Config":"config.json","RepoTags":["test:latest"],"Layers":[{}]}}]"#,
        names.join(",")
    );
    let mut archive =
        Archive::default().file("config.json", &config).file("manifest.json", &manifest);
    for (n, layer) in layers.iter().enumerate() {
        archive = archive.entry(b'0', &format!("{n}.tar"), "", layer);
    }
    archive.finish()
}

/// Layers that are odd, and that docker takes: no name twice, which its archives cannot have.
fn odd_layers() -> Vec<Vec<u8>> {
    let first = Archive::default()
        .directory("a")
        .file("a/b", "first")
        .file("a/c", "first")
        .directory("d")
        .file("d/e", "first")
        .directory("usr")
        .directory("usr/lib")
        .symlink("lib", "usr/lib")
        .file("lib/through", "a link")
        .file("/absolute", "name")
        .file("./x/../dotted", "name")
        .file("once", "first")
        .directory("folder-then-file")
        .file("folder-then-file/in", "")
        .file("file-then-folder", "")
        .file("linked", "text")
        .hard_link("linked-2", "/linked")
        .hard_link("linked-3", "./linked-2")
        .entry(b'0', "named-by-gnu", "", b"")
        .entry(b'L', "././@LongLink", "", format!("a/{}", "l".repeat(240)).as_bytes())
        .file("short", "long")
        .entry(b'g', "global", "", b"17 path=not-this\n")
        .file("after-global", "")
        .pax(&[("mtime", b"1350244992.023960108"), ("uid", b"70000")])
        .file("pax", "")
        .pax(&[("mtime", b"-5.5")])
        .file("before-1970", "")
        .entry(0, "old", "", b"as any other")
        .entry(b'6', "fifo", "", b"")
        .finish();
    let second = Archive::default()
        .directory("a")
        .file("a/.wh.b", "")
        .file(".wh.once", "")
        .file(".wh.never", "")
        .directory("d")
        .file("d/.wh..wh..opq", "")
        .file("d/f", "second")
        .directory("file-then-folder")
        .file("file-then-folder/in", "")
        .file("folder-then-file", "second")
        .file("linked-2", "second")
        .finish();
    vec![first, second]
}

#[test]
#[ignore = "mounts take root: run `cargo xtask runner`"]
fn an_image_is_what_dockerd_makes_of_it() {
    if !Path::new("/usr/sbin/dockerd").exists() {
        println!("not compared: docker.io is not installed");
        return;
    }
    let docker = Docker::start();
    let model = tempfile::tempdir().unwrap();
    make_all_kinds(model.path());
    let all_kinds = of_folder(
        model.path(),
        &["--format=posix", "--xattrs", "--xattrs-include=*", "--acls", "--sparse"],
    );
    let odd = odd_layers();
    let images: [(&str, Vec<&[u8]>); 2] =
        [("all kinds", vec![&all_kinds]), ("odd", odd.iter().map(|layer| &layer[..]).collect())];
    for (what, layers) in images {
        docker.load(&layers).unwrap_or_else(|error| panic!("{what}: {error}\n{}", docker.log()));
        let folders: Vec<_> =
            docker.folders().iter().map(|path| path.display().to_string()).collect();
        let theirs = tempfile::tempdir().unwrap();
        // Overlay wants two layers at least when it writes to none.
        let empty = tempfile::tempdir().unwrap();
        let options = format!("lowerdir={}:{}", folders.join(":"), empty.path().display());
        let options = std::ffi::CString::new(options).unwrap();
        mount("overlay", theirs.path(), "overlay", MountFlags::RDONLY, Some(&*options)).unwrap();
        let mut expected = listing::of(theirs.path());
        unmount(theirs.path(), UnmountFlags::DETACH).unwrap();
        let store = Store::new(Rung::Erofs);
        let ids: Vec<_> = layers.iter().map(|layer| store.layer(layer)).collect();
        let root = store.root("a", &ids);
        let mut found = listing::of(&root.path);
        // The root is not the layer's own with either.
        for listing in [&mut found, &mut expected] {
            listing.remove(Path::new(""));
            // Go takes an attribute without a value for one that is taken back; GNU tar does not.
            for facts in listing.values_mut() {
                facts.attributes.remove("user.empty");
            }
        }
        assert_same(&found, &expected, what);
    }
}

#[test]
#[ignore = "mounts take root: run `cargo xtask runner`"]
fn what_is_refused_is_refused_by_dockerd() {
    if !Path::new("/usr/sbin/dockerd").exists() {
        println!("not compared: docker.io is not installed");
        return;
    }
    let docker = Docker::start();
    let one = Archive::default;
    let layers = [
        one().hard_link("a", "../../etc/passwd"),
        one().hard_link("a", "/etc/no-such-file"),
        one().symlink("l", "/no-such-folder").file("l/a", ""),
        one().symlink("l", "l").file("l/a", ""),
        one().file("a", "").file("a/b", ""),
        one().entry(b'Z', "a", "", b""),
        one().pax(&[("path", &[b'n'; 256])]).file("a", ""),
    ];
    let store = Store::new(Rung::Erofs);
    let mut taken = Vec::new();
    for (n, layer) in layers.into_iter().enumerate() {
        let layer = layer.finish();
        store.refused(&layer);
        if docker.load(&[&layer]).is_ok() {
            taken.push(n);
        }
    }
    assert_eq!(taken, [0; 0]);
}
