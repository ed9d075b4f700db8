//! Opening what a plan needs of the host, once and before there is a process: what a container's
//! process works with are descriptors.

use std::fs::File;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::net::UnixListener;
use std::path::Path;

use rustix::fs::fstatfs;

use super::super::Result;
use super::super::config::Hook;
use super::super::config::linux::NamespaceKind;
use super::super::error::{Doing as _, Error};
use super::super::kernel::mount::{copy_of, map_ids, set_attributes};
use super::super::kernel::procfs::{PROC_SUPER_MAGIC, Procfs};
use super::super::plan::{MountPlan, Plan, Source};
use super::id_maps;
use super::network::NewNetwork;

/// All of it.
#[derive(Debug)]
pub(in crate::oci) struct Opened {
    pub(in crate::oci) procfs: Procfs,
    /// The tree of the container's root, mounted nowhere.
    pub(in crate::oci) root: OwnedFd,
    /// For each mount of the plan the trees that it attaches.
    pub(in crate::oci) trees: Vec<Vec<OwnedFd>>,
    /// Namespaces to join: those of the plan, and new ones that are made already.
    pub(in crate::oci) namespaces: Vec<(NamespaceKind, OwnedFd)>,
    pub(in crate::oci) around: Surroundings,
}

/// What is not in the plan: how the command was called, and what it has begun.
#[derive(Debug)]
pub(in crate::oci) struct Surroundings {
    /// The network namespace, where one is being made.
    pub(in crate::oci) network: Option<NewNetwork>,
    /// Where the process waits for `start`; without it, it goes on at once.
    pub(in crate::oci) start: Option<UnixListener>,
    /// Where the terminal goes to.
    pub(in crate::oci) console: Option<OwnedFd>,
    /// How many descriptors the process gets from 3 on.
    pub(in crate::oci) preserved: u32,
    pub(in crate::oci) pivot: bool,
    pub(in crate::oci) new_keyring: bool,
    /// Whether anything runs in the host's namespaces before the root is changed.
    pub(in crate::oci) host_hooks: bool,
    pub(in crate::oci) create_container: Vec<Hook>,
    pub(in crate::oci) start_container: Vec<Hook>,
}

impl Opened {
    pub(in crate::oci) fn new(plan: &Plan, mut around: Surroundings) -> Result<Self> {
        let root = copy_of(&plan.root.path, true);
        let root = root.doing(|| format!("open the root {}", plan.root.path.display()))?;
        let mut namespaces = Vec::with_capacity(plan.namespaces.joined.len());
        for (kind, path) in &plan.namespaces.joined {
            let namespace = File::open(path);
            let namespace = namespace.doing(|| format!("open the namespace {}", path.display()))?;
            namespaces.push((*kind, namespace.into()));
        }
        let procfs = Procfs::open().doing(|| "open /proc")?;
        let trees = plan.root.mounts.iter().map(trees).collect::<Result<_>>()?;
        // Last: it is waited for.
        if let Some(network) = around.network.take() {
            namespaces.push((NamespaceKind::Network, network.finish()?));
        }
        Ok(Self { procfs, root, trees, namespaces, around })
    }
}

fn trees(mount: &MountPlan) -> Result<Vec<OwnedFd>> {
    match &mount.source {
        Source::FileSystem { .. } => Ok(Vec::new()),
        Source::Bind { path, recursive } => Ok(vec![tree(mount, path, *recursive)?]),
        Source::Cgroups(views) => views.iter().map(|view| tree(mount, &view.path, false)).collect(),
    }
}

fn tree(mount: &MountPlan, path: &Path, recursive: bool) -> Result<OwnedFd> {
    let doing = || format!("mount {} on {}", path.display(), mount.destination.display());
    let tree = copy_of(path, recursive).doing(doing)?;
    if let Some(ids) = &mount.ids {
        map_ids(tree.as_fd(), id_maps::namespace(ids)?.as_fd(), recursive).doing(doing)?;
    }
    set_attributes(tree.as_fd(), mount.recursive_attributes, true).doing(doing)?;
    set_attributes(tree.as_fd(), mount.attributes, false).doing(doing)?;
    if mount.destination == Path::new("/proc")
        && fstatfs(&tree).doing(doing)?.f_type as u64 != PROC_SUPER_MAGIC
    {
        return Err(Error::invalid("mounts: only a procfs can be mounted on /proc"));
    }
    Ok(tree)
}
