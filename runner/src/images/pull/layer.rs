//! One layer: its bytes are read once, and on their way hashed, kept, and unpacked by the layer store.

use std::fs::File;
use std::io::{self, Read, Write as _};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use berth_client::ResumingBlob;
use berth_oci::{Descriptor, Digest, Hasher};
use bytes::{Buf as _, Bytes};
use tokio::runtime::Runtime;

use super::super::error::{Doing as _, ImageError};
use super::super::progress::{Progress, Step, short};
use super::super::registry::Source;
use super::super::store::{Begun, ImageStore, Partial};
use super::nearby;
use crate::layers::{LayerStore, Limits};

/// How much of what was received before is read at a time.
const PIECE: usize = 256 << 10;

/// A pull of one layer.
pub(super) struct LayerPull<'a> {
    pub(super) images: &'a ImageStore,
    pub(super) layers: &'a LayerStore,
    pub(super) limits: &'a Limits,
    pub(super) progress: &'a dyn Progress,
    pub(super) runtime: &'a Runtime,
    pub(super) source: &'a Source,
    /// Another layer has failed.
    pub(super) stop: &'a AtomicBool,
}

impl LayerPull<'_> {
    /// Brings a layer here, and has it ready to be mounted. A registry that is on this machine is not asked
    /// for bytes that lie in its `storage`.
    pub(super) fn run(
        &self,
        layer: &Descriptor,
        diff_id: &Digest,
        storage: Option<&Path>,
    ) -> Result<(), ImageError> {
        let id = short(&layer.digest);
        if let Some(storage) = storage {
            nearby::take_over(self.images.blobs(), storage, layer)?;
        }
        match self.images.blobs().begin(layer.digest)? {
            Begun::Present => self.unpack(layer, diff_id)?,
            Begun::Partial(partial) => self.receive(partial, layer, diff_id)?,
        }
        self.progress.layer(&id, Step::PullComplete);
        Ok(())
    }

    /// Unpacks a layer that is here.
    fn unpack(&self, layer: &Descriptor, diff_id: &Digest) -> Result<(), ImageError> {
        self.progress.layer(&short(&layer.digest), Step::DownloadComplete);
        if self.layers.has(diff_id) {
            return Ok(());
        }
        let mut file = self.images.blobs().file(&layer.digest);
        let file = file.as_mut().map_err(|error| io::Error::new(error.kind(), error.to_string()));
        let file = file.doing(|| format!("open the blob {}", layer.digest))?;
        Ok(self.layers.ingest(diff_id, self.limits, file)?)
    }

    /// Receives what is missing of a layer. When what there was before is wrong it begins anew, once.
    fn receive(
        &self,
        mut partial: Partial,
        layer: &Descriptor,
        diff_id: &Digest,
    ) -> Result<(), ImageError> {
        let doing = || format!("write the layer {}", layer.digest);
        let had = partial.file().metadata().doing(doing)?.len();
        if had > layer.size {
            partial.restart().doing(doing)?;
        }
        let received = match self.receive_once(&mut partial, layer, diff_id) {
            Err(error) if had > 0 && error.is_damage() => {
                partial.restart().doing(doing)?;
                self.receive_once(&mut partial, layer, diff_id)
            }
            received => received,
        };
        match received {
            Ok(()) => partial.finish(),
            // What has come is good for the next time.
            Err(error) if error.is_outage() => Err(error),
            Err(error) => {
                // The first error says more than one of cleaning up.
                let _ = partial.discard();
                Err(error)
            }
        }
    }

    fn receive_once(
        &self,
        partial: &mut Partial,
        layer: &Descriptor,
        diff_id: &Digest,
    ) -> Result<(), ImageError> {
        let mut bytes = Incoming::new(self, partial.file(), layer)?;
        let is_there = self.layers.has(diff_id);
        let unpacked = match is_there {
            true => bytes.drain(),
            // What is behind the archive belongs to the blob.
            false => match self.layers.ingest(diff_id, self.limits, &mut bytes) {
                Ok(()) => bytes.drain(),
                Err(error) => Err(error.into()),
            },
        };
        // An archive that breaks off is the lesser half of the truth.
        match bytes.failure.take() {
            Some(failure) => Err(failure),
            None => unpacked,
        }
    }
}

