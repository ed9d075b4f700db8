use std::time::Duration;

use serde::Deserialize;

use super::{CloudCredentials, CloudError, Got, url};
use crate::{Password, RegistryUrl};

/// The metadata service of a machine.
const MACHINE: &str = "http://169.254.169.254/metadata/identity/oauth2/token";

/// What the token is for: the registry's exchange asks for one of this kind.
const RESOURCE: &str = "https://management.azure.com/";

/// What the registry takes a refresh token under.
const USERNAME: &str = "00000000-0000-0000-0000-000000000000";

/// For how long a refresh token is used. They are good for three hours.
const LIFETIME: Duration = Duration::from_secs(3600);

#[derive(Deserialize)]
struct Identity {
    access_token: String,
}

#[derive(Deserialize)]
struct Exchanged {
    refresh_token: String,
}

impl CloudCredentials {
    /// A token of the managed identity, exchanged for one of the registry
    /// (<https://github.com/Azure/acr/blob/main/docs/AAD-OAuth.md>).
    pub(super) async fn azure(&self, registry: &RegistryUrl) -> Result<Got, CloudError> {
        let identity: Identity = self.json(self.identity_request()?).await?;
        let mut exchange = registry.as_url().clone();
        exchange.set_path("/oauth2/exchange");
        let service = registry.authority();
        let form = form(&[
            ("grant_type", "access_token"),
            ("service", &service),
            ("access_token", &identity.access_token),
        ])?;
        let request = self.http.post(exchange).body(form);
        let kind = "application/x-www-form-urlencoded";
        let exchanged: Exchanged = self.json(request.header("Content-Type", kind)).await?;
        let (username, password) = (USERNAME.to_owned(), exchanged.refresh_token);
        Ok(Got { password: Password { username, password }, lifetime: LIFETIME })
    }

    /// The question for a token: to the service of the app, where there is one, else to that of the machine.
    fn identity_request(&self) -> Result<reqwest::RequestBuilder, CloudError> {
        let app = self.variable("IDENTITY_ENDPOINT").zip(self.variable("IDENTITY_HEADER"));
        let (mut asked, version, header) = match app {
            Some((endpoint, secret)) => {
                (url(&endpoint)?, "2019-08-01", ("X-IDENTITY-HEADER", secret))
            }
            None => (url(MACHINE)?, "2018-02-01", ("Metadata", "true".to_owned())),
        };
        asked
            .query_pairs_mut()
            .append_pair("api-version", version)
            .append_pair("resource", RESOURCE);
        if let Some(client) = self.variable("AZURE_CLIENT_ID") {
            asked.query_pairs_mut().append_pair("client_id", &client);
        }
        Ok(self.http.get(asked).header(header.0, header.1))
    }
}

/// A form, as the query of a URL is written.
fn form(fields: &[(&str, &str)]) -> Result<String, CloudError> {
    let mut written = url("http://form/")?;
    written.query_pairs_mut().extend_pairs(fields);
    Ok(written.query().unwrap_or_default().to_owned())
}
