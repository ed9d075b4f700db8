//! The rows of the table, one file each: the same work for each server, in turn.

mod blobs;
pub(crate) mod collection;
mod command;
pub(crate) mod containers;
pub(crate) mod database;
pub(crate) mod growth;
pub(crate) mod identity;
pub(crate) mod manifests;
pub(crate) mod memory;
pub(crate) mod mirror;
pub(crate) mod push;
pub(crate) mod retention;
pub(crate) mod safety;
pub(crate) mod small_blobs;
pub(crate) mod start;
pub(crate) mod stores;
mod tls;
mod watch;

use anyhow::Result;
use clap::ValueEnum;

use crate::Bench;
use crate::peers::{Launch, Peer, Server};
use crate::results::RowRun;

/// A row of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Row {
    Manifests,
    Blobs,
    Tls,
    Push,
    SmallBlobs,
    Memory,
    Growth,
    Start,
    StorePush,
    StoreStream,
    StoreRequests,
    StoreMemory,
    DatabaseReads,
    DatabaseWrites,
    DatabaseMillion,
    Collection,
    Retention,
    Identity,
    Mirror,
    Import,
    Scrub,
    Backup,
    OciRun,
    Run,
    Exec,
    PullReady,
    Monitor,
}

impl Row {
    pub(crate) const ALL: [Self; 27] = [
        Self::Manifests,
        Self::Blobs,
        Self::Tls,
        Self::Push,
        Self::SmallBlobs,
        Self::Memory,
        Self::Growth,
        Self::Start,
        Self::StorePush,
        Self::StoreStream,
        Self::StoreRequests,
        Self::StoreMemory,
        Self::DatabaseReads,
        Self::DatabaseWrites,
        Self::DatabaseMillion,
        Self::Collection,
        Self::Retention,
        Self::Identity,
        Self::Mirror,
        Self::Import,
        Self::Scrub,
        Self::Backup,
        Self::OciRun,
        Self::Run,
        Self::Exec,
        Self::PullReady,
        Self::Monitor,
    ];

    /// As `--only` and the numbers have it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Manifests => "manifests",
            Self::Blobs => "blobs",
            Self::Tls => "tls",
            Self::Push => "push",
            Self::SmallBlobs => "small-blobs",
            Self::Memory => "memory",
            Self::Growth => "growth",
            Self::Start => "start",
            Self::StorePush => "store-push",
            Self::StoreStream => "store-stream",
            Self::StoreRequests => "store-requests",
            Self::StoreMemory => "store-memory",
            Self::DatabaseReads => "database-reads",
            Self::DatabaseWrites => "database-writes",
            Self::DatabaseMillion => "database-million",
            Self::Collection => "collection",
            Self::Retention => "retention",
            Self::Identity => "identity",
            Self::Mirror => "mirror",
            Self::Import => "import",
            Self::Scrub => "scrub",
            Self::Backup => "backup",
            Self::OciRun => "oci-run",
            Self::Run => "run",
            Self::Exec => "exec",
            Self::PullReady => "pull-ready",
            Self::Monitor => "monitor",
        }
    }

    /// As the page has it.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Manifests => "Manifest GET",
            Self::Blobs => "Blob GET, page cache warm",
            Self::Tls => "Blob GET over TLS",
            Self::Push => "Push of a large blob",
            Self::SmallBlobs => "Push of many small blobs",
            Self::Memory => "Memory",
            Self::Growth => "Growth",
            Self::Start => "Start to ready",
            Self::StorePush => "S3: push of a large blob",
            Self::StoreStream => "S3: blob GET through the registry",
            Self::StoreRequests => "S3: what is asked of the store",
            Self::StoreMemory => "S3: memory",
            Self::DatabaseReads => "SQLite and PostgreSQL: manifest GET",
            Self::DatabaseWrites => "SQLite and PostgreSQL: manifest PUT",
            Self::DatabaseMillion => "SQLite and PostgreSQL: a million tags",
            Self::Collection => "Collection of garbage",
            Self::Retention => "Retention policies",
            Self::Identity => "Tokens and logins",
            Self::Mirror => "Mirrors",
            Self::Import => "Moving in",
            Self::Scrub => "Verification of stored bytes",
            Self::Backup => "Backups",
            Self::OciRun => "Containers: a runtime alone",
            Self::Run => "Containers: run",
            Self::Exec => "Containers: exec",
            Self::PullReady => "Containers: pull of an image",
            Self::Monitor => "Containers: many that are idle",
        }
    }

    pub(crate) fn run(self, bench: &Bench, run: &mut RowRun) -> Result<()> {
        match self {
            Self::Manifests => manifests::run(bench, run),
            Self::Blobs => blobs::run(bench, run),
            Self::Tls => tls::run(bench, run),
            Self::Push => push::run(bench, run),
            Self::SmallBlobs => small_blobs::run(bench, run),
            Self::Memory => memory::run(bench, run),
            Self::Growth => growth::run(bench, run),
            Self::Start => start::run(bench, run),
            Self::StorePush => stores::push::run(bench, run),
            Self::StoreStream => stores::stream::run(bench, run),
            Self::StoreRequests => stores::requests::run(bench, run),
            Self::StoreMemory => stores::memory::run(bench, run),
            Self::DatabaseReads => database::reads::run(bench, run),
            Self::DatabaseWrites => database::writes::run(bench, run),
            Self::DatabaseMillion => database::million::run(bench, run),
            Self::Collection => collection::run(bench, run),
            Self::Retention => retention::run(bench, run),
            Self::Identity => identity::run(bench, run),
            Self::Mirror => mirror::run(bench, run),
            Self::Import => safety::import::run(bench, run),
            Self::Scrub => safety::scrub::run(bench, run),
            Self::Backup => safety::backup::run(bench, run),
            Self::OciRun => containers::oci_run::run(bench, run),
            Self::Run => containers::run::run(bench, run),
            Self::Exec => containers::exec::run(bench, run),
            Self::PullReady => containers::pull_ready::run(bench, run),
            Self::Monitor => containers::monitor::run(bench, run),
        }
    }

    /// Starts those peers, each with nothing in it.
    fn start(self, bench: &Bench, wanted: impl Fn(&Peer) -> bool) -> Result<Vec<Server>> {
        let wanted = bench.peers.iter().filter(|peer| wanted(peer));
        wanted.map(|peer| peer.start(&self.launch(bench, &peer.name)?)).collect()
    }

    fn launch(self, bench: &Bench, name: &str) -> Result<Launch> {
        Ok(Launch::in_folder(bench.folder(self, name)?))
    }
}

/// All of them, beginning with another one each round, so that none is always measured first.
fn in_turn<T>(all: &[T], round: usize) -> impl Iterator<Item = &T> {
    all.iter().cycle().skip(round % all.len().max(1)).take(all.len())
}

/// Writes what is dirty to the disk, so that nobody pays for what another one wrote.
fn settle() {
    rustix::fs::sync();
}

fn stop_all(servers: Vec<Server>) -> Result<()> {
    servers.into_iter().try_for_each(Server::stop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_round_begins_with_another_one_and_leaves_none_out() {
        let order = |round| in_turn(&['a', 'b', 'c'], round).collect::<String>();
        assert_eq!([order(0), order(1), order(2), order(3)], ["abc", "bca", "cab", "abc"]);
    }

    #[test]
    fn rows_have_the_names_of_their_arguments() {
        for row in Row::ALL {
            assert_eq!(row.to_possible_value().unwrap().get_name(), row.name());
        }
    }
}
