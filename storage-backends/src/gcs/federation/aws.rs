use aws_lc_rs::{digest, hmac};
use http::{Method, Uri};
use jiff::Timestamp;
use object_store::aws::AwsCredential;
use serde::Deserialize;
use serde_json::json;

use super::document::{Document, Origin, Source};
use super::subject::request;
use crate::objects::{Anonymous, ObjectError, Rest};
use crate::remote::{query_encoded, variable};

/// What Google's token is then good for is said by this header, so that nobody uses the proof elsewhere.
const TARGET: &str = "x-goog-cloud-target-resource";

/// For how long a session with the metadata service is begun, in seconds.
const SESSION: &str = "300";

/// The hash of no body.
const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// A proof of Amazon's kind: a signed question who one is, which Google asks Amazon in our place.
pub(super) async fn token(
    rest: &Rest<Anonymous>,
    document: &Document,
    origin: &Origin,
) -> Result<String, ObjectError> {
    let machine = Machine { rest, source: &document.credential_source, origin };
    let session = machine.session().await?;
    let region = machine.region(session.as_deref()).await?;
    let key = machine.key(session.as_deref()).await?;
    let member = "credential_source.regional_cred_verification_url";
    let url = document.credential_source.regional_cred_verification_url.as_deref();
    let url =
        url.ok_or_else(|| origin.wrong(member, "it is missing"))?.replace("{region}", &region);
    let asked = Question { url: &url, audience: &document.audience, region: &region, key: &key };
    let text = asked.signed(Timestamp::now()).map_err(|reason| origin.wrong(member, reason))?;
    Ok(query_encoded(&text))
}

/// Where a machine of Amazon's is told its region and its key: the environment, else the metadata service.
struct Machine<'a> {
    rest: &'a Rest<Anonymous>,
    source: &'a Source,
    origin: &'a Origin,
}

/// A temporary key as the metadata service writes it.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Key {
    access_key_id: String,
    secret_access_key: String,
    token: Option<String>,
}

impl Machine<'_> {
    /// A session with the metadata service, where it wants one and is needed.
    async fn session(&self) -> Result<Option<String>, ObjectError> {
        let Some(url) = &self.source.imdsv2_session_token_url else { return Ok(None) };
        if region_variable().is_some() && key_variables().is_some() {
            return Ok(None);
        }
        let lives = ("x-aws-ec2-metadata-token-ttl-seconds", SESSION);
        let member = "imdsv2_session_token_url";
        Ok(Some(self.ask(member, Method::PUT, url, Some(lives)).await?))
    }

    async fn region(&self, session: Option<&str>) -> Result<String, ObjectError> {
        if let Some(region) = region_variable() {
            return Ok(region);
        }
        let member = "region_url";
        let url = self.need(member, self.source.region_url.as_deref(), "AWS_REGION")?;
        let zone = self.ask(member, Method::GET, url, of(session)).await?;
        let zone = zone.trim();
        // A zone is a region and a letter.
        Ok(zone.strip_suffix(|last: char| last.is_ascii_alphabetic()).unwrap_or(zone).to_owned())
    }

    async fn key(&self, session: Option<&str>) -> Result<AwsCredential, ObjectError> {
        if let Some(key) = key_variables() {
            return Ok(key);
        }
        let member = "url";
        let url = self.need(member, self.source.url.as_deref(), "AWS_ACCESS_KEY_ID")?;
        let role = self.ask(member, Method::GET, url, of(session)).await?;
        let url = format!("{}/{}", url.trim_end_matches('/'), role.trim());
        let text = self.ask(member, Method::GET, &url, of(session)).await?;
        let key: Key = serde_json::from_str(&text)
            .map_err(|error| self.wrong(member, format!("{url} has no key: {error}")))?;
        Ok(AwsCredential {
            key_id: key.access_key_id,
            secret_key: key.secret_access_key,
            token: key.token,
        })
    }

    fn need<'u>(
        &self,
        member: &str,
        url: Option<&'u str>,
        variable: &str,
    ) -> Result<&'u str, ObjectError> {
        url.ok_or_else(|| self.wrong(member, format!("it is missing, and {variable} is not set")))
    }

    async fn ask(
        &self,
        member: &str,
        method: Method,
        url: &str,
        header: Option<(&str, &str)>,
    ) -> Result<String, ObjectError> {
        let request =
            request(method, url, header).map_err(|error| self.wrong(member, error.to_string()))?;
        let answer = self.rest.text(request).await;
        answer.map_err(|error| self.wrong(member, error.to_string()))
    }

    fn wrong(&self, member: &str, reason: String) -> ObjectError {
        self.origin.wrong(&format!("credential_source.{member}"), reason)
    }
}

