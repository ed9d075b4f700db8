//! What each connected container has, in a file of its own.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::PathBuf;

use super::EndpointSettings;

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
        // No id has a point in it, so this is nobody's record.
        let new = self.folder.join(format!("{container}.new"));
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
        match fs::remove_file(self.path(container)?) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// The containers that have something.
    pub(super) fn containers(&self) -> io::Result<Vec<String>> {
        let mut containers = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let name = entry?.file_name().to_string_lossy().into_owned();
            if is_id(&name) {
                containers.push(name);
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
        assert_eq!(records.containers().unwrap(), ["a1"]);
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
