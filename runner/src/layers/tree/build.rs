//! From entries to a tree: the last one wins, and none gets out.

use std::borrow::Cow;
use std::collections::VecDeque;

use super::path::{Target, components};
use super::{Attributes, Body, Device, Directory, Node, NodeId, Owner, Tree};
use crate::layers::error::LayerError;
use crate::layers::limits::Limits;
use crate::layers::tar::{Content, Entry, Kind, Time};

/// As many symbolic links as the kernel follows in a path.
const MOST_LINKS: usize = 40;

/// Folders that are gone through on the way to one: a layer of short entries must not take hours.
const MOST_STEPS: usize = 2048;

/// A tree to which entries are added.
pub(in crate::layers) struct Builder {
    tree: Tree,
    limits: Limits,
    entries: u64,
    metadata: u64,
    /// What sparse files seem to have.
    sparse: u64,
}

/// Why an entry is not added.
enum Refusal {
    Because(Cow<'static, str>),
    Limit(&'static str, u64),
}

impl Refusal {
    fn of(self, path: &[u8]) -> LayerError {
        match self {
            Self::Because(why) => LayerError::entry(path, why),
            Self::Limit(what, most) => LayerError::limit(what, most),
        }
    }
}

impl From<&'static str> for Refusal {
    fn from(why: &'static str) -> Self {
        Self::Because(why.into())
    }
}

/// What an entry puts under its name.
enum New {
    Node(Node),
    /// One more name of what is there.
    Link(NodeId, Node),
}

impl Builder {
    pub(in crate::layers) fn new(limits: Limits) -> Self {
        let tree = Tree { nodes: vec![Node::implied_directory(0)] };
        Self { tree, limits, entries: 0, metadata: 0, sparse: 0 }
    }

    pub(in crate::layers) fn finish(self) -> Tree {
        self.tree
    }

    pub(in crate::layers) fn add(&mut self, mut entry: Entry) -> Result<(), LayerError> {
        let path = std::mem::take(&mut entry.path);
        self.add_at(&path, entry).map_err(|refusal| refusal.of(&path))
    }

    fn add_at(&mut self, path: &[u8], entry: Entry) -> Result<(), Refusal> {
        self.entries += 1;
        if self.entries > self.limits.entries {
            return Err(Refusal::Limit("entries", self.limits.entries));
        }
        if path.len() > self.limits.path {
            return Err(Refusal::Limit("bytes in a path", self.limits.path as u64));
        }
        match Target::parse(path)? {
            Target::Obsolete => Ok(()),
            Target::Root => self.set_root(entry),
            Target::Opaque { directory } => {
                let id = self.walk(&directory)?;
                self.directory(id).opaque = true;
                Ok(())
            }
            Target::Whiteout { parent, name } => {
                let parent = self.walk(&parent)?;
                self.white_out(parent, name)
            }
            Target::Name { parent, name } => {
                let parent = self.walk(&parent)?;
                let new = self.read(entry)?;
                self.put(parent, name, new)
            }
        }
    }

    fn set_root(&mut self, entry: Entry) -> Result<(), Refusal> {
        match self.read(entry)? {
            New::Node(node @ Node { body: Body::Directory(_), .. }) => {
                self.set_directory(NodeId::ROOT, node);
                Ok(())
            }
            _ => Err("it is the layer's root and no folder".into()),
        }
    }

    fn white_out(&mut self, parent: NodeId, name: &[u8]) -> Result<(), Refusal> {
        let Some(&there) = self.directory(parent).children.get(name) else {
            let gone = Node { body: Body::Whiteout, mode: 0, ..Node::implied_directory(0) };
            let id = self.push(gone)?;
            return self.name(parent, name, id);
        };
        // It says nothing of what this layer has itself.
        if let Body::Directory(directory) = &mut self.tree.node_mut(there).body {
            directory.opaque = true;
        }
        Ok(())
    }

    /// Puts what is new under `name`, in place of what is there.
    fn put(&mut self, parent: NodeId, name: &[u8], new: New) -> Result<(), Refusal> {
        let there = self.directory(parent).children.get(name).copied();
        let body = there.map(|id| &self.tree.node(id).body);
        match (new, there, body) {
            (New::Link(id, node), ..) => {
                self.set_linked(id, node);
                self.name(parent, name, id)
            }
            (New::Node(node), Some(id), Some(Body::Directory(_)))
                if matches!(node.body, Body::Directory(_)) =>
            {
                self.set_directory(id, node);
                Ok(())
            }
            (New::Node(mut node), _, body) => {
                let hides = matches!(body, Some(Body::Whiteout));
                let depth = self.depth_below(parent);
                if let Body::Directory(directory) = &mut node.body {
                    directory.opaque = hides;
                    directory.depth = depth?;
                }
                let id = self.push(node)?;
                self.name(parent, name, id)
            }
        }
    }

