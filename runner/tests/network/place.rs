//! Network namespaces of the tests: a host, the world beyond it, and what runs in them.

use std::fs::File;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsFd as _, OwnedFd};
use std::process::Command;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use rustix::thread::{LinkNameSpaceType, UnshareFlags, move_into_link_name_space};

/// Long enough for what arrives, short enough for what never does.
const PATIENCE: Duration = Duration::from_millis(1500);

/// A network namespace. What is run in it sees that network alone.
#[derive(Clone)]
pub(crate) struct Place(Arc<OwnedFd>);

impl Place {
    /// A new one with its loopback up.
    #[allow(unsafe_code)]
    pub(crate) fn new() -> Self {
        let descriptor = thread::spawn(|| {
            // SAFETY: a network namespace belongs to the thread alone.
            unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWNET).unwrap() };
            File::open("/proc/thread-self/ns/net").unwrap()
        });
        let place = Self(Arc::new(descriptor.join().unwrap().into()));
        place.ip("link set lo up");
        place
    }

    /// That of a container.
    pub(crate) fn of(namespace: &OwnedFd) -> Self {
        Self(Arc::new(namespace.try_clone().unwrap()))
    }

    pub(crate) fn descriptor(&self) -> &OwnedFd {
        &self.0
    }

    /// Does something there, in a thread that goes there and ends.
    pub(crate) fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        thread::scope(|scope| {
            let there = || {
                self.enter();
                work()
            };
            scope.spawn(there).join().unwrap()
        })
    }

    fn enter(&self) {
        move_into_link_name_space(self.0.as_fd(), Some(LinkNameSpaceType::Network)).unwrap();
    }

    /// Runs a program of the machine there, which must succeed, and gives what it says.
    pub(crate) fn command(&self, program: &str, arguments: &str) -> String {
        let output = self.run(|| {
            Command::new(program).args(arguments.split_ascii_whitespace()).output().unwrap()
        });
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{program} {arguments}: {errors}");
        String::from_utf8(output.stdout).unwrap()
    }

    pub(crate) fn ip(&self, arguments: &str) -> String {
        self.command("ip", arguments)
    }

    /// Serves at a port of all addresses, by TCP and UDP: whoever comes is told the address that it
    /// is seen with, and the name of the server.
    pub(crate) fn serve(&self, port: u16, name: &'static str) {
        let (tcp, udp) = self.run(|| {
            let tcp = TcpListener::bind(("::", port)).unwrap();
            (tcp, UdpSocket::bind(("::", port)).unwrap())
        });
        thread::spawn(move || {
            for stream in tcp.incoming() {
                let mut stream = stream.unwrap();
                let seen = plain(stream.peer_addr().unwrap().ip());
                let _ = write!(stream, "{name} {seen}");
            }
        });
        thread::spawn(move || {
            let mut buffer = [0; 64];
            while let Ok((_, from)) = udp.recv_from(&mut buffer) {
                let _ = udp.send_to(format!("{name} {}", plain(from.ip())).as_bytes(), from);
            }
        });
    }

    /// What a server says to who comes from here; nothing if nobody answers.
    pub(crate) fn call(&self, to: impl Into<Target>) -> Option<String> {
        let Target(address) = to.into();
        self.run(|| {
            let mut stream = TcpStream::connect_timeout(&address, PATIENCE).ok()?;
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).ok()?;
            Some(answer)
        })
    }

    /// Whether who calls from here is told at once that nobody listens.
    pub(crate) fn is_refused(&self, to: impl Into<Target>) -> bool {
        let Target(address) = to.into();
        let error = self.run(|| TcpStream::connect_timeout(&address, PATIENCE).err());
        error.is_some_and(|error| error.kind() == ErrorKind::ConnectionRefused)
    }

    /// What a server says by UDP.
    pub(crate) fn call_by_udp(&self, to: impl Into<Target>) -> Option<String> {
        self.call_by_udp_from(0, to)
    }

    /// The same from a port of one's own.
    pub(crate) fn call_by_udp_from(&self, port: u16, to: impl Into<Target>) -> Option<String> {
        let Target(address) = to.into();
        self.run(|| {
            let any = if address.is_ipv4() { "0.0.0.0" } else { "::" };
            let socket = UdpSocket::bind((any, port)).unwrap();
            socket.connect(address).ok()?;
            socket.set_read_timeout(Some(PATIENCE)).unwrap();
            socket.send(b"hello").ok()?;
            let mut buffer = [0; 64];
            let length = socket.recv(&mut buffer).ok()?;
            Some(String::from_utf8_lossy(&buffer[..length]).into_owned())
        })
    }
}

/// Whom to call.
pub(crate) struct Target(SocketAddr);

impl From<&str> for Target {
    fn from(text: &str) -> Self {
        Self(text.parse().unwrap())
    }
}

impl<A: Into<IpAddr>> From<(A, u16)> for Target {
    fn from((address, port): (A, u16)) -> Self {
        Self(SocketAddr::new(address.into(), port))
    }
}

/// An address of IPv4 as it is, although a socket of IPv6 tells of it.
fn plain(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V6(address) => address.to_canonical(),
        IpAddr::V4(_) => address,
    }
}
