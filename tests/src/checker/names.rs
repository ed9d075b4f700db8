use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result};
use serde_json::Value;

use crate::registry::{Registry, digest_of};

/// Everything that can be reached from the catalogue.
#[derive(Clone, Debug, Default)]
pub struct Names {
    /// By name.
    pub repositories: BTreeMap<String, Repository>,
}

/// What a repository has, by the digests.
#[derive(Clone, Debug, Default)]
pub struct Repository {
    /// The tags, each with the manifest that it stands for.
    pub tags: BTreeSet<(String, String)>,
    /// The manifests that tags, indexes and subjects lead to.
    pub manifests: BTreeSet<String>,
    /// The blobs that these need.
    pub blobs: BTreeSet<String>,
}

impl Names {
    /// Reads all of a registry and hashes it: catalogue, tags, manifests, what they list, what refers to them, blobs.
    ///
    /// # Errors
    ///
    /// Something that is named cannot be had, or is not what its digest says.
    pub fn of(registry: &Registry) -> Result<Self> {
        let mut names = Self::default();
        for name in registry.repositories()? {
            let mut repository = Repository::default();
            let walk = |repository: &mut Repository| {
                for tag in registry.tags(&name)? {
                    let digest = registry.manifest(&name, &tag)?.digest;
                    repository.walk(registry, &name, &digest)?;
                    repository.tags.insert((tag, digest));
                }
                anyhow::Ok(())
            };
            walk(&mut repository).with_context(|| format!("in {name}"))?;
            names.repositories.insert(name, repository);
        }
        Ok(names)
    }

    /// The blobs of all repositories.
    #[must_use]
    pub fn blobs(&self) -> BTreeSet<String> {
        self.repositories.values().flat_map(|repository| repository.blobs.clone()).collect()
    }

    /// The manifests of all repositories.
    #[must_use]
    pub fn manifests(&self) -> BTreeSet<String> {
        self.repositories.values().flat_map(|repository| repository.manifests.clone()).collect()
    }
}

impl Repository {
    fn walk(&mut self, registry: &Registry, name: &str, digest: &str) -> Result<()> {
        if !self.manifests.insert(digest.to_owned()) {
            return Ok(());
        }
        let manifest = registry.manifest(name, digest)?.json;
        for blob in manifest.get("config").into_iter().chain(array(&manifest, "layers")) {
            registry.verify_blob(name, blob)?;
            self.blobs.insert(digest_of(blob)?.to_owned());
        }
        for child in array(&manifest, "manifests") {
            self.walk(registry, name, digest_of(child)?)?;
        }
        for referrer in registry.referrers(name, digest)? {
            self.walk(registry, name, digest_of(&referrer)?)?;
        }
        Ok(())
    }
}

fn array<'v>(value: &'v Value, field: &str) -> &'v [Value] {
    value[field].as_array().map_or(&[], Vec::as_slice)
}
