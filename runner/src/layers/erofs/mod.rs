//! A tree as an EROFS file system that has names, owners, times and attributes, but no contents: those
//! are in other files, which the kernel is given as further devices. One of them is the archive.

mod format;
mod spread;

use std::collections::HashMap;

pub(super) use spread::Spread;

use super::error::LayerError;
use super::tar::Content;
use super::tree::{Body, Directory, Node, NodeId, OPAQUE, Tree};
use format::{BLOCK, Device, Entry, INODE, Inode, Layout};

/// Writes the file system of `tree`, whose archive has `archive` bytes.
///
/// # Errors
///
/// When it is larger than such a file system can be, which is 2 TiB.
pub(super) fn index(tree: &Tree, archive: u64, spread: &Spread) -> Result<Vec<u8>, LayerError> {
    let plan = Plan::new(tree, archive, spread)?;
    let mut bytes = format::head(
        plan.own_blocks,
        plan.order.len() as u64,
        format::number(plan.places[&NodeId::ROOT].position),
        &plan.devices,
    );
    for &id in &plan.order {
        let place = &plan.places[&id];
        bytes.resize(place.position as usize, 0);
        plan.inode(id, place).write(place.position, &mut bytes);
        if place.is_inline() {
            plan.write_data(id, &mut bytes);
        }
    }
    for &id in &plan.order {
        if let Data::Blocks(block) = plan.places[&id].data {
            bytes.resize(block as usize * BLOCK as usize, 0);
            plan.write_data(id, &mut bytes);
        }
    }
    bytes.resize(plan.own_blocks as usize * BLOCK as usize, 0);
    Ok(bytes)
}

/// Where everything goes.
struct Plan<'tree> {
    tree: &'tree Tree,
    spread: &'tree Spread,
    order: Vec<NodeId>,
    places: HashMap<NodeId, Place>,
    /// The blocks of the file system itself.
    own_blocks: u32,
    /// The archive, and what is spread if anything is.
    devices: Vec<Device>,
}

/// Where an inode goes.
struct Place {
    position: u64,
    links: u32,
    /// The folder that a folder is in.
    parent: NodeId,
    attributes: Vec<u8>,
    data: Data,
}

/// Where names of a folder, or the target of a link, go.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Data {
    /// There are none.
    None,
    Inline,
    /// From this block on.
    Blocks(u32),
}

impl Place {
    fn is_inline(&self) -> bool {
        self.data == Data::Inline
    }
}

impl<'tree> Plan<'tree> {
    fn new(tree: &'tree Tree, archive: u64, spread: &'tree Spread) -> Result<Self, LayerError> {
        let links = tree.links();
        let devices = 1 + usize::from(!spread.is_empty());
        let mut places: HashMap<_, Place> = HashMap::with_capacity(links.order.len());
        let mut position = format::first_inode(devices);
        let parents = parents(tree, &links.order);
        // Inodes first: where one is too far from its end for its data, that goes to blocks of its own.
        let mut in_blocks = Vec::new();
        for &id in &links.order {
            let node = tree.node(id);
            let attributes = format::attributes(attributes(node));
            let size = INODE + attributes.len() as u64;
            let length = data_size(node);
            let inline = length > 0 && size + length <= BLOCK;
            let taken = if inline { size + length } else { size };
            if inline && position % BLOCK + taken > BLOCK {
                position = position.next_multiple_of(BLOCK);
            }
            if length > 0 && !inline {
                in_blocks.push((id, length));
            }
            let data = if inline { Data::Inline } else { Data::None };
            let parent = parents.get(&id).copied().unwrap_or(NodeId::ROOT);
            places.insert(id, Place { position, links: links.count(id), parent, attributes, data });
            position = (position + taken).next_multiple_of(INODE);
        }
        let mut block = position.div_ceil(BLOCK);
        for (id, length) in in_blocks {
            let first = address(block)?;
            if let Some(place) = places.get_mut(&id) {
                place.data = Data::Blocks(first);
            }
            block += length.div_ceil(BLOCK);
        }
        let own_blocks = address(block)?;
        let mut next = block;
        let mut devices = Vec::new();
        for size in [archive, spread.size()].into_iter().take(1 + usize::from(!spread.is_empty())) {
            let blocks = size.div_ceil(BLOCK);
            devices.push(Device { first: address(next)?, blocks: address(blocks)? });
            next += blocks;
        }
        address(next)?;
        Ok(Self { tree, spread, order: links.order, places, own_blocks, devices })
    }

