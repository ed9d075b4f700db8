//! Tokens that must be refused, and those that must not: both Berth's own and those of others.
#![allow(clippy::unwrap_used)]

use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use berth_auth::token::{
    Algorithms, IssuedToken, KeySet, NewKey, OwnKeys, TokenError, TrustedServer, Way,
};
use berth_auth::workload::Claims;
use berth_auth::{AccessEntry, AccessList, Holder};
use jsonwebtoken::jwk::{Jwk, JwkSet};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

fn issued() -> IssuedToken {
    let actions = [berth_oci::access::Access::Pull].into_iter().collect();
    IssuedToken {
        issuer: "berth".to_owned(),
        subject: "alice".to_owned(),
        service: "registry".to_owned(),
        expires: now() + 300,
        not_before: now(),
        issued: now(),
        issued_micros: now() * 1_000_000,
        id: "1".to_owned(),
        access: AccessList(vec![AccessEntry::of_repository(&"a/b".parse().unwrap(), actions)]),
        holder: Holder::ANONYMOUS,
        way: Way::Anonymous,
        access_token: None,
    }
}

fn keys(keys: &[&NewKey]) -> OwnKeys {
    OwnKeys::new(keys.iter().map(|key| (key.id.as_str(), key.private.as_slice()))).unwrap()
}

#[test]
fn own_tokens_are_good_while_a_key_of_theirs_is_there() {
    let (old, new) = (NewKey::generate().unwrap(), NewKey::generate().unwrap());
    let token = keys(&[&old]).sign(&issued()).unwrap();
    let verify = |keys: &OwnKeys| keys.verify(&token, "berth", "registry");
    assert_eq!(verify(&keys(&[&old])).unwrap().subject, "alice");
    assert_eq!(verify(&keys(&[&new, &old])).unwrap().access, issued().access);
    assert_eq!(verify(&keys(&[&new])), Err(TokenError::UnknownKey));
    // Of the same name, but another.
    let impostor = NewKey { id: old.id.clone(), private: new.private.clone() };
    assert_eq!(verify(&keys(&[&impostor])), Err(TokenError::Signature));
}

#[test]
fn own_tokens_are_for_a_time_an_issuer_and_a_service() {
    let key = NewKey::generate().unwrap();
    let keys = keys(&[&key]);
    let past = |seconds| IssuedToken { expires: now() - seconds, ..issued() };
    for (token, outcome) in [
        (past(120), Err(TokenError::Expired)),
        (past(10), Ok(())),
        (IssuedToken { not_before: now() + 120, ..issued() }, Err(TokenError::NotYetValid)),
        (IssuedToken { issuer: "other".to_owned(), ..issued() }, Err(TokenError::Issuer)),
        (IssuedToken { service: "other".to_owned(), ..issued() }, Err(TokenError::Audience)),
    ] {
        let signed = keys.sign(&token).unwrap();
        assert_eq!(keys.verify(&signed, "berth", "registry").map(|_| ()), outcome, "{token:?}");
    }
}

/// A token by hand: a header, claims, and a signature or none.
fn by_hand(header: &Value, claims: &Value, signature: &str) -> String {
    let part = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}.{signature}", part(header), part(claims))
}

fn foreign_claims() -> Value {
    json!({
        "iss": "tokens.example.org", "aud": "registry", "sub": "alice",
        "exp": now() + 300, "nbf": now(), "iat": now(), "jti": "1",
        "access": [{ "type": "repository", "name": "a/b", "actions": ["pull", "push"] }],
    })
}

struct Server {
    private: EncodingKey,
    jwks: String,
    kid: String,
}

fn server(kid: &str) -> Server {
    let pkcs8 =
        EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new());
    let private = EncodingKey::from_ec_der(pkcs8.unwrap().as_ref());
    let mut jwk = Jwk::from_encoding_key(&private, Algorithm::ES256).unwrap();
    jwk.common.key_id = Some(kid.to_owned());
    let jwks = serde_json::to_string(&JwkSet { keys: vec![jwk] }).unwrap();
    Server { private, jwks, kid: kid.to_owned() }
}

impl Server {
    fn sign(&self, claims: &Value) -> String {
        let mut header = Header::new(Algorithm::ES256);
        header.kid = Some(self.kid.clone());
        encode(&header, claims, &self.private).unwrap()
    }
}

fn trusting(jwks: &str) -> TrustedServer {
    TrustedServer::new("tokens.example.org".into(), "registry".into(), Algorithms::all())
        .with_keys(KeySet::parse(jwks).unwrap())
}

fn with(mut claims: Value, key: &str, value: Value) -> Value {
    claims[key] = value;
    claims
}

