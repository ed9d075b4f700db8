//! Ports for the servers that the tests start.

use std::net::{Ipv4Addr, TcpListener};
use std::ops::Range;
use std::process;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context as _, Result};

/// Below those that the system hands out by itself: neither a listener on port 0 nor a connection gets one of these
/// between the moment it is found to be free and the one in which a server listens on it.
const PORTS: Range<u16> = 20_000..32_768;

/// A loopback port that is free now, and that this process is not given again before it has been given all others.
///
/// # Errors
///
/// None of them is free.
pub fn free_port() -> Result<u16> {
    static GIVEN: AtomicUsize = AtomicUsize::new(0);
    // Processes that run beside each other begin at different ones.
    let first = process::id() as usize * 101;
    let next = || PORTS.clone().nth((first + GIVEN.fetch_add(1, Ordering::Relaxed)) % PORTS.len());
    let is_free = |port: &u16| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok();
    (0..PORTS.len())
        .filter_map(|_| next())
        .find(is_free)
        .with_context(|| format!("no port of {PORTS:?} is free"))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn no_port_is_given_twice() {
        let given: HashSet<u16> = (0..1_000).map(|_| free_port().unwrap()).collect();
        assert_eq!(given.len(), 1_000);
    }

    #[test]
    fn a_port_that_is_taken_is_not_given() {
        let taken = free_port().unwrap();
        let _server = TcpListener::bind((Ipv4Addr::LOCALHOST, taken)).unwrap();
        assert!((0..PORTS.len() - 1).all(|_| free_port().unwrap() != taken));
    }
}
