use std::time::Duration;

use serde::Deserialize;

use super::{CloudCredentials, CloudError, Got, url};
use crate::Password;

const HOST: &str = "metadata.google.internal";

/// What the registry takes a token under.
const USERNAME: &str = "oauth2accesstoken";

#[derive(Deserialize)]
struct Token {
    access_token: String,
    expires_in: u64,
}

impl CloudCredentials {
    /// The token of the machine's service account, by its metadata server.
    pub(super) async fn google(&self) -> Result<Got, CloudError> {
        let host = self.variable("GCE_METADATA_HOST").unwrap_or_else(|| HOST.to_owned());
        let path = "computeMetadata/v1/instance/service-accounts/default/token";
        let request = self.http.get(url(&format!("http://{host}/{path}"))?);
        let token: Token = self.json(request.header("Metadata-Flavor", "Google")).await?;
        let password = Password { username: USERNAME.to_owned(), password: token.access_token };
        Ok(Got { password, lifetime: Duration::from_secs(token.expires_in) })
    }
}