#[test]
fn tokens_of_a_trusted_server_are_taken_and_others_refused() {
    let server = server("one");
    let trusted = trusting(&server.jwks);
    let good = trusted.verify(&server.sign(&foreign_claims())).unwrap();
    assert_eq!(good.access.repository("a/b").to_string(), "pull,push");
    let list = with(foreign_claims(), "aud", json!(["other", "registry"]));
    assert!(trusted.verify(&server.sign(&list)).is_ok());
    for (claims, error) in [
        (with(foreign_claims(), "exp", json!(now() - 120)), TokenError::Expired),
        (with(foreign_claims(), "nbf", json!(now() + 120)), TokenError::NotYetValid),
        (with(foreign_claims(), "aud", json!("other")), TokenError::Audience),
        (with(foreign_claims(), "iss", json!("other")), TokenError::Issuer),
        (with(foreign_claims(), "exp", Value::Null), TokenError::Malformed),
    ] {
        assert_eq!(trusted.verify(&server.sign(&claims)), Err(error), "{claims}");
    }
    let other = self::server("two");
    assert_eq!(trusted.verify(&other.sign(&foreign_claims())), Err(TokenError::UnknownKey));
    let impostor = self::server("one");
    assert_eq!(trusted.verify(&impostor.sign(&foreign_claims())), Err(TokenError::Signature));
}

#[test]
fn a_token_does_not_choose_how_it_is_verified() {
    let server = server("one");
    let trusted = trusting(&server.jwks);
    let none = by_hand(&json!({ "alg": "none", "kid": "one" }), &foreign_claims(), "");
    assert!(matches!(trusted.verify(&none), Err(TokenError::Algorithm | TokenError::Malformed)));
    // The public key as a shared secret.
    for secret in [server.jwks.as_bytes(), b""] {
        let mut header = Header::new(Algorithm::HS256);
        header.kid = Some("one".to_owned());
        let token = encode(&header, &foreign_claims(), &EncodingKey::from_secret(secret)).unwrap();
        assert_eq!(trusted.verify(&token), Err(TokenError::Algorithm));
    }
    // A key that the token itself brings.
    let mut header = Header::new(Algorithm::ES256);
    let impostor = self::server("one");
    header.jwk = serde_json::from_str::<JwkSet>(&impostor.jwks).unwrap().keys.into_iter().next();
    let token = encode(&header, &foreign_claims(), &impostor.private).unwrap();
    assert_eq!(trusted.verify(&token), Err(TokenError::Signature));
    // An algorithm of another kind of key, and one that the configuration leaves out.
    let rs = by_hand(&json!({ "alg": "RS256", "kid": "one" }), &foreign_claims(), "AAAA");
    assert_eq!(trusted.verify(&rs), Err(TokenError::Algorithm));
    let narrow = TrustedServer::new(
        "tokens.example.org".into(),
        "registry".into(),
        Algorithms::named(&["RS256"]).unwrap(),
    )
    .with_keys(KeySet::parse(&server.jwks).unwrap());
    assert_eq!(narrow.verify(&server.sign(&foreign_claims())), Err(TokenError::Algorithm));
    for token in ["", "a", "a.b", "a.b.c", "...."] {
        assert_eq!(trusted.verify(token), Err(TokenError::Malformed), "{token}");
    }
}

#[test]
fn shared_secrets_are_no_keys() {
    let secret = r#"{"keys": [{"kty": "oct", "kid": "one", "k": "c2VjcmV0", "alg": "HS256"}]}"#;
    assert!(KeySet::parse(secret).is_err() && KeySet::parse("{}").is_err());
    assert!(Algorithms::named(&["HS256"]).is_err() && Algorithms::named(&["none"]).is_err());
}

mod certificates {
    use super::*;
    use rcgen::{
        BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, PKCS_ECDSA_P256_SHA256,
        PKCS_RSA_SHA256, SigningKey as _,
    };

    fn key() -> KeyPair {
        KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap()
    }

    fn sign(key: &KeyPair, header: Header) -> String {
        encode(&header, &foreign_claims(), &EncodingKey::from_ec_der(&key.serialize_der())).unwrap()
    }

    fn trusting(pem: &str) -> TrustedServer {
        TrustedServer::new("tokens.example.org".into(), "registry".into(), Algorithms::all())
            .with_certificates(pem)
            .unwrap()
    }

