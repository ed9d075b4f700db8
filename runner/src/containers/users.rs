//! Which containers use an image.

use std::io;

use berth_oci::Digest;

use super::engine::Engine;
use crate::images::{ImageUser, ImageUsers};

impl ImageUsers for Engine {
    fn users(&self, id: &Digest) -> io::Result<Vec<ImageUser>> {
        let all = self.store.all().map_err(io::Error::other)?;
        let users = all.into_iter().filter(|container| container.record.image == *id);
        Ok(users
            .map(|container| ImageUser {
                container_id: container.record.id.to_string(),
                running: container.status.is_running(),
            })
            .collect())
    }
}
