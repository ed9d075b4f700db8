//! Connections from programs on this machine: a reverse proxy, or the daemon that pulls from `localhost`.
//!
//! A congestion control that sends at a pace of its own, as BBR does, finds that pace by how packets come through a
//! network. There is none here: what it measures is which of the two programs had a processor just then, and it takes
//! packets for lost that two processors sent in another order. Transfers take half as long again. So one that only
//! looks at losses is used here, whatever the system has for networks.

use std::fs;
use std::net::IpAddr;

use tokio::net::TcpStream;

/// Those that do not pace, the best first.
const UNPACED: [&str; 2] = ["cubic", "reno"];

/// How such connections are set up.
#[derive(Debug)]
pub(super) struct Loopback {
    /// What they use; nothing where the system uses no other for all.
    congestion_control: Option<&'static str>,
}

impl Loopback {
    /// As this system has it.
    pub(super) fn new() -> Self {
        let of_system = setting("tcp_congestion_control");
        // Others could not be had without the rights to load what is not there.
        let allowed = setting("tcp_allowed_congestion_control");
        Self { congestion_control: choose(of_system.trim(), &allowed) }
    }

    /// Sets a connection up, if it is one.
    pub(super) fn prepare(&self, stream: &TcpStream, remote: IpAddr) {
        if let Some(name) = self.congestion_control
            && remote.to_canonical().is_loopback()
        {
            use_instead(stream, name);
        }
    }
}

#[cfg(target_os = "linux")]
fn use_instead(stream: &TcpStream, congestion_control: &str) {
    // It works with the other one, too.
    let _ = rustix::net::sockopt::set_tcp_congestion(stream, congestion_control);
}

/// Elsewhere it is not known which there are.
#[cfg(not(target_os = "linux"))]
fn use_instead(_stream: &TcpStream, _congestion_control: &str) {}

fn choose(of_system: &str, allowed: &str) -> Option<&'static str> {
    if UNPACED.contains(&of_system) {
        return None;
    }
    UNPACED.into_iter().find(|name| allowed.split_whitespace().any(|word| word == *name))
}

fn setting(name: &str) -> String {
    fs::read_to_string(format!("/proc/sys/net/ipv4/{name}")).unwrap_or_default()
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    #[test]
    fn what_paces_is_replaced_by_what_may_be_used() {
        assert_eq!(choose("bbr", "reno cubic bbr"), Some("cubic"));
        assert_eq!(choose("bbr", "reno bbr"), Some("reno"));
        assert_eq!(choose("bbr", "bbr"), None);
        assert_eq!(choose("cubic", "reno cubic"), None);
        assert_eq!(choose("", ""), None);
    }

    #[tokio::test]
    async fn only_connections_of_this_machine_are_changed() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let _theirs = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (ours, remote) = listener.accept().await.unwrap();
        let used = || rustix::net::sockopt::tcp_congestion(&ours).unwrap();
        let before = used();
        let loopback = Loopback { congestion_control: Some("reno") };
        loopback.prepare(&ours, "192.0.2.1".parse().unwrap());
        assert_eq!(used(), before);
        loopback.prepare(&ours, remote.ip());
        assert_eq!(used(), "reno");
    }
}
