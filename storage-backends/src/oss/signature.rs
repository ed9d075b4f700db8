use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use berth_config::Oss;
use bytes::Bytes;
use http::Request;
use object_store::client::{HttpClient, HttpRequest, HttpRequestBody};
use reqsign_aliyun_oss::{
    AssumeRoleWithOidcCredentialProvider, Credential, DefaultCredentialProvider, RequestSigner,
    SigningVersion, StaticCredentialProvider,
};
use reqsign_core::{Context, ErrorKind, FileRead, HttpSend, OsEnv, Signer};

use crate::objects::{Authorize, ObjectError, failed};
use crate::transport::Transport;

/// Where the bucket is.
#[derive(Clone, Debug)]
pub(super) struct Bucket {
    name: String,
    /// The endpoint's scheme, and its host with the port.
    scheme: String,
    host: String,
}

impl Bucket {
    pub(super) fn of(settings: &Oss) -> Result<Self, String> {
        let endpoint = settings.endpoint();
        let (scheme, host) = endpoint
            .split_once("://")
            .filter(|(_, host)| !host.is_empty() && !host.contains('/'))
            .ok_or_else(|| format!("endpoint: `{endpoint}` is not the URL of a host"))?;
        Ok(Self {
            name: settings.bucket.clone().unwrap_or_default(),
            scheme: scheme.to_owned(),
            host: host.to_owned(),
        })
    }

    /// The address of the bucket, without a slash at its end.
    pub(super) fn url(&self) -> String {
        let Self { name, scheme, host } = self;
        match self.is_in_path() {
            true => format!("{scheme}://{host}/{name}"),
            false => format!("{scheme}://{name}.{host}"),
        }
    }

    /// OSS has its buckets in the name of the host; only a server that has no name, a local one,
    /// has them in the path.
    fn is_in_path(&self) -> bool {
        let authority = self.host.parse::<http::uri::Authority>();
        authority.is_ok_and(|authority| {
            let host = authority.host().trim_start_matches('[').trim_end_matches(']');
            host.parse::<std::net::IpAddr>().is_ok()
        })
    }
}

/// Signs requests as OSS wants it: version 4 where the region is known, which that needs, else 1.
#[derive(Debug)]
pub(super) struct Signature {
    signer: Signer<Credential>,
}

impl Signature {
    pub(super) fn new(
        settings: &Oss,
        bucket: &Bucket,
        transport: &Transport,
    ) -> object_store::Result<Self> {
        let http = Http(transport.client()?);
        let context = Context::new().with_env(OsEnv).with_file_read(Files).with_http_send(http);
        let request = RequestSigner::new(&bucket.name);
        let request = match settings.signing_region() {
            Some(region) => request.with_region(region).with_signing_version(SigningVersion::V4),
            None => request,
        };
        let signer = match (&settings.accesskeyid, &settings.accesskeysecret) {
            (Some(id), Some(secret)) => {
                let provider = StaticCredentialProvider::new(id, secret.expose());
                let provider = match &settings.securitytoken {
                    Some(token) => provider.with_security_token(token.expose()),
                    None => provider,
                };
                Signer::new(context, provider, request)
            }
            // A pod's identity, the environment, Aliyun's files, the machine's RAM role. By itself
            // the chain would ask the machine before the pod, whose machine has a role too.
            _ => {
                let pod = AssumeRoleWithOidcCredentialProvider::new();
                let provider = DefaultCredentialProvider::new().push_front(pod);
                Signer::new(context, provider, request)
            }
        };
        Ok(Self { signer })
    }

    /// An address at which anyone can read an object for so long.
    pub(super) async fn presign(&self, url: &str, valid: Duration) -> Result<String, ObjectError> {
        let request = Request::get(url).body(()).map_err(failed)?;
        let (mut head, ()) = request.into_parts();
        self.signer.sign(&mut head, Some(valid)).await.map_err(explain)?;
        Ok(head.uri.to_string())
    }
}

#[async_trait]
impl Authorize for Arc<Signature> {
    async fn authorize(&self, request: &mut HttpRequest) -> Result<(), ObjectError> {
        let unsigned = std::mem::replace(request, Request::new(HttpRequestBody::empty()));
        let (mut head, body) = unsigned.into_parts();
        self.signer.sign(&mut head, None).await.map_err(explain)?;
        *request = Request::from_parts(head, body);
        Ok(())
    }
}

fn explain(error: reqsign_core::Error) -> ObjectError {
    match error.kind() {
        ErrorKind::CredentialInvalid | ErrorKind::PermissionDenied | ErrorKind::ConfigInvalid => {
            ObjectError::Denied(format!("no credentials: {error}"))
        }
        _ => failed(error),
    }
}

/// Gets credentials from Aliyun's services.
#[derive(Debug)]
struct Http(HttpClient);

impl HttpSend for Http {
    async fn http_send(
        &self,
        request: http::Request<Bytes>,
    ) -> reqsign_core::Result<http::Response<Bytes>> {
        let failed = |error: object_store::client::HttpError| {
            reqsign_core::Error::unexpected(error.to_string()).set_retryable(true)
        };
        let answer = self.0.execute(request.map(HttpRequestBody::from)).await.map_err(failed)?;
        let (head, body) = answer.into_parts();
        Ok(http::Response::from_parts(head, body.bytes().await.map_err(failed)?))
    }
}

/// Gets credentials from files.
#[derive(Debug)]
struct Files;

impl FileRead for Files {
    async fn file_read(&self, path: &str) -> reqsign_core::Result<Vec<u8>> {
        let read = tokio::fs::read(path).await;
        read.map_err(|error| reqsign_core::Error::config_invalid(format!("{path}: {error}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bucket(endpoint: &str) -> Bucket {
        let settings = Oss {
            bucket: Some("berth".to_owned()),
            endpoint: Some(endpoint.to_owned()),
            ..Oss::default()
        };
        Bucket::of(&settings).unwrap()
    }

    #[test]
    fn a_bucket_is_in_the_hosts_name_unless_the_host_has_none() {
        for (endpoint, url) in [
            ("oss-cn-beijing.aliyuncs.com", "https://berth.oss-cn-beijing.aliyuncs.com"),
            ("http://store:8080", "http://berth.store:8080"),
            ("http://127.0.0.1:8080", "http://127.0.0.1:8080/berth"),
            ("http://[::1]:8080", "http://[::1]:8080/berth"),
        ] {
            assert_eq!(bucket(endpoint).url(), url);
        }
    }
}