/// The bytes of a layer: those that are here, then those that come, which are kept. The last ones are given
/// only when all together are what the digest says, so that nothing is made of a forged layer.
struct Incoming<'a> {
    pull: &'a LayerPull<'a>,
    layer: &'a Descriptor,
    file: &'a mut File,
    /// How much of it is in the file and was not read yet.
    known: u64,
    remote: Option<ResumingBlob>,
    bytes: Bytes,
    hasher: Option<Hasher>,
    done: u64,
    failure: Option<ImageError>,
}

impl<'a> Incoming<'a> {
    fn new(
        pull: &'a LayerPull<'a>,
        file: &'a mut File,
        layer: &'a Descriptor,
    ) -> Result<Self, ImageError> {
        let doing = || format!("write the layer {}", layer.digest);
        let known = file.metadata().doing(doing)?.len();
        io::Seek::rewind(file).doing(doing)?;
        let hasher = Some(Hasher::new(layer.digest.algorithm()));
        let (remote, bytes, done, failure) = (None, Bytes::new(), 0, None);
        Ok(Self { pull, layer, file, known, remote, bytes, hasher, done, failure })
    }

    /// Reads the rest.
    fn drain(&mut self) -> Result<(), ImageError> {
        while !self.bytes.is_empty() || self.fill()? {
            self.bytes.clear();
        }
        Ok(())
    }

    /// Takes the next bytes; tells whether there are any.
    fn fill(&mut self) -> Result<bool, ImageError> {
        if self.pull.stop.load(Ordering::Relaxed) {
            return Err(ImageError::Refused("another layer could not be pulled".to_owned()));
        }
        if self.hasher.is_none() {
            return Ok(false);
        }
        let bytes = if self.done < self.known { self.reread()? } else { self.next()? };
        self.done += bytes.len() as u64;
        if let Some(hasher) = &mut self.hasher {
            hasher.update(&bytes);
        }
        self.tell();
        if bytes.is_empty() || self.done >= self.layer.size {
            self.verify()?;
        }
        self.bytes = bytes;
        Ok(!self.bytes.is_empty())
    }

    fn tell(&self) {
        let step = Step::Downloading { done: self.done, of: self.layer.size };
        self.pull.progress.layer(&short(&self.layer.digest), step);
    }

    fn reread(&mut self) -> Result<Bytes, ImageError> {
        let mut piece = vec![0; PIECE.min((self.known - self.done) as usize)];
        let read = self.file.read_exact(&mut piece);
        read.doing(|| format!("read what there is of the layer {}", self.layer.digest))?;
        Ok(piece.into())
    }

    /// The next bytes of the registry, written behind what there is.
    fn next(&mut self) -> Result<Bytes, ImageError> {
        let (LayerPull { runtime, source, .. }, layer) = (self.pull, self.layer);
        if self.done == layer.size {
            return Ok(Bytes::new());
        }
        let remote = match &mut self.remote {
            Some(remote) => remote,
            None => {
                let blob =
                    source.client.resuming_blob(&source.repository, &layer.digest, self.done);
                self.remote.insert(runtime.block_on(blob)?)
            }
        };
        let bytes = runtime.block_on(remote.next())?.unwrap_or_default();
        let most = layer.size - self.done;
        if bytes.len() as u64 > most {
            let (what, size) = (format!("layer {}", layer.digest), layer.size + 1);
            return Err(ImageError::TooLarge { what, size, most: layer.size });
        }
        self.file.write_all(&bytes).doing(|| format!("write the layer {}", layer.digest))?;
        Ok(bytes)
    }

    /// All are there: they must be what the digest says.
    fn verify(&mut self) -> Result<(), ImageError> {
        let Some(hasher) = self.hasher.take() else { return Ok(()) };
        let (actual, expected) = (hasher.finish(), self.layer.digest);
        if actual != expected {
            let what = format!("layer {}", short(&expected));
            return Err(ImageError::digest(what, expected, actual));
        }
        self.pull.progress.layer(&short(&self.layer.digest), Step::DownloadComplete);
        Ok(())
    }
}

impl Read for Incoming<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.bytes.is_empty()
            && let Err(error) = self.fill()
        {
            let text = error.to_string();
            self.failure = Some(error);
            return Err(io::Error::other(text));
        }
        let count = buffer.len().min(self.bytes.len());
        self.bytes.copy_to_slice(&mut buffer[..count]);
        Ok(count)
    }
}
