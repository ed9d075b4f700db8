use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use berth_config::{Gcs, Secret};
use serde::Deserialize;
use serde_json::Value;

use crate::objects::ObjectError;
use crate::{OpenError, remote};

/// What a file of another type than a service account's key says it is.
const TYPE: &str = "external_account";

/// Google's own cloud.
const GOOGLE: &str = "googleapis.com";

/// How long a service account's token lives where the file does not say, and what it may say
/// (<https://cloud.google.com/iam/docs/create-short-lived-credentials-direct>).
const LIFETIME: u64 = 3600;
const LIFETIMES: std::ops::RangeInclusive<u64> = 600..=43_200;

/// Members that are objects, which settings of plain texts hold as JSON.
const OBJECTS: [&str; 2] = ["credential_source", "service_account_impersonation"];

/// Where credentials were found, as it is told to people.
#[derive(Clone, Debug)]
pub(in crate::gcs) struct Origin(String);

impl Origin {
    /// An error in a member of the document, or behind it.
    pub(super) fn wrong(&self, member: &str, reason: impl fmt::Display) -> ObjectError {
        ObjectError::Failed(self.words(member, reason))
    }

    fn words(&self, member: &str, reason: impl fmt::Display) -> String {
        format!("{}: {member}: {reason}", self.0)
    }
}

/// A file of the type `external_account`.
#[derive(Clone, Debug, Deserialize)]
pub(in crate::gcs) struct Document {
    /// The provider that Google knows the other identity by.
    pub(super) audience: String,
    pub(super) subject_token_type: String,
    /// Where tokens are exchanged.
    pub(super) token_url: String,
    pub(super) credential_source: Source,
    service_account_impersonation_url: Option<String>,
    #[serde(default)]
    service_account_impersonation: Impersonation,
    pub(super) client_id: Option<String>,
    pub(super) client_secret: Option<Secret>,
    pub(super) workforce_pool_user_project: Option<String>,
    universe_domain: Option<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
struct Impersonation {
    token_lifetime_seconds: Option<u64>,
}

/// Where the proof of the other identity is.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Source {
    pub(super) file: Option<PathBuf>,
    pub(super) url: Option<String>,
    pub(super) headers: BTreeMap<String, Secret>,
    pub(super) format: Format,
    pub(super) environment_id: Option<String>,
    pub(super) region_url: Option<String>,
    pub(super) regional_cred_verification_url: Option<String>,
    pub(super) imdsv2_session_token_url: Option<String>,
    executable: Option<Value>,
    certificate: Option<Value>,
}

/// What surrounds the proof.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub(super) enum Format {
    #[default]
    Text,
    Json {
        subject_token_field_name: String,
    },
}

impl Document {
    /// The document that a text is; `None` when the text is of another type.
    fn parse(text: &str, origin: &Origin) -> Result<Option<Self>, OpenError> {
        let Ok(mut value) = serde_json::from_str::<Value>(text) else { return Ok(None) };
        if value["type"] != TYPE {
            return Ok(None);
        }
        let wrong = |member: &str, reason: &dyn fmt::Display| {
            OpenError::settings("storage.gcs", origin.words(member, reason))
        };
        for member in OBJECTS {
            if let Some(inner) = value[member].as_str() {
                value[member] =
                    serde_json::from_str(inner).map_err(|error| wrong(member, &error))?;
            }
        }
        let document =
            serde_json::from_value::<Self>(value).map_err(|error| wrong(TYPE, &error))?;
        document.check().map_err(|(member, reason)| wrong(member, &reason))?;
        Ok(Some(document))
    }

    fn check(&self) -> Result<(), (&'static str, String)> {
        let source = &self.credential_source;
        let refused = |kind: &str| {
            let reason = format!(
                "`{kind}` is not known here: use `file`, `url` or the environment `aws1`, as \
                 `gcloud iam workload-identity-pools create-cred-config` writes them"
            );
            Err(("credential_source", reason))
        };
        if source.executable.is_some() {
            return refused("executable");
        }
        if source.certificate.is_some() {
            return refused("certificate");
        }
        match source.environment_id.as_deref() {
            None | Some("aws1") => {}
            Some(id) => return refused(id),
        }
        if source.file.is_none() && source.url.is_none() && source.environment_id.is_none() {
            let reason = "it has neither `file` nor `url` nor `environment_id`".to_owned();
            return Err(("credential_source", reason));
        }
        let lifetime = self.lifetime().as_secs();
        if !LIFETIMES.contains(&lifetime) {
            let (least, most) = LIFETIMES.into_inner();
            let reason =
                format!("token_lifetime_seconds is {lifetime}: it may be {least} to {most}");
            return Err(("service_account_impersonation", reason));
        }
        Ok(())
    }

    /// The address at which the token of a service account is got, if one is to be used.
    pub(super) fn impersonation_url(&self) -> Option<&str> {
        self.service_account_impersonation_url.as_deref().filter(|url| !url.is_empty())
    }

