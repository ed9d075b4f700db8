//! The files and folders that a layer comes to: what all its entries mean together.
//!
//! This is where the rules of layers are, once for all ways in which a layer can be kept. What is made
//! of a tree follows no path and no link: a folder's children have names without slashes, and there is
//! no other way in.

mod attributes;
mod build;
mod path;

use std::collections::BTreeMap;

pub(super) use attributes::{Attributes, OPAQUE};
pub(super) use build::Builder;

use super::tar::{Content, Time};

/// The name of a node in its tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct NodeId(u32);

impl NodeId {
    /// The folder that everything else is in.
    pub(super) const ROOT: Self = Self(0);
}

/// A layer's files and folders. A node can have several names, or none any more.
#[derive(Debug)]
pub(super) struct Tree {
    nodes: Vec<Node>,
}

/// A file, a folder, or something else that has a name in a file system.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) owner: Owner,
    /// Permissions, with set-user-id, set-group-id and sticky bit.
    pub(super) mode: u32,
    pub(super) mtime: Time,
    pub(super) attributes: Attributes,
    pub(super) body: Body,
}

/// Whose a node is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Owner {
    pub(super) uid: u32,
    pub(super) gid: u32,
}

/// What a node is.
#[derive(Debug)]
pub(super) enum Body {
    Directory(Directory),
    File(Content),
    Symlink(Vec<u8>),
    CharacterDevice(Device),
    BlockDevice(Device),
    Fifo,
    /// What the layers below have under this name is gone.
    Whiteout,
}

/// A folder.
#[derive(Debug, Default)]
pub(super) struct Directory {
    pub(super) children: BTreeMap<Box<[u8]>, NodeId>,
    /// What the layers below have in this folder is gone.
    pub(super) opaque: bool,
    /// How many folders it is in.
    depth: usize,
}

/// The number of a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Device {
    pub(super) major: u32,
    pub(super) minor: u32,
}

impl Tree {
    pub(super) fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.0 as usize]
    }

    fn node_mut(&mut self, id: NodeId) -> &mut Node {
        &mut self.nodes[id.0 as usize]
    }

    /// How many nodes there are, those without a name too.
    pub(super) fn len(&self) -> usize {
        self.nodes.len()
    }

    /// The nodes that have a name, each once and after the folder of its first one, with how many
    /// links there are to it.
    pub(super) fn links(&self) -> Links {
        let mut links = Links { order: Vec::new(), counts: vec![0; self.len()] };
        links.order.push(NodeId::ROOT);
        // The root is its own parent.
        links.counts[0] = 2;
        let mut next = 0;
        while let Some(&id) = links.order.get(next) {
            next += 1;
            let Body::Directory(directory) = &self.node(id).body else { continue };
            for &child in directory.children.values() {
                let count = &mut links.counts[child.0 as usize];
                if *count == 0 {
                    links.order.push(child);
                }
                *count += 1;
                if matches!(self.node(child).body, Body::Directory(_)) {
                    // Its `.` and its `..`.
                    *count += 1;
                    links.counts[id.0 as usize] += 1;
                }
            }
        }
        links
    }
}

impl Node {
    /// A folder that no entry tells of but as the place of another.
    fn implied_directory(depth: usize) -> Self {
        Self {
            owner: Owner::default(),
            mode: 0o755,
            mtime: Time::default(),
            attributes: Attributes::default(),
            body: Body::Directory(Directory { depth, ..Directory::default() }),
        }
    }
}

/// Which nodes have names.
#[derive(Debug)]
pub(super) struct Links {
    /// In the order in which they come first.
    pub(super) order: Vec<NodeId>,
    counts: Vec<u32>,
}

impl Links {
    pub(super) fn count(&self, id: NodeId) -> u32 {
        self.counts[id.0 as usize]
    }
}