    fn inode<'a>(&self, id: NodeId, place: &'a Place) -> Inode<'a> {
        let node = self.tree.node(id);
        let (size, layout) = self.layout(id, place);
        Inode {
            mode: (kind(&node.body).mode | node.mode) as u16,
            size,
            uid: node.owner.uid,
            gid: node.owner.gid,
            seconds: node.mtime.seconds,
            nanoseconds: node.mtime.nanoseconds,
            links: place.links,
            layout,
            attributes: &place.attributes,
        }
    }

    fn layout(&self, id: NodeId, place: &Place) -> (u64, Layout) {
        let node = self.tree.node(id);
        let blocks = |device: usize, offset: u64| {
            // The sum was an address when the devices were laid out.
            Layout::Plain(self.devices[device].first + (offset / BLOCK) as u32)
        };
        match &node.body {
            Body::File(Content::Whole { size: 0, .. }) => (0, Layout::Plain(0)),
            Body::File(Content::Whole { offset, size }) => (*size, blocks(0, *offset)),
            Body::File(Content::Sparse(sparse)) => match self.spread.offset(id) {
                Some(offset) => (sparse.size, blocks(1, offset)),
                None => (sparse.size, Layout::Plain(0)),
            },
            Body::CharacterDevice(device) | Body::BlockDevice(device) => {
                (0, Layout::Device(format::device_number(device.major, device.minor)))
            }
            Body::Fifo | Body::Whiteout => (0, Layout::Device(0)),
            Body::Directory(_) | Body::Symlink(_) => match place.data {
                Data::Blocks(block) => (data_size(node), Layout::Plain(block)),
                Data::None | Data::Inline => (data_size(node), Layout::Inline),
            },
        }
    }

    fn write_data(&self, id: NodeId, to: &mut Vec<u8>) {
        match &self.tree.node(id).body {
            Body::Symlink(target) => to.extend_from_slice(target),
            Body::Directory(directory) => {
                let parent = self.places[&id].parent;
                let entries: Vec<_> = names(directory)
                    .map(|name| {
                        let id = match name {
                            b"." => id,
                            b".." => parent,
                            name => directory.children[name],
                        };
                        let inode = format::number(self.places[&id].position);
                        Entry { name, inode, kind: kind(&self.tree.node(id).body).entry }
                    })
                    .collect();
                format::write_directory(&entries, to);
            }
            _ => {}
        }
    }
}

/// The folders of folders.
fn parents(tree: &Tree, order: &[NodeId]) -> HashMap<NodeId, NodeId> {
    let mut parents = HashMap::new();
    for &id in order {
        let Body::Directory(directory) = &tree.node(id).body else { continue };
        let folders = directory.children.values().copied();
        let folders = folders.filter(|&child| matches!(tree.node(child).body, Body::Directory(_)));
        parents.extend(folders.map(|child| (child, id)));
    }
    parents
}

/// A node's own attributes, and what says to overlay that it is opaque.
fn attributes(node: &Node) -> impl Iterator<Item = (&[u8], &[u8])> {
    let opaque = matches!(node.body, Body::Directory(Directory { opaque: true, .. }));
    node.attributes.iter().chain(opaque.then_some((OPAQUE, &b"y"[..])))
}

fn data_size(node: &Node) -> u64 {
    match &node.body {
        Body::Directory(directory) => format::directory_size(names(directory)),
        Body::Symlink(target) => target.len() as u64,
        _ => 0,
    }
}

/// All names in a folder in the order of their bytes, its own and its parent's too.
fn names(directory: &Directory) -> impl Iterator<Item = &[u8]> {
    let mut own = [&b"."[..], b".."].into_iter().peekable();
    let mut children = directory.children.keys().map(|name| &**name).peekable();
    std::iter::from_fn(move || match (own.peek(), children.peek()) {
        (Some(ours), Some(theirs)) if theirs < ours => children.next(),
        (Some(_), _) => own.next(),
        (None, _) => children.next(),
    })
}

/// What a node is, in the words of the format.
struct KindOf {
    mode: u32,
    entry: u8,
}

fn kind(body: &Body) -> KindOf {
    let (mode, entry) = match body {
        Body::File(_) => (0o100_000, 1),
        Body::Directory(_) => (0o040_000, 2),
        Body::CharacterDevice(_) | Body::Whiteout => (0o020_000, 3),
        Body::BlockDevice(_) => (0o060_000, 4),
        Body::Fifo => (0o010_000, 5),
        Body::Symlink(_) => (0o120_000, 7),
    };
    KindOf { mode, entry }
}

/// The number of a block, of which there are 2^32.
fn address(block: u64) -> Result<u32, LayerError> {
    u32::try_from(block).map_err(|_| LayerError::limit("bytes in all", BLOCK << 32))
}
