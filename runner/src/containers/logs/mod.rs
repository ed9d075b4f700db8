//! What containers have said.
//!
//! A log is a few files of numbers, `1.log` and on, of which the highest is written to. It is full at a size
//! (`max-size`), and then there is the next, and the oldest goes (`max-file`): so a file never changes its
//! name, and whoever follows goes from one to the next without losing a line or reading one twice. Its lines are
//! those of docker's `json-file`.

mod attributes;
mod entry;
mod options;
mod reader;
mod writer;

pub use attributes::Attributes;
pub(super) use attributes::attributes;
pub use entry::{Entry, Stream};
pub use options::LogOptions;
pub use reader::LogQuery;
pub(super) use reader::{Ending, read};
pub(super) use writer::LogWriter;

use std::path::{Path, PathBuf};

use super::error::ContainerError;
use super::names::list;

const SUFFIX: &str = ".log";

/// The numbers of the files in `folder`, the oldest first.
fn numbers(folder: &Path) -> Result<Vec<u64>, ContainerError> {
    let names = list(folder)?;
    let mut numbers: Vec<u64> =
        names.iter().filter_map(|name| name.strip_suffix(SUFFIX)?.parse().ok()).collect();
    numbers.sort_unstable();
    Ok(numbers)
}

fn file(folder: &Path, number: u64) -> PathBuf {
    folder.join(format!("{number}{SUFFIX}"))
}

/// The file that is written to, or will be.
pub(super) fn current(folder: &Path) -> PathBuf {
    let number = numbers(folder).ok().and_then(|numbers| numbers.last().copied());
    file(folder, number.unwrap_or(1))
}
