//! Names of containers: a link for each in a folder of their own, so that a name is found, and found
//! to be taken, without a look at any container.

use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use rustix::rand::{GetRandomFlags, getrandom};

use super::error::{ContainerError, Doing as _};
use super::id::ContainerId;

/// The folder of the names.
#[derive(Clone, Debug)]
pub(super) struct Names {
    folder: PathBuf,
}

impl Names {
    pub(super) fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// Takes a name for a container.
    ///
    /// # Errors
    ///
    /// [`ContainerError::NameTaken`] when another one has it that `lives`. What a command that was killed
    /// has left is taken over.
    pub(super) fn claim(
        &self,
        name: &str,
        id: &ContainerId,
        lives: impl Fn(&ContainerId) -> bool,
    ) -> Result<(), ContainerError> {
        check(name)?;
        loop {
            match symlink(id.as_str(), self.folder.join(name)) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                other => return other.doing(|| format!("take the name {name}")),
            }
            match self.holder(name)? {
                Some(holder) if lives(&holder) => {
                    return Err(ContainerError::NameTaken { name: name.to_owned(), id: holder });
                }
                Some(holder) => self.release(name, &holder)?,
                // It was given up just now.
                None => {}
            }
        }
    }

    /// Gives a name up, if it is this container's.
    pub(super) fn release(&self, name: &str, id: &ContainerId) -> Result<(), ContainerError> {
        if self.holder(name)?.as_ref() != Some(id) {
            return Ok(());
        }
        match fs::remove_file(self.folder.join(name)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other.doing(|| format!("give up the name {name}")),
        }
    }

    /// Whose name it is.
    pub(super) fn holder(&self, name: &str) -> Result<Option<ContainerId>, ContainerError> {
        if check(name).is_err() {
            return Ok(None);
        }
        match fs::read_link(self.folder.join(name)) {
            Ok(target) => Ok(target.to_str().and_then(|target| target.parse().ok())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).doing(|| format!("look up the name {name}")),
        }
    }

    /// All names, and whose they are.
    pub(super) fn all(&self) -> Result<Vec<(String, ContainerId)>, ContainerError> {
        let mut found = Vec::new();
        for entry in list(&self.folder)? {
            if let Some(id) = self.holder(&entry)? {
                found.push((entry, id));
            }
        }
        Ok(found)
    }
}

/// The names of what is in a folder, which need not be there.
pub(super) fn list(folder: &Path) -> Result<Vec<String>, ContainerError> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.doing(|| format!("list {}", folder.display()))?,
    };
    Ok(entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect())
}

/// As docker has it: two characters at least.
fn check(name: &str) -> Result<(), ContainerError> {
    let mut bytes = name.bytes();
    let is_name = bytes.next().is_some_and(|byte| byte.is_ascii_alphanumeric())
        && name.len() > 1
        && name.len() <= 255
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-'));
    if is_name { Ok(()) } else { Err(ContainerError::Name(name.to_owned())) }
}

/// A name for a container that was given none: an adjective, and somebody to whom the trade owes
/// something. After a few tries there is a number at the end.
pub(super) fn generate(attempt: u32) -> Result<String, ContainerError> {
    let mut bytes = [0; 8];
    getrandom(&mut bytes, GetRandomFlags::empty()).doing(|| "ask for random numbers")?;
    let number = |from: usize| usize::from(u16::from_le_bytes([bytes[from], bytes[from + 1]]));
    let adjective = ADJECTIVES[number(0) % ADJECTIVES.len()];
    let surname = SURNAMES[number(2) % SURNAMES.len()];
    Ok(match attempt {
        0..=4 => format!("{adjective}_{surname}"),
        _ => format!("{adjective}_{surname}{}", number(4)),
    })
}

