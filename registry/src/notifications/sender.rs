use std::error::Error;
use std::time::Duration;

use berth_config::NotificationEndpoint;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, Url};

use super::envelope::MEDIA_TYPE;

/// What an endpoint is given when its configuration says nothing, or zero, as in `registry:2`.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(1);

const AGENT: HeaderValue = HeaderValue::from_static(concat!("berth/", env!("CARGO_PKG_VERSION")));

/// Posts to an endpoint.
#[derive(Debug)]
pub(super) struct Sender {
    client: Client,
    url: Url,
    headers: HeaderMap,
    timeout: Duration,
}

impl Sender {
    /// For an endpoint, over a client that all share. What is wrong is told without anything secret.
    pub(super) fn new(client: Client, endpoint: &NotificationEndpoint) -> Result<Self, String> {
        let url = endpoint.url.parse().map_err(|error| format!("its URL is malformed: {error}"))?;
        let timeout = endpoint.timeout.get();
        let timeout = if timeout.is_zero() { DEFAULT_TIMEOUT } else { timeout };
        Ok(Self { client, url, headers: headers(endpoint)?, timeout })
    }

    /// Tells it something. Whatever is no success and no redirection is a failure, in words.
    pub(super) async fn send(&self, body: Bytes) -> Result<(), String> {
        let request = self.client.post(self.url.clone());
        let request = request.headers(self.headers.clone()).timeout(self.timeout).body(body);
        match request.send().await {
            Ok(answer) if answer.status().is_success() || answer.status().is_redirection() => {
                Ok(())
            }
            Ok(answer) => Err(format!("it answered {}", answer.status())),
            Err(error) if error.is_timeout() => {
                Err(format!("it did not answer within {:?}", self.timeout))
            }
            Err(error) => Err(in_words(&error.without_url())),
        }
    }
}

/// The client for all endpoints: each has one request under way, and its connection is kept.
pub(super) fn client() -> Result<Client, String> {
    let client = Client::builder().pool_max_idle_per_host(1).build();
    client.map_err(|error| in_words(&error))
}

fn headers(endpoint: &NotificationEndpoint) -> Result<HeaderMap, String> {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
    for (name, values) in &endpoint.headers {
        let wrong = || format!("its header `{name}` cannot be sent");
        let key = HeaderName::try_from(name).map_err(|_| wrong())?;
        for value in values {
            let mut value = HeaderValue::try_from(value.expose()).map_err(|_| wrong())?;
            value.set_sensitive(true);
            headers.append(key.clone(), value);
        }
    }
    if !headers.contains_key(USER_AGENT) {
        headers.insert(USER_AGENT, AGENT);
    }
    Ok(headers)
}

/// An error with all that led to it.
fn in_words(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}
