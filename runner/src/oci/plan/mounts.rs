//! Mounts: their options in the words of mount(8), and those that runc has added.

use std::path::{Component, Path, PathBuf};

use super::super::cgroups::{Cgroup, View};
use super::super::config::Mount;
use super::super::kernel::mount::{ATIME, Attributes, Setting};
use super::super::{Error, Result};
use super::IdMaps;

const RDONLY: u64 = 0x1;
const NOSUID: u64 = 0x2;
const NODEV: u64 = 0x4;
const NOEXEC: u64 = 0x8;
const NOATIME: u64 = 0x10;
const STRICTATIME: u64 = 0x20;
const NODIRATIME: u64 = 0x80;
const NOSYMFOLLOW: u64 = 0x20_0000;

pub(super) const PRIVATE: u64 = libc::MS_PRIVATE;

/// One mount.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::oci) struct MountPlan {
    pub(in crate::oci) destination: PathBuf,
    pub(in crate::oci) source: Source,
    /// Of the mount itself, and with `recursive` of all that are below it.
    pub(in crate::oci) attributes: Attributes,
    pub(in crate::oci) recursive_attributes: Attributes,
    /// Ids that its files are shown with.
    pub(in crate::oci) ids: Option<IdMaps>,
}

/// Where it is from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::oci) enum Source {
    /// A new file system, made in the container's namespaces.
    FileSystem { kind: String, device: Option<PathBuf>, settings: Vec<Setting> },
    /// A part of the host's tree, with all mounts below it where `recursive` says so.
    Bind { path: PathBuf, recursive: bool },
    /// The trees of version 1, each a part of the host's, in a folder in memory.
    Cgroups(Vec<View>),
}

/// How mounts of the host's reach the container.
pub(super) fn root_propagation(word: &str) -> Result<u64> {
    match word {
        "" | "slave" | "rslave" => Ok(libc::MS_SLAVE),
        "private" | "rprivate" => Ok(libc::MS_PRIVATE),
        "shared" | "rshared" => Ok(libc::MS_SHARED),
        "unbindable" | "runbindable" => Ok(libc::MS_UNBINDABLE),
        word => Err(Error::invalid(format!("linux.rootfsPropagation: {word:?} is not known"))),
    }
}

/// What mounts depend on besides their own words.
pub(super) struct Surroundings<'plan> {
    /// What sources that are not absolute are relative to.
    pub(super) bundle: &'plan Path,
    pub(super) cgroup: &'plan Cgroup,
    pub(super) has_cgroup_namespace: bool,
}

pub(super) fn plan(mounts: &[Mount], around: &Surroundings<'_>) -> Result<Vec<MountPlan>> {
    mounts.iter().map(|mount| plan_one(mount, around)).collect()
}

fn plan_one(mount: &Mount, around: &Surroundings<'_>) -> Result<MountPlan> {
    let about = |what: &str| format!("mounts: {}: {what}", mount.destination.display());
    if is_root(&mount.destination) {
        return Err(Error::invalid(about("a mount there would hide the container's root")));
    }
    let cgroup = around.cgroup;
    let mut options = Options::default();
    for option in &mount.options {
        options.read(option).map_err(|what| Error::unsupported(about(&what)))?;
    }
    let source = match mount.kind.as_deref() {
        Some("cgroup") if !cgroup.is_unified() => Source::Cgroups(cgroup.views()),
        Some("cgroup" | "cgroup2") if cgroup.is_unified() && !around.has_cgroup_namespace => {
            let path = cgroup.views().into_iter().next().map(|view| view.path);
            Source::Bind { path: path.unwrap_or_default(), recursive: false }
        }
        kind => {
            let source = source(mount, kind, &options, around.bundle);
            source.map_err(|what| Error::invalid(about(what)))?
        }
    };
    let ids = IdMaps { uids: mount.uid_mappings.clone(), gids: mount.gid_mappings.clone() };
    if !options.id_mapped && ids != IdMaps::default() {
        options.id_mapped = true;
    }
    if options.id_mapped && (ids.uids.is_empty() || ids.gids.is_empty()) {
        return Err(Error::unsupported(about(
            "idmap needs uidMappings and gidMappings of its own",
        )));
    }
    let is_bind = matches!(source, Source::Bind { .. });
    if is_bind && options.own.propagation == 0 {
        options.own.propagation = PRIVATE;
        options.all.propagation = PRIVATE;
    }
    Ok(MountPlan {
        destination: mount.destination.clone(),
        source,
        attributes: options.own,
        recursive_attributes: options.all,
        ids: options.id_mapped.then_some(ids),
    })
}

