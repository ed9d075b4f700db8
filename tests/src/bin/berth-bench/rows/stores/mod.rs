//! Rows of registries that keep their blobs in an S3 server.

pub(crate) mod memory;
pub(crate) mod push;
pub(crate) mod requests;
pub(crate) mod stream;

use anyhow::{Context as _, Result};
use berth_test_stores::install::TOOLS;
use berth_test_stores::{FaultProxy, S3Access, VersityGateway};

use super::Row;
use crate::Bench;
use crate::peers::{BERTH, Bucket, DISTRIBUTION_3, Peer, Server};
use crate::procfs::Group;
use crate::results::RowRun;

/// What the page says about it.
const SETTINGS: &str = "the S3 server is Versity's gateway 1.8.0 over a folder of the disk that is measured, one for \
    both registries, by plain HTTP over loopback; part sizes and all else are what each registry takes unless told \
    otherwise";

/// The name in the list of what can be installed.
const GATEWAY: &str = "versitygw";

/// The S3 server, with whatever registries on it.
pub(super) struct Store {
    row: Row,
    gateway: VersityGateway,
}

/// Whether there is an S3 server here; the row says so if not.
pub(super) fn is_here(run: &mut RowRun) -> bool {
    let here = TOOLS.iter().any(|tool| tool.name == GATEWAY && tool.is_installed());
    match here {
        true => run.setting(SETTINGS),
        false => run.note(format!("{GATEWAY} is not installed, so nothing was measured")),
    }
    here
}

/// Those that are measured.
fn registries(bench: &Bench) -> impl Iterator<Item = &Peer> {
    bench.peers.iter().filter(|peer| [BERTH, DISTRIBUTION_3].contains(&peer.name.as_str()))
}

impl Store {
    pub(super) fn start(bench: &Bench, row: Row) -> Result<Self> {
        let folder = bench.folder(row, GATEWAY)?;
        let gateway = VersityGateway::start_in(&folder).context("cannot start the S3 server")?;
        Ok(Self { row, gateway })
    }

    pub(super) fn access(&self) -> &S3Access {
        self.gateway.access()
    }

    fn group(&self) -> Group {
        Group::new(self.gateway.process())
    }

    /// Starts a registry on it that has nothing yet.
    fn registry(&self, bench: &Bench, peer: &Peer, redirect: bool) -> Result<Server> {
        self.start_at(bench, peer, redirect, self.gateway.access().endpoint.clone())
    }

    /// The same, with a proxy between the two.
    fn registry_behind(&self, bench: &Bench, peer: &Peer) -> Result<(Server, FaultProxy)> {
        let proxy = FaultProxy::start(&self.gateway.access().endpoint)?;
        Ok((self.start_at(bench, peer, true, proxy.endpoint())?, proxy))
    }

    fn start_at(
        &self,
        bench: &Bench,
        peer: &Peer,
        redirect: bool,
        endpoint: String,
    ) -> Result<Server> {
        let mut access = self.gateway.access().clone();
        access.endpoint = endpoint;
        let launch = self.row.launch(bench, &peer.name)?;
        peer.start(&launch.in_bucket(Bucket { access, redirect }))
    }
}
