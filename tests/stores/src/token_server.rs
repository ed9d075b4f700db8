//! A token server as `registry:2` is made for: its tokens are signed by the key of a certificate.
//!
//! <https://distribution.github.io/distribution/spec/auth/token/>

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use anyhow::{Context as _, Result};
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, RSA_PKCS1_SHA256, RsaKeyPair,
};
use axum::body::Body;
use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use http::header::AUTHORIZATION;
use http::request::Parts;
use http::{Response, StatusCode};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, PublicKeyData as _,
};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::folder;
use crate::host::{self, Host};
use crate::xml::Query;

const ISSUER: &str = "tokens.berth.test";
const SERVICE: &str = "registry.berth.test";
const USER: &str = "dora";
const PASSWORD: &str = "of-dora-5e2a";
/// What the one user may do everything below.
const OWN: &str = "team/";

/// Which kind of keys a server has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyKind {
    /// RS256.
    Rsa,
    /// ES256.
    Ec,
}

/// Who signs a token, and how it tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignedBy {
    /// The key of the certificate that is trusted, by the name that Docker's libtrust gives it.
    Root,
    /// The key of a certificate that the first has signed; the token brings it (`x5c`).
    Chain,
    /// A key that nobody knows, by its name.
    Stranger,
    /// A key that nobody knows, by the name of the one that is trusted.
    Impostor,
    /// The key of a certificate that signs itself, which the token brings.
    StrangeChain,
}

/// A token server with one user, who may do everything below `team/`.
#[derive(Debug)]
pub struct TokenServer {
    host: Host,
    keys: Arc<Keys>,
    folder: TempDir,
}

#[derive(Debug)]
struct Keys {
    kind: KeyKind,
    root: CertifiedIssuer<'static, KeyPair>,
    leaf: KeyPair,
    chain: Vec<String>,
    strange: CertifiedIssuer<'static, KeyPair>,
}

impl TokenServer {
    /// Starts a server.
    ///
    /// # Errors
    ///
    /// No port is free.
    pub fn start(kind: KeyKind) -> Result<Self> {
        let keys = Arc::new(Keys::new(kind)?);
        let folder = folder::temporary()?;
        fs::write(folder.path().join("root.pem"), keys.root.pem())?;
        let serving = Arc::clone(&keys);
        let host = Host::serve(move |request: http::Request<Body>| {
            let answer = serving.answer(&request.into_parts().0);
            async move { answer }
        })?;
        Ok(Self { host, keys, folder })
    }

    /// The settings of a registry that trusts this server, in their environment form.
    pub fn settings(&self) -> [(&'static str, String); 4] {
        // Go clients go to no loopback address that a registry names, but to this name.
        let realm = format!("http://localhost:{}/token", self.host.address().port());
        [
            ("REGISTRY_AUTH_TOKEN_REALM", realm),
            ("REGISTRY_AUTH_TOKEN_SERVICE", SERVICE.to_owned()),
            ("REGISTRY_AUTH_TOKEN_ISSUER", ISSUER.to_owned()),
            ("REGISTRY_AUTH_TOKEN_ROOTCERTBUNDLE", self.certificate().display().to_string()),
        ]
    }

    fn certificate(&self) -> PathBuf {
        self.folder.path().join("root.pem")
    }

    /// The one user.
    pub fn user(&self) -> &'static str {
        USER
    }

    /// That user's password.
    pub fn password(&self) -> &'static str {
        PASSWORD
    }

    /// What a good token says that allows `access`, a list in JSON.
    pub fn claims(&self, access: &Value) -> Value {
        claims(USER, access)
    }

    /// A token of these claims.
    ///
    /// # Errors
    ///
    /// A key cannot sign.
    pub fn sign(&self, by: SignedBy, claims: &Value) -> Result<String> {
        self.keys.sign(by, claims)
    }
}

fn claims(subject: &str, access: &Value) -> Value {
    let now = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default().as_secs();
    json!({
        "iss": ISSUER, "aud": SERVICE, "sub": subject, "jti": format!("{subject}-{now}"),
        "iat": now, "nbf": now.saturating_sub(5), "exp": now + 300, "access": access,
    })
}