fn source(
    mount: &Mount,
    kind: Option<&str>,
    options: &Options,
    bundle: &Path,
) -> Result<Source, &'static str> {
    if options.bind.is_some() || kind == Some("bind") {
        let path = bundle.join(mount.source.as_ref().ok_or("a bind mount has no source")?);
        // mount(8) takes `bind` for the folder alone, the others for all below it, too.
        return Ok(Source::Bind { path, recursive: options.bind == Some(Bind::Recursive) });
    }
    let kind = kind.ok_or("it has no type")?;
    let kind = if kind == "cgroup" { "cgroup2" } else { kind };
    Ok(Source::FileSystem {
        kind: kind.to_owned(),
        device: mount.source.clone(),
        settings: options.settings.clone(),
    })
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bind {
    Alone,
    Recursive,
}

/// Options as they are read, one after the other: the last of two that exclude each other counts.
#[derive(Debug, Default)]
struct Options {
    own: Attributes,
    all: Attributes,
    bind: Option<Bind>,
    settings: Vec<Setting>,
    id_mapped: bool,
}

impl Options {
    fn read(&mut self, option: &str) -> Result<(), String> {
        match option {
            // What is so anyway.
            "" | "defaults" | "async" | "remount" | "nomand" | "loud" | "norelatime" => {}
            "bind" => self.bind = Some(Bind::Alone),
            "rbind" => self.bind = Some(Bind::Recursive),
            "idmap" | "ridmap" => self.id_mapped = true,
            "tmpcopyup" | "copy-symlink" => return Err(format!("{option} is not supported")),
            _ => {
                if self.read_attribute(option) || self.read_propagation(option) {
                    return Ok(());
                }
                self.settings.push(match option.split_once('=') {
                    Some((key, value)) => Setting::Value(key.to_owned(), value.to_owned()),
                    None => Setting::Flag(option.to_owned()),
                });
            }
        }
        Ok(())
    }

    /// Words of one mount, and with an `r` before them of all below it.
    fn read_attribute(&mut self, option: &str) -> bool {
        let known = attribute(option);
        let (target, (set, clear)) = match (known, option.strip_prefix('r').and_then(attribute)) {
            (Some(known), _) => (&mut self.own, known),
            (None, Some(known)) => (&mut self.all, known),
            (None, None) => return false,
        };
        target.set = target.set & !clear | set;
        target.clear = target.clear & !set | clear;
        true
    }

    fn read_propagation(&mut self, option: &str) -> bool {
        let (word, target) = match option.strip_prefix('r') {
            Some(word) => (word, &mut self.all),
            None => (option, &mut self.own),
        };
        let propagation = match word {
            "private" => libc::MS_PRIVATE,
            "slave" => libc::MS_SLAVE,
            "shared" => libc::MS_SHARED,
            "unbindable" => libc::MS_UNBINDABLE,
            _ => return false,
        };
        target.propagation = propagation;
        self.own.propagation = propagation;
        true
    }
}

/// All words that are read here, for those who ask what there is.
pub(in crate::oci) fn words() -> Vec<String> {
    let plain = ["async", "bind", "defaults", "idmap", "rbind", "remount", "ridmap"];
    let both = ATTRIBUTES.iter().chain(&["private", "shared", "slave", "unbindable"]);
    let both = both.flat_map(|word| [(*word).to_owned(), format!("r{word}")]);
    let mut words: Vec<String> = plain.iter().map(|&word| word.to_owned()).chain(both).collect();
    words.sort();
    words.dedup();
    words
}

/// The words of [`attribute`].
const ATTRIBUTES: [&str; 17] = [
    "atime",
    "dev",
    "diratime",
    "exec",
    "noatime",
    "nodev",
    "nodiratime",
    "noexec",
    "nostrictatime",
    "nosuid",
    "nosymfollow",
    "relatime",
    "ro",
    "rw",
    "strictatime",
    "suid",
    "symfollow",
];

/// What a word sets and clears.
fn attribute(word: &str) -> Option<(u64, u64)> {
    Some(match word {
        "ro" => (RDONLY, 0),
        "rw" => (0, RDONLY),
        "nosuid" => (NOSUID, 0),
        "suid" => (0, NOSUID),
        "nodev" => (NODEV, 0),
        "dev" => (0, NODEV),
        "noexec" => (NOEXEC, 0),
        "exec" => (0, NOEXEC),
        "nodiratime" => (NODIRATIME, 0),
        "diratime" => (0, NODIRATIME),
        "nosymfollow" => (NOSYMFOLLOW, 0),
        "symfollow" => (0, NOSYMFOLLOW),
        "relatime" => (0, ATIME),
        "noatime" => (NOATIME, ATIME),
        "strictatime" | "atime" => (STRICTATIME, ATIME),
        "nostrictatime" => (0, ATIME),
        _ => return None,
    })
}

fn is_root(destination: &Path) -> bool {
    destination.components().all(|part| !matches!(part, Component::Normal(_)))
}
