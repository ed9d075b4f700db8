//! A registry that answers as it is told, so that it can lie, and break where a test wants it to.

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use anyhow::Result;
use berth_tests::fixtures::Layout;
use berth_tests::registry::sha256;
use serde_json::{Value, json};

pub(crate) const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub(crate) const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

/// What a path answers.
#[derive(Clone, Debug)]
pub(crate) struct Content {
    media_type: String,
    bytes: Vec<u8>,
    /// After so many bytes the first answer breaks off.
    breaks_at: Option<usize>,
    /// The broken answer does not end either.
    hangs: bool,
}

/// The registry, and what it was asked.
pub(crate) struct Scripted {
    address: String,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    contents: HashMap<String, Content>,
    /// Each path that was asked for, and the range.
    asked: Vec<(String, Option<String>)>,
    /// Connections that hang.
    held: Vec<TcpStream>,
}

impl Scripted {
    pub(crate) fn start() -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?.to_string();
        let state = Arc::new(Mutex::new(State::default()));
        let shared = state.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = shared.clone();
                // A client that goes ends its answer alone.
                thread::spawn(move || drop(answer(stream, &shared)));
            }
        });
        Ok(Self { address, state })
    }

    /// The name of an image here.
    pub(crate) fn name(&self, rest: &str) -> String {
        format!("{}/{rest}", self.address)
    }

    pub(crate) fn blob(&self, bytes: &[u8]) -> String {
        let digest = sha256(bytes);
        self.content(&format!("blobs/{digest}"), "application/octet-stream", bytes);
        digest
    }

    /// Another blob than its digest says.
    pub(crate) fn forged_blob(&self, digest: &str, bytes: &[u8]) {
        self.content(&format!("blobs/{digest}"), "application/octet-stream", bytes);
    }

    /// A blob whose first answer breaks off.
    pub(crate) fn breaking_blob(&self, digest: &str, at: usize, hangs: bool) {
        let mut state = self.state.lock().unwrap();
        let content = state.contents.get_mut(&format!("/v2/app/blobs/{digest}")).unwrap();
        (content.breaks_at, content.hangs) = (Some(at), hangs);
    }

    pub(crate) fn manifest(&self, tag: &str, media_type: &str, bytes: &[u8]) -> String {
        let digest = sha256(bytes);
        for reference in [tag, &digest] {
            self.content(&format!("manifests/{reference}"), media_type, bytes);
        }
        digest
    }

    /// An image of these layers, each as it is sent and its digest uncompressed.
    pub(crate) fn image(&self, tag: &str, layers: &[(&[u8], &str)]) -> String {
        let diff_ids: Vec<&str> = layers.iter().map(|(_, diff_id)| *diff_id).collect();
        let config = json!({
            "architecture": "amd64", "os": "linux", "config": {},
            "rootfs": {"type": "layers", "diff_ids": diff_ids},
        })
        .to_string();
        let descriptor = |media_type: &str, bytes: &[u8]| json!({"mediaType": media_type, "digest": self.blob(bytes), "size": bytes.len()});
        let config = descriptor(CONFIG, config.as_bytes());
        let layers: Vec<Value> = layers.iter().map(|(bytes, _)| descriptor(LAYER, bytes)).collect();
        let manifest =
            json!({"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": layers});
        self.manifest(tag, MANIFEST, manifest.to_string().as_bytes())
    }

    /// An image of the suite, tagged `latest`; the digests of its layers.
    pub(crate) fn serve(&self, layout: &Layout) -> Result<Vec<String>> {
        let read =
            |digest: &str| std::fs::read(layout.path.join("blobs").join(digest.replace(':', "/")));
        let bytes = read(&layout.digest)?;
        let manifest: Value = serde_json::from_slice(&bytes)?;
        self.manifest("latest", MANIFEST, &bytes);
        let digest = |value: &Value| value["digest"].as_str().unwrap().to_owned();
        self.blob(&read(&digest(&manifest["config"]))?);
        let layers: Vec<String> =
            manifest["layers"].as_array().unwrap().iter().map(digest).collect();
        for layer in &layers {
            self.blob(&read(layer)?);
        }
        Ok(layers)
    }

    /// The ranges with which a blob was asked for.
    pub(crate) fn ranges(&self, digest: &str) -> Vec<Option<String>> {
        let path = format!("/v2/app/blobs/{digest}");
        let asked = &self.state.lock().unwrap().asked;
        asked.iter().filter(|(asked, _)| *asked == path).map(|(_, range)| range.clone()).collect()
    }

    fn content(&self, path: &str, media_type: &str, bytes: &[u8]) {
        let content = Content {
            media_type: media_type.to_owned(),
            bytes: bytes.to_vec(),
            breaks_at: None,
            hangs: false,
        };
        self.state.lock().unwrap().contents.insert(format!("/v2/app/{path}"), content);
    }
}

fn answer(stream: TcpStream, state: &Mutex<State>) -> Result<()> {
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    let request = lines.next().transpose()?.unwrap_or_default();
    let path = request.split(' ').nth(1).unwrap_or_default().to_owned();
    let mut range = None;
    for line in lines {
        let line = line?;
        if let Some(value) = line.to_lowercase().strip_prefix("range: ") {
            range = Some(value.to_owned());
        }
        if line.is_empty() {
            break;
        }
    }
    let content = {
        let mut state = state.lock().unwrap();
        state.asked.push((path.clone(), range.clone()));
        let content = state.contents.get(&path).cloned();
        if let Some(content) = state.contents.get_mut(&path) {
            content.breaks_at = None;
        }
        content
    };
    let mut out = stream.try_clone()?;
    let Some(content) = content else {
        let head = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
        return Ok(out.write_all(head.as_bytes())?);
    };
    let (whole, media_type) = (content.bytes.len(), &content.media_type);
    let first = range
        .as_ref()
        .and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok());
    let (status, first) = match first {
        Some(first) => (
            format!("206 Partial Content\r\nContent-Range: bytes {first}-{}/{whole}", whole - 1),
            first,
        ),
        None => ("200 OK".to_owned(), 0),
    };
    let length = whole - first;
    write!(
        out,
        "HTTP/1.1 {status}\r\nContent-Type: {media_type}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
    )?;
    out.write_all(&content.bytes[first..content.breaks_at.unwrap_or(whole)])?;
    if content.hangs && content.breaks_at.is_some() {
        state.lock().unwrap().held.push(stream);
    }
    Ok(())
}
