//! Versity's S3 gateway over a folder: an S3 server that is used in production.

use std::path::{Path, PathBuf};
use std::{env, fs};

use anyhow::Result;
use tempfile::TempDir;

use crate::program::{Program, loopback, on_free_port};
use crate::{S3Access, cache, folder, http};

pub(crate) const VERSION: &str = "v1.8.0";
pub(crate) const MODULE: &str = "github.com/versity/versitygw";

/// Where it is in the cache.
pub(crate) fn path() -> PathBuf {
    Path::new(&format!("versitygw-{VERSION}")).join("versitygw")
}

/// A gateway with one bucket.
///
/// Signatures (version 4 only), regions, conditional puts and completions, the smallest part size, ranges, presigned
/// URLs with their expiry, list order and batch deletes are as in S3. What is not, at this version:
/// - a key below an object (`a` and `a/b`) is refused with `ObjectParentIsFile`, because keys are paths of files;
/// - the uploads of a bucket page by `key-marker` alone: with `upload-id-marker` it answers `InvalidArgument`;
/// - completing an upload that is no more answers `InvalidPart`, not `NoSuchUpload`;
/// - encryption and storage classes are accepted and ignored.
#[derive(Debug)]
pub struct VersityGateway {
    program: Program,
    folder: TempDir,
    access: S3Access,
}

impl VersityGateway {
    /// Starts a gateway.
    ///
    /// # Errors
    ///
    /// It is not installed, or does not start.
    pub fn start() -> Result<Self> {
        Self::start_in(&env::temp_dir())
    }

    /// Starts a gateway that keeps its data in a temporary folder inside `parent`, for those who choose the disk.
    ///
    /// # Errors
    ///
    /// It is not installed, or does not start.
    pub fn start_in(parent: &Path) -> Result<Self> {
        on_free_port(|port| Self::start_on(port, parent))
    }

    fn start_on(port: u16, parent: &Path) -> Result<Self> {
        let program = cache::program(path())?;
        let folder = folder::temporary_in(parent)?;
        let access = S3Access::new(port);
        // A folder is a bucket.
        fs::create_dir_all(folder.path().join("data").join(&access.bucket))?;
        let mut program = Program::start(program, folder.path().join("log"), |command| {
            command.args(["--port", &format!("127.0.0.1:{port}"), "--keep-alive", "--quiet"]);
            command.args(["--access", &access.access_key, "--secret", &access.secret_key]);
            command.args(["--region", &access.region]);
            command.arg("posix").arg(folder.path().join("data"));
        })?;
        program.wait_until(|| {
            http::answers_as(loopback(port), "/", |answer| answer.head.contains("VERSITYGW"))
        })?;
        Ok(Self { program, folder, access })
    }

    /// Where it is and who may use it.
    pub fn access(&self) -> &S3Access {
        &self.access
    }

    /// The number of its process, for what it takes of the machine.
    pub fn process(&self) -> u32 {
        self.program.process()
    }

    /// The bucket on disk, for what is left behind: parts of unfinished uploads are under `.sgwtmp`.
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data").join(&self.access.bucket)
    }
}
