//! Reading and writing the files of a cgroup.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use super::super::Result;
use super::super::error::Doing as _;

/// Writes `value` into `folder`/`name`.
pub(super) fn write(folder: &Path, name: &str, value: impl AsRef<str>) -> Result<()> {
    let value = value.as_ref();
    try_write(folder, name, value)
        .doing(|| format!("write {value:?} to {}", folder.join(name).display()))
}

pub(super) fn try_write(folder: &Path, name: &str, value: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).open(folder.join(name))?;
    file.write_all(value.as_bytes())
}

/// A file that takes one line after the other, each by a call of its own.
pub(super) struct Lines {
    path: PathBuf,
    file: File,
}

impl Lines {
    pub(super) fn open(folder: &Path, name: &str) -> Result<Self> {
        let path = folder.join(name);
        let file = OpenOptions::new().write(true).open(&path);
        Ok(Self { file: file.doing(|| format!("open {}", path.display()))?, path })
    }

    pub(super) fn write(&self, line: &str) -> Result<()> {
        let written = (&self.file).write_all(line.as_bytes());
        written.doing(|| format!("write {line:?} to {}", self.path.display()))
    }
}

pub(super) fn read(folder: &Path, name: &str) -> Result<String> {
    let path = folder.join(name);
    let text = fs::read_to_string(&path).doing(|| format!("read {}", path.display()))?;
    Ok(text.trim_end().to_owned())
}

/// The number in `folder`/`name`; `max` is the greatest, and what is not there is 0.
pub(super) fn number(folder: &Path, name: &str) -> u64 {
    match read(folder, name).as_deref() {
        Ok("max") => u64::MAX,
        Ok(text) => text.parse().unwrap_or(0),
        Err(_) => 0,
    }
}

/// The number behind `key` in a file of lines `key number`.
pub(super) fn keyed(folder: &Path, name: &str, key: &str) -> u64 {
    let text = read(folder, name).unwrap_or_default();
    text.lines()
        .find_map(|line| line.strip_prefix(key)?.strip_prefix(' ')?.trim().parse().ok())
        .unwrap_or(0)
}

/// All of such a file.
pub(super) fn table(folder: &Path, name: &str) -> serde_json::Map<String, serde_json::Value> {
    let text = read(folder, name).unwrap_or_default();
    text.lines()
        .filter_map(|line| {
            let (key, number) = line.rsplit_once(' ')?;
            Some((key.to_owned(), number.parse::<u64>().ok()?.into()))
        })
        .collect()
}

/// The ids in `cgroup.procs` of a folder and of all below it; those that are gone have none.
pub(super) fn processes(folder: &Path) -> Result<Vec<i32>> {
    let mut pids = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let Ok(text) = fs::read_to_string(folder.join("cgroup.procs")) else { continue };
        pids.extend(text.lines().filter_map(|line| line.parse::<i32>().ok()));
        folders.extend(below(&folder)?);
    }
    Ok(pids)
}

/// Removes a folder and all below it. `false` when there are processes in one.
pub(super) fn try_remove(folder: &Path) -> Result<bool> {
    match fs::remove_dir(folder) {
        Ok(()) => return Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(true),
        Err(error) if error.kind() == io::ErrorKind::ResourceBusy => {}
        other => other.doing(|| format!("remove {}", folder.display()))?,
    }
    for child in below(folder)? {
        if !try_remove(&child)? {
            return Ok(false);
        }
    }
    match fs::remove_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::ResourceBusy => Ok(false),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
        other => other.map(|()| true).doing(|| format!("remove {}", folder.display())),
    }
}

fn below(folder: &Path) -> Result<Vec<std::path::PathBuf>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.doing(|| format!("list {}", folder.display()))?,
    };
    let is_folder = |entry: &fs::DirEntry| entry.file_type().is_ok_and(|kind| kind.is_dir());
    Ok(entries.filter_map(|entry| entry.ok()).filter(is_folder).map(|entry| entry.path()).collect())
}

/// `tasks` of a folder, to be written into later, by whoever has it then.
pub(super) fn open_tasks(folder: &Path) -> Result<File> {
    let path = folder.join("tasks");
    OpenOptions::new().write(true).open(&path).doing(|| format!("open {}", path.display()))
}
