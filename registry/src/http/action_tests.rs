use http::Method;
use proptest::prelude::*;

use super::action::{Action, ActionError, StartUpload, UploadWrite};

const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
const UUID: &str = "0190b5a4-7c1e-7000-8000-000000000000";

fn parse(method: Method, target: &str) -> Result<Action, ActionError> {
    let (path, query) = target.split_once('?').map_or((target, None), |(p, q)| (p, Some(q)));
    Action::parse(&method, path, query)
}

/// Names made of the words of the API itself, which are the ones that can be misread.
fn names() -> impl Strategy<Value = String> {
    let words = [
        "blobs",
        "uploads",
        "manifests",
        "tags",
        "list",
        "referrers",
        "v2",
        "a",
        "library",
        "0-1_b",
    ];
    let word = proptest::sample::select(words.to_vec());
    proptest::collection::vec(word, 1..6).prop_map(|words| words.join("/"))
}

proptest! {
    #[test]
    fn every_name_keeps_every_route(name in names(), tag in "[a-zA-Z0-9_][a-zA-Z0-9._-]{0,20}") {
        let repository: berth_oci::RepositoryName = name.parse().unwrap();
        let digest: berth_oci::Digest = DIGEST.parse().unwrap();
        let id: berth_oci::UploadId = UUID.parse().unwrap();
        let get = |rest: String| parse(Method::GET, &format!("/v2/{name}/{rest}")).unwrap();
        prop_assert_eq!(
            get(format!("manifests/{tag}")),
            Action::ReadManifest(repository.clone(), tag.parse().unwrap())
        );
        prop_assert_eq!(
            get(format!("manifests/{DIGEST}")),
            Action::ReadManifest(repository.clone(), DIGEST.parse().unwrap())
        );
        prop_assert_eq!(get(format!("blobs/{DIGEST}")), Action::ReadBlob(repository.clone(), digest));
        prop_assert_eq!(get("tags/list".to_owned()).label(), "tags");
        prop_assert_eq!(get(format!("referrers/{DIGEST}")).label(), "referrers");
        prop_assert_eq!(
            get(format!("blobs/uploads/{UUID}")),
            Action::Upload(repository.clone(), id, UploadWrite::Status)
        );
        for slash in ["", "/"] {
            prop_assert_eq!(
                parse(Method::POST, &format!("/v2/{name}/blobs/uploads{slash}")).unwrap(),
                Action::StartUpload(repository.clone(), StartUpload::Session(Default::default()))
            );
        }
    }

    #[test]
    fn no_request_line_panics(path in ".{0,60}", query in proptest::option::of(".{0,60}")) {
        for method in [Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
            let _ = Action::parse(&method, &path, query.as_deref());
            let _ = Action::parse(&method, &format!("/v2/{path}"), query.as_deref());
        }
    }

    #[test]
    fn encoding_a_path_changes_nothing(name in names()) {
        let plain = format!("/v2/{name}/manifests/{DIGEST}");
        let encoded = plain.replace(':', "%3A").replace('b', "%62");
        prop_assert_eq!(parse(Method::GET, &plain), parse(Method::GET, &encoded));
    }
}

#[test]
fn malformed_requests_are_told_apart() {
    use ActionError as E;
    let long = format!("/v2/{}/tags/list", "a".repeat(256));
    let bad = |method: &Method, target: &str| parse(method.clone(), target).unwrap_err();
    let name_errors = ["/v2/../tags/list", "/v2/%2e%2e/tags/list", "/v2/A/tags/list", &long];
    for target in name_errors {
        assert!(matches!(bad(&Method::GET, target), E::Name(_)), "{target}");
    }
    for (method, target) in [
        (Method::GET, "/"),
        (Method::GET, "/v3/"),
        (Method::GET, "/v2/x"),
        (Method::GET, "/v2/x/y/z"),
        (Method::GET, "/v2x/a/tags/list"),
        (Method::GET, "/v2/a/uploads/b"),
    ] {
        assert_eq!(bad(&method, target), E::NotFound, "{target}");
    }
    let digest_errors = [
        (Method::GET, "/v2/a/blobs/sha256:12".to_owned()),
        (Method::GET, "/v2/a/blobs/md5:d41d8cd98f00b204e9800998ecf8427e".to_owned()),
        (Method::GET, format!("/v2/a/referrers/{}", DIGEST.to_uppercase())),
        (Method::POST, "/v2/a/blobs/uploads/?mount=x".to_owned()),
        (Method::POST, "/v2/a/blobs/uploads/?digest-algorithm=md5".to_owned()),
        (Method::PUT, format!("/v2/a/blobs/uploads/{UUID}?digest=x")),
    ];
    for (method, target) in digest_errors {
        assert!(matches!(bad(&method, &target), E::Digest(_)), "{target}");
    }
    let no_digest = format!("/v2/a/blobs/uploads/{UUID}");
    assert_eq!(bad(&Method::PUT, &no_digest), E::DigestMissing);
    assert!(matches!(bad(&Method::GET, "/v2/a/blobs/uploads/1"), E::UploadId(_)));
    assert!(matches!(bad(&Method::PUT, "/v2/a/manifests/.x"), E::Tag(_)));
    assert!(matches!(bad(&Method::GET, "/v2/a/manifests/.x"), E::NoSuchManifest(_)));
    assert!(matches!(bad(&Method::POST, "/v2/a/tags/list"), E::MethodNotAllowed(_)));
    assert_eq!(bad(&Method::GET, "/v2/_catalog?n=-1"), E::PageSize);
}

#[test]
fn mounts_and_tags_are_read_from_the_query() {
    let target = format!("/v2/a/blobs/uploads/?mount={DIGEST}&from=b/c");
    let Ok(Action::StartUpload(_, StartUpload::Mount { from: Some(Ok(from)), .. })) =
        parse(Method::POST, &target)
    else {
        panic!("a mount")
    };
    assert_eq!(from.as_str(), "b/c");
    let target = format!("/v2/a/manifests/{DIGEST}?tag=1&tag=latest");
    let Ok(Action::PutManifest(_, _, tags)) = parse(Method::PUT, &target) else { panic!("a push") };
    assert_eq!(tags.iter().map(|tag| tag.as_str()).collect::<Vec<_>>(), ["1", "latest"]);
}
