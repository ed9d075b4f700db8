//! `-v`: a place, a source and a place, and how.

use super::super::{MountKind, Propagation, SpecError};
use super::{check_destination, clean};

/// What one of them says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VolumeOption {
    /// A path of the host (bind), the name of a volume, or nothing for one without a name.
    pub source: String,
    /// Of which kind it is.
    pub kind: MountKind,
    /// Where in the container.
    pub target: String,
    /// The words after the second colon.
    pub mode: String,
    /// Among them `ro`.
    pub read_only: bool,
    /// Among them `nocopy`.
    pub no_copy: bool,
    /// What they say of it.
    pub propagation: Propagation,
}

/// Reads `/place`, `source:/place` and `source:/place:ro,z`.
///
/// # Errors
///
/// What is wrong.
pub fn volume(text: &str) -> Result<VolumeOption, SpecError> {
    let bad = || SpecError::invalid(format!("invalid volume specification: '{text}'"));
    let parts: Vec<&str> = text.split(':').collect();
    let (source, target, mode) = match *parts.as_slice() {
        [target] => ("", target, ""),
        // A volume without a name has no mode.
        [_, target] if Mode::read(target).is_some() => return Err(bad()),
        [source, target] => (source, target, ""),
        [source, target, mode] => (source, target, mode),
        _ => return Err(bad()),
    };
    if target.is_empty() || (parts.len() > 1 && source.is_empty()) {
        return Err(bad());
    }
    let words =
        Mode::read(mode).ok_or_else(|| SpecError::invalid(format!("invalid mode: {mode}")))?;
    check_destination(target).map_err(|error| {
        SpecError::invalid(format!("invalid volume specification: '{text}': {error}"))
    })?;
    let kind = if source.starts_with('/') { MountKind::Bind } else { MountKind::Volume };
    if kind == MountKind::Volume {
        if !source.is_empty() {
            check_volume_name(source)?;
        }
        if words.propagation != Propagation::Default {
            return Err(SpecError::invalid(format!("invalid mode: {mode}")));
        }
    } else if words.no_copy {
        return Err(SpecError::invalid(format!("invalid mode: {mode}")));
    }
    Ok(VolumeOption {
        source: if kind == MountKind::Bind { clean(source) } else { source.to_owned() },
        kind,
        target: clean(target),
        mode: mode.to_owned(),
        read_only: words.read_only,
        no_copy: words.no_copy,
        propagation: words.propagation,
    })
}

/// A name is a letter or digit, and after it letters, digits, `_`, `.` and `-`: at least two in all.
pub(crate) fn check_volume_name(name: &str) -> Result<(), SpecError> {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric();
    let is_name = name.len() > 1
        && name.len() <= 255
        && name.starts_with(is_plain)
        && name.chars().all(|letter| is_plain(letter) || "_.-".contains(letter));
    if is_name {
        return Ok(());
    }
    Err(SpecError::invalid(if name.len() == 1 {
        "volume name is too short, names should be at least two alphanumeric characters".to_owned()
    } else {
        format!(
            "create {name}: {name:?} includes invalid characters for a local volume name, only \"[a-zA-Z0-9][a-zA-Z0-9_.-]\" are allowed. If you intended to pass a host directory, use absolute path"
        )
    }))
}

/// The words after the second colon: one at most of each kind.
#[derive(Default)]
struct Mode {
    read_only: bool,
    no_copy: bool,
    propagation: Propagation,
}

impl Mode {
    fn read(text: &str) -> Option<Self> {
        let mut mode = Self::default();
        let mut seen: Vec<&str> = Vec::new();
        for word in text.split(',').filter(|_| !text.is_empty()) {
            let kind = match word {
                "ro" | "rw" => {
                    mode.read_only = word == "ro";
                    "access"
                }
                // Labels of SELinux, which mean nothing where there is none.
                "z" | "Z" => "label",
                "nocopy" => {
                    mode.no_copy = true;
                    "copy"
                }
                "consistent" | "cached" | "delegated" => "consistency",
                word => {
                    mode.propagation = word.parse().ok()?;
                    "propagation"
                }
            };
            if seen.contains(&kind) {
                return None;
            }
            seen.push(kind);
        }
        Some(mode)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_three_forms() {
        let anonymous = volume("/data").unwrap();
        assert_eq!((anonymous.kind, anonymous.source.as_str()), (MountKind::Volume, ""));
        let named = volume("box:/data:ro,nocopy").unwrap();
        assert_eq!((named.kind, named.source.as_str()), (MountKind::Volume, "box"));
        assert!(named.read_only && named.no_copy);
        let bind = volume("/a/../b:/data/:Z,rslave").unwrap();
        assert_eq!((bind.source.as_str(), bind.target.as_str()), ("/b", "/data"));
        assert_eq!(bind.propagation, Propagation::Rslave);
        assert!(!bind.read_only);
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (text, words) in [
            ("", "invalid volume specification: ''"),
            (":/a", "invalid volume specification: ':/a'"),
            ("/a:rw", "invalid volume specification: '/a:rw'"),
            ("/a:/b:ro:rw", "invalid volume specification: '/a:/b:ro:rw'"),
            ("/a:/b:ro,rw", "invalid mode: ro,rw"),
            ("/a:/b:sideways", "invalid mode: sideways"),
            ("/a:/b:nocopy", "invalid mode: nocopy"),
            ("box:/b:shared", "invalid mode: shared"),
            (
                "/a:b",
                "invalid volume specification: '/a:b': invalid mount path: 'b' mount path must be absolute",
            ),
            (
                "/a:/",
                "invalid volume specification: '/a:/': invalid specification: destination can't be '/'",
            ),
            ("x:/b", "volume name is too short"),
            ("some/where:/b", "create some/where: \"some/where\" includes invalid characters"),
            ("../up:/b", "create ../up:"),
        ] {
            let error = volume(text).unwrap_err().to_string();
            assert!(error.starts_with(words), "{text}: {error}");
        }
    }
}
