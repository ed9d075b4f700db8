use std::time::Duration;

use berth_config::EndpointType;
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde::Deserialize;

use crate::objects::ObjectError;

/// The service that Swift is in OpenStack's catalogue.
const OBJECT_STORE: &str = "object-store";

/// What Keystone v3 answers to a login.
#[derive(Debug, Deserialize)]
pub(super) struct V3 {
    token: V3Token,
}

#[derive(Debug, Deserialize)]
struct V3Token {
    #[serde(default)]
    expires_at: Option<String>,
    #[serde(default)]
    issued_at: Option<String>,
    #[serde(default)]
    catalog: Vec<V3Service>,
}

#[derive(Debug, Deserialize)]
struct V3Service {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    endpoints: Vec<V3Endpoint>,
}

#[derive(Debug, Deserialize)]
struct V3Endpoint {
    interface: String,
    region: Option<String>,
    region_id: Option<String>,
    url: String,
}

/// What Keystone v2 answers.
#[derive(Debug, Deserialize)]
pub(super) struct V2 {
    access: V2Access,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct V2Access {
    token: V2Token,
    #[serde(default)]
    service_catalog: Vec<V2Service>,
}

#[derive(Debug, Deserialize)]
struct V2Token {
    id: String,
    #[serde(default)]
    expires: Option<String>,
    #[serde(default)]
    issued_at: Option<String>,
}

#[derive(Debug, Deserialize)]
struct V2Service {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    endpoints: Vec<V2Endpoint>,
}

#[derive(Debug, Deserialize)]
struct V2Endpoint {
    region: Option<String>,
    #[serde(rename = "publicURL")]
    public: Option<String>,
    #[serde(rename = "internalURL")]
    internal: Option<String>,
    #[serde(rename = "adminURL")]
    admin: Option<String>,
}

/// An address of the object store in the catalogue.
#[derive(Debug)]
pub(super) struct Address {
    /// The region that it is in: its name, and its ID where that may differ.
    regions: Vec<String>,
    kind: EndpointType,
    url: String,
}

impl V3 {
    /// How long the token is good for, by Keystone's own clock.
    pub(super) fn lifetime(&self) -> Option<Duration> {
        lifetime(self.token.issued_at.as_deref(), self.token.expires_at.as_deref())
    }

    pub(super) fn addresses(self) -> Vec<Address> {
        let stores = self.token.catalog.into_iter().filter(|service| service.kind == OBJECT_STORE);
        stores
            .flat_map(|store| store.endpoints)
            .filter_map(|endpoint| {
                let kind = match endpoint.interface.as_str() {
                    "public" => EndpointType::Public,
                    "internal" => EndpointType::Internal,
                    "admin" => EndpointType::Admin,
                    _ => return None,
                };
                let regions = endpoint.region.into_iter().chain(endpoint.region_id).collect();
                Some(Address { regions, kind, url: endpoint.url })
            })
            .collect()
    }
}

impl V2 {
    pub(super) fn token(&self) -> &str {
        &self.access.token.id
    }

    /// How long the token is good for, by Keystone's own clock.
    pub(super) fn lifetime(&self) -> Option<Duration> {
        let token = &self.access.token;
        lifetime(token.issued_at.as_deref(), token.expires.as_deref())
    }