    /// A folder keeps what is in it.
    fn set_directory(&mut self, id: NodeId, new: Node) {
        let node = self.tree.node_mut(id);
        let body = std::mem::replace(&mut node.body, Body::Fifo);
        *node = Node { body, ..new };
    }

    /// One more name brings its own idea of what the file is like; the last one wins.
    fn set_linked(&mut self, id: NodeId, new: Node) {
        let node = self.tree.node_mut(id);
        (node.owner, node.mtime) = (new.owner, new.mtime);
        if !matches!(node.body, Body::Symlink(_)) {
            node.mode = new.mode;
        }
        node.attributes.extend(new.attributes);
    }

    fn name(&mut self, parent: NodeId, name: &[u8], id: NodeId) -> Result<(), Refusal> {
        self.spend(name.len() as u64)?;
        self.directory(parent).children.insert(name.into(), id);
        Ok(())
    }

    fn push(&mut self, node: Node) -> Result<NodeId, Refusal> {
        let most = self.limits.entries.min(u32::MAX.into());
        if self.tree.len() as u64 > most {
            return Err(Refusal::Limit("files and folders", most));
        }
        let id = NodeId(self.tree.len() as u32);
        self.tree.nodes.push(node);
        Ok(id)
    }

    fn spend(&mut self, bytes: u64) -> Result<(), Refusal> {
        self.metadata = self.metadata.saturating_add(bytes);
        match self.metadata > self.limits.metadata {
            true => Err(Refusal::Limit("bytes of names and attributes", self.limits.metadata)),
            false => Ok(()),
        }
    }

    /// How deep a folder in `parent` would be.
    fn depth_below(&mut self, parent: NodeId) -> Result<usize, Refusal> {
        let depth = self.directory(parent).depth + 1;
        match depth > self.limits.depth {
            true => Err(Refusal::Limit("folders in each other", self.limits.depth as u64)),
            false => Ok(depth),
        }
    }

    /// The folder `id`, which is one: only ids of folders are handed around as such.
    fn directory(&mut self, id: NodeId) -> &mut Directory {
        match &mut self.tree.node_mut(id).body {
            Body::Directory(directory) => directory,
            _ => unreachable!("a walk ends in folders alone"),
        }
    }
}

/// Reading entries.
impl Builder {
    fn read(&mut self, entry: Entry) -> Result<New, Refusal> {
        let Entry { kind, mode, uid, gid, mtime, attributes, .. } = entry;
        let (body, link) = match kind {
            Kind::HardLink(target) => {
                let id = self.find(&target)?;
                // Of attributes it keeps what a file does.
                (Body::File(Content::Whole { offset: 0, size: 0 }), Some(id))
            }
            other => (self.body(other)?, None),
        };
        let attributes = Attributes::of(&body, attributes)?;
        self.spend(
            attributes.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>() as u64
        )?;
        let node = Node {
            owner: Owner { uid: id(uid)?, gid: id(gid)? },
            mode: match body {
                Body::Symlink(_) => 0o777,
                _ => (mode & 0o7777) as u32,
            },
            mtime: since_1970(mtime),
            attributes,
            body,
        };
        Ok(match link {
            Some(id) => New::Link(id, node),
            None => New::Node(node),
        })
    }

    fn body(&mut self, kind: Kind) -> Result<Body, Refusal> {
        Ok(match kind {
            Kind::Directory => Body::Directory(Directory::default()),
            Kind::File(content) => Body::File(self.content(content)?),
            Kind::Symlink(target) => {
                self.spend(target.len() as u64)?;
                match target.len() {
                    0 => return Err("it is a symbolic link to nothing".into()),
                    1..4096 => Body::Symlink(target),
                    _ => return Err("it is a symbolic link that is too long".into()),
                }
            }
            Kind::CharacterDevice(major, minor) => match device(major, minor)? {
                // This is what a whiteout is to overlay, wherever it comes from.
                Device { major: 0, minor: 0 } => Body::Whiteout,
                device => Body::CharacterDevice(device),
            },
            Kind::BlockDevice(major, minor) => Body::BlockDevice(device(major, minor)?),
            Kind::Fifo => Body::Fifo,
            Kind::HardLink(_) => return Err("it is a hard link".into()),
        })
    }

