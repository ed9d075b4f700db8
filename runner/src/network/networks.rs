//! Connecting a container, and giving back what it had.

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::PathBuf;
use std::sync::{Mutex, OnceLock, PoisonError};

use rustix::fs::{FlockOperation, flock};

use crate::Roots;

use super::addresses::Addresses;
use super::bridge::Bridge;
use super::error::Doing as _;
use super::firewall::Firewall;
use super::namespace::{Namespace, NewNamespace};
use super::netlink::route::{self, Link};
use super::netlink::{Family, Socket};
use super::records::Records;
use super::reserve::{self, Host, Reserved};
use super::settings::Settings;
use super::subnet::SubnetIpv6;
use super::{
    Attach, Endpoint, EndpointSettings, MacAddress, NetworkError, NetworkMode, PublishedPort, link,
    namespace,
};
use crate::engine_file::EngineFile;

/// The networks of an engine.
///
/// To drop it can take the kernel some milliseconds, where a port was published or given back: whoever is waited
/// for does that later.
#[derive(Debug)]
pub struct Networks {
    bridge: PathBuf,
    lock: PathBuf,
    addresses: Addresses,
    records: Records,
    /// That of the namespace in which it was needed first.
    firewall: OnceLock<Firewall>,
    /// For whoever is attached next.
    prepared: Mutex<Option<NewNamespace>>,
}

/// The bridge as a container finds it.
struct Found {
    bridge: Bridge,
    link: Link,
    warnings: Vec<String>,
}

impl Networks {
    /// Opens those of the engine with these folders.
    ///
    /// # Errors
    ///
    /// When the folders cannot be made.
    pub fn open(roots: &Roots) -> Result<Self, NetworkError> {
        let (data, run) = (roots.data().join("network"), roots.run().join("network"));
        let (addresses, endpoints) = (run.join("addresses"), run.join("endpoints"));
        for folder in [&data, &addresses, &endpoints] {
            let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(folder);
            made.doing(|| format!("cannot make {}", folder.display()))?;
        }
        Ok(Self {
            bridge: data.join("bridge.json"),
            lock: run.join("lock"),
            addresses: Addresses::new(addresses),
            records: Records::new(endpoints),
            firewall: OnceLock::new(),
            prepared: Mutex::default(),
        })
    }

    /// Begins to make the namespace of whoever is attached next to a network of this `mode`: that takes the kernel
    /// longer than the rest, and other things can be done meanwhile. What goes wrong is told by [`Self::attach`].
    pub fn prepare(&self, mode: &NetworkMode) {
        if matches!(mode, NetworkMode::Bridge | NetworkMode::None) {
            *self.prepared.lock().unwrap_or_else(PoisonError::into_inner) =
                NewNamespace::begin().ok();
        }
    }

    fn new_namespace(&self) -> Result<Namespace, NetworkError> {
        let prepared = self.prepared.lock().unwrap_or_else(PoisonError::into_inner).take();
        let namespace =
            prepared.map_or_else(NewNamespace::begin, Ok).and_then(NewNamespace::finish);
        namespace.doing(|| "cannot make a network namespace")
    }

    /// Connects a container: makes its namespace, gives it an address and publishes its ports.
    ///
    /// The caller keeps the [`Endpoint`] as long as the container runs. What a container had before,
    /// if nobody has given it back, is given back first.
    ///
    /// # Errors
    ///
    /// Says what is missing or taken; nothing is left of the attempt. [`NetworkError::PortHeld`] is to be
    /// decided by who knows whether that container still runs: if not, [`Self::detach`] it and try again.
    pub fn attach(&self, request: &Attach<'_>) -> Result<Endpoint, NetworkError> {
        match request.mode {
            NetworkMode::Bridge => self.attach_to_bridge(request),
            NetworkMode::None => Ok(bare(link::isolated(self.new_namespace()?)?, request)),
            NetworkMode::Host => {
                let namespace = namespace::own().doing(|| "cannot open the network of the host")?;
                Ok(bare(namespace, request))
            }
            NetworkMode::Container(name) => {
                let doing = || format!("cannot join the network of container {name}");
                let pid = request.joined.ok_or(ErrorKind::NotFound).doing(doing)?;
                Ok(bare(namespace::of(pid).doing(doing)?, request))
            }
            NetworkMode::Named(name) => Err(NetworkError::NotFound(name.clone())),
        }
    }

