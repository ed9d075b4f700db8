//! A new network namespace, which takes the kernel longer to make than all others: a thread makes it while the rest of
//! the container is made ready.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::thread::{Builder, JoinHandle};

use rustix::thread::UnshareFlags;

use super::super::Result;
use super::super::config::linux::NamespaceKind;
use super::super::error::{Doing as _, Error};
use super::super::kernel::processors::Others;
use super::super::kernel::task::{raise_loopback, unshare};
use super::super::plan::Plan;

/// What the thread needs of a stack, several times over; the default is made and unmade for longer.
const STACK: usize = 128 << 10;

/// One that is being made. The thread ends by itself, whether or not somebody waits for it.
#[derive(Debug)]
pub(in crate::oci) struct NewNetwork(JoinHandle<Result<OwnedFd>>);

impl NewNetwork {
    /// Begins to make the one of a plan. `None` where cloning has to make it: there is none, or it belongs to a user
    /// namespace that does not exist yet, or there is no second processor.
    pub(in crate::oci) fn begin(plan: &Plan) -> Option<Self> {
        let namespaces = &plan.namespaces;
        if !namespaces.is_new(NamespaceKind::Network) || namespaces.has_user() {
            return None;
        }
        let others = Others::find()?;
        let thread = Builder::new().stack_size(STACK).spawn(make).ok()?;
        others.take(&thread);
        Some(Self(thread))
    }

    /// Waits until it is there, its loopback interface raised.
    pub(super) fn finish(self) -> Result<OwnedFd> {
        self.0
            .join()
            .map_err(|_| Error::Init("the thread that makes the network died".to_owned()))?
    }
}

fn make() -> Result<OwnedFd> {
    unshare(UnshareFlags::NEWNET).doing(|| "make a network namespace")?;
    raise_loopback().doing(|| "raise the loopback interface")?;
    let namespace = File::open("/proc/thread-self/ns/net");
    Ok(namespace.doing(|| "open the network namespace")?.into())
}
