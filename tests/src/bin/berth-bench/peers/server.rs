use std::fs::{self, File};
use std::io::Write as _;
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use berth_oci::Digest;
use berth_tests::process::Daemon;

use super::{Launch, Peer};
use crate::client::{Connection, push_blob, push_content};
use crate::content::{Content, Image, MANIFEST_TYPE, blob_data};
use crate::procfs::Group;

/// A peer that runs.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) name: String,
    pub(crate) address: SocketAddr,
    /// Its processes, if they are on this machine.
    pub(crate) group: Option<Group>,
    /// Where it has its files, if this run started it.
    data: Option<PathBuf>,
    is_registry: bool,
    daemon: Option<Daemon>,
}

impl Server {
    pub(super) fn start(
        peer: &Peer,
        command: Command,
        address: SocketAddr,
        launch: &Launch,
    ) -> Result<Self> {
        let mut daemon = Daemon::start(&peer.name, command, &launch.folder.join("log"))?;
        daemon.wait_until(|| match &launch.tls {
            // No row asks before it has shaken hands.
            Some(_) => TcpStream::connect(address).is_ok(),
            None => answers(address),
        })?;
        Ok(Self {
            name: peer.name.clone(),
            address,
            group: Some(Group::new(daemon.id())),
            data: Some(launch.data()),
            is_registry: peer.is_registry(),
            daemon: Some(daemon),
        })
    }

    pub(super) fn running(peer: &Peer, address: SocketAddr) -> Self {
        let group = Group::listening_on(address.port()).filter(|_| address.ip().is_loopback());
        Self {
            name: peer.name.clone(),
            address,
            group,
            data: None,
            is_registry: true,
            daemon: None,
        }
    }

    /// Seconds of processor time so far; nothing when its processes cannot be seen.
    pub(crate) fn cpu_seconds(&self) -> Result<Option<f64>> {
        self.group.map(Group::cpu_seconds).transpose()
    }

    /// Puts an image into a repository, under a tag.
    pub(crate) fn store_image(&self, repository: &str, tag: &str, image: &Image) -> Result<()> {
        if let Some(files) = self.plain_files() {
            let folder = files.join(format!("v2/{repository}/manifests"));
            fs::create_dir_all(&folder)?;
            fs::write(folder.join(tag), &image.manifest)?;
            return Ok(fs::write(folder.join(image.digest.to_string()), &image.manifest)?);
        }
        let mut connection = Connection::open(self.address)?;
        for blob in &image.blobs {
            push_blob(&mut connection, repository, blob)?;
        }
        let path = format!("/v2/{repository}/manifests/{tag}");
        let headers = [("Content-Type", MANIFEST_TYPE)];
        connection.exchange("PUT", &path, &headers, &image.manifest)?.expect(201)?;
        Ok(())
    }

    /// Puts a blob into a repository.
    pub(crate) fn store_content(&self, repository: &str, content: &mut Content) -> Result<()> {
        if let Some(files) = self.plain_files() {
            let path = files.join(plain_blob(repository, &content.digest));
            fs::create_dir_all(path.parent().context("a file lies in a folder")?)?;
            let mut file = File::create(path)?;
            content.blocks(|block| file.write_all(block))?;
            return Ok(file.sync_all()?);
        }
        push_content(&mut Connection::open(self.address)?, repository, content)?;
        Ok(())
    }

    /// The file that it serves a blob from.
    pub(crate) fn blob_file(&self, repository: &str, digest: &Digest) -> Option<PathBuf> {
        let data = self.data.as_ref()?;
        if !self.is_registry {
            return Some(data.join(plain_blob(repository, digest)));
        }
        Some(blob_data(data, digest))
    }

    /// Where a server of files has them.
    fn plain_files(&self) -> Option<&Path> {
        self.data.as_deref().filter(|_| !self.is_registry)
    }

    /// Compares what it answers with what was put into it.
    pub(crate) fn verify(&self, path: &str, bytes: &[u8], content_type: &str) -> Result<()> {
        // distribution 2 gives such a manifest to those only who ask for it.
        let accept = [("Accept", content_type)];
        let mut connection = Connection::open(self.address)?;
        let answer = connection.exchange("GET", path, &accept, &[])?.expect(200)?;
        ensure!(answer.body == bytes, "{} answers other bytes under {path}", self.name);
        let found = answer.head.header("content-type").unwrap_or_default();
        ensure!(found == content_type, "{} answers {path} as {found}", self.name);
        Ok(())
    }

    /// Ends it, unless somebody else started it.
    pub(crate) fn stop(mut self) -> Result<()> {
        match self.daemon.take() {
            Some(daemon) => {
                daemon.stop().with_context(|| format!("cannot stop {}", self.name))?;
                Ok(())
            }
            None => Ok(()),
        }
    }
}

/// Where a server of files has a blob.
fn plain_blob(repository: &str, digest: &Digest) -> String {
    format!("v2/{repository}/blobs/{digest}")
}

pub(crate) fn answers(address: SocketAddr) -> bool {
    Connection::open(address)
        .and_then(|mut connection| connection.get("/v2/"))
        // One that wants to know who asks answers, too.
        .is_ok_and(|answer| matches!(answer.head.status, 200 | 401))
}
