//! Whether a registry is whole, as one sees it who knows only its storage and its API: what was acknowledged is
//! there, what was deleted is not, and the storage holds what the API names and nothing else.
//!
//! It shares no code with Berth: manifests are read as JSON, trees and buckets as folders.

mod bucket;
mod names;
mod tree;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use anyhow::{Context as _, Result, ensure};

use crate::content::sha256;
use crate::load::Client;
use crate::wire::get;

pub use bucket::compare_bucket;
pub use names::{Names, Repository};
pub use tree::compare_tree;

/// What a client was told, by the paths of the API.
#[derive(Clone, Debug, Default)]
pub struct Acknowledged {
    /// What must be there, each with its digest.
    present: BTreeMap<String, String>,
    /// What must not.
    deleted: BTreeSet<String>,
}

impl Acknowledged {
    /// It was pushed.
    pub fn pushed(&mut self, path: &str, digest: &str) {
        self.deleted.remove(path);
        self.present.insert(path.to_owned(), digest.to_owned());
    }

    /// It was deleted.
    pub fn deleted(&mut self, path: &str) {
        self.present.remove(path);
        self.deleted.insert(path.to_owned());
    }

    /// It may be there or not: no answer came.
    pub fn unsure(&mut self, path: &str) {
        self.present.remove(path);
        self.deleted.remove(path);
    }

    /// Asks a registry for all of it, and hashes what comes.
    ///
    /// # Errors
    ///
    /// Something is missing, damaged, or still there.
    pub fn check(&self, address: SocketAddr) -> Result<()> {
        let mut client = Client::new(address);
        for (path, digest) in &self.present {
            let answer = client.expect(200, &get(path)).context("it was acknowledged")?;
            ensure!(sha256(&answer.body) == *digest, "{path} has other bytes than {digest}");
        }
        for path in &self.deleted {
            client.expect(404, &get(path)).context("its deletion was acknowledged")?;
        }
        Ok(())
    }
}
