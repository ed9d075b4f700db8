use berth_client::{ClientOptions, RegistryClient, RegistryUrlError};
use berth_config::Scrub;
use tracing::warn;

/// The registries that the configuration names: they have the same repositories, and anyone may read them.
pub(crate) fn peers(settings: &Scrub) -> Vec<RegistryClient> {
    settings.peers.iter().filter_map(|url| client(url)).collect()
}

fn client(url: &str) -> Option<RegistryClient> {
    let client = match url.parse() {
        Ok(url) => RegistryClient::new(url, ClientOptions::default()).map_err(|e| e.to_string()),
        Err(error) => Err(RegistryUrlError::to_string(&error)),
    };
    client.inspect_err(|error| warn!(url, error, "a peer of the scrub cannot be asked")).ok()
}
