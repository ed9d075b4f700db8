use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use berth_config::S3;
use object_store::CredentialProvider;
use object_store::aws::AwsCredential;

use crate::{OpenError, remote};

/// The profile that is meant when none is named.
const DEFAULT: &str = "default";

/// A profile of a shared credentials file, as the AWS tools keep it. Read anew for each request,
/// so that whoever rotates the keys has to tell nobody.
#[derive(Debug)]
pub(super) struct Profile {
    path: PathBuf,
    name: String,
}

/// The profile that the settings or the environment name; else the usual one of the usual file, if
/// it is there and the environment has no key of its own; else none.
pub(super) fn find(settings: &S3) -> Result<Option<Profile>, OpenError> {
    let name = settings.profile.clone().or_else(|| remote::variable("AWS_PROFILE"));
    let path = settings.credentialsconfigpath.clone();
    let path = path.or_else(|| remote::variable("AWS_SHARED_CREDENTIALS_FILE").map(PathBuf::from));
    let usual = remote::variable("HOME").map(|home| PathBuf::from(home).join(".aws/credentials"));
    if name.is_none() && path.is_none() {
        let profile = usual.map(|path| Profile { path, name: DEFAULT.to_owned() });
        return Ok(profile.filter(|profile| !is_in_environment() && profile.read().is_ok()));
    }
    let Some(path) = path.or(usual) else {
        let reason = "there is no home directory: set storage.s3.credentialsconfigpath";
        return Err(OpenError::settings("storage.s3.profile", reason));
    };
    let profile = Profile { path, name: name.unwrap_or_else(|| DEFAULT.to_owned()) };
    profile.read().map_err(|reason| OpenError::settings("storage.s3.profile", reason))?;
    Ok(Some(profile))
}

/// Whether the environment has a key, or names a role whose key a pod gets.
fn is_in_environment() -> bool {
    ["AWS_ACCESS_KEY_ID", "AWS_WEB_IDENTITY_TOKEN_FILE"]
        .into_iter()
        .any(|name| remote::variable(name).is_some())
}

impl Profile {
    fn read(&self) -> Result<AwsCredential, String> {
        let text = std::fs::read_to_string(&self.path)
            .map_err(|error| format!("{} cannot be read: {error}", self.path.display()))?;
        parse(&text, &self.name, &self.path)
    }
}

#[async_trait]
impl CredentialProvider for Profile {
    type Credential = AwsCredential;

    async fn get_credential(&self) -> object_store::Result<Arc<AwsCredential>> {
        let read = self.read();
        read.map(Arc::new)
            .map_err(|reason| object_store::Error::Generic { store: "S3", source: reason.into() })
    }
}

fn parse(text: &str, name: &str, path: &Path) -> Result<AwsCredential, String> {
    let mut inside = false;
    let mut found = false;
    let (mut key_id, mut secret_key, mut token) = (None, None, None);
    for line in text.lines().map(str::trim) {
        if let Some(header) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            inside = header.trim() == name;
            found |= inside;
        } else if inside && let Some((key, value)) = line.split_once('=') {
            let value = Some(value.trim().to_owned());
            match key.trim() {
                "aws_access_key_id" => key_id = value,
                "aws_secret_access_key" => secret_key = value,
                "aws_session_token" => token = value,
                _ => {}
            }
        }
    }
    match (key_id, secret_key) {
        (Some(key_id), Some(secret_key)) => Ok(AwsCredential { key_id, secret_key, token }),
        _ if found => Err(format!(
            "the profile `{name}` in {} has no aws_access_key_id or no aws_secret_access_key",
            path.display()
        )),
        _ => Err(format!("there is no profile `{name}` in {}", path.display())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "
        # rotated by hand
        [default]
        aws_access_key_id = one
        aws_secret_access_key=with=sign
        [ci]
        aws_access_key_id = two
        aws_secret_access_key = secret
        aws_session_token = token
        [empty]
        region = eu-west-1";

    #[test]
    fn the_profile_that_was_named_is_read() {
        let read = |name| parse(FILE, name, Path::new("credentials"));
        let (first, second) = (read("default").unwrap(), read("ci").unwrap());
        assert_eq!((&*first.key_id, &*first.secret_key, first.token), ("one", "with=sign", None));
        assert_eq!((&*second.key_id, second.token.as_deref()), ("two", Some("token")));
        assert!(read("empty").unwrap_err().contains("has no aws_access_key_id"));
        assert!(read("other").unwrap_err().contains("no profile `other`"));
    }
}