const ADJECTIVES: [&str; 64] = [
    "able", "airy", "alert", "amber", "ample", "apt", "awake", "blithe", "bold", "brave", "breezy",
    "bright", "brisk", "calm", "candid", "careful", "cheery", "civil", "clear", "clever", "cosy",
    "crisp", "curious", "daring", "deft", "eager", "early", "earnest", "easy", "fair", "faithful",
    "fond", "frank", "fresh", "gentle", "glad", "golden", "handy", "hardy", "hearty", "honest",
    "jolly", "keen", "kind", "lively", "lucid", "mellow", "merry", "mild", "neat", "nimble",
    "patient", "plucky", "polite", "proud", "quick", "quiet", "ready", "serene", "sincere",
    "steady", "sunny", "tidy", "witty",
];

const SURNAMES: [&str; 64] = [
    "allen",
    "babbage",
    "backus",
    "baran",
    "bartik",
    "bell",
    "boole",
    "borg",
    "cerf",
    "church",
    "clarke",
    "codd",
    "conway",
    "curie",
    "dijkstra",
    "easley",
    "eckert",
    "engelbart",
    "estrin",
    "euler",
    "faraday",
    "feinler",
    "floyd",
    "gauss",
    "goedel",
    "goldberg",
    "granville",
    "hamilton",
    "hamming",
    "hoare",
    "holberton",
    "hopper",
    "huffman",
    "iverson",
    "jennings",
    "johnson",
    "kahn",
    "kay",
    "keller",
    "kilby",
    "knuth",
    "lamarr",
    "lampson",
    "leibniz",
    "liskov",
    "lovelace",
    "mauchly",
    "mccarthy",
    "meitner",
    "moore",
    "naur",
    "noether",
    "pascal",
    "perlman",
    "postel",
    "ritchie",
    "shannon",
    "stallman",
    "sutherland",
    "tarjan",
    "thacker",
    "turing",
    "wirth",
    "zuse",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> (tempfile::TempDir, Names) {
        let folder = tempfile::tempdir().unwrap();
        let names = Names::new(folder.path().to_owned());
        (folder, names)
    }

    #[test]
    fn a_name_is_one_containers_until_it_gives_it_up() {
        let (_folder, names) = names();
        let (one, other) = (ContainerId::random().unwrap(), ContainerId::random().unwrap());
        names.claim("web", &one, |_| true).unwrap();
        assert_eq!(names.holder("web").unwrap(), Some(one.clone()));
        let error = names.claim("web", &other, |_| true).unwrap_err();
        assert!(error.to_string().contains(one.as_str()), "{error}");

        names.release("web", &other).unwrap();
        assert_eq!(
            names.holder("web").unwrap(),
            Some(one.clone()),
            "it is not the other's to give"
        );
        names.release("web", &one).unwrap();
        names.release("web", &one).unwrap();
        names.claim("web", &other, |_| true).unwrap();
        assert_eq!(names.all().unwrap(), [("web".to_owned(), other)]);
    }

    #[test]
    fn what_a_killed_command_left_is_taken_over() {
        let (_folder, names) = names();
        let (one, other) = (ContainerId::random().unwrap(), ContainerId::random().unwrap());
        names.claim("web", &one, |_| true).unwrap();
        names.claim("web", &other, |_| false).unwrap();
        assert_eq!(names.holder("web").unwrap(), Some(other));
    }

    #[test]
    fn what_is_no_name_is_refused_and_found_nowhere() {
        let (_folder, names) = names();
        let id = ContainerId::random().unwrap();
        for name in ["", "a", ".", "..", "-a", "_a", "a/b", "../x", "a b", "ä1", &"x".repeat(256)]
        {
            assert!(names.claim(name, &id, |_| true).is_err(), "{name}");
            assert_eq!(names.holder(name).unwrap(), None, "{name}");
        }
        for name in ["a1", "A-b_c.d", "0x"] {
            names.claim(name, &id, |_| true).unwrap();
        }
    }

    #[test]
    fn generated_names_are_names() {
        for attempt in 0..10 {
            check(&generate(attempt).unwrap()).unwrap();
        }
    }
}
