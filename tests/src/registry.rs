//! A plain reader of the Distribution API that believes nothing it has not hashed.

use std::collections::BTreeSet;
use std::io::{self, Read as _};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use reqwest::blocking::{Client, ClientBuilder, RequestBuilder, Response};
use reqwest::header::{ACCEPT, CONTENT_TYPE, LINK};
use reqwest::{Certificate, Identity};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::authority::{Issued, Trust};

/// Every manifest form there is: the registry must answer with the one that was pushed.
const MANIFEST_TYPES: [&str; 4] = [
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.docker.distribution.manifest.v2+json",
];
/// Small, so that listings here always take several pages.
const PAGE: usize = 5;

/// A registry, as one who reads it over HTTP sees it.
#[derive(Clone, Debug)]
pub struct Registry {
    base: String,
    http: Client,
}

/// A manifest as it was served; its bytes hash to its digest.
#[derive(Clone, Debug)]
pub struct Manifest {
    /// `sha256:…`
    pub digest: String,
    /// The `Content-Type` it came with.
    pub media_type: String,
    /// What it says.
    pub json: Value,
}

/// Everything that can be read from a registry by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Contents {
    /// `repository:tag` and the digest it stands for.
    pub tags: BTreeSet<(String, String)>,
    /// `repository@digest` of every manifest and blob that the tags lead to; each was read whole and hashed.
    pub objects: BTreeSet<String>,
}

fn client() -> ClientBuilder {
    Client::builder().no_proxy().timeout(Duration::from_secs(120))
}

impl Registry {
    /// A reader of the registry at `base`, for example `http://127.0.0.1:5000`.
    pub fn new(base: &str) -> Result<Self> {
        Ok(Self { base: base.to_owned(), http: client().build()? })
    }

    /// A reader of the registry at `base`, for example `https://127.0.0.1:5000`.
    pub fn over_tls(base: &str, trust: &Trust) -> Result<Self> {
        let authority = Certificate::from_pem(trust.authority.as_bytes())?;
        let mut client = client().tls_certs_only([authority]);
        if let Some(Issued { certificate, key }) = &trust.identity {
            client = client.identity(Identity::from_pem(format!("{certificate}{key}").as_bytes())?);
        }
        Ok(Self { base: base.to_owned(), http: client.build()? })
    }

    /// Whether `GET /v2/` answers 200, or asks who is there.
    #[must_use]
    pub fn answers(&self) -> bool {
        self.get("/v2/")
            .timeout(Duration::from_secs(5))
            .send()
            .is_ok_and(|answer| answer.status().is_success() || answer.status() == 401)
    }

    /// What is at a path, as text.
    pub fn text(&self, path: &str) -> Result<String> {
        Ok(success(path, self.get(path).send()?)?.text()?)
    }

    /// All repositories.
    pub fn repositories(&self) -> Result<Vec<String>> {
        self.list("/v2/_catalog", "repositories")
    }

    /// All tags of a repository.
    pub fn tags(&self, repository: &str) -> Result<Vec<String>> {
        self.list(&format!("/v2/{repository}/tags/list"), "tags")
    }

    /// A manifest by tag or digest.
    pub fn manifest(&self, repository: &str, reference: &str) -> Result<Manifest> {
        let path = format!("/v2/{repository}/manifests/{reference}");
        let answer =
            success(&path, self.get(&path).header(ACCEPT, MANIFEST_TYPES.join(", ")).send()?)?;
        let media_type = header(&answer, CONTENT_TYPE.as_str())?;
        let announced = header(&answer, "docker-content-digest")?;
        let body = answer.bytes()?;
        let digest = sha256(&body);
        ensure!(
            announced == digest,
            "{path} is announced as {announced}, but its bytes are {digest}"
        );
        ensure!(!reference.contains(':') || reference == digest, "{path} answered with {digest}");
        Ok(Manifest { digest, media_type, json: serde_json::from_slice(&body)? })
    }

    /// Whether a manifest exists.
    pub fn has_manifest(&self, repository: &str, reference: &str) -> Result<bool> {
        let url = format!("{}/v2/{repository}/manifests/{reference}", self.base);
        let answer = self.http.head(url).header(ACCEPT, MANIFEST_TYPES.join(", ")).send()?;
        ensure!(
            answer.status().is_success() || answer.status() == 404,
            "HEAD answered {}",
            answer.status()
        );
        Ok(answer.status().is_success())
    }

    /// The descriptors of what refers to `digest`, as the referrers API lists them.
    pub fn referrers(&self, repository: &str, digest: &str) -> Result<Vec<Value>> {
        let path = format!("/v2/{repository}/referrers/{digest}");
        let index: Value = success(&path, self.get(&path).send()?)?.json()?;
        Ok(array(&index, "manifests").to_vec())
    }

