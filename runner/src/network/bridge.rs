//! The bridge that containers have in common.
//!
//! Which subnets it has is chosen once and kept in a file, so that it is the same after a new start
//! of the machine. The bridge itself is made when the first container needs it, and brought up last:
//! one that is up is complete.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;

use rustix::io::Errno;
use rustix::rand::{GetRandomFlags, getrandom};
use serde::{Deserialize, Serialize};

use super::MacAddress;
use super::NetworkError;
use super::error::Doing as _;
use super::firewall::Network;
use super::netlink::{Socket, route};
use super::settings::{Ipv6, Settings};
use super::subnet::{Subnet, SubnetIpv6};

/// A bridge as it is.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(super) struct Bridge {
    pub(super) name: String,
    pub(super) ipv4: Subnet,
    pub(super) ipv6: Option<SubnetIpv6>,
}

/// What is tried when no subnet is named. What comes first is seldom used by others; docker begins
/// with 172.17.
const CANDIDATES: [Subnet; 20] = candidates();

const fn candidates() -> [Subnet; 20] {
    const SECOND: [u8; 12] = [29, 30, 31, 28, 27, 26, 25, 24, 23, 22, 21, 20];
    let mut subnets = [Subnet::new(Ipv4Addr::new(10, 89, 0, 0), 16); 20];
    let mut n = 0;
    while n < SECOND.len() {
        subnets[n] = Subnet::new(Ipv4Addr::new(172, SECOND[n], 0, 0), 16);
        n += 1;
    }
    while n < subnets.len() {
        subnets[n] = Subnet::new(Ipv4Addr::new(10, 81 + n as u8, 0, 0), 16);
        n += 1;
    }
    subnets
}

const LINK_LOCAL: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1);

/// Routes that are wider than this say nothing of who uses a subnet.
const WIDEST: u8 = 8;

impl Bridge {
    /// The bridge that was chosen; what cannot be read is chosen again.
    pub(super) fn read(path: &Path) -> Option<Self> {
        serde_json::from_slice(&fs::read(path).ok()?).ok()
    }

    /// Chooses what the settings leave open, by what was `before` and what the host does not use.
    pub(super) fn choose(
        settings: &Settings,
        before: Option<Self>,
        socket: &Socket,
    ) -> Result<Self, NetworkError> {
        let name = settings.bridge().to_owned();
        let (old_ipv4, old_ipv6) = before.map_or((None, None), |old| (Some(old.ipv4), old.ipv6));
        let ipv4 = match settings.subnet.or(old_ipv4) {
            Some(subnet) => subnet,
            None => {
                free_subnet(socket)?.ok_or_else(|| NetworkError::SubnetsExhausted(name.clone()))?
            }
        };
        let ipv6 = match settings.ipv6() {
            _ if !has_ipv6() => None,
            Ok(Ipv6::Off) | Err(_) => None,
            Ok(Ipv6::Subnet(subnet)) => Some(subnet),
            Ok(Ipv6::Unique) => match old_ipv6 {
                Some(subnet) => Some(subnet),
                None => {
                    Some(SubnetIpv6::unique(random().doing(|| "cannot choose a subnet of IPv6")?))
                }
            },
        };
        Ok(Self { name, ipv4, ipv6 })
    }

    /// Whether it is what the settings ask for.
    pub(super) fn suits(&self, settings: &Settings) -> bool {
        let ipv6 = match settings.ipv6() {
            Ok(Ipv6::Off) => self.ipv6.is_none(),
            Ok(Ipv6::Subnet(subnet)) => self.ipv6.is_none_or(|own| own == subnet),
            _ => true,
        };
        self.name == settings.bridge()
            && settings.subnet.is_none_or(|subnet| subnet == self.ipv4)
            && ipv6
    }

    /// Keeps the choice.
    pub(super) fn write(&self, path: &Path) -> io::Result<()> {
        let new = path.with_extension("new");
        let mut file = File::create(&new)?;
        file.write_all(&serde_json::to_vec(self)?)?;
        file.sync_all()?;
        fs::rename(&new, path)
    }

    /// Makes it, or what is missing of it.
    pub(super) fn make(&self, socket: &Socket) -> Result<(), NetworkError> {
        let doing = || format!("cannot make the bridge {}", self.name);
        let address = MacAddress::of(self.ipv4.gateway());
        existing(socket.execute(vec![route::new_bridge(&self.name, address)])).doing(doing)?;
        let link = route::find_link(socket, &self.name).doing(doing)?;
        let link = link.ok_or(ErrorKind::NotFound).doing(doing)?;
        for (address, prefix) in self.gateways() {
            let message = route::new_address(link.index, address, prefix);
            existing(socket.execute(vec![message])).doing(doing)?;
        }
        self.set_kernel()?;
        socket.execute(vec![route::set_up(link.index)]).doing(doing)
    }

