//! The file with the engine's settings. Each part of the engine reads its own section of it.

use std::env;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

/// Where it is, unless `BERTH_ENGINE_CONFIG` says otherwise.
const PATH: &str = "/etc/berth/engine.yml";

/// The file, which need not be there unless somebody has named it.
#[derive(Clone, Debug)]
pub(crate) struct EngineFile {
    path: PathBuf,
    is_named: bool,
}

/// Why the file cannot be used.
#[derive(Debug)]
pub(crate) struct Unusable {
    /// The file.
    pub(crate) path: String,
    /// What is wrong with it.
    pub(crate) reason: String,
}

impl EngineFile {
    /// The one that the environment names, or that of the machine.
    pub(crate) fn of_environment() -> Self {
        match env::var_os("BERTH_ENGINE_CONFIG").filter(|path| !path.is_empty()) {
            Some(named) => Self { path: named.into(), is_named: true },
            None => Self { path: PATH.into(), is_named: false },
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// What `parse` makes of its text, which is empty where there is none.
    pub(crate) fn read<T>(
        &self,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Result<T, Unusable> {
        let text = self.text().map_err(|error| error.to_string());
        text.and_then(|text| parse(&text))
            .map_err(|reason| Unusable { path: self.path.display().to_string(), reason })
    }

    fn text(&self) -> io::Result<String> {
        match fs::read_to_string(&self.path) {
            Err(error) if error.kind() == ErrorKind::NotFound && !self.is_named => {
                Ok(String::new())
            }
            text => text,
        }
    }
}
