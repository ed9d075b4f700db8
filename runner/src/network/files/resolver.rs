//! `/etc/resolv.conf`, and `--dns`, `--dns-search`, `--dns-option`.

use std::fmt::Write as _;
use std::fs;
use std::net::IpAddr;

use crate::network::NetworkError;

/// Where a machine with systemd-resolved keeps the servers that its own resolver asks.
const UPSTREAM: &str = "/run/systemd/resolve/resolv.conf";

/// Asked where nothing else can be, as docker does.
const PUBLIC: [&str; 2] = ["8.8.8.8", "8.8.4.4"];
const PUBLIC_IPV6: [&str; 2] = ["2001:4860:4860::8888", "2001:4860:4860::8844"];

/// What is asked for instead of what the host has.
#[derive(Clone, Copy, Debug, Default)]
pub struct ResolverOptions<'a> {
    /// The servers of `--dns`.
    pub servers: &'a [String],
    /// The domains of `--dns-search`; a single `.` means none.
    pub search: &'a [String],
    /// The options of `--dns-option`.
    pub options: &'a [String],
    /// Whether the container reaches what listens on the host's loopback: it is in its network.
    pub reaches_loopback: bool,
    /// Whether it can ask servers by IPv6.
    pub ipv6: bool,
}

/// Checks an argument of `--dns`.
///
/// # Errors
///
/// In docker's words, that it is no address.
pub fn parse_dns(text: &str) -> Result<IpAddr, NetworkError> {
    text.trim().parse().map_err(|_| {
        NetworkError::Invalid(format!("IP address is not correctly formatted: {text}"))
    })
}

/// The `/etc/resolv.conf` of a container.
#[must_use]
pub fn resolv_conf(options: &ResolverOptions<'_>) -> String {
    let read = |path| fs::read_to_string(path).unwrap_or_default();
    let host = read("/etc/resolv.conf");
    // The stub of systemd-resolved listens where no container reaches it; who it asks is known.
    let is_stub = Host::parse(&host).servers == ["127.0.0.53"];
    let host = if is_stub && !options.reaches_loopback { read(UPSTREAM) } else { host };
    compose(options, &host)
}

fn compose(options: &ResolverOptions<'_>, host: &str) -> String {
    let host = Host::parse(host);
    let servers = if options.servers.is_empty() { usable(&host, options) } else { chosen(options) };
    let search = or_host(options.search, &host.search);
    let search: Vec<_> = search.into_iter().filter(|domain| *domain != ".").collect();
    let settings = or_host(options.options, &host.options);

    let mut text = String::new();
    for server in servers {
        let _ = writeln!(text, "nameserver {server}");
    }
    if !search.is_empty() {
        let _ = writeln!(text, "search {}", search.join(" "));
    }
    if !settings.is_empty() {
        let _ = writeln!(text, "options {}", settings.join(" "));
    }
    text
}

fn chosen<'a>(options: &ResolverOptions<'a>) -> Vec<&'a str> {
    options.servers.iter().map(String::as_str).collect()
}

fn or_host<'a>(asked: &'a [String], host: &[&'a str]) -> Vec<&'a str> {
    if asked.is_empty() { host.to_vec() } else { asked.iter().map(String::as_str).collect() }
}

/// The servers of the host that the container can ask, or public ones.
fn usable<'a>(host: &Host<'a>, options: &ResolverOptions<'_>) -> Vec<&'a str> {
    if options.reaches_loopback {
        return host.servers.clone();
    }
    let can_be_asked = |server: &&str| match server.parse() {
        Ok(IpAddr::V4(address)) => !address.is_loopback(),
        // What is bound to an interface of the host has a name behind a `%`, and is no address here.
        Ok(IpAddr::V6(address)) => options.ipv6 && !address.is_loopback(),
        Err(_) => false,
    };
    let servers: Vec<_> = host.servers.iter().copied().filter(can_be_asked).collect();
    match servers.is_empty() {
        false => servers,
        true if options.ipv6 => [PUBLIC, PUBLIC_IPV6].concat(),
        true => PUBLIC.to_vec(),
    }
}

/// What a `resolv.conf` says.
#[derive(Debug, Default)]
struct Host<'a> {
    servers: Vec<&'a str>,
    search: Vec<&'a str>,
    options: Vec<&'a str>,
}

impl<'a> Host<'a> {
    fn parse(text: &'a str) -> Self {
        let mut host = Self::default();
        for line in text.lines() {
            let mut words = line.split_ascii_whitespace();
            match words.next() {
                Some("nameserver") => host.servers.extend(words.next()),
                // The last one counts.
                Some("search" | "domain") => host.search = words.collect(),
                Some("options") => host.options.extend(words),
                _ => {}
            }
        }
        host
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOST: &str = "\
# Made by somebody.
nameserver 127.0.0.1
nameserver 10.0.0.53 # a comment
nameserver fe80::1%eth0
nameserver 2001:db8::53
domain old.example
search example.com lan
options edns0
options ndots:2
";

    #[test]
    fn a_loopback_of_the_host_is_left_out() {
        let text = compose(&ResolverOptions::default(), HOST);
        assert_eq!(text, "nameserver 10.0.0.53\nsearch example.com lan\noptions edns0 ndots:2\n");
        let text = compose(&ResolverOptions { ipv6: true, ..ResolverOptions::default() }, HOST);
        assert!(
            text.starts_with("nameserver 10.0.0.53\nnameserver 2001:db8::53\nsearch "),
            "{text}"
        );
    }

    #[test]
    fn where_no_server_is_left_public_ones_are_asked() {
        for host in ["nameserver 127.0.0.53\n", ""] {
            let text = compose(&ResolverOptions::default(), host);
            assert_eq!(text, "nameserver 8.8.8.8\nnameserver 8.8.4.4\n");
        }
    }

    #[test]
    fn who_is_in_the_hosts_network_asks_whom_the_host_asks() {
        let options = ResolverOptions { reaches_loopback: true, ..ResolverOptions::default() };
        let text = compose(&options, "nameserver 127.0.0.53\n");
        assert_eq!(text, "nameserver 127.0.0.53\n");
    }

    #[test]
    fn what_is_asked_for_counts_more_than_what_the_host_has() {
        let words =
            |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        let (servers, search) = (words(&["127.0.0.1", "9.9.9.9"]), words(&["inside.example"]));
        let settings = words(&["timeout:1"]);
        let options = ResolverOptions {
            servers: &servers,
            search: &search,
            options: &settings,
            ..ResolverOptions::default()
        };
        assert_eq!(
            compose(&options, HOST),
            "nameserver 127.0.0.1\nnameserver 9.9.9.9\nsearch inside.example\noptions timeout:1\n"
        );
        let none = words(&["."]);
        let options = ResolverOptions { search: &none, ..ResolverOptions::default() };
        assert_eq!(compose(&options, HOST), "nameserver 10.0.0.53\noptions edns0 ndots:2\n");
    }
}