    /// Gives back what a container had. That it had nothing is no failure.
    ///
    /// # Errors
    ///
    /// When the files that say so cannot be removed.
    pub fn detach(&self, container: &str) -> Result<(), NetworkError> {
        let record = self.records.read(container);
        match record.doing(|| format!("cannot read the network of container {container}"))? {
            Some(settings) => self.give_back(container, &settings),
            // Of one that was never whole there may be a beginning.
            None => {
                let removed = self.records.remove(container);
                removed.doing(|| format!("cannot forget the network of container {container}"))
            }
        }
    }

    /// What a container has, if it is connected to the bridge.
    ///
    /// # Errors
    ///
    /// When the file that says so cannot be read.
    pub fn settings(&self, container: &str) -> Result<Option<EndpointSettings>, NetworkError> {
        let record = self.records.read(container);
        record.doing(|| format!("cannot read the network of container {container}"))
    }

    /// Takes up the connection of a container that runs, of which `pid` is a process, after whoever kept
    /// it was killed; `None` when it is not connected to the bridge.
    ///
    /// # Errors
    ///
    /// When nothing can be found out about it.
    pub fn resume(&self, container: &str, pid: u32) -> Result<Option<Endpoint>, NetworkError> {
        let Some(settings) = self.settings(container)? else { return Ok(None) };
        let namespace = namespace::of(pid);
        let namespace =
            namespace.doing(|| format!("cannot open the network of container {container}"))?;
        let reservations = reserve::again(&settings.ports);
        Ok(Some(Endpoint { namespace, settings, warnings: Vec::new(), reservations }))
    }

    /// Gives back what containers had that do not run any more, and says which those were.
    ///
    /// `alive` says whether a container runs or is being started.
    ///
    /// # Errors
    ///
    /// When the files that say so cannot be read or removed.
    pub fn collect(&self, alive: &dyn Fn(&str) -> bool) -> Result<Vec<String>, NetworkError> {
        let mut gone = Vec::new();
        for container in self.records.containers().doing(|| "cannot read who is connected")? {
            if !alive(&container) {
                // Of a record that was never whole, nothing was given out but an address.
                let settings = self.records.read(&container).ok().flatten().unwrap_or_default();
                self.give_back(&container, &settings)?;
                gone.push(container);
            }
        }
        Ok(gone)
    }

    /// Ports first: who gets the address next must not get what comes to them. The record last: who
    /// is interrupted is repeated.
    fn give_back(&self, container: &str, settings: &EndpointSettings) -> Result<(), NetworkError> {
        if !settings.ports.is_empty() {
            let firewall = self.firewall()?;
            firewall.unpublish(&settings.ports);
            firewall.forget_container(settings);
        }
        let released = match settings.ipv4 {
            Some(address) => self.addresses.release(address, container),
            // Who was killed before it could record its address.
            None => self.addresses.release_all(container),
        };
        released.doing(|| format!("cannot give back the address of container {container}"))?;
        let removed = self.records.remove(container);
        removed.doing(|| format!("cannot forget the network of container {container}"))
    }

    fn attach_to_bridge(&self, request: &Attach<'_>) -> Result<Endpoint, NetworkError> {
        self.detach(request.container)?;
        let socket = Socket::open(Family::Route).doing(|| "cannot speak with the kernel")?;
        let firewall = self.firewall()?;
        let found = self.find_bridge(&socket, firewall)?;
        let mut settings = match self.lease(request, &found.bridge) {
            Ok(settings) => settings,
            Err(error) => {
                self.give_back(request.container, &EndpointSettings::default())?;
                return Err(error);
            }
        };
        match self.connect(request, &mut settings, found.link, &socket, firewall) {
            Ok((namespace, reservations)) => {
                Ok(Endpoint { namespace, settings, warnings: found.warnings, reservations })
            }
            Err(error) => {
                self.give_back(request.container, &settings)?;
                Err(error)
            }
        }
    }

