//! `--security-opt`, and what `--privileged` makes of it.

use serde_json::Value;

use super::super::seccomp::{Conditions, default, resolve};
use super::super::{HostConfig, SpecError};
use super::HostFacts;

/// What is said of one container.
#[derive(Debug, Default)]
pub(super) struct Security<'spec> {
    pub(super) no_new_privileges: bool,
    /// Only where AppArmor is.
    pub(super) apparmor_profile: Option<&'spec str>,
    profile: Profile<'spec>,
}

#[derive(Debug, Default)]
enum Profile<'spec> {
    #[default]
    Default,
    None,
    Own(&'spec str),
}

impl<'spec> Security<'spec> {
    /// # Errors
    ///
    /// A word that nobody knows, or one that this host cannot follow.
    pub(super) fn read(
        host_config: &'spec HostConfig,
        host: &HostFacts,
    ) -> Result<Self, SpecError> {
        let mut security = Self::default();
        if host_config.privileged {
            security.profile = Profile::None;
        }
        for option in &host_config.security_opt {
            security.read_one(option, host)?;
        }
        Ok(security)
    }

    fn read_one(&mut self, option: &'spec str, host: &HostFacts) -> Result<(), SpecError> {
        let bad = |what: &str| SpecError::invalid(format!("invalid --security-opt: {what:?}"));
        match option {
            "no-new-privileges" => {
                self.no_new_privileges = true;
                return Ok(());
            }
            "disable" => return Ok(()),
            _ => {}
        }
        // The colon is the old way to write it.
        let (key, value) =
            option.split_once('=').or_else(|| option.split_once(':')).ok_or_else(|| bad(option))?;
        match key {
            "seccomp" => {
                self.profile = match value {
                    "unconfined" => Profile::None,
                    "" | "builtin" => Profile::Default,
                    profile => Profile::Own(profile),
                };
            }
            "no-new-privileges" => {
                self.no_new_privileges = boolean(value).ok_or_else(|| bad(option))?;
            }
            "apparmor" if host.apparmor && !matches!(value, "" | "unconfined") => {
                self.apparmor_profile = Some(value);
            }
            // Where there is no AppArmor, docker takes no notice.
            "apparmor" => {}
            "label" if host.selinux && value != "disable" => {
                return Err(SpecError::unsupported(format!(
                    "--security-opt {option}: labels of SELinux are not supported yet"
                )));
            }
            "label" => {}
            _ => return Err(bad(option)),
        }
        Ok(())
    }

    /// The filter of system calls.
    pub(super) fn seccomp(
        &self,
        capabilities: &[String],
        host: &HostFacts,
    ) -> Result<Option<Value>, SpecError> {
        let conditions = Conditions { capabilities, kernel: host.kernel };
        match self.profile {
            Profile::Default => default(&conditions).map(Some),
            Profile::None => Ok(None),
            Profile::Own(profile) => resolve(profile, &conditions).map(Some),
        }
    }
}

/// As Go reads it.
fn boolean(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}
