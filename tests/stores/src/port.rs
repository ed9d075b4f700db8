//! Ports for the servers that the tests start.

use std::net::{Ipv4Addr, TcpListener};
use std::ops::Range;
use std::process;
use std::sync::LazyLock;
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
    // Processes that run beside each other begin at different ones.
    static NEXT: LazyLock<AtomicUsize> =
        LazyLock::new(|| AtomicUsize::new(process::id() as usize * 101));
    next_free(&PORTS, &NEXT)
}

fn next_free(ports: &Range<u16>, next: &AtomicUsize) -> Result<u16> {
    (0..ports.len())
        .filter_map(|_| ports.clone().nth(next.fetch_add(1, Ordering::Relaxed) % ports.len()))
        .find(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok())
        .with_context(|| format!("no port of {ports:?} is free"))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn no_port_is_given_twice() {
        let next = AtomicUsize::new(0);
        let given: HashSet<u16> = (0..1_000).map(|_| next_free(&PORTS, &next).unwrap()).collect();
        assert_eq!(given.len(), 1_000);
    }

    #[test]
    fn a_port_that_is_taken_is_not_given() {
        let server = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let taken = server.local_addr().unwrap().port();
        next_free(&(taken..taken + 1), &AtomicUsize::new(0)).unwrap_err();
    }
}