/// The header of a session.
fn of(session: Option<&str>) -> Option<(&str, &str)> {
    session.map(|session| ("x-aws-ec2-metadata-token", session))
}

fn region_variable() -> Option<String> {
    variable("AWS_REGION").or_else(|| variable("AWS_DEFAULT_REGION"))
}

fn key_variables() -> Option<AwsCredential> {
    Some(AwsCredential {
        key_id: variable("AWS_ACCESS_KEY_ID")?,
        secret_key: variable("AWS_SECRET_ACCESS_KEY")?,
        token: variable("AWS_SESSION_TOKEN"),
    })
}

/// The question `GetCallerIdentity`.
struct Question<'a> {
    url: &'a str,
    audience: &'a str,
    region: &'a str,
    key: &'a AwsCredential,
}

impl Question<'_> {
    /// The question as JSON, with its signature of version 4
    /// (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html>).
    /// The client beneath signs for stores only: with a header more, which Google does not pass on.
    fn signed(&self, now: Timestamp) -> Result<String, String> {
        let uri: Uri = self.url.parse().map_err(|error| format!("{}: {error}", self.url))?;
        let host = uri.authority().ok_or_else(|| format!("{} has no host", self.url))?.as_str();
        let date = now.strftime("%Y%m%dT%H%M%SZ").to_string();
        let mut headers = vec![("host", host), ("x-amz-date", &date)];
        if let Some(token) = &self.key.token {
            headers.push(("x-amz-security-token", token));
        }
        headers.push((TARGET, self.audience));
        let names = headers.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(";");
        let lines: String =
            headers.iter().map(|(name, value)| format!("{name}:{value}\n")).collect();
        let mut query: Vec<&str> = uri.query().unwrap_or_default().split('&').collect();
        query.sort_unstable();
        let query = query.join("&");
        let canonical = format!("POST\n{}\n{query}\n{lines}\n{names}\n{EMPTY}", uri.path());
        let day = &date[..8];
        let scope = format!("{day}/{}/sts/aws4_request", self.region);
        let hash = hex::encode(digest::digest(&digest::SHA256, canonical.as_bytes()));
        let text = format!("AWS4-HMAC-SHA256\n{date}\n{scope}\n{hash}");
        let secret = format!("AWS4{}", self.key.secret_key).into_bytes();
        let key = [day, self.region, "sts", "aws4_request"]
            .into_iter()
            .fold(secret, |key, part| mac(&key, part));
        let signature = hex::encode(mac(&key, &text));
        let authorization = format!(
            "AWS4-HMAC-SHA256 Credential={}/{scope}, SignedHeaders={names}, Signature={signature}",
            self.key.key_id
        );
        headers.push(("Authorization", &authorization));
        let headers: Vec<_> =
            headers.iter().map(|(key, value)| json!({ "key": key, "value": value })).collect();
        Ok(json!({ "url": self.url, "method": "POST", "headers": headers }).to_string())
    }
}

fn mac(key: &[u8], text: &str) -> Vec<u8> {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key);
    hmac::sign(&key, text.as_bytes()).as_ref().to_vec()
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn the_question_is_signed_as_amazons_own_client_signs_it() {
        let key = AwsCredential {
            key_id: "AKIDEXAMPLE".to_owned(),
            secret_key: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".to_owned(),
            token: Some("session/token+=".to_owned()),
        };
        let question = Question {
            url: "https://sts.eu-central-1.amazonaws.com?Action=GetCallerIdentity&Version=2011-06-15",
            audience: "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/q",
            region: "eu-central-1",
            key: &key,
        };
        let signed = question.signed("2024-05-06T07:08:09Z".parse().unwrap()).unwrap();
        let signed: Value = serde_json::from_str(&signed).unwrap();
        let headers = signed["headers"].as_array().unwrap();
        let authorization = headers.iter().find(|header| header["key"] == "Authorization").unwrap();
        // Made by botocore's SigV4Auth of the same request at the same time.
        let expected = "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20240506/eu-central-1/sts/aws4_request, \
                        SignedHeaders=host;x-amz-date;x-amz-security-token;x-goog-cloud-target-resource, \
                        Signature=cdd560e506701926748fdbd6e1cc50b05140c2de2197dab0d06fdc74532841fe";
        assert_eq!(authorization["value"], expected);
    }
}
