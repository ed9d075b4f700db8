use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

use berth_config::Config;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, SanType,
    date_time_ymd,
};
use tokio::io::duplex;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use super::*;

type Authority = CertifiedIssuer<'static, KeyPair>;

fn authority() -> Authority {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

fn client(common_name: &str) -> CertificateParams {
    let mut params = CertificateParams::new(["a.example.org".to_owned()]).unwrap();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, common_name);
    let names = [
        SanType::URI("spiffe://example.org/ci".try_into().unwrap()),
        SanType::Rfc822Name("ci@example.org".try_into().unwrap()),
        SanType::IpAddress([127, 0, 0, 1].into()),
    ];
    params.subject_alt_names.extend(names);
    params.not_after = date_time_ymd(2100, 1, 1);
    params
}

/// A server that asks for certificates of an authority, which signs its own, too.
fn server(authority: &Authority, folder: &std::path::Path) -> Tls {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(["localhost".to_owned()]).unwrap();
    let certificate = params.signed_by(&key, authority).unwrap();
    for (name, text) in
        [("c", certificate.pem()), ("k", key.serialize_pem()), ("a", authority.pem())]
    {
        fs::write(folder.join(name), text).unwrap();
        fs::set_permissions(folder.join(name), Permissions::from_mode(0o600)).unwrap();
    }
    let at = folder.display();
    let yaml = format!(
        "http: {{tls: {{certificate: {at}/c, key: {at}/k, clientcas: [{at}/a], clientauth: verify-client-cert-if-given}}}}"
    );
    Tls::load(&Config::parse(&yaml, []).unwrap().config.http).unwrap().unwrap()
}

fn connector(authority: &Authority, identity: Option<&CertificateParams>) -> TlsConnector {
    let mut roots = RootCertStore::empty();
    roots.add(authority.der().clone()).unwrap();
    let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
    let config = match identity {
        None => builder.with_no_client_auth(),
        Some(params) => {
            let key = KeyPair::generate().unwrap();
            let certificate = params.signed_by(&key, authority).unwrap();
            builder.with_client_auth_cert(vec![certificate.der().clone()], key.into()).unwrap()
        }
    };
    TlsConnector::from(Arc::new(config))
}

/// The certificate that the server sees.
async fn seen(tls: &Tls, connector: TlsConnector) -> Option<Arc<ClientCertificate>> {
    let (ours, theirs) = duplex(64 * 1024);
    let name = "localhost".try_into().unwrap();
    let (secured, connected) = tokio::join!(tls.accept(ours), connector.connect(name, theirs));
    connected.unwrap();
    secured.unwrap().certificate
}

#[tokio::test]
async fn a_connection_tells_who_its_client_is() {
    let (authority, folder) = (authority(), tempfile::tempdir().unwrap());
    let tls = server(&authority, folder.path());
    assert_eq!(seen(&tls, connector(&authority, None)).await, None);
    let certificate = seen(&tls, connector(&authority, Some(&client("ci")))).await.unwrap();
    let names = [
        CertificateName::Dns("a.example.org".to_owned()),
        CertificateName::Uri("spiffe://example.org/ci".to_owned()),
        CertificateName::Email("ci@example.org".to_owned()),
    ];
    assert_eq!(certificate.names, names);
    assert_eq!(certificate.common_name.as_deref(), Some("ci"));
    assert_eq!(certificate.fingerprint.len(), 64);
    let end = std::time::UNIX_EPOCH + std::time::Duration::from_secs(4_102_444_800);
    assert_eq!(certificate.not_after, end);
}

#[tokio::test]
async fn a_name_that_was_made_to_deceive_is_none() {
    let (authority, folder) = (authority(), tempfile::tempdir().unwrap());
    let tls = server(&authority, folder.path());
    for name in ["root\0.example.org", "root\nadmitted", ""] {
        let certificate = seen(&tls, connector(&authority, Some(&client(name)))).await.unwrap();
        assert_eq!(certificate.common_name, None, "{name:?}");
    }
}
