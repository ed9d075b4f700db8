use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{Method, Request};
use jiff::Timestamp;
use object_store::client::{HttpRequest, HttpRequestBody};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::document::{Document, Origin};
use super::subject;
use super::tokens::Token;
use crate::objects::{Anonymous, ObjectError, Rest, failed};
use crate::remote::query_encoded;

/// What the token is good for. Less would do for the bucket, but not to have addresses signed; what
/// the account may do is said in its roles.
const SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";

/// Turns the proof of another identity into a token of Google's.
#[derive(Debug)]
pub(super) struct Exchange {
    pub(super) rest: Rest<Anonymous>,
    pub(super) document: Document,
    pub(super) origin: Origin,
}

/// The answer of the Security Token Service (RFC 8693 section 2.2.1).
#[derive(Deserialize)]
struct Exchanged {
    access_token: String,
    expires_in: Option<u64>,
}

/// The answer of `generateAccessToken`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Generated {
    access_token: String,
    expire_time: Timestamp,
}

impl Exchange {
    /// Gets a new token.
    ///
    /// # Errors
    /// With the member of the file that would have to change.
    pub(super) async fn token(&self) -> Result<Token, ObjectError> {
        let proof = subject::token(&self.rest, &self.document, &self.origin).await?;
        let token = self.exchange(&proof).await?;
        match self.document.impersonation_url() {
            Some(url) => self.impersonate(url, &token).await,
            None => Ok(token),
        }
    }

    /// <https://cloud.google.com/iam/docs/reference/sts/rest/v1/TopLevel/token>
    async fn exchange(&self, proof: &str) -> Result<Token, ObjectError> {
        let asked = Instant::now();
        let document = &self.document;
        let mut form = vec![
            ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
            ("requested_token_type", "urn:ietf:params:oauth:token-type:access_token"),
            ("audience", &document.audience),
            ("scope", SCOPE),
            ("subject_token_type", &document.subject_token_type),
            ("subject_token", proof),
        ];
        let project = document.workforce_pool_user_project.as_ref();
        let options = project.map(|project| json!({ "userProject": project }).to_string());
        if let Some(options) = &options {
            form.push(("options", options));
        }
        let form: Vec<_> = form
            .into_iter()
            .map(|(name, value)| format!("{name}={}", query_encoded(value)))
            .collect();
        let mut request = Request::builder()
            .method(Method::POST)
            .uri(&document.token_url)
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        if let (Some(id), Some(secret)) = (&document.client_id, &document.client_secret) {
            request = request.header(AUTHORIZATION, basic(id, secret.expose()));
        }
        let request = request.body(HttpRequestBody::from(form.join("&"))).map_err(failed)?;
        let got: Exchanged = self.ask("token_url", request).await?;
        let lives = got.expires_in.map(Duration::from_secs);
        Ok(Token::new(got.access_token, asked, lives))
    }

    /// <https://cloud.google.com/iam/docs/reference/credentials/rest/v1/projects.serviceAccounts/generateAccessToken>
    async fn impersonate(&self, url: &str, token: &Token) -> Result<Token, ObjectError> {
        let asked = Instant::now();
        let lifetime = format!("{}s", self.document.lifetime().as_secs());
        let body = json!({ "scope": [SCOPE], "lifetime": lifetime });
        let request = Request::builder()
            .method(Method::POST)
            .uri(url)
            .header(CONTENT_TYPE, "application/json")
            .header(AUTHORIZATION, format!("Bearer {}", token.bearer()))
            .body(HttpRequestBody::from(body.to_string()))
            .map_err(failed)?;
        let got: Generated = self.ask("service_account_impersonation_url", request).await?;
        let lives = Timestamp::now().duration_until(got.expire_time);
        let lives = Duration::try_from(lives).unwrap_or_default();
        Ok(Token::new(got.access_token, asked, Some(lives)))
    }

    async fn ask<T: DeserializeOwned>(
        &self,
        member: &str,
        request: HttpRequest,
    ) -> Result<T, ObjectError> {
        let answer = self.rest.text(request).await;
        let answer =
            answer.map_err(|error| self.origin.wrong(member, in_words(&error.to_string())))?;
        serde_json::from_str(&answer).map_err(|error| {
            self.origin.wrong(member, format!("what answers there is no token: {error}"))
        })
    }
}

fn basic(id: &str, secret: &str) -> String {
    format!("Basic {}", BASE64_STANDARD.encode(format!("{id}:{secret}")))
}

/// Puts the message in place of the JSON that it is in: OAuth's, or that of Google's other services.
fn in_words(text: &str) -> String {
    let Some((before, json)) = text.find('{').map(|start| text.split_at(start)) else {
        return text.to_owned();
    };
    let Ok(json) = serde_json::from_str::<Value>(json) else { return text.to_owned() };
    let error = &json["error"];
    let words = match (error.as_str(), json["error_description"].as_str()) {
        (Some(code), Some(description)) => format!("{code}: {description}"),
        (Some(code), None) => code.to_owned(),
        (None, _) => error["message"].as_str().unwrap_or(text).to_owned(),
    };
    format!("{before}{words}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_kinds_of_errors_are_told_in_words() {
        let oauth = r#"POST /v1/token: 400 Bad Request: {"error": "invalid_grant", "error_description": "Expired."}"#;
        assert_eq!(in_words(oauth), "POST /v1/token: 400 Bad Request: invalid_grant: Expired.");
        let google = r#"403 Forbidden: {"error": {"code": 403, "message": "Not yours."}}"#;
        assert_eq!(in_words(google), "403 Forbidden: Not yours.");
        assert_eq!(in_words("404 Not Found: {x"), "404 Not Found: {x");
    }
}