    /// Takes it away.
    pub(super) fn remove(&self, socket: &Socket) -> Result<(), NetworkError> {
        let doing = || format!("cannot remove the bridge {}", self.name);
        match route::find_link(socket, &self.name).doing(doing)? {
            Some(link) => socket.execute(vec![route::delete_link(link.index)]).doing(doing),
            None => Ok(()),
        }
    }

    /// The addresses of the bridge itself. One of IPv6 is of the link alone: the kernel asks for its
    /// neighbours with it, and one that it makes up itself cannot be used in the first seconds.
    fn gateways(&self) -> impl Iterator<Item = (IpAddr, u8)> {
        let ipv6 = self.ipv6.map(|subnet| [subnet.gateway(), LINK_LOCAL]);
        let ipv6 = ipv6.into_iter().flatten().map(|address| (address.into(), SubnetIpv6::PREFIX));
        [(self.ipv4.gateway().into(), self.ipv4.prefix)].into_iter().chain(ipv6)
    }

    /// Has the kernel forward, and send on what comes from its own loopback.
    fn set_kernel(&self) -> Result<(), NetworkError> {
        set("ipv4/ip_forward", "1")?;
        set(&format!("ipv4/conf/{}/route_localnet", self.name), "1")?;
        if self.ipv6.is_some() {
            // Containers could send advertisements to the host, else.
            set(&format!("ipv6/conf/{}/accept_ra", self.name), "0")?;
            forward_ipv6()?;
        }
        Ok(())
    }

    pub(super) fn network(&self) -> Network<'_> {
        Network { bridge: &self.name, ipv4: self.ipv4, ipv6: self.ipv6 }
    }
}

/// A subnet that the host has no route into.
fn free_subnet(socket: &Socket) -> Result<Option<Subnet>, NetworkError> {
    let routes = route::routes(socket).doing(|| "cannot read the routes of the host")?;
    let taken: Vec<_> = routes
        .into_iter()
        .filter(|(_, prefix)| (WIDEST..=32).contains(prefix))
        .map(|(address, prefix)| Subnet::new(address, prefix))
        .collect();
    let is_free = |subnet: &Subnet| !taken.iter().any(|other| other.overlaps(*subnet));
    Ok(CANDIDATES.into_iter().find(is_free))
}

fn random() -> io::Result<[u8; 5]> {
    let mut bytes = [0; 5];
    getrandom(&mut bytes, GetRandomFlags::empty())?;
    Ok(bytes)
}

/// That something is there already is no failure.
fn existing(result: Result<(), Errno>) -> Result<(), Errno> {
    match result {
        Err(Errno::EXIST) => Ok(()),
        result => result,
    }
}

const KERNEL: &str = "/proc/sys/net";

/// Whether this host has IPv6 at all.
fn has_ipv6() -> bool {
    get("ipv6/conf/all/disable_ipv6").is_ok_and(|value| value == "0")
}

/// A host that forwards believes no advertisements any more, unless it is told to: it would lose its
/// own way to the world.
fn forward_ipv6() -> Result<(), NetworkError> {
    if get("ipv6/conf/all/forwarding").is_ok_and(|value| value == "1") {
        return Ok(());
    }
    let links = fs::read_dir(Path::new(KERNEL).join("ipv6/conf"))
        .doing(|| "cannot read /proc/sys/net/ipv6/conf")?;
    for link in links.flatten() {
        let name = link.file_name();
        let setting = format!("ipv6/conf/{}/accept_ra", name.display());
        if get(&setting).is_ok_and(|value| value == "1") {
            set(&setting, "2")?;
        }
    }
    set("ipv6/conf/all/forwarding", "1")
}

fn get(setting: &str) -> io::Result<String> {
    Ok(fs::read_to_string(Path::new(KERNEL).join(setting))?.trim_end().to_owned())
}

/// Writes a setting that is not so already: where they cannot be written it may be.
fn set(setting: &str, value: &str) -> Result<(), NetworkError> {
    if get(setting).is_ok_and(|is| is == value) {
        return Ok(());
    }
    let path = Path::new(KERNEL).join(setting);
    fs::write(&path, value).doing(|| format!("cannot write {value} to {}", path.display()))
}