    fn content(&mut self, content: Content) -> Result<Content, Refusal> {
        if let Content::Sparse(sparse) = &content {
            self.spend(sparse.pieces.len() as u64 * 24)?;
            self.sparse = self.sparse.saturating_add(sparse.size);
            if self.sparse > self.limits.bytes {
                return Err(Refusal::Limit("bytes in sparse files", self.limits.bytes));
            }
        }
        Ok(content)
    }

    /// The file at `path`, which is one of this layer's.
    fn find(&mut self, path: &[u8]) -> Result<NodeId, Refusal> {
        let shown = String::from_utf8_lossy(path).into_owned();
        let because = |why| Refusal::Because(format!("a hard link to {shown:?}, {why}").into());
        let outside = |_| because("which is outside of the layer");
        let mut parent = components(path).map_err(outside)?;
        let name = parent.pop().ok_or_else(|| because("which is a folder"))?;
        let missing = || because("which is not in the layer before it");
        let steps = parent.into_iter().map(Step::existing).collect();
        let parent = self.go(steps).map_err(|_| missing())?;
        let id = self.directory(parent).children.get(name).copied().ok_or_else(missing)?;
        match self.tree.node(id).body {
            Body::Directory(_) => Err(because("which is a folder")),
            Body::Whiteout => Err(missing()),
            _ => Ok(id),
        }
    }
}

fn id(id: i64) -> Result<u32, Refusal> {
    // The last one means "as it is" to the kernel.
    match u32::try_from(id) {
        Ok(id) if id != u32::MAX => Ok(id),
        _ => Err("its owner is none that a file can have".into()),
    }
}

fn device(major: i64, minor: i64) -> Result<Device, Refusal> {
    match (u32::try_from(major), u32::try_from(minor)) {
        (Ok(major @ 0..=0xfff), Ok(minor @ 0..=0xf_ffff)) => Ok(Device { major, minor }),
        _ => Err("it is a device with a number that there is not".into()),
    }
}

/// Times before 1970 are none, as for docker.
fn since_1970(time: Time) -> Time {
    if time.seconds < 0 { Time::default() } else { time }
}

/// A component of a path on its way down.
struct Step<'path> {
    name: Cow<'path, [u8]>,
    /// Whether a folder is made where there is nothing.
    make: bool,
}

impl<'path> Step<'path> {
    fn made(name: &'path [u8]) -> Self {
        Self { name: Cow::Borrowed(name), make: true }
    }

    fn existing(name: &'path [u8]) -> Self {
        Self { name: Cow::Borrowed(name), make: false }
    }
}

/// Finding folders.
impl Builder {
    /// The folder at `path`, made with all above it where it is missing. Links are followed, and stay
    /// in the layer.
    fn walk(&mut self, path: &[&[u8]]) -> Result<NodeId, Refusal> {
        self.go(path.iter().map(|name| Step::made(name)).collect())
    }

