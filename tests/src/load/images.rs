//! What a worker does with manifests and tags.

use std::collections::BTreeMap;

use serde_json::json;

use super::line::{Line, Stop};
use super::model::{BlobLink, Change, Image, Presence, State, TagKey};
use super::worker::{Worker, pick};
use crate::content::{self, Manifest};
use crate::wire::{Request, delete, put};

const TAGS: u64 = 12;

impl Worker {
    /// A new image, or one that was deleted; by a tag, or by its digest with several.
    pub(super) fn push_an_image(&mut self, line: &mut Line<'_>) -> Result<(), Stop> {
        let known = self.any_image(|image| !image.present).filter(|_| self.chance(20));
        let Some(image) = known.or_else(|| self.compose()) else { return Ok(()) };
        let Image { repository, manifest, .. } = self.model.images[image].clone();
        let mut keys = vec![self.tag(repository)];
        let mut target = format!("/v2/{repository}/manifests/{}", keys[0].1);
        if self.chance(40) {
            keys.extend((0..self.random.below(3)).map(|_| self.tag(repository)));
            keys.sort();
            keys.dedup();
            let tags: Vec<_> = keys.iter().map(|(_, tag)| format!("tag={tag}")).collect();
            target = format!("/v2/{repository}/manifests/{}?{}", manifest.digest, tags.join("&"));
        }
        self.put_image(line, image, target, keys)?;
        self.model.counts.image_pushes += 1;
        Ok(())
    }

    pub(super) fn move_a_tag(&mut self, line: &mut Line<'_>) -> Result<(), Stop> {
        let Some(image) = self.any_image(|image| image.present) else { return Ok(()) };
        let key = self.tag(self.model.images[image].repository);
        let target = format!("/v2/{}/manifests/{}", key.0, key.1);
        self.put_image(line, image, target, vec![key])?;
        self.model.counts.tag_moves += 1;
        Ok(())
    }

    fn put_image(
        &mut self,
        line: &mut Line<'_>,
        image: usize,
        target: String,
        keys: Vec<TagKey>,
    ) -> Result<(), Stop> {
        let Image { manifest, present, .. } = self.model.images[image].clone();
        let now = |key: &TagKey| self.model.tags.get(key).copied().flatten();
        let before =
            State { present, tags: keys.iter().map(|key| (key.clone(), now(key))).collect() };
        let tags = keys.into_iter().map(|key| (key, Some(image))).collect();
        let after = State { present: true, tags };
        let request = put(target).header("Content-Type", manifest.media_type).body(manifest.bytes);
        self.change(line, 201, &request, Change { image, before, after })
    }

    pub(super) fn delete_a_tag(&mut self, line: &mut Line<'_>) -> Result<(), Stop> {
        let Some((key, image)) = self.any_tag() else { return Ok(()) };
        let request = delete(format!("/v2/{}/manifests/{}", key.0, key.1));
        let before = State { present: true, tags: [(key.clone(), Some(image))].into() };
        let after = State { present: true, tags: [(key, None)].into() };
        self.change(line, 202, &request, Change { image, before, after })?;
        self.model.counts.tag_deletes += 1;
        Ok(())
    }

    pub(super) fn delete_an_image(&mut self, line: &mut Line<'_>) -> Result<(), Stop> {
        let Some(image) = self.any_image(|image| image.present) else { return Ok(()) };
        let Image { repository, manifest, .. } = &self.model.images[image];
        let request = delete(format!("/v2/{repository}/manifests/{}", manifest.digest));
        let tagged = self.model.tags.iter().filter(|(_, at)| **at == Some(image));
        let tags: BTreeMap<_, _> = tagged.map(|(key, at)| (key.clone(), *at)).collect();
        let untagged = tags.keys().map(|key| (key.clone(), None)).collect();
        let before = State { present: true, tags };
        let after = State { present: false, tags: untagged };
        self.change(line, 202, &request, Change { image, before, after })?;
        self.model.counts.image_deletes += 1;
        Ok(())
    }

    fn change(
        &mut self,
        line: &mut Line<'_>,
        status: u16,
        request: &Request,
        change: Change,
    ) -> Result<(), Stop> {
        self.model.pending = Some(change.clone());
        line.expect(status, request)?;
        self.model.counts.requests += 1;
        self.model.pending = None;
        self.model.settle(change.image, change.after);
        Ok(())
    }

    /// A manifest over blobs of one repository that are there.
    fn compose(&mut self) -> Option<usize> {
        let repository = self.repository();
        let present =
            |blob: &BlobLink| blob.presence == Presence::Present && blob.repository == repository;
        let parts: Vec<usize> =
            (0..1 + self.random.below(4)).filter_map(|_| self.any_blob(present)).collect();
        let descriptors: Vec<_> = parts
            .iter()
            .map(|part| &self.model.blobs[*part])
            .map(|blob| json!({ "mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": blob.digest, "size": blob.len }))
            .collect();
        let (config, layers) = descriptors.split_first()?;
        self.made += 1;
        let manifest = Manifest::new(&json!({
            "schemaVersion": 2,
            "mediaType": content::IMAGE,
            "config": config,
            "layers": layers,
            "annotations": { "maker": format!("{} {}", self.number, self.made) },
        }));
        for part in parts {
            self.model.blobs[part].used = true;
        }
        let image = Image { repository, manifest, present: false, round: self.round };
        self.model.images.push(image);
        Some(self.model.images.len() - 1)
    }

    /// A tag that no other worker uses.
    fn tag(&mut self, repository: &'static str) -> TagKey {
        (repository, format!("w{}-{}", self.number, self.random.below(TAGS)))
    }

    fn any_image(&mut self, fits: impl Fn(&Image) -> bool) -> Option<usize> {
        pick(&mut self.random, &self.model.images, fits)
    }
}
