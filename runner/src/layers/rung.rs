//! The ways in which a layer can be kept and mounted, the best one first.

use std::fmt;
use std::str::FromStr;

/// How layers become a root.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rung {
    /// An overlay of EROFS mounts. Nothing is unpacked.
    Erofs,
    /// An overlay of folders that the layers are unpacked in.
    Directories,
    /// All files of all layers are copied for each container.
    Copy,
}

/// The way that is taken on a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Choice {
    pub(super) rung: Rung,
    /// Why it is not a better one, in words.
    pub(super) reason: Option<String>,
}

impl Rung {
    /// All of them, the best one first.
    pub const ALL: [Self; 3] = [Self::Erofs, Self::Directories, Self::Copy];

    /// Its name in settings and messages.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Erofs => "erofs",
            Self::Directories => "directories",
            Self::Copy => "copy",
        }
    }
}

impl fmt::Display for Rung {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Rung {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|rung| rung.as_str() == text).ok_or_else(|| {
            format!("layers are kept as erofs, directories or copy, not as {text:?}")
        })
    }
}
