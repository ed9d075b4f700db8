//! Which capabilities a container has: docker's fourteen, and what `--cap-add`, `--cap-drop` and
//! `--privileged` make of them.

use super::{HostConfig, SpecError};
use crate::oci::capability_names;

/// What every container has unless it is said otherwise.
const DEFAULT: [&str; 14] = [
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FSETID",
    "CAP_FOWNER",
    "CAP_MKNOD",
    "CAP_NET_RAW",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETFCAP",
    "CAP_SETPCAP",
    "CAP_NET_BIND_SERVICE",
    "CAP_SYS_CHROOT",
    "CAP_KILL",
    "CAP_AUDIT_WRITE",
];

const ALL: &str = "ALL";

/// Their names, on a host that can give those whose bits are in `available`.
///
/// # Errors
///
/// A name that is none, and one that was asked for by name and cannot be given.
pub(crate) fn capabilities(
    host_config: &HostConfig,
    available: u64,
) -> Result<Vec<String>, SpecError> {
    let all: Vec<String> = capability_names().collect();
    let bit = |name: &str| all.iter().position(|known| known == name).map_or(0, |at| 1_u64 << at);
    let can_be_given = |name: &str| available & bit(name) != 0;
    let added = normalise(&host_config.cap_add, &all, "CapAdd")?;
    let dropped = normalise(&host_config.cap_drop, &all, "CapDrop")?;
    if host_config.privileged {
        return Ok(all.iter().filter(|name| can_be_given(name)).cloned().collect());
    }
    if let Some(name) = added.iter().find(|name| *name != ALL && !can_be_given(name)) {
        return Err(SpecError::invalid(format!(
            "invalid CapAdd: {name} is not among the capabilities that this host can give"
        )));
    }
    let is_dropped = |name: &str| dropped.iter().any(|dropped| dropped == name);
    let base: Vec<String> = if added.iter().any(|name| name == ALL) {
        let kept = all.iter().filter(|name| !is_dropped(name));
        return Ok(kept.filter(|name| can_be_given(name)).cloned().collect());
    } else if is_dropped(ALL) {
        Vec::new()
    } else {
        let kept = DEFAULT.iter().filter(|name| !is_dropped(name) && can_be_given(name));
        kept.map(|&name| name.to_owned()).collect()
    };
    let mut names = base;
    for name in added {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    Ok(names)
}

fn normalise(names: &[String], all: &[String], member: &str) -> Result<Vec<String>, SpecError> {
    let normalise = |name: &String| {
        let upper = name.trim().to_ascii_uppercase();
        if upper == ALL || upper == "CAP_ALL" {
            return Ok(ALL.to_owned());
        }
        let full = if upper.starts_with("CAP_") { upper } else { format!("CAP_{upper}") };
        if all.contains(&full) {
            Ok(full)
        } else {
            Err(SpecError::invalid(format!("invalid {member}: unknown capability: \"{full}\"")))
        }
    };
    names.iter().map(normalise).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(add: &[&str], drop: &[&str], privileged: bool, available: u64) -> Vec<String> {
        let list = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        let config = HostConfig {
            cap_add: list(add),
            cap_drop: list(drop),
            privileged,
            ..HostConfig::default()
        };
        capabilities(&config, available).unwrap()
    }

    const EVERYTHING: u64 = (1 << 41) - 1;
    /// What a root without `CAP_SYS_RESOURCE` has.
    const LESS: u64 = EVERYTHING & !(1 << 24);

    #[test]
    fn what_is_dropped_is_gone_and_what_is_added_is_there() {
        assert_eq!(of(&[], &[], false, EVERYTHING), DEFAULT);
        let few = of(&["SYS_TIME", "cap_chown"], &["CHOWN", "mknod"], false, EVERYTHING);
        assert_eq!(few.len(), 14);
        assert!(few.contains(&"CAP_SYS_TIME".to_owned()) && few.contains(&"CAP_CHOWN".to_owned()));
        assert!(!few.contains(&"CAP_MKNOD".to_owned()));
        assert_eq!(of(&["NET_ADMIN"], &["ALL"], false, EVERYTHING), ["CAP_NET_ADMIN"]);
    }

    #[test]
    fn all_is_all_that_the_host_has() {
        assert_eq!(of(&["ALL"], &["CHOWN"], false, LESS).len(), 39);
        assert_eq!(of(&[], &[], true, LESS).len(), 40);
    }

    #[test]
    fn what_nobody_knows_and_what_cannot_be_had_is_refused_by_name() {
        for (name, words) in [
            ("nonsense", "invalid CapAdd: unknown capability: \"CAP_NONSENSE\""),
            ("SYS_RESOURCE", "invalid CapAdd: CAP_SYS_RESOURCE is not among"),
        ] {
            let config = HostConfig { cap_add: vec![name.to_owned()], ..HostConfig::default() };
            let error = capabilities(&config, LESS).unwrap_err().to_string();
            assert!(error.starts_with(words), "{error}");
        }
    }
}
