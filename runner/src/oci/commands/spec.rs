//! `spec`.

use std::io::Write as _;
use std::path::Path;

use super::super::Result;
use super::super::error::{Doing as _, Error};

/// A shell with what every container has, as `runc spec` writes it.
const SPEC: &str = include_str!("spec.json");

/// Writes it, and never over another one.
pub(super) fn spec(bundle: Option<&Path>) -> Result<()> {
    let path = bundle.unwrap_or(Path::new(".")).join("config.json");
    match std::fs::File::create_new(&path) {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            Err(Error::invalid(format!("{} exists already: remove it first", path.display())))
        }
        other => other
            .and_then(|mut file| file.write_all(SPEC.as_bytes()))
            .doing(|| format!("write {}", path.display())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oci::config::Config;

    #[test]
    fn what_is_written_can_be_read() {
        let config = Config::parse(SPEC.as_bytes()).unwrap();
        assert_eq!(config.process.unwrap().args, ["sh"]);
        assert_eq!(config.mounts.len(), 7);
    }

    #[test]
    fn nothing_is_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        spec(Some(folder.path())).unwrap();
        assert!(spec(Some(folder.path())).is_err());
    }
}
