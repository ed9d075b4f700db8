use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use jiff::Timestamp;
use serde::Deserialize;

use super::signature::{Key, Signed};
use super::{CloudCredentials, CloudError, Got, url, wrong};
use crate::{Password, RegistryUrl};

/// The metadata service of a machine, and the services of a container's host.
const MACHINE: &str = "http://169.254.169.254";
const CONTAINER: &str = "http://169.254.170.2";

const TARGET: &str = "AmazonEC2ContainerRegistry_V20150921.GetAuthorizationToken";

/// For how long a password is used. They are good for twelve hours.
const LIFETIME: Duration = Duration::from_secs(6 * 3600);

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Authorization {
    authorization_data: Vec<Data>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Data {
    authorization_token: String,
}

/// A key as the services of machines and containers write it.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Found {
    access_key_id: String,
    secret_access_key: String,
    token: Option<String>,
}

impl CloudCredentials {
    /// What `GetAuthorizationToken` gives.
    pub(super) async fn amazon(&self, registry: &RegistryUrl) -> Result<Got, CloudError> {
        let host = registry.as_url().host_str().unwrap_or_default();
        let region = region_of(host).map(str::to_owned).or_else(|| self.variable("AWS_REGION"));
        let region = region.or_else(|| self.variable("AWS_DEFAULT_REGION"));
        let region = region.ok_or_else(|| wrong("its region is not known; set AWS_REGION"))?;
        let suffix = if host.ends_with(".cn") { ".cn" } else { "" };
        let endpoint = self.variable("AWS_ENDPOINT_URL_ECR");
        let endpoint =
            endpoint.unwrap_or_else(|| format!("https://api.ecr.{region}.amazonaws.com{suffix}/"));
        let endpoint = url(&endpoint)?;
        let key = self.amazon_key().await?;
        let signed =
            Signed { url: &endpoint, region: &region, target: TARGET, body: "{}", key: &key };
        let mut request = self.http.post(endpoint.clone()).body("{}");
        for (name, value) in signed.headers(Timestamp::now()) {
            request = request.header(name, value);
        }
        let Authorization { authorization_data } = self.json(request).await?;
        let token = authorization_data.first().map(|data| &data.authorization_token);
        let decoded = token.and_then(|token| BASE64_STANDARD.decode(token).ok());
        let text = decoded.and_then(|bytes| String::from_utf8(bytes).ok());
        let pair = text.as_deref().and_then(|text| text.split_once(':'));
        let (username, password) = pair.ok_or_else(|| wrong("it answers no token"))?;
        let (username, password) = (username.to_owned(), password.to_owned());
        Ok(Got { password: Password { username, password }, lifetime: LIFETIME })
    }

    /// The key of the environment, else that of the container, else that of the machine.
    async fn amazon_key(&self) -> Result<Key, CloudError> {
        let id = self.variable("AWS_ACCESS_KEY_ID");
        if let Some((id, secret)) = id.zip(self.variable("AWS_SECRET_ACCESS_KEY")) {
            return Ok(Key { id, secret, session: self.variable("AWS_SESSION_TOKEN") });
        }
        let relative = self.variable("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");
        let container = relative.map(|path| format!("{CONTAINER}{path}"));
        let found: Found = match container.or(self.variable("AWS_CONTAINER_CREDENTIALS_FULL_URI")) {
            Some(address) => {
                let mut request = self.http.get(url(&address)?);
                if let Some(token) = self.variable("AWS_CONTAINER_AUTHORIZATION_TOKEN") {
                    request = request.header("Authorization", token);
                }
                self.json(request).await?
            }
            None => self.key_of_machine().await?,
        };
        let Found { access_key_id: id, secret_access_key: secret, token: session } = found;
        Ok(Key { id, secret, session })
    }

    /// The key of the machine's role (IMDSv2).
    async fn key_of_machine(&self) -> Result<Found, CloudError> {
        let base = self.variable("AWS_EC2_METADATA_SERVICE_ENDPOINT");
        let base = base.unwrap_or_else(|| MACHINE.to_owned());
        let base = base.trim_end_matches('/');
        let lives = ("X-aws-ec2-metadata-token-ttl-seconds", "300");
        let session = self.http.put(url(&format!("{base}/latest/api/token"))?);
        let session = self.text(session.header(lives.0, lives.1)).await?;
        let of_roles = format!("{base}/latest/meta-data/iam/security-credentials/");
        let ask = |address: &str| -> Result<_, CloudError> {
            Ok(self.http.get(url(address)?).header("X-aws-ec2-metadata-token", session.trim()))
        };
        let role = self.text(ask(&of_roles)?).await?;
        self.json(ask(&format!("{of_roles}{}", role.trim()))?).await
    }
}

/// The region that the name of a registry says: `1234.dkr.ecr.eu-central-1.amazonaws.com`.
fn region_of(host: &str) -> Option<&str> {
    let (_, rest) = host.split_once(".dkr.ecr")?;
    // FIPS endpoints are called `ecr-fips`.
    let (_, rest) = rest.split_once('.')?;
    rest.split_once(".amazonaws.com").map(|(region, _)| region)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registry_says_its_region() {
        for (host, region) in [
            ("1.dkr.ecr.eu-central-1.amazonaws.com", Some("eu-central-1")),
            ("1.dkr.ecr-fips.us-gov-west-1.amazonaws.com", Some("us-gov-west-1")),
            ("1.dkr.ecr.cn-north-1.amazonaws.com.cn", Some("cn-north-1")),
            ("registry.example.org", None),
        ] {
            assert_eq!(region_of(host), region, "{host}");
        }
    }
}
