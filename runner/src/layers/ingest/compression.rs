//! How a layer is compressed, by its first bytes, and what it is uncompressed.

use std::io::{self, BufReader, Chain, Cursor, Read};

use flate2::bufread::MultiGzDecoder;
use zstd::stream::read::Decoder as ZstdDecoder;

use super::CHUNK;
use crate::layers::error::LayerError;
use crate::layers::limits::Limits;

/// What a decoder of zstd may keep of what it has written, as a power of two: 128 MiB, which is what
/// the program itself allows.
const ZSTD_WINDOW: u32 = 27;

type Received<'input> = Counted<Chain<Cursor<Vec<u8>>, &'input mut dyn Read>>;
type Input<'input> = BufReader<Received<'input>>;

/// The archive in a compressed layer.
pub(super) struct Source<'input> {
    decoder: Decoder<'input>,
    limits: Limits,
    /// Bytes that came out of it.
    written: u64,
}

enum Decoder<'input> {
    Bare(Input<'input>),
    Gzip(Box<MultiGzDecoder<Input<'input>>>),
    Zstd(ZstdDecoder<'static, Input<'input>>),
}

/// Looks at the first bytes of `input`.
pub(super) fn open<'input>(
    input: &'input mut dyn Read,
    limits: &Limits,
) -> Result<Source<'input>, LayerError> {
    let mut first = Vec::with_capacity(6);
    Read::take(&mut *input, 6).read_to_end(&mut first)?;
    let magic: [u8; 6] = std::array::from_fn(|at| first.get(at).copied().unwrap_or_default());
    let input = BufReader::with_capacity(
        CHUNK,
        Counted { inner: Cursor::new(first).chain(input), read: 0, failed: false },
    );
    let decoder = match magic {
        [0x1f, 0x8b, ..] => Decoder::Gzip(Box::new(MultiGzDecoder::new(input))),
        // The second one is a frame to be passed over.
        [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => {
            let mut decoder = ZstdDecoder::with_buffer(input).map_err(LayerError::Compression)?;
            decoder.window_log_max(ZSTD_WINDOW).map_err(LayerError::Compression)?;
            Decoder::Zstd(decoder)
        }
        [b'B', b'Z', b'h', ..] => return Err(unknown("bzip2")),
        [0xfd, b'7', b'z', b'X', b'Z', 0] => return Err(unknown("xz")),
        _ => Decoder::Bare(input),
    };
    Ok(Source { decoder, limits: *limits, written: 0 })
}

fn unknown(method: &str) -> LayerError {
    let why = format!("it is {method}, and layers are gzip, zstd or nothing of the kind");
    LayerError::Compression(io::Error::new(io::ErrorKind::Unsupported, why))
}

impl<'input> Source<'input> {
    /// Puts the next bytes into `chunk`, as many as it is made for: none at the end.
    pub(super) fn fill(&mut self, chunk: &mut Vec<u8>) -> Result<(), LayerError> {
        chunk.resize(CHUNK, 0);
        let mut length = 0;
        while length < CHUNK {
            match self.read(&mut chunk[length..]) {
                Ok(0) => break,
                Ok(read) => length += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.failed(error)),
            }
        }
        chunk.truncate(length);
        self.written += length as u64;
        self.check()
    }

    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match &mut self.decoder {
            Decoder::Bare(input) => input.read(buffer),
            Decoder::Gzip(decoder) => decoder.read(buffer),
            Decoder::Zstd(decoder) => decoder.read(buffer),
        }
    }

    fn check(&self) -> Result<(), LayerError> {
        let Limits { bytes, ratio, ratio_from, .. } = self.limits;
        if self.written > bytes {
            return Err(LayerError::limit("bytes", bytes));
        }
        let most = ratio_from.max(self.input().read.saturating_mul(ratio));
        match self.written > most {
            true => Err(LayerError::limit("times the bytes of its compressed form", ratio)),
            false => Ok(()),
        }
    }

    fn input(&self) -> &Received<'input> {
        match &self.decoder {
            Decoder::Bare(input) => input.get_ref(),
            Decoder::Gzip(decoder) => decoder.get_ref().get_ref(),
            Decoder::Zstd(decoder) => decoder.get_ref().get_ref(),
        }
    }

    /// Whether the input broke off, or what came of it is damaged.
    fn failed(&self, error: io::Error) -> LayerError {
        match (&self.decoder, self.input().failed) {
            (Decoder::Bare(_), _) | (_, true) => error.into(),
            _ => LayerError::Compression(error),
        }
    }
}

/// Counts what is read.
struct Counted<R> {
    inner: R,
    read: u64,
    /// Whether it could not be read.
    failed: bool,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let result = self.inner.read(buffer);
        match &result {
            Ok(read) => self.read += *read as u64,
            Err(error) => self.failed = error.kind() != io::ErrorKind::Interrupted,
        }
        result
    }
}