    /// Reads and hashes a manifest, what it lists and all their blobs; returns its digest and the digests of all.
    ///
    /// Children that an index lists but nobody pushed (sparse indexes) and layers that must not be distributed are
    /// an error: the images of these tests have none.
    pub fn verify(&self, repository: &str, reference: &str) -> Result<(String, BTreeSet<String>)> {
        let manifest = self.manifest(repository, reference)?;
        let mut seen = BTreeSet::from([manifest.digest.clone()]);
        for child in array(&manifest.json, "manifests") {
            seen.extend(self.verify(repository, digest_of(child)?)?.1);
        }
        for blob in manifest.json.get("config").into_iter().chain(array(&manifest.json, "layers")) {
            self.verify_blob(repository, blob)?;
            seen.insert(digest_of(blob)?.to_owned());
        }
        Ok((manifest.digest, seen))
    }

    /// Reads the whole registry, starting from its catalogue.
    pub fn contents(&self) -> Result<Contents> {
        let mut contents = Contents::default();
        for repository in self.repositories()? {
            for tag in self.tags(&repository)? {
                let (digest, objects) = self.verify(&repository, &tag)?;
                contents.tags.insert((format!("{repository}:{tag}"), digest));
                contents
                    .objects
                    .extend(objects.iter().map(|digest| format!("{repository}@{digest}")));
            }
        }
        Ok(contents)
    }

    /// Reads and hashes a blob, and compares it with its descriptor.
    pub fn verify_blob(&self, repository: &str, descriptor: &Value) -> Result<()> {
        let expected = digest_of(descriptor)?;
        let path = format!("/v2/{repository}/blobs/{expected}");
        let mut answer = success(&path, self.get(&path).send()?)?;
        let mut hasher = HashWriter(Sha256::new());
        let size = io::copy(&mut answer.by_ref(), &mut hasher)
            .with_context(|| format!("cannot read {path}"))?;
        ensure!(descriptor["size"] == size, "{path} has {size} bytes, not {}", descriptor["size"]);
        let digest = hasher.digest();
        ensure!(digest == expected, "the bytes of {path} are {digest}");
        Ok(())
    }

    fn list(&self, path: &str, field: &str) -> Result<Vec<String>> {
        let mut names = Vec::new();
        let mut next = Some(format!("{path}?n={PAGE}"));
        while let Some(path) = next {
            let answer = success(&path, self.get(&path).send()?)?;
            next = next_page(&answer)?;
            let page: Value = answer.json()?;
            names.extend(array(&page, field).iter().filter_map(Value::as_str).map(str::to_owned));
        }
        Ok(names)
    }

    fn get(&self, path: &str) -> RequestBuilder {
        let url =
            if path.starts_with('/') { format!("{}{path}", self.base) } else { path.to_owned() };
        self.http.get(url)
    }
}

/// The digest of some bytes, as registries write it.
#[must_use]
pub fn sha256(bytes: &[u8]) -> String {
    let mut hasher = HashWriter(Sha256::new());
    hasher.0.update(bytes);
    hasher.digest()
}

/// The digest of a file.
pub fn sha256_of_file(path: &std::path::Path) -> Result<String> {
    let mut file =
        std::fs::File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
    let mut hasher = HashWriter(Sha256::new());
    io::copy(&mut file, &mut hasher)?;
    Ok(hasher.digest())
}

/// The `digest` of a descriptor.
pub fn digest_of(descriptor: &Value) -> Result<&str> {
    descriptor["digest"].as_str().with_context(|| format!("no digest in {descriptor}"))
}

struct HashWriter(Sha256);

impl HashWriter {
    fn digest(self) -> String {
        format!("sha256:{}", hex::encode(self.0.finalize()))
    }
}

impl io::Write for HashWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn success(path: &str, answer: Response) -> Result<Response> {
    let status = answer.status();
    if status.is_success() {
        return Ok(answer);
    }
    anyhow::bail!("GET {path} answered {status}: {}", answer.text().unwrap_or_default())
}

fn header(answer: &Response, name: &str) -> Result<String> {
    let value = answer.headers().get(name).with_context(|| format!("no {name} header"))?;
    Ok(value.to_str()?.to_owned())
}

fn array<'v>(value: &'v Value, field: &str) -> &'v [Value] {
    value[field].as_array().map_or(&[], Vec::as_slice)
}

/// The address in `Link: <…>; rel="next"`.
fn next_page(answer: &Response) -> Result<Option<String>> {
    let Some(link) = answer.headers().get(LINK) else { return Ok(None) };
    let link = link.to_str()?;
    let address = link
        .strip_prefix('<')
        .and_then(|rest| rest.split_once('>'))
        .map(|(address, _)| address.to_owned());
    Ok(Some(address.with_context(|| format!("a Link header without an address: {link}"))?))
}