    /// As `registry:2` names the keys of a bundle: of a key that its own tests have.
    #[test]
    fn a_key_of_the_bundle_is_known_by_the_name_that_libtrust_gives_it() {
        let key = key();
        let certificate = CertificateParams::new(vec![]).unwrap().self_signed(&key).unwrap();
        let trusted = trusting(&certificate.pem());
        let hash = aws_lc_rs::digest::digest(
            &aws_lc_rs::digest::SHA256,
            &rcgen::PublicKeyData::subject_public_key_info(&key),
        );
        let id = base32(&hash.as_ref()[..30]);
        let groups: Vec<_> = id.as_bytes().chunks(4).map(|c| str::from_utf8(c).unwrap()).collect();
        let mut header = Header::new(Algorithm::ES256);
        header.kid = Some(groups.join(":"));
        assert!(trusted.verify(&sign(&key, header.clone())).is_ok());
        header.kid = Some("ABCD".to_owned());
        assert_eq!(trusted.verify(&sign(&key, header)), Err(TokenError::UnknownKey));
        // One key alone needs no name.
        assert!(trusted.verify(&sign(&key, Header::new(Algorithm::ES256))).is_ok());
    }

    #[test]
    fn the_key_of_a_certificate_may_be_one_of_rsa() {
        let key = KeyPair::generate_for(&PKCS_RSA_SHA256).unwrap();
        let certificate = CertificateParams::new(vec![]).unwrap().self_signed(&key).unwrap();
        let part = |json: String| BASE64_URL_SAFE_NO_PAD.encode(json);
        let header = part(serde_json::to_string(&Header::new(Algorithm::RS256)).unwrap());
        let signed = format!("{header}.{}", part(foreign_claims().to_string()));
        let signature = BASE64_URL_SAFE_NO_PAD.encode(key.sign(signed.as_bytes()).unwrap());
        let trusted = trusting(&certificate.pem());
        assert!(trusted.verify(&format!("{signed}.{signature}")).is_ok());
        assert!(trusted.verify(&format!("{signed}x.{signature}")).is_err());
    }

    /// The obvious way: bit by bit.
    fn base32(bytes: &[u8]) -> String {
        let bits: Vec<u8> =
            bytes.iter().flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1)).collect();
        let index = |five: &[u8]| five.iter().fold(0, |number, bit| number * 2 + usize::from(*bit));
        let letter = |five: &[u8]| b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"[index(five)] as char;
        bits.chunks(5).map(letter).collect()
    }

    #[test]
    fn a_chain_in_the_token_must_end_at_the_bundle() {
        let root_key = key();
        let mut root = CertificateParams::new(vec![]).unwrap();
        root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let root_certificate = root.self_signed(&root_key).unwrap();
        let leaf_key = key();
        let leaf = CertificateParams::new(vec!["tokens.example.org".to_owned()])
            .unwrap()
            .signed_by(&leaf_key, &Issuer::from_params(&root, &root_key))
            .unwrap();
        let with_chain = |key: &KeyPair, chain: &[&[u8]]| {
            let mut header = Header::new(Algorithm::ES256);
            header.x5c = Some(chain.iter().map(|der| BASE64_STANDARD.encode(der)).collect());
            sign(key, header)
        };
        let trusted = trusting(&root_certificate.pem());
        assert!(trusted.verify(&with_chain(&leaf_key, &[leaf.der()])).is_ok());
        assert!(trusted.verify(&with_chain(&root_key, &[root_certificate.der()])).is_ok());
        // Signed by another key than the certificate's.
        let other = key();
        let refused = trusted.verify(&with_chain(&other, &[leaf.der()]));
        assert_eq!(refused, Err(TokenError::Signature));
        // A certificate that nobody stands behind.
        let own = CertificateParams::new(vec![]).unwrap().self_signed(&other).unwrap();
        let refused = trusted.verify(&with_chain(&other, &[own.der()]));
        assert_eq!(refused, Err(TokenError::UnknownKey));
        assert_eq!(trusted.verify(&with_chain(&other, &[])), Err(TokenError::UnknownKey));
    }

    #[test]
    fn what_is_no_certificate_is_refused() {
        let server = || TrustedServer::new("a".into(), "b".into(), Algorithms::all());
        assert!(server().with_certificates("").is_err());
        assert!(server().with_certificates(&key().serialize_pem()).is_err());
    }
}

#[test]
fn a_workload_is_known_by_the_token_of_its_issuer() {
    let server = server("one");
    let keys = KeySet::parse(&server.jwks).unwrap();
    let token = server.sign(&foreign_claims());
    assert_eq!(Claims::unverified_issuer(&token).as_deref(), Some("tokens.example.org"));
    assert_eq!(Claims::key_id(&token).as_deref(), Some("one"));
    let verify =
        |token: &str, audience: &str| Claims::verify(token, "tokens.example.org", audience, &keys);
    assert_eq!(verify(&token, "registry").unwrap().subject(), "alice");
    assert_eq!(verify(&token, "other"), Err(TokenError::Audience));
    let expired = with(foreign_claims(), "exp", json!(now() - 120));
    assert_eq!(verify(&server.sign(&expired), "registry"), Err(TokenError::Expired));
    let other = self::server("two");
    assert_eq!(verify(&other.sign(&foreign_claims()), "registry"), Err(TokenError::UnknownKey));
}