impl Keys {
    fn new(kind: KeyKind) -> Result<Self> {
        let authority = |name: &str| -> Result<CertifiedIssuer<'static, KeyPair>> {
            let mut params = CertificateParams::default();
            params.distinguished_name.push(DnType::CommonName, name);
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            Ok(CertifiedIssuer::self_signed(params, generate(kind)?)?)
        };
        let (root, leaf) = (authority("tokens")?, generate(kind)?);
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "signer of tokens");
        let certificate = params.signed_by(&leaf, &root)?;
        let chain = vec![BASE64_STANDARD.encode(certificate.der())];
        Ok(Self { kind, root, leaf, chain, strange: authority("somebody else's tokens")? })
    }

    fn sign(&self, by: SignedBy, claims: &Value) -> Result<String> {
        let name = |key: &KeyPair| json!({"kid": libtrust_id(&key.subject_public_key_info())});
        let (key, mut header) = match by {
            SignedBy::Root => (self.root.key(), name(self.root.key())),
            SignedBy::Chain => (&self.leaf, json!({"x5c": self.chain})),
            SignedBy::Stranger => (self.strange.key(), name(self.strange.key())),
            SignedBy::Impostor => (self.strange.key(), name(self.root.key())),
            SignedBy::StrangeChain => {
                let chain = [BASE64_STANDARD.encode(self.strange.der())];
                (self.strange.key(), json!({"x5c": chain}))
            }
        };
        header["typ"] = "JWT".into();
        header["alg"] = match self.kind {
            KeyKind::Rsa => "RS256".into(),
            KeyKind::Ec => "ES256".into(),
        };
        let encode = |part: &Value| BASE64_URL_SAFE_NO_PAD.encode(part.to_string());
        let signed = format!("{}.{}", encode(&header), encode(claims));
        let signature = signature(self.kind, &key.serialize_der(), signed.as_bytes());
        let signature = signature.context("a key cannot sign")?;
        Ok(format!("{signed}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature)))
    }

    fn answer(&self, head: &Parts) -> Response<Body> {
        let (path, query) = (head.uri.path(), head.uri.query().unwrap_or_default());
        if path != "/token" {
            return host::text(StatusCode::NOT_FOUND, &format!("nothing is at {path}"));
        }
        let right = format!("Basic {}", BASE64_STANDARD.encode(format!("{USER}:{PASSWORD}")));
        let user = match head.headers.get(AUTHORIZATION) {
            None => "",
            Some(shown) if *shown == *right => USER,
            Some(_) => {
                let told = json!({"errors": [{"code": "UNAUTHORIZED", "message": "who is that?"}]});
                return host::text(StatusCode::UNAUTHORIZED, &told.to_string());
            }
        };
        let query = Query::new(query);
        let scopes = query.pairs().iter().filter(|(name, _)| name == "scope");
        let scopes = scopes.flat_map(|(_, scopes)| scopes.split(' '));
        let access: Vec<Value> = scopes.filter(|_| !user.is_empty()).filter_map(allowed).collect();
        match self.sign(SignedBy::Root, &claims(user, &json!(access))) {
            Ok(token) => {
                host::text(StatusCode::OK, &json!({"token": token, "expires_in": 300}).to_string())
            }
            Err(error) => host::text(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
        }
    }
}

/// What the user may of a scope, `repository:NAME:ACTION,ACTION`.
fn allowed(scope: &str) -> Option<Value> {
    let (name, actions) = scope.strip_prefix("repository:")?.rsplit_once(':')?;
    let actions: Vec<&str> = actions.split(',').collect();
    let entry = json!({"type": "repository", "name": name, "actions": actions});
    name.starts_with(OWN).then_some(entry)
}

fn generate(kind: KeyKind) -> Result<KeyPair> {
    Ok(KeyPair::generate_for(match kind {
        KeyKind::Rsa => &rcgen::PKCS_RSA_SHA256,
        KeyKind::Ec => &rcgen::PKCS_ECDSA_P256_SHA256,
    })?)
}

fn signature(kind: KeyKind, key: &[u8], text: &[u8]) -> Option<Vec<u8>> {
    let random = SystemRandom::new();
    match kind {
        KeyKind::Rsa => {
            let key = RsaKeyPair::from_pkcs8(key).ok()?;
            let mut signature = vec![0; key.public_modulus_len()];
            key.sign(&RSA_PKCS1_SHA256, &random, text, &mut signature).ok()?;
            Some(signature)
        }
        KeyKind::Ec => {
            let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, key).ok()?;
            Some(key.sign(&random, text).ok()?.as_ref().to_vec())
        }
    }
}

/// The first 240 bits of the SHA-256 of a public key in base 32, in groups of four with colons between.
fn libtrust_id(public_key: &[u8]) -> String {
    const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let hash = digest(&SHA256, public_key);
    let bit = |place: usize| usize::from(hash.as_ref()[place / 8] >> (7 - place % 8) & 1);
    let letters = (0..48).map(|letter| {
        let index = (0..5).fold(0, |index, place| index << 1 | bit(letter * 5 + place));
        char::from(ALPHABET[index])
    });
    let letters: Vec<char> = letters.collect();
    let groups: Vec<String> = letters.chunks(4).map(|group| group.iter().collect()).collect();
    groups.join(":")
}