    /// What can fail when the container has an address.
    fn connect(
        &self,
        request: &Attach<'_>,
        settings: &mut EndpointSettings,
        bridge: Link,
        socket: &Socket,
        firewall: &Firewall,
    ) -> Result<(OwnedFd, Vec<OwnedFd>), NetworkError> {
        let reserved = self.reserve(request, settings.ipv6.is_some())?;
        settings.ports = reserved.ports;
        let written = self.records.write(request.container, settings);
        written
            .doing(|| format!("cannot record the network of container {}", request.container))?;
        let namespace = link::connected(self.new_namespace()?, socket, bridge, settings)?;
        if let Err(error) = self.publish(request.container, settings, firewall) {
            // They are not this container's to take out.
            settings.ports.clear();
            return Err(error);
        }
        Ok((namespace, reserved.sockets))
    }

    /// Publishes the ports, to which sockets are bound already.
    fn publish(
        &self,
        container: &str,
        settings: &EndpointSettings,
        firewall: &Firewall,
    ) -> Result<(), NetworkError> {
        if settings.ports.is_empty() {
            return Ok(());
        }
        if !firewall.publish(settings)? {
            if let Some((holder, port)) = self.holder(container, &settings.ports) {
                return Err(NetworkError::PortHeld {
                    address: SocketAddr::new(port.host_ip, port.host_port),
                    container: holder,
                });
            }
            firewall.publish_anew(settings)?;
        }
        firewall.forget_connections(settings);
        Ok(())
    }

    /// Another container that is recorded to have one of these ports.
    fn holder(&self, container: &str, ports: &[PublishedPort]) -> Option<(String, PublishedPort)> {
        let others = self.records.containers().unwrap_or_default();
        others.into_iter().filter(|other| other != container).find_map(|other| {
            let settings = self.records.read(&other).ok()??;
            let meets = |port: &&PublishedPort| settings.ports.iter().any(|has| has.meets(port));
            Some((other, *ports.iter().find(meets)?))
        })
    }

    fn lease(
        &self,
        request: &Attach<'_>,
        bridge: &Bridge,
    ) -> Result<EndpointSettings, NetworkError> {
        let container = request.container;
        // Whoever finds this after a crash looks for the address.
        let begun = self.records.write(container, &EndpointSettings::default());
        begun.doing(|| format!("cannot record the network of container {container}"))?;
        let lease = self.addresses.lease(bridge.ipv4, container);
        let exhausted = || NetworkError::AddressesExhausted {
            bridge: bridge.name.clone(),
            subnet: bridge.ipv4.to_string(),
        };
        let address = lease.doing(|| "cannot take an address")?.ok_or_else(exhausted)?;
        let number = bridge.ipv4.number(address).unwrap_or_default();
        Ok(EndpointSettings {
            network: request.mode.to_string(),
            ipv4: Some(address),
            ipv4_prefix: bridge.ipv4.prefix,
            gateway: Some(bridge.ipv4.gateway()),
            ipv6: bridge.ipv6.map(|subnet| subnet.address(number)),
            ipv6_prefix: bridge.ipv6.map_or(0, |_| SubnetIpv6::PREFIX),
            ipv6_gateway: bridge.ipv6.map(SubnetIpv6::gateway),
            mac: Some(MacAddress::of(address)),
            ports: Vec::new(),
            exposed: request.exposed.to_vec(),
        })
    }

    fn reserve(&self, request: &Attach<'_>, ipv6: bool) -> Result<Reserved, NetworkError> {
        let mut mappings = request.ports.to_vec();
        if request.publish_all {
            mappings.extend(reserve::publish_exposed(request.exposed, request.ports));
        }
        match (Host { ipv6 }).reserve(&mappings) {
            Err(NetworkError::PortTaken { address, protocol }) => {
                let has = |settings: &EndpointSettings| {
                    settings.ports.iter().any(|port| {
                        (port.host_port, port.container.protocol) == (address.port(), protocol)
                    })
                };
                if self.settings_of_all().iter().any(has) {
                    return Err(NetworkError::PortAllocated { address });
                }
                Err(NetworkError::PortTaken { address, protocol })
            }
            result => result,
        }
    }

    fn settings_of_all(&self) -> Vec<EndpointSettings> {
        let containers = self.records.containers().unwrap_or_default();
        let read = |container: &String| self.records.read(container).ok().flatten();
        containers.iter().filter_map(read).collect()
    }