    fn go(&mut self, mut steps: VecDeque<Step<'_>>) -> Result<NodeId, Refusal> {
        let mut above = Vec::new();
        let mut here = NodeId::ROOT;
        let (mut links, mut taken) = (0, 0);
        while let Some(Step { name, make }) = steps.pop_front() {
            taken += 1;
            if taken > MOST_STEPS {
                return Err("its way through links is too long".into());
            }
            if &*name == b".." {
                here = above.pop().unwrap_or(NodeId::ROOT);
                continue;
            }
            let child = self.directory(here).children.get(&*name).copied();
            match child.map(|id| (id, &self.tree.node(id).body)) {
                Some((id, Body::Directory(_))) => above.push(std::mem::replace(&mut here, id)),
                Some((_, Body::Symlink(target))) => {
                    links += 1;
                    if links > MOST_LINKS {
                        return Err("it goes through links in a circle".into());
                    }
                    if target.starts_with(b"/") {
                        above.clear();
                        here = NodeId::ROOT;
                    }
                    for part in target.clone().split(|&byte| byte == b'/').rev() {
                        if !matches!(part, b"" | b".") {
                            let name = Cow::Owned(part.to_vec());
                            steps.push_front(Step { name, make: false });
                        }
                    }
                }
                None | Some((_, Body::Whiteout)) if make => {
                    let hides = child.is_some();
                    let mut folder = Node::implied_directory(self.depth_below(here)?);
                    if let Body::Directory(directory) = &mut folder.body {
                        directory.opaque = hides;
                    }
                    let id = self.push(folder)?;
                    self.name(here, &name, id)?;
                    above.push(std::mem::replace(&mut here, id));
                }
                None | Some((_, Body::Whiteout)) => {
                    return Err("it goes through a link to nothing".into());
                }
                Some(_) => return Err("it is in something that is no folder".into()),
            }
        }
        Ok(here)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn entry(path: &str, kind: Kind) -> Entry {
        Entry {
            path: path.into(),
            kind,
            mode: 0o644,
            uid: 0,
            gid: 0,
            mtime: Time::default(),
            attributes: BTreeMap::new(),
        }
    }

    fn file(path: &str) -> Entry {
        entry(path, Kind::File(Content::Whole { offset: 512, size: 1 }))
    }

    fn directory(path: &str) -> Entry {
        entry(path, Kind::Directory)
    }

    fn symlink(path: &str, target: &str) -> Entry {
        entry(path, Kind::Symlink(target.into()))
    }

    fn hard_link(path: &str, target: &str) -> Entry {
        entry(path, Kind::HardLink(target.into()))
    }

    fn build(entries: Vec<Entry>) -> Result<Tree, String> {
        let mut builder = Builder::new(Limits::default());
        for entry in entries {
            builder.add(entry).map_err(|error| error.to_string())?;
        }
        Ok(builder.finish())
    }

    /// All names, with a letter of what they are: `d` and `o` folders, `w` whiteouts, `n` nodes by
    /// their number of links.
    fn shown(tree: &Tree) -> Vec<String> {
        fn visit(tree: &Tree, id: NodeId, path: &str, shown: &mut Vec<String>) {
            let links = tree.links();
            let letter = match &tree.node(id).body {
                Body::Directory(Directory { opaque: true, .. }) => "o".to_owned(),
                Body::Directory(_) => "d".to_owned(),
                Body::Whiteout => "w".to_owned(),
                _ => links.count(id).to_string(),
            };
            shown.push(format!("{letter} {path}"));
            if let Body::Directory(directory) = &tree.node(id).body {
                for (name, &child) in &directory.children {
                    let name = String::from_utf8_lossy(name);
                    visit(tree, child, &format!("{path}/{name}"), shown);
                }
            }
        }
        let mut all = Vec::new();
        visit(tree, NodeId::ROOT, "", &mut all);
        all.split_off(1)
    }

    #[test]
    fn entries_come_to_a_tree() {
        let cases: Vec<(&str, Vec<Entry>, &[&str])> = vec![
            ("folders that are only implied", vec![file("a/b/c")], &["d /a", "d /a/b", "1 /a/b/c"]),
            ("the last one wins", vec![file("a"), symlink("a", "b"), file("a")], &["1 /a"]),
            (
                "a file in place of a folder takes what was in it along",
                vec![file("a/b"), file("a"), directory("a")],
                &["d /a"],
            ),
            (
                "a folder that comes twice keeps what is in it",
                vec![file("a/b"), directory("a/")],
                &["d /a", "1 /a/b"],
            ),
            (
                "a hard link is one more name, which stays when the other goes",
                vec![file("a"), hard_link("b", "/a"), hard_link("c", "./b"), file("a")],
                &["1 /a", "2 /b", "2 /c"],
            ),
            (
                "a whiteout",
                vec![directory("a"), file("a/.wh.b"), file(".wh.c")],
                &["d /a", "w /a/b", "w /c"],
            ),
            (
                "a whiteout says nothing of this layer's own, before or after it",
                vec![file(".wh.a"), file("a"), file("b"), file(".wh.b")],
                &["1 /a", "1 /b"],
            ),
            (
                "what is gone and a folder at once hides what is below",
                vec![
                    file(".wh.a"),
                    file("a/x"),
                    directory("b"),
                    file(".wh.b"),
                    file(".wh.c"),
                    directory("c"),
                ],
                &["o /a", "1 /a/x", "o /b", "o /c"],
            ),
            (
                "an opaque folder may have its files before",
                vec![file("a/x"), file("a/.wh..wh..opq"), directory("a"), file("b/.wh..wh..opq")],
                &["o /a", "1 /a/x", "o /b"],
            ),
            (
                "links on the way are followed in the layer",
                vec![
                    directory("usr/lib"),
                    symlink("lib", "usr/lib"),
                    symlink("up", "../../../../usr"),
                    symlink("root", "/usr/./lib/.."),
                    file("lib/a"),
                    file("up/b"),
                    file("root/.wh.c"),
                    hard_link("d", "lib/../lib/a"),
                ],
                &[
                    "2 /d",
                    "1 /lib",
                    "1 /root",
                    "1 /up",
                    "d /usr",
                    "1 /usr/b",
                    "w /usr/c",
                    "d /usr/lib",
                    "2 /usr/lib/a",
                ],
            ),
            (
                "a device 0:0 is a whiteout to overlay",
                vec![entry("a", Kind::CharacterDevice(0, 0))],
                &["w /a"],
            ),
        ];
        for (why, entries, tree) in cases {
            let mut tree: Vec<_> = tree.iter().map(ToString::to_string).collect();
            tree.sort_by(|a, b| a[2..].cmp(&b[2..]));
            let mut shown = shown(&build(entries).unwrap());
            shown.sort_by(|a, b| a[2..].cmp(&b[2..]));
            assert_eq!(shown, tree, "{why}");
        }
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let mut owned_by_nobody = file("a");
        owned_by_nobody.uid = u32::MAX.into();
        let cases: Vec<(&str, Vec<Entry>)> = vec![
            ("leads out", vec![file("../a")]),
            ("through a link to nothing", vec![symlink("a", "b"), file("a/c")]),
            ("through a link to nothing", vec![file(".wh.b"), symlink("a", "b"), file("a/c")]),
            ("in a circle", vec![symlink("a", "b"), symlink("b", "a"), file("a/c")]),
            ("too long", {
                let folders = symlink("l", &"d/../".repeat(800));
                vec![directory("d"), folders, file("l/l/l/a")]
            }),
            ("no folder", vec![file("a"), file("a/b")]),
            ("no folder", vec![file("a"), symlink("l", "a"), file("l/.wh.b")]),
            ("outside of the layer", vec![hard_link("a", "../etc/passwd")]),
            ("not in the layer", vec![hard_link("a", "/etc/passwd")]),
            ("not in the layer", vec![hard_link("a", "a")]),
            ("not in the layer", vec![file(".wh.b"), hard_link("a", "b")]),
            ("not in the layer", vec![symlink("l", "/"), hard_link("a", "l/etc/passwd")]),
            ("is a folder", vec![directory("b"), hard_link("a", "b")]),
            ("is a folder", vec![hard_link("a", "/")]),
            ("a folder itself", vec![file("a/.wh...")]),
            ("root and no folder", vec![file(".")]),
            ("root and no folder", vec![file("a"), hard_link("./", "a")]),
            ("to nothing", vec![symlink("a", "")]),
            ("too long", vec![symlink("a", &"x".repeat(4096))]),
            ("its owner", vec![owned_by_nobody]),
            ("a device", vec![entry("a", Kind::BlockDevice(4096, 0))]),
            ("a device", vec![entry("a", Kind::CharacterDevice(1, -1))]),
        ];
        for (why, entries) in cases {
            let refused = build(entries).map(|tree| shown(&tree)).unwrap_err();
            assert!(refused.contains(why), "{refused} is not about {why}");
        }
    }

    #[test]
    fn limits_hold() {
        let limits = Limits {
            entries: 3,
            path: 20,
            depth: 4,
            metadata: 40,
            bytes: 100,
            ..Limits::default()
        };
        let sparse = |size| {
            let sparse = crate::layers::tar::Sparse { size, pieces: vec![] };
            entry("a", Kind::File(Content::Sparse(sparse)))
        };
        let cases: Vec<(&str, Vec<Entry>)> = vec![
            ("3 entries", vec![file("a"), file("a"), file("a"), file("a")]),
            ("3 files and folders", vec![file("a/b/c/d")]),
            ("20 bytes in a path", vec![file("a/../a/../a/../a/../a")]),
            (
                "4 folders in each other",
                vec![directory("a/b/c"), symlink("x", "a/b/c"), directory("x/d/e")],
            ),
            ("40 bytes of names", vec![symlink("a", &"x".repeat(41))]),
            ("100 bytes in sparse files", vec![sparse(50), sparse(51)]),
        ];
        for (why, entries) in cases {
            let mut limits = limits;
            if why.starts_with('4') {
                limits.entries = 100;
            }
            let mut builder = Builder::new(limits);
            let refused = entries.into_iter().try_for_each(|entry| builder.add(entry)).unwrap_err();
            assert!(refused.to_string().contains(why), "{refused} is not about {why}");
        }
    }
}
