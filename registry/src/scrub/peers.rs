use berth_client::{ClientOptions, RegistryClient};
use berth_config::Scrub;

/// The registries that the configuration names: they have the same repositories, and anyone may read them.
pub(crate) fn peers(settings: &Scrub) -> Vec<RegistryClient> {
    let client = |url: &String| {
        // The URL was checked with the configuration. Only a broken set of trusted certificates fails
        // here; then there is nobody to ask.
        RegistryClient::new(url.parse().ok()?, ClientOptions::default()).ok()
    };
    settings.peers.iter().filter_map(client).collect()
}
