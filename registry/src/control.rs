//! A socket beside an embedded database, by which a command of the same user reaches the process that
//! has the database.
//!
//! A request is a line of JSON, and so is each thing that is told; the last one tells that the work is done
//! ([`Told::is_done`]), or is [`Told::Failed`].

use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use berth_oci::RepositoryName;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::mpsc;
use tracing::{debug, warn};

use crate::http::{ApiAnswer, ApiRequest};
use crate::{
    Collected, ContentName, Damage, Exported, Finding, Imported, Place, Registry, Retained,
    RetentionRun, Scrubbed,
};

/// The longest request, in bytes.
const LONGEST: u64 = 1024 * 1024;

/// How much may be told that the other end has not read.
const TOLD: usize = 64;

/// What a command asks for.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ask {
    /// Collect garbage.
    Collect {
        /// Only tell what would go.
        dry_run: bool,
        /// Delete manifests that no tag, index or subject stands for, first.
        delete_untagged: bool,
    },
    /// Delete a tag, a manifest or a whole repository.
    Delete(ContentName),
    /// Bring back what was deleted.
    Restore(ContentName),
    /// Tell what can be had back, of one repository or of all.
    Deletions(Option<RepositoryName>),
    /// Carry out a retention policy.
    Retain(RetentionRun),
    /// Tell what is known of mirrors.
    Mirrors,
    /// Adopt the tree of `registry:2` in the storage.
    Import,
    /// Adopt all that the storage tells of names, what Berth has written itself too.
    Reindex,
    /// Copy the images of OCI image layouts.
    ImportLayouts {
        /// The layout, or a place with layouts in it.
        from: Place,
        /// The repository that a single layout goes to.
        name: Option<RepositoryName>,
    },
    /// Write what there is into another place.
    Export {
        /// The place.
        to: Place,
        /// The repository to write as an OCI image layout; without, everything as the tree of `registry:2`.
        layout_of: Option<RepositoryName>,
    },
    /// Look whether all stored bytes are what they should be.
    Scrub {
        /// How many bytes are read a second; as many as the machine can without.
        rate: Option<u64>,
    },
    /// Tell which blobs are known to be damaged.
    Damaged,
    /// Do what the API for accounts and grants does.
    Administer(ApiRequest),
}

/// What is told while the work goes on, and at its end.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Told {
    /// How far it is.
    Progress(Collected),
    /// A manifest that was deleted, or would be.
    Manifest {
        /// Its repository.
        repository: String,
        /// Its digest.
        digest: String,
    },
    /// A link that would go.
    Link {
        /// The repository.
        repository: String,
        /// The blob.
        digest: String,
        /// Its bytes.
        size: u64,
    },
    /// What a retention policy says of a tag or a manifest.
    Verdict {
        /// Whether it stays.
        keep: bool,
        /// What it is: `repository:tag`, or `repository@digest`.
        name: String,
        /// Why.
        reason: String,
    },
    /// How far an import is.
    Importing(Imported),
    /// Something in the tree that is not as it should be.
    Found(Finding),
    /// How far an export is.
    Exporting(Exported),
    /// How far a scrub is.
    Scrubbing(Scrubbed),
    /// A blob that is damaged.
    Damaged(Damage),
    /// Something to be read by a person.
    Line(String),
    /// The collection is done.
    Done(Collected),
    /// The retention policy is carried out.
    Retained(Retained),
    /// The import is done.
    Imported(Imported),
    /// The export is done.
    Exported(Exported),
    /// The scrub is done.
    Scrubbed(Scrubbed),
    /// What the API for accounts and grants has answered.
    Answered(ApiAnswer),
    /// Anything else is done.
    Finished,
    /// It could not be done, and why.
    Failed(String),
}

impl Told {
    /// Whether nothing follows.
    fn is_last(&self) -> bool {
        self.is_done() || matches!(self, Self::Failed(_))
    }

    /// Whether it tells that the work is done.
    pub fn is_done(&self) -> bool {
        matches!(
            self,
            Self::Done(_)
                | Self::Retained(_)
                | Self::Imported(_)
                | Self::Exported(_)
                | Self::Scrubbed(_)
                | Self::Answered(_)
                | Self::Finished
        )
    }
}

/// The socket of a database.
pub fn socket_path(database: &Path) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push(".socket");
    name.into()
}

