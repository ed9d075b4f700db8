//! Sparse files: what an archive has in pieces, in a file of its own with holes between them.

use std::collections::HashMap;

use super::format::BLOCK;
use crate::layers::tar::{Content, Sparse};
use crate::layers::tree::{Body, NodeId, Tree};

/// Where each sparse file is in the file that has them all.
#[derive(Debug, Default)]
pub(in crate::layers) struct Spread {
    offsets: HashMap<NodeId, u64>,
    size: u64,
}

impl Spread {
    /// Lays out the sparse files of `tree`.
    pub(in crate::layers) fn new(tree: &Tree) -> Self {
        let mut spread = Self::default();
        for id in tree.links().order {
            match &tree.node(id).body {
                Body::File(Content::Sparse(Sparse { size, .. })) if *size > 0 => {
                    spread.offsets.insert(id, spread.size);
                    // The sum of all is limited when the tree is built.
                    spread.size += size.next_multiple_of(BLOCK);
                }
                _ => {}
            }
        }
        spread
    }

    pub(in crate::layers) fn is_empty(&self) -> bool {
        self.size == 0
    }

    pub(in crate::layers) fn size(&self) -> u64 {
        self.size
    }

    pub(super) fn offset(&self, id: NodeId) -> Option<u64> {
        self.offsets.get(&id).copied()
    }

    /// The files with where they go.
    pub(in crate::layers) fn files<'tree>(
        &self,
        tree: &'tree Tree,
    ) -> impl Iterator<Item = (u64, &'tree Sparse)> {
        self.offsets.iter().filter_map(|(&id, &offset)| match &tree.node(id).body {
            Body::File(Content::Sparse(sparse)) => Some((offset, sparse)),
            _ => None,
        })
    }
}
