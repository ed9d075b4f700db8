//! What is in a folder, in full.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use berth_oci::{Algorithm, Digest, Hasher};

/// All names below a folder, each with what can be known of it.
pub(crate) type Listing = BTreeMap<PathBuf, Facts>;

#[derive(PartialEq, Eq, Clone)]
pub(crate) struct Facts {
    pub(crate) mode: u32,
    pub(crate) owner: (u32, u32),
    pub(crate) mtime: (i64, i64),
    pub(crate) device: u64,
    pub(crate) attributes: BTreeMap<String, Vec<u8>>,
    pub(crate) content: Content,
    /// The first name of the same file.
    pub(crate) same_as: Option<PathBuf>,
}

#[derive(PartialEq, Eq, Clone, Debug)]
pub(crate) enum Content {
    Nothing,
    Link(PathBuf),
    File { size: u64, digest: Digest },
}

impl fmt::Debug for Facts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { mode, owner, mtime, device, attributes, content, same_as } = self;
        write!(f, "{mode:o} {owner:?} {mtime:?} {device:x} {attributes:?} {content:?} {same_as:?}")
    }
}

pub(crate) fn of(root: &Path) -> Listing {
    let mut listing = Listing::new();
    let mut names = BTreeMap::new();
    visit(root, Path::new(""), &mut listing, &mut names);
    listing
}

fn visit(
    root: &Path,
    path: &Path,
    listing: &mut Listing,
    names: &mut BTreeMap<(u64, u64), PathBuf>,
) {
    // Nothing is appended to the root itself, which would make it a path with a slash at its end.
    let full = if path.as_os_str().is_empty() { root.to_owned() } else { root.join(path) };
    let metadata = fs::symlink_metadata(&full).unwrap();
    let several = metadata.nlink() > 1 && !metadata.is_dir();
    let same_as = several.then(|| {
        names.entry((metadata.dev(), metadata.ino())).or_insert_with(|| path.to_owned()).clone()
    });
    let kind = metadata.file_type();
    let content = if kind.is_symlink() {
        Content::Link(fs::read_link(&full).unwrap())
    } else if kind.is_file() {
        let digest = digest(&full).unwrap_or_else(|error| panic!("{}: {error}", full.display()));
        Content::File { size: metadata.len(), digest }
    } else {
        Content::Nothing
    };
    let is_device = kind.is_char_device() || kind.is_block_device();
    let facts = Facts {
        mode: metadata.mode(),
        owner: (metadata.uid(), metadata.gid()),
        mtime: (metadata.mtime(), metadata.mtime_nsec()),
        device: if is_device { metadata.rdev() } else { 0 },
        attributes: attributes(&full),
        content,
        same_as,
    };
    listing.insert(path.to_owned(), facts);
    if kind.is_dir() {
        let mut children: Vec<_> =
            fs::read_dir(&full).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        children.sort();
        for child in children {
            visit(root, &path.join(child), listing, names);
        }
    }
}

fn digest(path: &Path) -> io::Result<Digest> {
    let mut hasher = Hasher::new(Algorithm::Sha256);
    let mut file = fs::File::open(path)?;
    let mut buffer = vec![0; 256 << 10];
    loop {
        match io::Read::read(&mut file, &mut buffer)? {
            0 => return Ok(hasher.finish()),
            length => hasher.update(&buffer[..length]),
        }
    }
}

fn attributes(path: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut names = vec![0; 64 << 10];
    let length = rustix::fs::llistxattr(path, &mut names[..]).unwrap();
    let names = names[..length].split(|&byte| byte == 0).filter(|name| !name.is_empty());
    let value = |name: &[u8]| {
        let mut value = vec![0; 64 << 10];
        let length = rustix::fs::lgetxattr(path, name, &mut value[..]).unwrap();
        value.truncate(length);
        (String::from_utf8(name.to_vec()).unwrap(), value)
    };
    names.map(value).collect()
}

/// Fails with every difference, a line each.
pub(crate) fn assert_same(found: &Listing, expected: &Listing, what: &str) {
    let mut differences = Vec::new();
    for path in found.keys().chain(expected.keys()).collect::<std::collections::BTreeSet<_>>() {
        let (found, expected) = (found.get(path), expected.get(path));
        if found != expected {
            let shown = String::from_utf8_lossy(path.as_os_str().as_bytes());
            let shown: String = shown.chars().take(80).collect();
            differences.push(format!("{shown}\n   is        {found:?}\n   should be {expected:?}"));
        }
    }
    assert!(differences.is_empty(), "{what}:\n{}", differences.join("\n"));
}

/// The names alone, those of folders with a slash.
pub(crate) fn names(root: &Path) -> Vec<String> {
    let name = |(path, facts): (PathBuf, Facts)| {
        let name = String::from_utf8_lossy(&path.into_os_string().into_vec()).into_owned();
        if facts.mode & 0o170_000 == 0o040_000 { name + "/" } else { name }
    };
    of(root).into_iter().map(name).skip(1).collect()
}