    /// The bridge, which is made when it is not there.
    fn find_bridge(&self, socket: &Socket, firewall: &Firewall) -> Result<Found, NetworkError> {
        let settings = Settings::read()?;
        let chosen = Bridge::read(&self.bridge).filter(|bridge| bridge.suits(&settings));
        if let Some(bridge) = chosen
            && let Some(link) = complete(&bridge, socket, firewall)?
        {
            return Ok(Found { bridge, link, warnings: Vec::new() });
        }
        let _held = self.hold().doing(|| format!("cannot lock {}", self.lock.display()))?;
        self.make_bridge(&settings, socket, firewall)
    }

    fn firewall(&self) -> Result<&Firewall, NetworkError> {
        match self.firewall.get() {
            Some(firewall) => Ok(firewall),
            None => {
                let firewall = Firewall::open()?;
                Ok(self.firewall.get_or_init(|| firewall))
            }
        }
    }

    /// The lock, until it is dropped.
    fn hold(&self) -> io::Result<File> {
        let file = File::options().create(true).truncate(false).write(true).open(&self.lock)?;
        flock(&file, FlockOperation::LockExclusive)?;
        Ok(file)
    }

    fn make_bridge(
        &self,
        settings: &Settings,
        socket: &Socket,
        firewall: &Firewall,
    ) -> Result<Found, NetworkError> {
        let mut warnings = Vec::new();
        let mut before = Bridge::read(&self.bridge);
        let connected = self.settings_of_all();
        if let Some(old) = before.take_if(|old| !old.suits(settings)) {
            if complete(&old, socket, firewall)?.is_some() && !connected.is_empty() {
                warnings.push(format!(
                    "the bridge {} is another than {} asks for, and stays as long as containers \
                     are connected to it",
                    old.name,
                    EngineFile::of_environment().path().display()
                ));
                before = Some(old);
            } else {
                old.remove(socket)?;
                firewall.forget(old.network());
            }
        }
        let bridge = match before {
            Some(bridge) if !warnings.is_empty() => bridge,
            before => Bridge::choose(settings, before, socket)?,
        };
        bridge.write(&self.bridge).doing(|| format!("cannot write {}", self.bridge.display()))?;
        firewall.set_up(bridge.network())?;
        bridge.make(socket)?;
        // Where all rules were flushed, ports were flushed with them.
        for settings in connected.iter().filter(|settings| !settings.ports.is_empty()) {
            if !firewall.publish(settings)? {
                firewall.publish_anew(settings)?;
            }
        }
        if firewall.others_drop() {
            warnings.push(format!(
                "the policy of the chain FORWARD of iptables is DROP, which keeps containers from \
                 the world: `iptables -I FORWARD -i {0} -j ACCEPT` and `iptables -I FORWARD -o {0} \
                 -j ACCEPT` let them through (DOCKER-USER instead of FORWARD, where docker runs)",
                bridge.name
            ));
        }
        let link = route::find_link(socket, &bridge.name).doing(|| "cannot find the bridge")?;
        let link = link.ok_or(ErrorKind::NotFound).doing(|| "cannot find the bridge")?;
        Ok(Found { bridge, link, warnings })
    }
}

/// Takes the table of the firewall away, with people's own rules in it. The next container on a bridge
/// makes it anew, and ports are published again.
///
/// # Errors
///
/// When the kernel refuses.
pub fn remove_rules() -> Result<(), NetworkError> {
    Firewall::open()?.remove()
}

/// The bridge, if it is there with all that belongs to it.
fn complete(
    bridge: &Bridge,
    socket: &Socket,
    firewall: &Firewall,
) -> Result<Option<Link>, NetworkError> {
    let link = route::find_link(socket, &bridge.name).doing(|| "cannot find the bridge")?;
    match link.filter(|link| link.is_up) {
        Some(link) if firewall.knows(&bridge.name)? => Ok(Some(link)),
        _ => Ok(None),
    }
}

/// A place in a network in which nothing is given out.
fn bare(namespace: OwnedFd, request: &Attach<'_>) -> Endpoint {
    let network = match request.mode {
        NetworkMode::Container(_) => String::new(),
        mode => mode.to_string(),
    };
    let settings = EndpointSettings { network, ..EndpointSettings::default() };
    Endpoint { namespace, settings, warnings: Vec::new(), reservations: Vec::new() }
}