    pub(super) fn addresses(self) -> Vec<Address> {
        let stores =
            self.access.service_catalog.into_iter().filter(|service| service.kind == OBJECT_STORE);
        stores
            .flat_map(|store| store.endpoints)
            .flat_map(|endpoint| {
                let regions: Vec<String> = endpoint.region.into_iter().collect();
                let urls = [
                    (EndpointType::Public, endpoint.public),
                    (EndpointType::Internal, endpoint.internal),
                    (EndpointType::Admin, endpoint.admin),
                ];
                urls.into_iter().filter_map(move |(kind, url)| {
                    Some(Address { regions: regions.clone(), kind, url: url? })
                })
            })
            .collect()
    }
}

/// `None` where the answer does not tell: then a token is renewed when the store refuses it. Our own
/// clock is not asked, which may be wrong.
fn lifetime(issued: Option<&str>, expires: Option<&str>) -> Option<Duration> {
    let lives = time(expires?)?.duration_since(time(issued?)?);
    Duration::try_from(lives).ok()
}

/// A time, which is in UTC when it does not say so.
fn time(text: &str) -> Option<Timestamp> {
    let utc = |time: DateTime| Some(time.to_zoned(TimeZone::UTC).ok()?.timestamp());
    text.parse().ok().or_else(|| utc(text.parse().ok()?))
}

/// The address that the settings mean.
///
/// # Errors
/// When there is none, with the key that would have to change.
pub(super) fn choose(
    addresses: &[Address],
    region: Option<&str>,
    kind: EndpointType,
) -> Result<String, ObjectError> {
    if addresses.is_empty() {
        return Err(ObjectError::Failed(
            "storage.swift.tenant: the catalogue has no object store for this user: set the tenant (project) that has one".to_owned(),
        ));
    }
    let in_region = |address: &&Address| {
        region.is_none_or(|region| address.regions.iter().any(|name| name == region))
    };
    let mut here = addresses.iter().filter(in_region).peekable();
    if here.peek().is_none() {
        let mut regions: Vec<&str> = addresses.iter().flat_map(Address::region).collect();
        regions.sort_unstable();
        regions.dedup();
        return Err(ObjectError::Failed(format!(
            "storage.swift.region: the catalogue has no object store in `{}`, only in `{}`",
            region.unwrap_or_default(),
            regions.join("`, `")
        )));
    }
    match here.find(|address| address.kind == kind) {
        Some(address) => Ok(address.url.trim_end_matches('/').to_owned()),
        None => Err(ObjectError::Failed(
            "storage.swift.endpointtype: the catalogue has no such address of the object store: set another one".to_owned(),
        )),
    }
}

impl Address {
    fn region(&self) -> Option<&str> {
        self.regions.first().map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// After the examples of the Identity API, version 3.
    const V3_ANSWER: &str = r#"{"token": {
        "issued_at": "2015-11-06T14:32:17.893769Z", "expires_at": "2015-11-06T15:32:17.893797Z",
        "catalog": [
            {"type": "identity", "endpoints": [
                {"interface": "public", "region": "one", "url": "http://keystone"}]},
            {"type": "object-store", "endpoints": [
                {"interface": "admin", "region": "one", "region_id": "1", "url": "http://admin/v1"},
                {"interface": "public", "region": "one", "region_id": "1", "url": "http://one/v1/"},
                {"interface": "public", "region": "two", "region_id": "2", "url": "http://two/v1"}]}
        ]}}"#;

    /// After those of version 2.
    const V2_ANSWER: &str = r#"{"access": {
        "token": {"id": "secret", "issued_at": "2014-01-30T15:30:58.819584",
                  "expires": "2014-01-31T15:30:58Z", "tenant": {"id": "x"}},
        "serviceCatalog": [{"type": "object-store", "name": "swift", "endpoints_links": [],
            "endpoints": [{"region": "one", "publicURL": "http://one", "internalURL": "http://in",
                           "adminURL": "http://admin", "id": "x"}]}]}}"#;

    fn v3() -> V3 {
        serde_json::from_str(V3_ANSWER).unwrap()
    }

    #[test]
    fn the_store_is_found_by_its_region_and_kind() {
        let addresses = v3().addresses();
        let chosen = |region, kind| choose(&addresses, region, kind).unwrap();
        assert_eq!(chosen(None, EndpointType::Public), "http://one/v1");
        assert_eq!(chosen(Some("two"), EndpointType::Public), "http://two/v1");
        assert_eq!(chosen(Some("2"), EndpointType::Public), "http://two/v1");
        assert_eq!(chosen(None, EndpointType::Admin), "http://admin/v1");
        let v2 = serde_json::from_str::<V2>(V2_ANSWER).unwrap();
        assert_eq!(v2.token(), "secret");
        let addresses = v2.addresses();
        assert_eq!(choose(&addresses, Some("one"), EndpointType::Internal).unwrap(), "http://in");
    }

    #[test]
    fn a_store_that_is_not_there_is_told_with_the_key_to_change() {
        let addresses = v3().addresses();
        let told = |addresses: &[Address], region, kind| {
            choose(addresses, region, kind).unwrap_err().to_string()
        };
        let region = told(&addresses, Some("three"), EndpointType::Public);
        assert!(region.starts_with("storage.swift.region: "), "{region}");
        assert!(region.ends_with("in `three`, only in `one`, `two`"), "{region}");
        let kind = told(&addresses, Some("two"), EndpointType::Internal);
        assert!(kind.starts_with("storage.swift.endpointtype: "), "{kind}");
        let tenant = told(&[], None, EndpointType::Public);
        assert!(tenant.starts_with("storage.swift.tenant: "), "{tenant}");
    }

    #[test]
    fn a_token_lives_as_long_as_keystone_says_by_its_own_clock() {
        assert_eq!(v3().lifetime().unwrap().as_secs(), 3600);
        let v2: V2 = serde_json::from_str(V2_ANSWER).unwrap();
        assert_eq!(v2.lifetime().unwrap().as_secs(), 24 * 3600 - 1);
        for (issued, expires) in [(None, Some("2099-01-01T00:00:00Z")), (Some("today"), None)] {
            assert_eq!(lifetime(issued, expires), None);
        }
    }
}
