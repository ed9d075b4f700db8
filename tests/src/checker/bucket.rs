use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Result, ensure};

use super::Names;
use crate::registry::sha256_of_file;
use crate::tree::{objects as objects_in, same};

/// Compares a bucket, which its server keeps in a folder, with what the API named: every blob is one object, and
/// there is nothing more but the journal, no parts of uploads either. Names tell nothing here, so all is hashed. To be done when
/// garbage was collected to its end.
///
/// # Errors
///
/// The bucket holds something that nothing names, lacks something, or has something twice.
pub fn compare_bucket(folder: &Path, names: &Names) -> Result<()> {
    let mut objects = BTreeSet::new();
    for path in objects_in(folder)? {
        let digest = sha256_of_file(&path)?;
        ensure!(objects.insert(digest), "{} has the bytes of another object", path.display());
    }
    same("the objects", &objects, &names.blobs())
}
