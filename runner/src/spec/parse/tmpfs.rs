//! Options of memory that is mounted.

use super::super::SpecError;

/// What every such mount has unless it is said otherwise.
const DEFAULT: [&str; 4] = ["noexec", "nosuid", "nodev", "rprivate"];

/// Words that exclude each other, and the settings with a value.
const PAIRS: [(&str, &str); 9] = [
    ("exec", "noexec"),
    ("suid", "nosuid"),
    ("dev", "nodev"),
    ("rw", "ro"),
    ("sync", "async"),
    ("atime", "noatime"),
    ("diratime", "nodiratime"),
    ("relatime", "norelatime"),
    ("strictatime", "nostrictatime"),
];
const OTHERS: [&str; 9] = [
    "defaults", "remount", "dirsync", "private", "rprivate", "shared", "rshared", "slave", "rslave",
];
const SETTINGS: [&str; 7] = ["mode", "uid", "gid", "size", "nr_inodes", "nr_blocks", "mpol"];

/// The options of `--tmpfs` after the colon, over the default ones: of two that exclude each other the
/// last one counts.
///
/// # Errors
///
/// One that memory does not have.
pub(in crate::spec) fn tmpfs_options(text: &str) -> Result<Vec<String>, SpecError> {
    let given = text.split(',').filter(|option| !option.is_empty());
    let mut options: Vec<&str> = DEFAULT.to_vec();
    for option in given {
        let key = option.split_once('=').map(|(key, _)| key);
        let opposite = PAIRS.iter().find_map(|&(one, other)| match option {
            _ if option == one => Some(other),
            _ if option == other => Some(one),
            _ => None,
        });
        match (key, opposite) {
            (Some(key), _) if SETTINGS.contains(&key) => {
                let is_same = |known: &&str| known.split_once('=').is_some_and(|(it, _)| it == key);
                options.retain(|known| !is_same(known));
            }
            (None, Some(opposite)) => {
                options.retain(|known| *known != opposite && *known != option)
            }
            (None, None) if OTHERS.contains(&option) => options.retain(|known| *known != option),
            _ => return Err(SpecError::invalid(format!("invalid tmpfs option [{option:?}]"))),
        }
        options.push(option);
    }
    Ok(options.into_iter().map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_last_counts() {
        assert_eq!(tmpfs_options("").unwrap(), DEFAULT);
        let options = tmpfs_options("exec,size=1m,rw,size=64k,mode=1777").unwrap();
        assert_eq!(options, ["nosuid", "nodev", "rprivate", "exec", "rw", "size=64k", "mode=1777"]);
        let error = tmpfs_options("size=1m,huge=always").unwrap_err().to_string();
        assert_eq!(error, "invalid tmpfs option [\"huge=always\"]");
    }
}
