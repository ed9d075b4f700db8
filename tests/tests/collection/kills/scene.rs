//! A registry's state that can be put back: files or a bucket, and a database.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use berth_test_stores::Postgres;
use berth_tests::checker::{Names, compare_bucket, compare_tree};
use berth_tests::stores::Stored;
use berth_tests::tree::objects;
use berth_tests::{Launch, Server};
use tempfile::TempDir;

const COLLECTION: &str = "REGISTRY_STORAGE_MAINTENANCE_GARBAGECOLLECTION";
const PURGING: &str = "REGISTRY_STORAGE_MAINTENANCE_UPLOADPURGING";

/// Where the blobs are and what the database is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Kind {
    pub(crate) in_bucket: bool,
    pub(crate) on_postgres: bool,
}

/// Whether the registry collects by itself, and for how long what was pushed is left alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Collection {
    /// Only when it is asked to, and then everything.
    WhenAsked,
    /// The same, but abandoned uploads are given back all the time, and such are all that somebody is at.
    WhenAskedAndPurged,
    /// All the time, everything that is not needed.
    Restless,
    /// All the time, but what was just pushed waits for its manifest.
    RestlessWithPromises,
}

/// What becomes of manifests that nothing stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Untagged {
    /// They are deleted before the collection.
    Go,
    /// Nothing.
    Stay,
}

/// The place of a state, and a copy of the state.
pub(crate) struct Scene {
    kind: Kind,
    /// The tree and the embedded database, where they are.
    root: PathBuf,
    bucket: Option<PathBuf>,
    copies: PathBuf,
    database: Option<(Postgres, String)>,
    prepared_database: Option<String>,
    stored: Option<Stored>,
    _folder: TempDir,
}

