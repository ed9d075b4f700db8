//! A proxy that knows nothing of what passes, before a server whose clients shall see bad days.

use std::io;
use std::net::SocketAddr;

use anyhow::Result;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::host::Host;

/// A proxy that passes bytes, until it is told not to.
#[derive(Debug)]
pub struct TcpProxy {
    host: Host,
    plan: watch::Sender<Plan>,
}

#[derive(Clone, Copy, Debug)]
struct Plan {
    server: SocketAddr,
    mode: Mode,
    /// How often all connections were cut.
    cuts: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Pass,
    Stall,
    Refuse,
}

impl TcpProxy {
    /// Starts a proxy before a server, which need not run yet.
    ///
    /// # Errors
    ///
    /// No port is free.
    pub fn start(server: SocketAddr) -> Result<Self> {
        let (plan, plans) = watch::channel(Plan { server, mode: Mode::Pass, cuts: 0 });
        let host = Host::start(move |listener| serve(listener, plans))?;
        Ok(Self { host, plan })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.host.address()
    }

    /// Ends all connections. New ones are passed on, unless they are refused.
    pub fn cut(&self) {
        self.plan.send_modify(|plan| plan.cuts += 1);
    }

    /// Ends all connections, and new ones as soon as they are made.
    pub fn refuse(&self) {
        self.plan.send_modify(|plan| {
            plan.cuts += 1;
            plan.mode = Mode::Refuse;
        });
    }

    /// Connections stay and new ones are made, but nothing passes any more: a server that hangs, or a network that
    /// loses everything.
    pub fn stall(&self) {
        self.plan.send_modify(|plan| plan.mode = Mode::Stall);
    }

    /// Everything passes again, what has waited included.
    pub fn heal(&self) {
        self.plan.send_modify(|plan| plan.mode = Mode::Pass);
    }

    /// New connections go to another server; those to the former are cut.
    pub fn point_at(&self, server: SocketAddr) {
        self.plan.send_modify(|plan| {
            plan.cuts += 1;
            plan.server = server;
        });
    }
}

async fn serve(listener: TcpListener, plans: watch::Receiver<Plan>) {
    loop {
        let Ok((client, _)) = listener.accept().await else { return };
        tokio::spawn(pass_until_cut(client, plans.clone()));
    }
}

async fn pass_until_cut(client: TcpStream, plans: watch::Receiver<Plan>) {
    let Plan { server, cuts, mode } = *plans.borrow();
    if mode == Mode::Refuse {
        return;
    }
    let mut cutter = plans.clone();
    tokio::select! {
        _ = pass(client, server, plans) => {}
        _ = cutter.wait_for(|plan| plan.cuts != cuts) => {}
    }
}

/// Passes bytes until both sides have ended, or one breaks off.
async fn pass(
    client: TcpStream,
    server: SocketAddr,
    plans: watch::Receiver<Plan>,
) -> io::Result<()> {
    let server = TcpStream::connect(server).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    tokio::try_join!(
        pump(from_client, to_server, plans.clone()),
        pump(from_server, to_client, plans)
    )?;
    Ok(())
}

async fn pump(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut plans: watch::Receiver<Plan>,
) -> io::Result<()> {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let read = from.read(&mut buffer).await?;
        // What has come while nothing passes waits here.
        let passing = plans.wait_for(|plan| plan.mode != Mode::Stall).await;
        passing.map_err(io::Error::other)?;
        if read == 0 {
            return to.shutdown().await;
        }
        to.write_all(&buffer[..read]).await?;
    }
}
