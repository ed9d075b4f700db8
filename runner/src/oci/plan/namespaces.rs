//! Which namespaces are new, and which are joined.

use std::path::PathBuf;

use super::super::config::linux::{IdMapping, Linux, NamespaceKind, TimeOffset};
use super::super::{Error, Result};

/// All namespaces of a container that are not the runtime's.
#[derive(Debug, Default)]
pub(in crate::oci) struct NamespacePlan {
    new: Vec<NamespaceKind>,
    /// By kind, in the order in which they are joined: whoever is in a user namespace has the
    /// rights there to join the others.
    pub(in crate::oci) joined: Vec<(NamespaceKind, PathBuf)>,
    pub(in crate::oci) ids: IdMaps,
    /// Lines for `timens_offsets`.
    pub(in crate::oci) time_offsets: Vec<String>,
}

/// The ids of a new user namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::oci) struct IdMaps {
    pub(in crate::oci) uids: Vec<IdMapping>,
    pub(in crate::oci) gids: Vec<IdMapping>,
}

impl IdMaps {
    /// As `uid_map` and `gid_map` are written.
    pub(in crate::oci) fn lines(mappings: &[IdMapping]) -> String {
        let line = |mapping: &IdMapping| {
            format!("{} {} {}\n", mapping.container_id, mapping.host_id, mapping.size)
        };
        mappings.iter().map(line).collect()
    }
}

impl NamespacePlan {
    pub(super) fn new(linux: &Linux) -> Result<Self> {
        let mut plan = Self::default();
        for namespace in &linux.namespaces {
            let kind = namespace.kind;
            if plan.has(kind) {
                return Err(Error::invalid(format!("linux.namespaces: {kind:?} is there twice")));
            }
            if namespace.path.as_os_str().is_empty() {
                plan.new.push(kind);
            } else if namespace.path.is_absolute() {
                plan.joined.push((kind, namespace.path.clone()));
            } else {
                return Err(Error::invalid(format!(
                    "linux.namespaces: {} is not absolute",
                    namespace.path.display()
                )));
            }
        }
        plan.joined.sort();
        plan.ids = IdMaps { uids: linux.uid_mappings.clone(), gids: linux.gid_mappings.clone() };
        let has_maps = !plan.ids.uids.is_empty() && !plan.ids.gids.is_empty();
        if plan.is_new(NamespaceKind::User) && !has_maps {
            return Err(Error::invalid(
                "linux.namespaces: a new user namespace needs uidMappings and gidMappings",
            ));
        }
        if !plan.has(NamespaceKind::User) && plan.ids != IdMaps::default() {
            return Err(Error::invalid(
                "linux.uidMappings and linux.gidMappings are those of a user namespace, and there is none",
            ));
        }
        for (clock, TimeOffset { secs, nanosecs }) in &linux.time_offsets {
            if !plan.is_new(NamespaceKind::Time)
                || !matches!(clock.as_str(), "monotonic" | "boottime")
            {
                return Err(Error::invalid(
                    "linux.timeOffsets are those of monotonic and boottime in a new time namespace",
                ));
            }
            plan.time_offsets.push(format!("{clock} {secs} {nanosecs}\n"));
        }
        Ok(plan)
    }

    /// Whether there is one that is not the runtime's.
    fn has(&self, kind: NamespaceKind) -> bool {
        self.is_new(kind) || self.joined.iter().any(|(joined, _)| *joined == kind)
    }

    pub(in crate::oci) fn is_new(&self, kind: NamespaceKind) -> bool {
        self.new.contains(&kind)
    }

    pub(super) fn has_uts(&self) -> bool {
        self.has(NamespaceKind::Uts)
    }

    pub(super) fn has_ipc(&self) -> bool {
        self.has(NamespaceKind::Ipc)
    }

    pub(super) fn has_network(&self) -> bool {
        self.has(NamespaceKind::Network)
    }

    pub(in crate::oci) fn has_user(&self) -> bool {
        self.has(NamespaceKind::User)
    }

    pub(super) fn has_cgroup(&self) -> bool {
        self.has(NamespaceKind::Cgroup)
    }

    /// Every kind that is not the runtime's.
    pub(in crate::oci) fn kinds(&self) -> Vec<NamespaceKind> {
        self.new.iter().copied().chain(self.joined.iter().map(|(kind, _)| *kind)).collect()
    }

    /// The `CLONE_NEW*` of those that a process is cloned into, but for those that are `made` already. That of cgroups
    /// would have the runtime's own for its root, so the process makes it when it is in its place; that of time is made
    /// before.
    pub(in crate::oci) fn clone_flags(&self, made: &[NamespaceKind]) -> u64 {
        let flag = |kind: &NamespaceKind| match kind {
            NamespaceKind::User => libc::CLONE_NEWUSER as u64,
            NamespaceKind::Pid => libc::CLONE_NEWPID as u64,
            NamespaceKind::Network => libc::CLONE_NEWNET as u64,
            NamespaceKind::Mount => libc::CLONE_NEWNS as u64,
            NamespaceKind::Ipc => libc::CLONE_NEWIPC as u64,
            NamespaceKind::Uts => libc::CLONE_NEWUTS as u64,
            NamespaceKind::Cgroup | NamespaceKind::Time => 0,
        };
        self.new.iter().filter(|kind| !made.contains(kind)).map(flag).sum()
    }
}
