//! Filters of system calls in docker's form, and what they come to for one container.
//!
//! A rule of such a profile may depend on the capabilities of the container, on the architecture and
//! on the version of the kernel. The OCI runtime knows no conditions, so they are decided here.
//!
//! `default.json` is the default profile of the Moby project, [moby/profiles] version `seccomp/v0.2.3`,
//! under the Apache License 2.0; the arrangement alone is ours.
//!
//! [moby/profiles]: https://github.com/moby/profiles

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::SpecError;

const DEFAULT: &str = include_str!("default.json");

/// What rules depend on.
pub(super) struct Conditions<'spec> {
    /// By name, with `CAP_`.
    pub(super) capabilities: &'spec [String],
    /// Major and minor version.
    pub(super) kernel: (u32, u32),
}

/// The filter that the project gives to every container.
pub(super) fn default(conditions: &Conditions<'_>) -> Result<Value, SpecError> {
    resolve(DEFAULT, conditions)
}

/// The filter of a profile in docker's form, as `linux.seccomp` of a configuration has it.
pub(super) fn resolve(profile: &str, conditions: &Conditions<'_>) -> Result<Value, SpecError> {
    let profile: Profile = serde_json::from_str(profile)
        .map_err(|error| SpecError::invalid(format!("decoding seccomp profile failed: {error}")))?;
    profile.resolve(conditions)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Profile {
    default_action: String,
    #[serde(default)]
    default_errno_ret: Option<u32>,
    #[serde(default)]
    architectures: Option<Vec<String>>,
    #[serde(default)]
    arch_map: Option<Vec<ArchMap>>,
    #[serde(default)]
    flags: Option<Vec<String>>,
    #[serde(default)]
    listener_path: Option<String>,
    #[serde(default)]
    listener_metadata: Option<String>,
    #[serde(default)]
    syscalls: Option<Vec<Rule>>,
}

/// The architectures that programs of one can call as well.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ArchMap {
    architecture: String,
    #[serde(default)]
    sub_architectures: Option<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Rule {
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    names: Option<Vec<String>>,
    action: String,
    #[serde(default)]
    errno_ret: Option<u32>,
    #[serde(default)]
    args: Option<Vec<Value>>,
    #[serde(default)]
    includes: Option<Condition>,
    #[serde(default)]
    excludes: Option<Condition>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Condition {
    caps: Option<Vec<String>>,
    arches: Option<Vec<String>>,
    min_kernel: Option<String>,
}

impl Profile {
    fn resolve(self, conditions: &Conditions<'_>) -> Result<Value, SpecError> {
        let refused = |what: &str| SpecError::invalid(what.to_owned());
        let architectures = match (self.architectures, self.arch_map) {
            (Some(own), Some(map)) if !own.is_empty() && !map.is_empty() => {
                return Err(refused(
                    "both 'architectures' and 'archMap' are specified in the seccomp profile, use either 'architectures' or 'archMap'",
                ));
            }
            (Some(own), _) if !own.is_empty() => own,
            (_, map) => map
                .into_iter()
                .flatten()
                .find(|map| map.architecture == NATIVE)
                .map(|map| {
                    let others = map.sub_architectures.into_iter().flatten();
                    std::iter::once(map.architecture).chain(others).collect()
                })
                .unwrap_or_default(),
        };
        let mut syscalls = Vec::new();
        for rule in self.syscalls.into_iter().flatten() {
            if rule.applies(conditions)? {
                syscalls.push(rule.resolved()?);
            }
        }
        let mut resolved = Map::new();
        resolved.insert("defaultAction".to_owned(), self.default_action.into());
        for (name, value) in [
            ("defaultErrnoRet", self.default_errno_ret.map(Value::from)),
            ("architectures", (!architectures.is_empty()).then(|| architectures.into())),
            ("flags", self.flags.filter(|flags| !flags.is_empty()).map(Value::from)),
            ("listenerPath", self.listener_path.map(Value::from)),
            ("listenerMetadata", self.listener_metadata.map(Value::from)),
            ("syscalls", (!syscalls.is_empty()).then(|| syscalls.into())),
        ] {
            if let Some(value) = value {
                resolved.insert(name.to_owned(), value);
            }
        }
        Ok(resolved.into())
    }
}

impl Rule {
    fn applies(&self, conditions: &Conditions<'_>) -> Result<bool, SpecError> {
        let has = |cap: &String| conditions.capabilities.contains(cap);
        if let Some(excludes) = &self.excludes {
            let excluded = excludes.arches().any(|arch| arch == ARCHITECTURE)
                || excludes.caps().any(has)
                || excludes.is_old_enough(conditions)?.unwrap_or(false);
            if excluded {
                return Ok(false);
            }
        }
        let Some(includes) = &self.includes else { return Ok(true) };
        let mut arches = includes.arches().peekable();
        Ok((arches.peek().is_none() || arches.any(|arch| arch == ARCHITECTURE))
            && includes.caps().all(has)
            && includes.is_old_enough(conditions)?.unwrap_or(true))
    }

    fn resolved(self) -> Result<Value, SpecError> {
        let names = match (self.name, self.names) {
            (Some(_), Some(names)) if !names.is_empty() => {
                return Err(SpecError::invalid(
                    "both 'name' and 'names' are specified in the seccomp profile, use either 'name' or 'names'",
                ));
            }
            (Some(name), _) => vec![name],
            (None, names) => names.unwrap_or_default(),
        };
        let mut resolved = json!({"names": names, "action": self.action});
        if let Some(number) = self.errno_ret {
            resolved["errnoRet"] = number.into();
        }
        if let Some(args) = self.args.filter(|args| !args.is_empty()) {
            resolved["args"] = args.into();
        }
        Ok(resolved)
    }
}

impl Condition {
    fn caps(&self) -> impl Iterator<Item = &String> {
        self.caps.iter().flatten()
    }

    fn arches(&self) -> impl Iterator<Item = &String> {
        self.arches.iter().flatten()
    }

    /// Whether the kernel is what the rule wants at least, where it wants that.
    fn is_old_enough(&self, conditions: &Conditions<'_>) -> Result<Option<bool>, SpecError> {
        let Some(wanted) = &self.min_kernel else { return Ok(None) };
        let parsed = wanted
            .split_once('.')
            .and_then(|(major, minor)| Some((major.parse().ok()?, minor.parse().ok()?)));
        let wanted: (u32, u32) = parsed.ok_or_else(|| {
            SpecError::invalid(format!("seccomp profile: invalid kernel version: {wanted:?}"))
        })?;
        Ok(Some(conditions.kernel >= wanted))
    }
}

/// As Go calls it.
#[cfg(target_arch = "x86_64")]
const ARCHITECTURE: &str = "amd64";
#[cfg(target_arch = "aarch64")]
const ARCHITECTURE: &str = "arm64";

/// As libseccomp calls it.
#[cfg(target_arch = "x86_64")]
const NATIVE: &str = "SCMP_ARCH_X86_64";
#[cfg(target_arch = "aarch64")]
const NATIVE: &str = "SCMP_ARCH_AARCH64";

#[cfg(test)]
mod tests {
    use super::*;

    fn names_with(profile: &str, capabilities: &[&str], kernel: (u32, u32)) -> Vec<String> {
        let capabilities: Vec<String> = capabilities.iter().map(|&name| name.to_owned()).collect();
        let conditions = Conditions { capabilities: &capabilities, kernel };
        let filter = resolve(profile, &conditions).unwrap();
        let rules = filter["syscalls"].as_array().cloned().unwrap_or_default();
        rules
            .iter()
            .filter(|rule| rule["action"] == "SCMP_ACT_ALLOW" && rule.get("args").is_none())
            .flat_map(|rule| rule["names"].as_array().unwrap().clone())
            .map(|name| name.as_str().unwrap().to_owned())
            .collect()
    }

    #[test]
    fn calls_come_with_the_capability_that_they_need() {
        let has = |capabilities: &[&str], name: &str| {
            names_with(DEFAULT, capabilities, (6, 1)).iter().any(|known| known == name)
        };
        assert!(has(&[], "read"));
        for (name, capability) in
            [("mount", "CAP_SYS_ADMIN"), ("reboot", "CAP_SYS_BOOT"), ("chroot", "CAP_SYS_CHROOT")]
        {
            assert!(!has(&[], name), "{name}");
            assert!(has(&[capability], name), "{name}");
        }
    }

    #[test]
    fn a_call_that_would_hide_its_flags_does_not_exist_unless_all_is_allowed() {
        let filter = |capabilities: &[String]| {
            default(&Conditions { capabilities, kernel: (6, 1) }).unwrap().to_string()
        };
        let clone3 = r#"{"action":"SCMP_ACT_ERRNO","errnoRet":38,"names":["clone3"]}"#;
        assert!(filter(&[]).contains(clone3));
        assert!(!filter(&["CAP_SYS_ADMIN".to_owned()]).contains(clone3));
    }

    #[test]
    fn an_old_kernel_has_no_ptrace() {
        let has = |kernel| names_with(DEFAULT, &[], kernel).contains(&"ptrace".to_owned());
        assert_eq!([has((4, 7)), has((4, 8)), has((5, 0))], [false, true, true]);
    }

    #[test]
    fn the_runtime_understands_the_default() {
        let filter = default(&Conditions { capabilities: &[], kernel: (6, 1) }).unwrap();
        let size = crate::oci::check_seccomp(filter.to_string().as_bytes()).unwrap();
        assert!(size > 300, "{size}");
    }

    #[test]
    fn two_ways_to_say_the_same_are_refused() {
        let conditions = Conditions { capabilities: &[], kernel: (6, 1) };
        for profile in [
            r#"{"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86"],
                "archMap": [{"architecture": "SCMP_ARCH_X86_64"}]}"#,
            r#"{"defaultAction": "SCMP_ACT_ALLOW",
                "syscalls": [{"name": "a", "names": ["b"], "action": "SCMP_ACT_ERRNO"}]}"#,
            "[]",
        ] {
            assert!(resolve(profile, &conditions).is_err(), "{profile}");
        }
    }
}
