//! Tokens: nothing that was not signed by a trusted key is taken, whatever it looks like.
#![no_main]

use std::sync::LazyLock;

use berth_auth::token::{Algorithms, KeySet, NewKey, OwnKeys, TrustedServer};
use berth_auth::workload::Claims;
use libfuzzer_sys::fuzz_target;

const KEYS: &str = r#"{"keys": [
    {"kty": "EC", "crv": "P-256", "kid": "a",
     "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
     "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"},
    {"kty": "OKP", "crv": "Ed25519", "kid": "b",
     "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;

static OWN: LazyLock<OwnKeys> = LazyLock::new(|| {
    let key = NewKey::generate().expect("random numbers");
    OwnKeys::new([("own", key.private.as_slice())]).expect("a key that was just made")
});

static SERVER: LazyLock<TrustedServer> = LazyLock::new(|| {
    TrustedServer::new("issuer".to_owned(), "service".to_owned(), Algorithms::all())
        .with_keys(KeySet::parse(KEYS).expect("two public keys"))
});

fuzz_target!(|token: &str| {
    assert!(OWN.verify(token, "issuer", "service").is_err());
    assert!(SERVER.verify(token).is_err());
    let keys = KeySet::parse(KEYS).expect("two public keys");
    assert!(Claims::verify(token, "issuer", "service", &keys).is_err());
    let _ = Claims::unverified_issuer(token);
    let _ = KeySet::parse(token);
});
