//! Which cgroups the host has, and where this process is in them.

use std::path::{Component, Path, PathBuf};

use rustix::fs::statfs;

use super::super::Result;
use super::super::error::{Doing as _, Error};

/// Where every distribution mounts them.
const ROOT: &str = "/sys/fs/cgroup";
/// What `statfs` calls the two versions.
const CGROUP_SUPER_MAGIC: u64 = 0x27_e0eb;
const CGROUP2_SUPER_MAGIC: u64 = 0x6367_7270;

/// The cgroups of the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Layout {
    /// Version 2 alone.
    Unified(Tree),
    /// A tree of version 1 for each controller, or for a few together.
    Legacy(Vec<Tree>),
}

/// One tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tree {
    /// Empty for version 2; a named tree without controllers has `name=` before its name.
    pub(crate) controllers: Vec<String>,
    pub(crate) mount: PathBuf,
    /// Where this process is, relative to the mount.
    pub(crate) own: PathBuf,
}

impl Layout {
    /// That of this machine.
    pub(crate) fn detect() -> Result<Self> {
        let own = std::fs::read_to_string("/proc/self/cgroup");
        let own = own.doing(|| "read /proc/self/cgroup")?;
        let magic = |path: &Path| statfs(path).map_or(0, |found| found.f_type as u64);
        Self::read(&own, Path::new(ROOT), magic)
    }

    /// Of a host that has none, for whoever only wants to know whether a configuration makes sense.
    pub(crate) fn without_controllers() -> Self {
        Self::Legacy(Vec::new())
    }

    fn read(own: &str, root: &Path, magic: impl Fn(&Path) -> u64) -> Result<Self> {
        let lines = own.lines().filter_map(|line| {
            let (_, rest) = line.split_once(':')?;
            let (controllers, path) = rest.split_once(':')?;
            Some((controllers, PathBuf::from(path.trim_start_matches('/'))))
        });
        if magic(root) == CGROUP2_SUPER_MAGIC {
            let own = lines.into_iter().find(|(controllers, _)| controllers.is_empty());
            let own = own.map(|(_, own)| own).unwrap_or_default();
            return Ok(Self::Unified(Tree { controllers: Vec::new(), mount: root.into(), own }));
        }
        let trees: Vec<Tree> = lines
            .filter(|(controllers, _)| !controllers.is_empty())
            .map(|(controllers, own)| Tree {
                mount: root.join(controllers.strip_prefix("name=").unwrap_or(controllers)),
                controllers: controllers.split(',').map(str::to_owned).collect(),
                own,
            })
            .filter(|tree| magic(&tree.mount) == CGROUP_SUPER_MAGIC)
            .collect();
        if trees.is_empty() {
            return Err(Error::unsupported(format!(
                "no cgroups are mounted in {}",
                root.display()
            )));
        }
        Ok(Self::Legacy(trees))
    }
}

/// Where in a tree something is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    FromRoot(PathBuf),
    FromOwn(PathBuf),
}

impl Place {
    pub(super) fn parse(path: &str, id: &str) -> Result<Self> {
        if path.is_empty() {
            return Ok(Self::FromOwn(id.into()));
        }
        let path = Path::new(path);
        if path.components().any(|component| matches!(component, Component::ParentDir)) {
            return Err(Error::invalid(format!("linux.cgroupsPath: {} has ..", path.display())));
        }
        if !path.components().any(|component| matches!(component, Component::Normal(_))) {
            return Err(Error::invalid(
                "linux.cgroupsPath: / is that of the host, whose processes would end with the container",
            ));
        }
        if path.to_string_lossy().contains(".slice:") {
            return Err(Error::unsupported(format!(
                "linux.cgroupsPath: {} is for systemd, and cgroups are made in the file system here: \
                 have the engine use its cgroupfs driver",
                path.display()
            )));
        }
        Ok(match path.strip_prefix("/") {
            Ok(path) => Self::FromRoot(path.into()),
            Err(_) => Self::FromOwn(path.into()),
        })
    }

    pub(super) fn within(&self, tree: &Tree) -> PathBuf {
        match self {
            Self::FromRoot(path) => tree.mount.join(path),
            Self::FromOwn(path) => tree.mount.join(&tree.own).join(path),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(controllers: &[&str], mount: &str, own: &str) -> Tree {
        Tree {
            controllers: controllers.iter().map(|&name| name.to_owned()).collect(),
            mount: mount.into(),
            own: own.into(),
        }
    }

    #[test]
    fn one_tree_for_all_is_version_2() {
        let layout = Layout::read("0::/user.slice/a\n", Path::new("/c"), |_| CGROUP2_SUPER_MAGIC);
        assert_eq!(layout.unwrap(), Layout::Unified(tree(&[], "/c", "user.slice/a")));
    }

    #[test]
    fn trees_by_controller_are_version_1_and_one_of_version_2_beside_them_is_left_alone() {
        let own = "9:name=systemd:/x\n4:memory:/a/b\n2:cpu,cpuacct:/\n1:net_cls:/\n0::/y\n";
        let mounted = |path: &Path| match path.to_str() {
            Some("/c/systemd" | "/c/memory" | "/c/cpu,cpuacct") => CGROUP_SUPER_MAGIC,
            _ => 0x0102_1994,
        };
        let trees = vec![
            tree(&["name=systemd"], "/c/systemd", "x"),
            tree(&["memory"], "/c/memory", "a/b"),
            tree(&["cpu", "cpuacct"], "/c/cpu,cpuacct", ""),
        ];
        assert_eq!(Layout::read(own, Path::new("/c"), mounted).unwrap(), Layout::Legacy(trees));
    }

    #[test]
    fn a_host_without_cgroups_is_refused() {
        assert!(Layout::read("0::/\n", Path::new("/c"), |_| 0).is_err());
    }

    #[test]
    fn places_are_from_the_root_or_from_here_and_never_above() {
        let tree = tree(&["memory"], "/c/memory", "own");
        let place = |path| Place::parse(path, "id").unwrap().within(&tree);
        assert_eq!(place("/docker/id"), Path::new("/c/memory/docker/id"));
        assert_eq!(place("below/id"), Path::new("/c/memory/own/below/id"));
        assert_eq!(place(""), Path::new("/c/memory/own/id"));
        assert!(Place::parse("/a/../../b", "id").is_err());
        assert!(Place::parse("/", "id").is_err());
        assert!(Place::parse("/./", "id").is_err());
        assert!(Place::parse("system.slice:docker:id", "id").is_err());
    }
}
