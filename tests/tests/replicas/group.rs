//! The replicas, what they share, and the way to them.

use std::any::Any;
use std::net::SocketAddr;

use anyhow::{Context as _, Result};
use berth_test_stores::Balancer;
use berth_tests::content::Blob;
use berth_tests::server::free_address;
use berth_tests::stores::Stored;
use berth_tests::wire::{self, get, post};
use berth_tests::{Launch, Server, Target, wait};

/// As many as there are in the proof.
pub(crate) const REPLICAS: usize = 3;

/// Where the blobs are of all replicas.
pub(crate) struct Blobs {
    launch: Launch,
    _keep: Box<dyn Any>,
}

impl Blobs {
    /// In one bucket.
    pub(crate) fn in_a_bucket() -> Result<Self> {
        let stored = Stored::s3()?;
        let launch = stored.launch.clone().env("REGISTRY_STORAGE_REDIRECT_DISABLE", "true");
        Ok(Self { launch, _keep: Box::new(stored) })
    }

    /// In one folder, as on a network file system.
    pub(crate) fn in_a_folder() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let launch = Launch::filesystem(folder.path().join("tree"))?;
        Ok(Self { launch, _keep: Box::new(folder) })
    }

    /// How to start a replica with its names in a database.
    pub(crate) fn with(&self, database: &str) -> Launch {
        self.launch.clone().target(Target::Berth).env("REGISTRY_METADATA_URL", database)
    }
}

/// What is pushed to a replica, into the repository `probe`, to see whether it serves.
pub(crate) fn probe(replica: usize) -> Blob {
    Blob::random(replica as u64, 100)
}

/// Replicas that run, each at an address that it keeps, behind a balancer.
#[derive(Debug)]
pub(crate) struct Replicas {
    launches: Vec<Launch>,
    addresses: Vec<SocketAddr>,
    servers: Vec<Option<Server>>,
    balancer: Balancer,
}

impl Replicas {
    /// Starts them, all alike.
    pub(crate) fn start(launch: &Launch, seed: u64) -> Result<Self> {
        Self::start_each(vec![launch.clone(); REPLICAS], seed)
    }

    /// Starts one of each.
    pub(crate) fn start_each(launches: Vec<Launch>, seed: u64) -> Result<Self> {
        let addresses =
            launches.iter().map(|_| free_address()).collect::<Result<Vec<SocketAddr>>>()?;
        let launches: Vec<_> = launches
            .into_iter()
            .zip(&addresses)
            .map(|(launch, address)| launch.address(*address))
            .collect();
        let servers =
            launches.iter().map(|launch| launch.start().map(Some)).collect::<Result<_>>()?;
        let balancer = Balancer::start(&addresses, seed)?;
        Ok(Self { launches, addresses, servers, balancer })
    }

    /// Where the balancer listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.balancer.address()
    }

    /// Where each replica listens.
    pub(crate) fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// How many requests each was sent by the balancer.
    pub(crate) fn requests(&self) -> Vec<u64> {
        self.balancer.requests()
    }

    /// Ends a replica as a crash would.
    pub(crate) fn kill(&mut self, replica: usize) -> Result<()> {
        self.servers[replica].take().context("the replica is dead already")?.kill()
    }

    /// Starts a replica that was killed.
    pub(crate) fn restart(&mut self, replica: usize) -> Result<()> {
        self.servers[replica] = Some(self.launches[replica].start()?);
        Ok(())
    }

    /// Returns once every replica takes writes and answers reads; an error if one does not within a minute.
    pub(crate) fn wait_until_they_serve(&self) -> Result<()> {
        for (replica, address) in self.addresses.iter().enumerate() {
            let blob = probe(replica);
            let push = post(format!("/v2/probe/blobs/uploads/?digest={}", blob.digest));
            let push = push.body(&*blob.bytes);
            let pull = get(format!("/v2/probe/blobs/{}", blob.digest));
            wait::until(&format!("replica {replica} serves"), || {
                let answers = |request, status| {
                    wire::send(*address, request).is_ok_and(|answer| answer.status == status)
                };
                Ok(answers(&push, 201) && answers(&pull, 200))
            })?;
        }
        Ok(())
    }

    /// Stops all as an operator would. None may have ended before, nor with an error.
    pub(crate) fn stop(self) -> Result<()> {
        for server in self.servers {
            server.context("a replica is dead")?.stop()?;
        }
        Ok(())
    }
}
