//! The words of the command line that have a grammar of their own. Each says in docker's words what is
//! wrong with it.

mod device;
mod lines;
mod mount;
mod numbers;
mod size;
mod tmpfs;
mod ulimit;
mod volume;

pub use device::{byte_rate, device_mapping, device_rule, operation_rate, weight};
pub use lines::{environment, label_map, labels, variables};
pub use mount::mount;
pub use size::{nano_cpus, size, swap_size};
pub use ulimit::ulimit;
pub use volume::{VolumeOption, volume};

pub(super) use mount::check_mount;
pub(super) use numbers::numbers;
pub(super) use tmpfs::tmpfs_options;
pub(crate) use volume::check_volume_name;

use std::path::{Component, Path};

use super::{RestartMode, RestartPolicy, SpecError};

/// Where something may be mounted: an absolute path that is not the root.
pub(super) fn check_destination(place: &str) -> Result<(), SpecError> {
    let path = Path::new(place);
    if !path.is_absolute() {
        return Err(SpecError::invalid(format!(
            "invalid mount path: '{place}' mount path must be absolute"
        )));
    }
    if path.components().all(|part| !matches!(part, Component::Normal(_))) {
        return Err(SpecError::invalid("invalid specification: destination can't be '/'"));
    }
    Ok(())
}

/// A path without `.`, `..` and doubled slashes, as if there were no links.
pub(super) fn clean(path: &str) -> String {
    let mut names: Vec<&str> = Vec::new();
    for name in path.split('/') {
        match name {
            "" | "." => {}
            ".." => drop(names.pop()),
            name => names.push(name),
        }
    }
    format!("/{}", names.join("/"))
}

/// `--restart`: `no`, `always`, `unless-stopped`, `on-failure` and how often.
///
/// # Errors
///
/// What is wrong.
pub fn restart_policy(text: &str) -> Result<RestartPolicy, SpecError> {
    let (name, count) = match text.split_once(':') {
        Some((name, count)) => (name, Some(count)),
        None => (text, None),
    };
    let name = match name {
        "no" => RestartMode::No,
        "" if count.is_none() => RestartMode::No,
        "" => {
            return Err(SpecError::invalid(
                "invalid restart policy format: no policy provided before colon",
            ));
        }
        "always" => RestartMode::Always,
        "on-failure" => RestartMode::OnFailure,
        "unless-stopped" => RestartMode::UnlessStopped,
        name => {
            return Err(SpecError::invalid(format!(
                "invalid restart policy: unknown policy '{name}'; use one of 'no', 'always', 'on-failure', or 'unless-stopped'"
            )));
        }
    };
    let count = match count {
        Some(count) => count.parse().map_err(|_| {
            SpecError::invalid(
                "invalid restart policy format: maximum retry count must be an integer",
            )
        })?,
        None => 0,
    };
    Ok(RestartPolicy { name, maximum_retry_count: count })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_has_a_name_and_perhaps_a_number() {
        let policy = |name, maximum_retry_count| RestartPolicy { name, maximum_retry_count };
        assert_eq!(restart_policy("on-failure:3").unwrap(), policy(RestartMode::OnFailure, 3));
        assert_eq!(restart_policy("always").unwrap(), policy(RestartMode::Always, 0));
        for text in ["sometimes", "on-failure:x", ":3"] {
            assert!(restart_policy(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_path_is_cleaned_without_leaving_the_root() {
        assert_eq!(clean("/a//b/./../c/"), "/a/c");
        assert_eq!(clean("/../.."), "/");
    }
}
