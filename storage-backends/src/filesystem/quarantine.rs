//! Damaged bytes, out of the way of good ones.

use std::fs::{self, File};
use std::io;

use berth_oci::{Digest, UploadId};

use super::durable;
use super::layout::Layout;
use super::upload::is_still_at;

/// Moves the file of a blob out of service, unless another one has come in its place.
pub(super) fn take(layout: &Layout, digest: &Digest, file: &File, id: UploadId) -> io::Result<()> {
    let (data, kept) = (layout.blob_data(digest), layout.quarantined(digest, id));
    if !is_still_at(file, &data)? {
        return Ok(());
    }
    durable::rename_creating_parents(&data, &kept)?;
    // A push may have come between the look and the move: its file goes back.
    if !is_still_at(file, &kept)? {
        match fs::hard_link(&kept, &data) {
            // And another one is there already.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            other => other?,
        }
        fs::remove_file(&kept)?;
        return layout.sync_blob(digest);
    }
    durable::sync_directories(&kept, 3)?;
    layout.sync_blob(digest)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use berth_oci::{Algorithm, Hasher};

    use super::*;

    #[test]
    fn the_file_that_was_looked_at_goes_and_no_other() {
        let root = tempfile::tempdir().unwrap();
        let layout = Layout::new(root.path());
        let digest = Hasher::digest(Algorithm::Sha256, b"good");
        let data = layout.blob_data(&digest);
        fs::create_dir_all(data.parent().unwrap()).unwrap();
        fs::write(&data, "bad").unwrap();
        let (looked_at, id) = (File::open(&data).unwrap(), UploadId::random());

        take(&layout, &digest, &looked_at, id).unwrap();
        assert!(!data.exists());
        assert_eq!(fs::read(layout.quarantined(&digest, id)).unwrap(), b"bad");

        fs::write(&data, "good").unwrap();
        take(&layout, &digest, &looked_at, id).unwrap();
        assert_eq!(fs::read(&data).unwrap(), b"good");
    }
}
