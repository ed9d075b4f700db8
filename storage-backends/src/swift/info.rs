use serde::Deserialize;

/// What a cluster says of itself at `/info`.
///
/// Operators can hide it; then a cluster counts as one with the defaults of today's Swift.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(super) struct Info {
    /// Static large objects.
    #[serde(default)]
    pub(super) slo: Option<Slo>,
    /// Temporary URLs.
    #[serde(default)]
    pub(super) tempurl: Option<TempUrl>,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(super) struct Slo {
    #[serde(default = "default_segments")]
    pub(super) max_manifest_segments: usize,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(super) struct TempUrl {
    #[serde(default = "default_methods")]
    pub(super) methods: Vec<String>,
    /// Clusters that do not say so are old, or Ceph.
    #[serde(default = "digests_of_old")]
    pub(super) allowed_digests: Vec<String>,
}

impl Default for Info {
    fn default() -> Self {
        let slo = Slo { max_manifest_segments: super::SEGMENTS };
        let tempurl =
            TempUrl { methods: default_methods(), allowed_digests: vec!["sha256".to_owned()] };
        Self { slo: Some(slo), tempurl: Some(tempurl) }
    }
}

impl Info {
    /// Reads the answer; the defaults where it is none.
    pub(super) fn parse(answer: &str) -> Self {
        serde_json::from_str(answer).unwrap_or_default()
    }

    /// Where it is found: beside the `v1` that the account is in.
    pub(super) fn url(store: &str) -> String {
        let base = store.find("/v1").map_or(store, |at| &store[..at]);
        format!("{base}/info")
    }
}

fn default_segments() -> usize {
    super::SEGMENTS
}

fn default_methods() -> Vec<String> {
    ["GET", "HEAD", "PUT", "POST", "DELETE"].map(str::to_owned).into()
}

fn digests_of_old() -> Vec<String> {
    vec!["sha1".to_owned()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cluster_is_what_it_says_and_the_usual_where_it_says_nothing() {
        let told = Info::parse(
            r#"{"swift": {"version": "2.38"}, "slo": {"max_manifest_segments": 5, "min": 1},
                "tempurl": {"methods": ["GET"], "allowed_digests": ["sha512"]}}"#,
        );
        assert_eq!(told.slo.unwrap().max_manifest_segments, 5);
        let tempurl = told.tempurl.unwrap();
        assert_eq!((tempurl.methods.len(), &*tempurl.allowed_digests[0]), (1, "sha512"));
        let without = Info::parse(r#"{"swift": {}}"#);
        assert_eq!((without.slo, without.tempurl), (None, None));
        let ceph = Info::parse(r#"{"slo": {}, "tempurl": {"methods": ["GET"]}}"#);
        assert_eq!(ceph.slo.unwrap().max_manifest_segments, 1000);
        assert_eq!(ceph.tempurl.unwrap().allowed_digests, ["sha1"]);
        assert_eq!(Info::parse("<html>"), Info::default());
    }

    #[test]
    fn it_is_beside_the_account() {
        assert_eq!(Info::url("https://host/v1/AUTH_a"), "https://host/info");
        assert_eq!(Info::url("http://host/swift/v1"), "http://host/swift/info");
    }
}
