//! moto: S3 in memory, in Python.

use std::path::{Path, PathBuf};

use anyhow::Result;
use tempfile::TempDir;

use crate::program::{Program, loopback, on_free_port};
use crate::{S3Access, cache, folder, http};

pub(crate) const VERSION: &str = "5.2.5";

/// Where its Python is in the cache.
pub(crate) fn path() -> PathBuf {
    Path::new(&format!("moto-{VERSION}")).join("bin/python")
}

/// `moto_server` guesses the service of each request from its `Authorization` header, which presigned requests have
/// not. This serves S3 and nothing else.
const SERVER: &str = "
import sys
from moto.moto_server.werkzeug_app import MotoRequestHandler, create_backend_app
from werkzeug.serving import run_simple
run_simple('127.0.0.1', int(sys.argv[1]), create_backend_app('s3'), threaded=True, request_handler=MotoRequestHandler)
";

/// An S3 server with one bucket, which keeps everything in memory.
///
/// Conditional puts and completions, the smallest part size, ranges, list order, batch deletes, encryption headers and
/// storage classes are as in S3. What is not, at this version:
/// - no signature is checked, nor the expiry of a presigned URL;
/// - every multipart upload was initiated in 2010, so by age each one is abandoned, and all come in one page;
/// - completing an upload that is no more answers 500, not `NoSuchUpload`.
#[derive(Debug)]
pub struct Moto {
    _program: Program,
    _folder: TempDir,
    access: S3Access,
}

impl Moto {
    /// Starts a server.
    ///
    /// # Errors
    ///
    /// It is not installed, or does not start.
    pub fn start() -> Result<Self> {
        on_free_port(Self::start_on)
    }

    fn start_on(port: u16) -> Result<Self> {
        let python = cache::program(path())?;
        let folder = folder::temporary()?;
        let access = S3Access::new(port);
        let mut program = Program::start(python, folder.path().join("log"), |command| {
            command.args(["-c", SERVER, &port.to_string()]).env("TMPDIR", folder.path());
        })?;
        program.wait_until(|| http::answers(loopback(port), "/"))?;
        http::send(loopback(port), "PUT", &format!("/{}", access.bucket), &[], b"")?.success()?;
        Ok(Self { _program: program, _folder: folder, access })
    }

    /// Where it is and who may use it.
    pub fn access(&self) -> &S3Access {
        &self.access
    }
}
