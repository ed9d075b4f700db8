use std::time::Duration;

use async_trait::async_trait;
use berth_config::Scrub;
use berth_oci::{Digest, RepositoryName};
use bytes::Bytes;
use futures_util::stream::{BoxStream, StreamExt, TryStreamExt};
use reqwest::{Client, StatusCode, Url};

use super::repair::RepairSource;

/// How long a peer may take to answer, and between two pieces of a blob.
const PATIENCE: Duration = Duration::from_secs(30);

/// Another registry that has the same repositories, and that anyone may read.
#[derive(Debug)]
struct Peer {
    client: Client,
    url: Url,
}

/// The peers that the configuration names.
pub(crate) fn peers(settings: &Scrub) -> Vec<Box<dyn RepairSource>> {
    let client = Client::builder().connect_timeout(PATIENCE).read_timeout(PATIENCE).build();
    // Only a broken set of trusted certificates fails here; then there is nobody to ask.
    let Ok(client) = client else { return Vec::new() };
    let urls = settings.peers.iter().filter_map(|url| url.parse().ok());
    urls.map(|url| Box::new(Peer { client: client.clone(), url }) as Box<dyn RepairSource>)
        .collect()
}

#[async_trait]
impl RepairSource for Peer {
    fn name(&self) -> String {
        self.url.to_string()
    }

    async fn fetch(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<BoxStream<'static, Result<Bytes, String>>, String> {
        let path = format!("v2/{repository}/blobs/{digest}");
        let url = self.url.join(&path).map_err(|error| error.to_string())?;
        let answer = self.client.get(url).send().await.map_err(in_words)?;
        match answer.status() {
            StatusCode::OK => Ok(answer.bytes_stream().map_err(in_words).boxed()),
            status => Err(format!("it answered {status}")),
        }
    }
}

fn in_words(error: reqwest::Error) -> String {
    error.without_url().to_string()
}
