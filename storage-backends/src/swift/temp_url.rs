use std::time::{Duration, SystemTime};

use aws_lc_rs::hmac;
use berth_config::{Secret, Swift};
use http::{HeaderMap, HeaderName};
use percent_encoding::percent_decode_str;
use tokio::sync::OnceCell;
use tracing::{info, warn};

use super::container::Container;
use crate::objects::{ObjectError, failed};
use crate::remote::path_encoded;

/// Makes temporary URLs: addresses that anyone can read an object at for a while.
///
/// <https://docs.openstack.org/swift/latest/api/temporary_url_middleware.html>
#[derive(Debug)]
pub(super) struct TempUrls {
    key: Secret,
    /// Whether the key is the container's and not the account's.
    of_container: bool,
    /// The methods that the operator says are allowed; none to believe the cluster.
    methods: Vec<String>,
    /// Set once the cluster has the key.
    known: OnceCell<()>,
}

impl TempUrls {
    pub(super) fn new(key: Secret, settings: &Swift) -> Self {
        let methods = settings.tempurlmethods.clone();
        Self { key, of_container: settings.tempurlcontainerkey, methods, known: OnceCell::new() }
    }

    /// The address of an object; `None` where the cluster has none.
    pub(super) async fn of(
        &self,
        container: &Container,
        key: &str,
        valid: Duration,
    ) -> Result<Option<String>, ObjectError> {
        let Some(cluster) = container.info().await.tempurl else { return Ok(None) };
        let methods = if self.methods.is_empty() { &cluster.methods } else { &self.methods };
        let reads = methods.iter().any(|method| method.eq_ignore_ascii_case("GET"));
        let Some(algorithm) = algorithm(&cluster.allowed_digests).filter(|_| reads) else {
            return Ok(None);
        };
        self.known.get_or_try_init(|| self.make_known(container)).await?;
        let (store, object) = container.place(key).await?;
        let until = SystemTime::now() + valid;
        let until = until.duration_since(SystemTime::UNIX_EPOCH).map_err(failed)?.as_secs();
        let path = format!("{}{object}", path(&store));
        let signature = sign(algorithm, self.key.expose(), &path, until);
        let object = path_encoded(&object);
        Ok(Some(format!("{store}{object}?temp_url_sig={signature}&temp_url_expires={until}")))
    }

    /// Gives the cluster the key unless it has it, as `registry:2` does; but in the second of the
    /// two places when the first is taken, so that addresses which others signed stay good.
    async fn make_known(&self, container: &Container) -> Result<(), ObjectError> {
        let of = if self.of_container { "container" } else { "account" };
        let headers = container.metadata(self.of_container).await?;
        let places = [format!("x-{of}-meta-temp-url-key"), format!("x-{of}-meta-temp-url-key-2")];
        if places.iter().any(|place| held(&headers, place) == Some(self.key.expose())) {
            return Ok(());
        }
        let Some(free) = places.iter().find(|place| held(&headers, place).is_none()) else {
            return Err(ObjectError::Failed(format!(
                "storage.swift.secretkey: the {of} has two keys for temporary URLs, and this is none of them: set one of them"
            )));
        };
        let name = HeaderName::try_from(free).map_err(failed)?;
        match container.set_metadata(self.of_container, name, self.key.expose()).await {
            Ok(()) => {
                info!("the {of} was given the key of temporary URLs, storage.swift.secretkey");
                Ok(())
            }
            // Not ours to look at: somebody else must have set it.
            Err(ObjectError::Denied(reason)) => {
                warn!(%reason, "the {of} does not show its key of temporary URLs; storage.swift.secretkey is taken for it");
                Ok(())
            }
            Err(error) => Err(error),
        }
    }
}

fn held<'a>(headers: &'a HeaderMap, place: &str) -> Option<&'a str> {
    headers.get(place)?.to_str().ok().filter(|key| !key.is_empty())
}

/// The path of a URL, as the server sees it.
fn path(url: &str) -> String {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let path = rest.find('/').map_or("", |at| &rest[at..]);
    percent_decode_str(path).decode_utf8_lossy().into_owned()
}

/// The first that both know, the best first. Swift does not take SHA-1 any more; others take no
/// other.
fn algorithm(allowed: &[String]) -> Option<hmac::Algorithm> {
    let known = [
        ("sha256", hmac::HMAC_SHA256),
        ("sha512", hmac::HMAC_SHA512),
        ("sha1", hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY),
    ];
    let is_allowed = |name: &str| allowed.iter().any(|one| one.eq_ignore_ascii_case(name));
    known.into_iter().find(|(name, _)| is_allowed(name)).map(|(_, algorithm)| algorithm)
}

fn sign(algorithm: hmac::Algorithm, key: &str, path: &str, until: u64) -> String {
    let key = hmac::Key::new(algorithm, key.as_bytes());
    hex::encode(hmac::sign(&key, format!("GET\n{until}\n{path}").as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_that_of_swift_s_own_documentation() {
        let path = "/v1/AUTH_account/container/object";
        assert_eq!(
            sign(hmac::HMAC_SHA256, "mykey", path, 1_512_508_563),
            "732fcac368abb10c78a4cbe95c3fab7f311584532bf779abd5074e13cbe8b88b"
        );
    }

    #[test]
    fn the_best_digest_that_the_cluster_takes_is_used() {
        let best = |allowed: &[&str]| {
            algorithm(&allowed.iter().map(|&name| name.to_owned()).collect::<Vec<_>>())
        };
        assert_eq!(best(&["sha1", "sha512", "sha256"]), Some(hmac::HMAC_SHA256));
        assert_eq!(best(&["sha1", "SHA512"]), Some(hmac::HMAC_SHA512));
        assert_eq!(best(&["sha1"]), Some(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY));
        assert_eq!(best(&["md5"]), None);
    }

    #[test]
    fn what_is_signed_is_the_path_as_the_server_sees_it() {
        assert_eq!(path("https://host:1/swift/v1/AUTH%3Aa"), "/swift/v1/AUTH:a");
        assert_eq!(path("https://host"), "");
    }
}