    /// How long that token is to live.
    pub(super) fn lifetime(&self) -> Duration {
        let seconds = self.service_account_impersonation.token_lifetime_seconds;
        Duration::from_secs(seconds.unwrap_or(LIFETIME))
    }

    /// The service account for which Google signs addresses, where it does.
    pub(in crate::gcs) fn signer(&self) -> Option<&str> {
        let (_, name) = self.impersonation_url()?.rsplit_once('/')?;
        name.strip_suffix(":generateAccessToken").filter(|_| self.universe() == GOOGLE)
    }

    /// The domain of the cloud that the tokens are for.
    pub(in crate::gcs) fn universe(&self) -> &str {
        self.universe_domain.as_deref().filter(|domain| !domain.is_empty()).unwrap_or(GOOGLE)
    }
}

/// The document that the settings or the environment name, if they name one.
pub(in crate::gcs) fn find(settings: &Gcs) -> Result<Option<(Origin, Document)>, OpenError> {
    let Some((origin, text)) = text(settings) else { return Ok(None) };
    let document = Document::parse(&text, &origin)?;
    Ok(document.map(|document| (origin, document)))
}

/// The text of the credentials. What cannot be read is told by the client beneath.
fn text(settings: &Gcs) -> Option<(Origin, String)> {
    if let Some(path) = &settings.keyfile {
        let origin = Origin(format!("storage.gcs.keyfile: {}", path.display()));
        return Some((origin, fs::read_to_string(path).ok()?));
    }
    if let Some(key) = settings.inline_key() {
        return Some((Origin("storage.gcs.credentials".to_owned()), key.expose().to_owned()));
    }
    const VARIABLE: &str = "GOOGLE_APPLICATION_CREDENTIALS";
    let (name, path) = match remote::variable(VARIABLE) {
        Some(path) => (VARIABLE, PathBuf::from(path)),
        None => {
            let usual = ".config/gcloud/application_default_credentials.json";
            (
                "application default credentials",
                PathBuf::from(remote::variable("HOME")?).join(usual),
            )
        }
    };
    let origin = Origin(format!("{name}: {}", path.display()));
    Some((origin, fs::read_to_string(path).ok()?))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn parse(document: &Value) -> Result<Option<Document>, String> {
        let origin = Origin("key.json".to_owned());
        Document::parse(&document.to_string(), &origin).map_err(|error| error.to_string())
    }

    fn document(source: Value) -> Value {
        json!({
            "type": TYPE,
            "audience": "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/q",
            "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
            "token_url": "https://sts.googleapis.com/v1/token",
            "credential_source": source,
        })
    }

    #[test]
    fn what_is_of_another_type_is_left_to_others() {
        assert!(parse(&json!({"type": "service_account"})).unwrap().is_none());
        let origin = Origin("key.json".to_owned());
        assert!(Document::parse("no document", &origin).unwrap().is_none());
    }

    #[test]
    fn a_source_that_is_not_known_is_told_with_what_is() {
        for source in [json!({"executable": {"command": "x"}}), json!({"environment_id": "aws2"})] {
            let told = parse(&document(source)).unwrap_err();
            assert!(told.starts_with("storage.gcs: key.json: credential_source: "), "{told}");
            assert!(told.contains("`aws1`"), "{told}");
        }
        assert!(parse(&document(json!({}))).unwrap_err().contains("neither `file`"));
        let mut no_audience = document(json!({"file": "/token"}));
        no_audience.as_object_mut().unwrap().remove("audience");
        assert!(parse(&no_audience).unwrap_err().contains("missing field `audience`"));
    }

    #[test]
    fn plain_texts_may_hold_the_inner_objects_as_json() {
        let mut given = document(json!({"file": "/token"}));
        given["credential_source"] = json!(given["credential_source"].to_string());
        let parsed = parse(&given).unwrap().unwrap();
        assert_eq!(parsed.credential_source.file, Some(PathBuf::from("/token")));
    }

    #[test]
    fn the_lifetime_is_what_google_allows() {
        let mut given = document(json!({"file": "/token"}));
        given["service_account_impersonation"] = json!({"token_lifetime_seconds": 599});
        assert!(parse(&given).unwrap_err().contains("600 to 43200"));
    }

    #[test]
    fn addresses_are_signed_for_a_service_account_of_googles_own_cloud() {
        let mut given = document(json!({"file": "/token"}));
        assert_eq!(parse(&given).unwrap().unwrap().signer(), None);
        let url = "https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/a@b.iam.gserviceaccount.com:generateAccessToken";
        given["service_account_impersonation_url"] = json!(url);
        let parsed = parse(&given).unwrap().unwrap();
        assert_eq!(parsed.signer(), Some("a@b.iam.gserviceaccount.com"));
        given["universe_domain"] = json!("example.cloud");
        assert_eq!(parse(&given).unwrap().unwrap().signer(), None);
    }
}
