//! The ports of a container as `ps` shows them.

use std::net::{IpAddr, SocketAddr};

use berth_runner::network::{EndpointSettings, Port, Protocol};

/// `77/tcp, 0.0.0.0:8001->80/tcp, [::]:8001->80/tcp`: ports in a row are one range, and those that are reached at
/// another port of the host are the last.
pub(super) fn shown(network: &EndpointSettings) -> String {
    let is_published =
        |exposed: &Port| network.ports.iter().any(|published| published.container == *exposed);
    let exposed = network.exposed.iter().filter(|exposed| !is_published(exposed));
    let mut ports: Vec<(Port, Option<(IpAddr, u16)>)> =
        exposed.map(|exposed| (*exposed, None)).collect();
    ports.extend(
        network
            .ports
            .iter()
            .map(|published| (published.container, Some((published.host_ip, published.host_port)))),
    );
    ports.sort_by_key(|(port, host)| {
        let (address, number) = host.unzip();
        let address = address.map(|address: IpAddr| address.to_string());
        (port.number, address, number, port.protocol.to_string())
    });

    let mut ranges = Ranges::default();
    let mut elsewhere = Vec::new();
    for (port, host) in ports {
        match host {
            Some((address, number)) if number != port.number => {
                elsewhere.push(format!("{}->{port}", SocketAddr::new(address, number)));
            }
            _ => ranges.add(host.map(|(address, _)| address), port),
        }
    }
    let mut all = ranges.finish();
    all.append(&mut elsewhere);
    all.join(", ")
}

/// Ports in a row, each of an address of the host or of none.
#[derive(Default)]
struct Ranges {
    done: Vec<String>,
    open: Vec<Range>,
}

struct Range {
    address: Option<IpAddr>,
    protocol: Protocol,
    first: u16,
    last: u16,
}

impl Ranges {
    fn add(&mut self, address: Option<IpAddr>, port: Port) {
        let number = port.number;
        let new = Range { address, protocol: port.protocol, first: number, last: number };
        let open = self
            .open
            .iter_mut()
            .find(|range| (range.address, range.protocol) == (address, port.protocol));
        match open {
            Some(range) if range.last.checked_add(1) == Some(number) => range.last = number,
            Some(range) => self.done.push(std::mem::replace(range, new).shown()),
            None => self.open.push(new),
        }
    }

    fn finish(mut self) -> Vec<String> {
        self.done.extend(self.open.iter().map(Range::shown));
        self.done
    }
}

impl Range {
    fn shown(&self) -> String {
        let numbers = match self.first == self.last {
            true => self.first.to_string(),
            false => format!("{}-{}", self.first, self.last),
        };
        let host = match self.address {
            Some(IpAddr::V4(address)) => format!("{address}:{numbers}->"),
            Some(IpAddr::V6(address)) => format!("[{address}]:{numbers}->"),
            None => String::new(),
        };
        format!("{host}{numbers}/{}", self.protocol)
    }
}
