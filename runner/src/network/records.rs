//! What each connected container has, in a file of its own.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::PathBuf;

use super::EndpointSettings;

/// What a record is called until it is whole. No id has a point in it.
const NEW: &str = "new";

/// The folder of those files.
#[derive(Debug)]
pub(super) struct Records {
    folder: PathBuf,
}

impl Records {
    pub(super) fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// They last no longer than the kernel's own state, so nothing is synced.
    pub(super) fn write(&self, container: &str, settings: &EndpointSettings) -> io::Result<()> {
        let path = self.path(container)?;
        let new = path.with_extension(NEW);
        fs::write(&new, serde_json::to_vec(settings)?)?;
        fs::rename(new, path)
    }

    /// What a container has; of a record that the machine's end has cut off, nothing.
    pub(super) fn read(&self, container: &str) -> io::Result<Option<EndpointSettings>> {
        match fs::read(self.path(container)?) {
            Ok(text) => Ok(Some(serde_json::from_slice(&text).unwrap_or_default())),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    pub(super) fn remove(&self, container: &str) -> io::Result<()> {
        let path = self.path(container)?;
        for path in [path.with_extension(NEW), path] {
            match fs::remove_file(path) {
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }

    /// The containers that have something, or were about to when their writer was killed.
    pub(super) fn containers(&self) -> io::Result<BTreeSet<String>> {
        let mut containers = BTreeSet::new();
        for entry in fs::read_dir(&self.folder)? {
            let name = PathBuf::from(entry?.file_name());
            if let Some(id) = name.file_stem().and_then(|stem| stem.to_str())
                && is_id(id)
            {
                containers.insert(id.to_owned());
            }
        }
        Ok(containers)
    }

    fn path(&self, container: &str) -> io::Result<PathBuf> {
        if is_id(container) {
            Ok(self.folder.join(container))
        } else {
            let reason = format!("{container:?} is no id of a container");
            Err(io::Error::new(ErrorKind::InvalidInput, reason))
        }
    }
}

fn is_id(text: &str) -> bool {
    (1..=128).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_there_until_it_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let records = Records::new(folder.path().to_owned());
        let settings = EndpointSettings { network: "bridge".into(), ..Default::default() };
        assert_eq!(records.read("a1").unwrap(), None);
        records.write("a1", &settings).unwrap();
        assert_eq!(records.read("a1").unwrap(), Some(settings));
        fs::write(folder.path().join("b2.new"), "").unwrap();
        assert_eq!(records.containers().unwrap(), ["a1", "b2"].map(str::to_owned).into());
        records.remove("b2").unwrap();
        records.remove("a1").unwrap();
        records.remove("a1").unwrap();
        assert!(records.containers().unwrap().is_empty());
    }

    #[test]
    fn one_that_was_cut_off_says_nothing() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("a1"), "{\"netw").unwrap();
        let records = Records::new(folder.path().to_owned());
        assert_eq!(records.read("a1").unwrap(), Some(EndpointSettings::default()));
    }

    #[test]
    fn an_id_is_no_path() {
        let records = Records::new("/nowhere".into());
        for id in ["", "..", "a/b", "a.new"] {
            assert_eq!(records.read(id).unwrap_err().kind(), ErrorKind::InvalidInput, "{id}");
        }
    }
}