/// Carries out what is asked, and tells of it.
pub async fn carry_out(registry: &Arc<Registry>, ask: Ask, tell: mpsc::Sender<Told>) {
    let outcome = match ask {
        Ask::Collect { dry_run, delete_untagged } => {
            registry.collect_as_asked(dry_run, delete_untagged, &tell).await.map(Told::Done)
        }
        Ask::Delete(name) => registry.delete_as_asked(&name, &tell).await.map(|()| Told::Finished),
        Ask::Restore(name) => {
            registry.restore_as_asked(&name, &tell).await.map(|()| Told::Finished)
        }
        Ask::Deletions(repository) => {
            registry.tell_deletions(repository.as_ref(), &tell).await.map(|()| Told::Finished)
        }
        Ask::Mirrors => {
            registry.tell_mirrors(&tell).await;
            Ok(Told::Finished)
        }
        Ask::Retain(run) => registry.retain_as_asked(run, &tell).await.map(Told::Retained),
        Ask::Import => registry.import_as_asked(false, &tell).await.map(Told::Imported),
        Ask::Reindex => registry.import_as_asked(true, &tell).await.map(Told::Imported),
        Ask::ImportLayouts { from, name } => {
            registry.import_layouts(&from, name, &tell).await.map(Told::Imported)
        }
        Ask::Export { to, layout_of } => {
            registry.export_as_asked(&to, layout_of.as_ref(), &tell).await.map(Told::Exported)
        }
        Ask::Scrub { rate } => registry.scrub(rate, &tell).await.map(Told::Scrubbed),
        Ask::Damaged => registry.tell_damaged(&tell).await.map(|()| Told::Finished),
        Ask::Administer(request) => Ok(Told::Answered(request.carry_out(registry.clone()).await)),
    };
    let last = outcome.unwrap_or_else(|error| {
        Told::Failed(match error.cause() {
            Some(cause) => format!("{error}: {cause}"),
            None => error.to_string(),
        })
    });
    // Whoever asked may have gone.
    let _ = tell.send(last).await;
}

/// Listens for commands. A socket that a process left when it died is replaced: whoever calls this
/// has the database.
///
/// # Errors
/// When the socket cannot be made, a path of more than about 100 bytes for one reason.
pub fn listen(path: &Path, registry: Arc<Registry>) -> io::Result<ControlSocket> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    let task = tokio::spawn(async move {
        loop {
            match listener.accept().await {
                Ok((stream, _)) => {
                    let registry = registry.clone();
                    tokio::spawn(async move {
                        if let Err(error) = answer(stream, &registry).await {
                            debug!(%error, "a command went away");
                        }
                    });
                }
                Err(error) => {
                    warn!(%error, "the control socket fails; commands have to be run while berth is stopped");
                    return;
                }
            }
        }
    });
    Ok(ControlSocket { path: path.to_owned(), task })
}

/// Listens until it is dropped.
#[derive(Debug)]
pub struct ControlSocket {
    path: PathBuf,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for ControlSocket {
    fn drop(&mut self) {
        self.task.abort();
        // The next process replaces it, if this fails.
        let _ = std::fs::remove_file(&self.path);
    }
}

async fn answer(stream: UnixStream, registry: &Arc<Registry>) -> io::Result<()> {
    let (read, mut write) = stream.into_split();
    let mut line = String::new();
    BufReader::new(tokio::io::AsyncReadExt::take(read, LONGEST)).read_line(&mut line).await?;
    let ask = match serde_json::from_str(&line) {
        Ok(ask) => ask,
        Err(error) => {
            let told = Told::Failed(format!(
                "the running berth does not know the command ({error}); it may be of another version"
            ));
            return write_line(&mut write, &told).await;
        }
    };
    let (tell, mut told) = mpsc::channel(TOLD);
    let write_all = async {
        while let Some(told) = told.recv().await {
            write_line(&mut write, &told).await?;
        }
        Ok(())
    };
    let ((), written) = tokio::join!(carry_out(registry, ask, tell), write_all);
    written
}

async fn write_line(
    write: &mut (impl tokio::io::AsyncWrite + Unpin),
    told: &Told,
) -> io::Result<()> {
    let mut line = serde_json::to_vec(told)?;
    line.push(b'\n');
    write.write_all(&line).await
}

/// Asks the process that listens at `path`, and hands on what it tells.
///
/// # Errors
/// When nobody listens there, or the process ends before it is done.
pub async fn ask(path: &Path, ask: &Ask, tell: mpsc::Sender<Told>) -> io::Result<()> {
    let stream = UnixStream::connect(path).await?;
    let (read, mut write) = stream.into_split();
    let mut line = serde_json::to_vec(ask)?;
    line.push(b'\n');
    write.write_all(&line).await?;
    let mut lines = BufReader::new(read).lines();
    while let Some(line) = lines.next_line().await? {
        let told: Told = serde_json::from_str(&line)?;
        let is_last = told.is_last();
        if tell.send(told).await.is_err() || is_last {
            return Ok(());
        }
    }
    Err(io::Error::new(io::ErrorKind::UnexpectedEof, "it ended before the work was done"))
}