impl Scene {
    pub(crate) fn new(kind: Kind) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let stored = kind.in_bucket.then(Stored::s3).transpose()?;
        let bucket = stored.as_ref().and_then(|stored| stored.bucket.clone());
        ensure!(bucket.is_some() == kind.in_bucket, "the bucket is a folder");
        let database = match kind.on_postgres {
            true => {
                let server = Postgres::options().fsync(false).start()?;
                let url = server.database()?;
                Some((server, url))
            }
            false => None,
        };
        let root = folder.path().join("root");
        std::fs::create_dir(&root)?;
        Ok(Self {
            kind,
            root,
            bucket,
            copies: folder.path().join("copies"),
            database,
            prepared_database: None,
            stored,
            _folder: folder,
        })
    }

    /// How to start the registry on it.
    pub(crate) fn launch(&self, collection: Collection) -> Result<Launch> {
        let mut launch = match &self.stored {
            Some(stored) => stored.launch.clone(),
            None => Launch::filesystem(&self.root)?,
        };
        launch = match &self.database {
            Some((_, url)) => launch.env("REGISTRY_METADATA_URL", url),
            None => launch.env("REGISTRY_METADATA_SQLITE_PATH", self.root.join("berth.db")),
        };
        let (is_enabled, lease) = match collection {
            Collection::WhenAsked | Collection::WhenAskedAndPurged => ("false", "0s"),
            Collection::Restless => ("true", "0s"),
            Collection::RestlessWithPromises => ("true", "1h"),
        };
        let purges = collection == Collection::WhenAskedAndPurged;
        // What is deleted goes at once.
        Ok(launch
            .env("REGISTRY_LOG_LEVEL", "debug")
            .env("REGISTRY_STORAGE_DELETE_UNDELETE", "0s")
            .env("REGISTRY_STORAGE_REDIRECT_DISABLE", "true")
            .env(format!("{COLLECTION}_ENABLED"), is_enabled)
            .env(format!("{COLLECTION}_INTERVAL"), "20ms")
            .env(format!("{COLLECTION}_LEASE"), lease)
            .env(format!("{COLLECTION}_GRACEPERIOD"), "0s")
            .env(format!("{PURGING}_ENABLED"), purges.to_string())
            .env(format!("{PURGING}_AGE"), "1ms")
            .env(format!("{PURGING}_GRACEPERIOD"), "1ms")
            .env(format!("{PURGING}_INTERVAL"), "200ms"))
    }

    /// Keeps a copy of what there is now, while no registry runs.
    pub(crate) fn keep(&mut self) -> Result<()> {
        for (number, place) in self.places().enumerate() {
            copy(place, &self.copies.join(number.to_string()))?;
        }
        self.prepared_database = self.database.as_ref().map(|(_, url)| url.clone());
        self.put_back()
    }

    /// Makes everything as it was when it was kept, while no registry runs.
    pub(crate) fn put_back(&mut self) -> Result<()> {
        for (number, place) in self.places().enumerate() {
            empty(place)?;
            copy(&self.copies.join(number.to_string()), place)?;
        }
        if let (Some((server, url)), Some(prepared)) = (&mut self.database, &self.prepared_database)
        {
            if url != prepared {
                server.drop_database(url)?;
            }
            *url = server.copy_of_database(prepared)?;
        }
        Ok(())
    }

    /// Lets the time pass after which nobody waits for a process that has died: an embedded database knows at its
    /// start, one that many share must wait for minutes.
    pub(crate) fn let_holds_run_out(&self) -> Result<()> {
        let Some((server, url)) = &self.database else { return Ok(()) };
        server.sql_at(
            url,
            "UPDATE garbage SET held_until = 1 WHERE held_until > 0; \
             UPDATE uploads SET held_until = 0; \
             UPDATE jobs SET held_until = 0, done_at = 0",
        )?;
        Ok(())
    }

    /// Collects garbage by the command until it finds none.
    pub(crate) fn collect_all(&self, untagged: Untagged) -> Result<()> {
        const NOTHING: [&str; 3] = [
            "0 untagged manifests deleted; 0 links let go",
            "0 blobs (0 bytes) became garbage",
            "0 blobs removed",
        ];
        let mut told = String::new();
        for _ in 0..10 {
            let output = self.collection(untagged)?.output()?;
            told = String::from_utf8_lossy(&output.stdout).into_owned();
            let error = String::from_utf8_lossy(&output.stderr);
            ensure!(output.status.success(), "{}\n{told}{error}", output.status);
            if NOTHING.iter().all(|nothing| told.contains(nothing)) {
                return Ok(());
            }
        }
        anyhow::bail!("the collection finds something again and again:\n{told}")
    }

    /// The command that collects garbage.
    pub(crate) fn collection(&self, untagged: Untagged) -> Result<Command> {
        let options: &[&str] = match untagged {
            Untagged::Go => &["garbage-collect", "--delete-untagged"],
            Untagged::Stay => &["garbage-collect"],
        };
        self.launch(Collection::WhenAsked)?.command(options)
    }

    /// Compares the storage with what the API named.
    pub(crate) fn compare(&self, names: &Names) -> Result<()> {
        match &self.bucket {
            Some(bucket) => compare_bucket(bucket, names),
            None => compare_tree(&self.root, names),
        }
    }

    /// How many files hold bytes of blobs, or of what was to become one.
    pub(crate) fn blob_files(&self) -> Result<usize> {
        let folder = match &self.bucket {
            Some(bucket) => bucket.clone(),
            None => self.root.join("docker/registry/v2/blobs"),
        };
        Ok(objects(&folder)?.len())
    }

    pub(crate) fn kind(&self) -> Kind {
        self.kind
    }

    pub(crate) fn start(&self, collection: Collection) -> Result<Server> {
        self.launch(collection)?.start()
    }

    fn places(&self) -> impl Iterator<Item = &Path> {
        [Some(self.root.as_path()), self.bucket.as_deref()].into_iter().flatten()
    }
}

/// Copies what is in a folder, with the attributes in which an object store's server keeps what belongs to a file.
fn copy(from: &Path, to: &Path) -> Result<()> {
    std::fs::create_dir_all(to)?;
    let status = Command::new("cp").arg("-a").arg(from.join(".")).arg(to).status()?;
    ensure!(status.success(), "cannot copy {}", from.display());
    Ok(())
}

fn empty(folder: &Path) -> Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let emptied = match path.is_dir() {
            true => std::fs::remove_dir_all(&path),
            false => std::fs::remove_file(&path),
        };
        emptied.with_context(|| format!("cannot remove {}", path.display()))?;
    }
    Ok(())
}
