//! Which container has which address.
//!
//! A lease is a link named after the address that points to the id of its container, so it is taken
//! by whoever makes it first, without a lock, and a crash leaves nothing half done. The next lease
//! is looked for behind the last one: an address is used again as late as possible, and
//! finding one costs the same with two containers and with thousands.
//!
//! ```text
//! addresses/172.29.0.2 -> 3f2e…     a lease
//! addresses/last -> 172.29.0.2      the newest one
//! ```

use std::fs;
use std::io::{self, ErrorKind};
use std::net::Ipv4Addr;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use super::subnet::Subnet;

/// The leases of one subnet.
#[derive(Debug)]
pub(super) struct Addresses {
    folder: PathBuf,
}

impl Addresses {
    pub(super) fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// An address for a container; `None` when all are taken.
    pub(super) fn lease(&self, subnet: Subnet, container: &str) -> io::Result<Option<Ipv4Addr>> {
        let hosts = subnet.hosts();
        let last = self.last().and_then(|last| subnet.number(last)).unwrap_or(1);
        let after = (last + 1).clamp(hosts.start, hosts.end);
        for number in (after..hosts.end).chain(hosts.start..after) {
            let address = subnet.address(number);
            match symlink(container, self.path(address)) {
                Ok(()) => {
                    self.remember(address)?;
                    return Ok(Some(address));
                }
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }

    /// Gives an address back, if the container has it.
    pub(super) fn release(&self, address: Ipv4Addr, container: &str) -> io::Result<()> {
        let path = self.path(address);
        match fs::read_link(&path) {
            Ok(holder) if holder == Path::new(container) => remove(&path),
            _ => Ok(()),
        }
    }

    /// Gives back whatever addresses a container has, by a look at all leases.
    pub(super) fn release_all(&self, container: &str) -> io::Result<()> {
        for entry in fs::read_dir(&self.folder)? {
            let name = entry?.file_name();
            if let Some(address) = name.to_str().and_then(|name| name.parse().ok()) {
                self.release(address, container)?;
            }
        }
        Ok(())
    }

    fn path(&self, address: Ipv4Addr) -> PathBuf {
        self.folder.join(address.to_string())
    }

    fn last(&self) -> Option<Ipv4Addr> {
        fs::read_link(self.folder.join("last")).ok()?.to_str()?.parse().ok()
    }

    /// That is a hint, so of two who do it at the same time either may win.
    fn remember(&self, address: Ipv4Addr) -> io::Result<()> {
        let new = self.folder.join("last.new");
        match symlink(address.to_string(), &new) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        match fs::rename(&new, self.folder.join("last")) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn subnet() -> Subnet {
        "10.9.8.0/28".parse().unwrap()
    }

    #[test]
    fn every_container_has_an_address_of_its_own_until_none_is_left() {
        let folder = tempfile::tempdir().unwrap();
        let addresses = Addresses::new(folder.path().to_owned());
        let lease = |name: &str| addresses.lease(subnet(), name).unwrap();
        let first = lease("first").unwrap();
        assert_eq!(first, Ipv4Addr::new(10, 9, 8, 2));
        let others: HashSet<_> = (0..12).map(|n| lease(&format!("c{n}")).unwrap()).collect();
        assert_eq!(others.len(), 12);
        assert!(!others.contains(&Ipv4Addr::new(10, 9, 8, 15)), "the address of all");
        assert_eq!(lease("late"), None);

        addresses.release(first, "another").unwrap();
        assert_eq!(lease("late"), None);
        addresses.release(first, "first").unwrap();
        addresses.release(first, "first").unwrap();
        assert_eq!(lease("late"), Some(first));
        addresses.release_all("c0").unwrap();
        assert!(lease("later").is_some());
        assert_eq!(lease("latest"), None);
    }

    #[test]
    fn an_address_is_used_again_as_late_as_possible() {
        let folder = tempfile::tempdir().unwrap();
        let addresses = Addresses::new(folder.path().to_owned());
        let mut seen = Vec::new();
        for _ in 0..14 {
            let address = addresses.lease(subnet(), "one").unwrap().unwrap();
            addresses.release(address, "one").unwrap();
            seen.push(address);
        }
        assert_eq!(seen[0], seen[13]);
        assert_eq!(seen.iter().collect::<HashSet<_>>().len(), 13);
    }

    #[test]
    fn no_two_get_the_same_at_the_same_time() {
        let folder = tempfile::tempdir().unwrap();
        let addresses = Addresses::new(folder.path().to_owned());
        let subnet: Subnet = "10.9.0.0/24".parse().unwrap();
        let taken = std::thread::scope(|scope| {
            let lease = |thread: usize| {
                let addresses = &addresses;
                move || {
                    let name = |n| format!("{thread}-{n}");
                    (0..50).map(|n| addresses.lease(subnet, &name(n)).unwrap()).collect::<Vec<_>>()
                }
            };
            let threads: Vec<_> = (0..4).map(|thread| scope.spawn(lease(thread))).collect();
            threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect::<HashSet<_>>()
        });
        assert_eq!(taken.len(), 200);
    }
}
