//! The files of a container that say who it is and whom it asks for names: `/etc/hosts`,
//! `/etc/hostname` and `/etc/resolv.conf`.

mod hosts;
mod resolver;

pub use hosts::{ExtraHost, HostAddress, host_hosts, hosts};
pub use resolver::{ResolverOptions, parse_dns, resolv_conf};

/// The content of `/etc/hostname`.
#[must_use]
pub fn hostname(name: &str) -> String {
    format!("{name}\n")
}
