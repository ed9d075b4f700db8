use http::{Method, Request};
use object_store::client::{HttpRequest, HttpRequestBody};
use serde_json::Value;

use super::aws;
use super::document::{Document, Format, Origin};
use crate::objects::{Anonymous, ObjectError, Rest};

/// Gets the proof of the other identity. It is asked for each time, as whoever issues it may have
/// put another in its place.
pub(super) async fn token(
    rest: &Rest<Anonymous>,
    document: &Document,
    origin: &Origin,
) -> Result<String, ObjectError> {
    let source = &document.credential_source;
    if source.environment_id.is_some() {
        return aws::token(rest, document, origin).await;
    }
    let (member, text) = match (&source.file, &source.url) {
        (Some(path), _) => {
            let member = "credential_source.file";
            let text = tokio::fs::read_to_string(path).await.map_err(|error| {
                origin.wrong(member, format!("{} cannot be read: {error}", path.display()))
            })?;
            (member, text)
        }
        (None, url) => {
            let member = "credential_source.url";
            let url = url.as_deref().unwrap_or_default();
            let headers =
                source.headers.iter().map(|(name, value)| (name.as_str(), value.expose()));
            let request =
                request(Method::GET, url, headers).map_err(|error| origin.wrong(member, error))?;
            let text = rest.text(request).await.map_err(|error| origin.wrong(member, error))?;
            (member, text)
        }
    };
    inner(&text, &source.format).map_err(|reason| origin.wrong(member, reason))
}

/// A request without a body.
pub(super) fn request<'h>(
    method: Method,
    url: &str,
    headers: impl IntoIterator<Item = (&'h str, &'h str)>,
) -> Result<HttpRequest, http::Error> {
    let request = Request::builder().method(method).uri(url);
    let request =
        headers.into_iter().fold(request, |request, (name, value)| request.header(name, value));
    request.body(HttpRequestBody::empty())
}

fn inner(text: &str, format: &Format) -> Result<String, String> {
    let token = match format {
        Format::Text => text.trim().to_owned(),
        Format::Json { subject_token_field_name: name } => {
            let value: Value = serde_json::from_str(text)
                .map_err(|error| format!("what is there is no JSON: {error}"))?;
            value[name]
                .as_str()
                .ok_or_else(|| format!("the JSON there has no text `{name}`"))?
                .to_owned()
        }
    };
    match token.is_empty() {
        true => Err("the token there is empty".to_owned()),
        false => Ok(token),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_taken_out_of_what_surrounds_them() {
        let json = Format::Json { subject_token_field_name: "id".to_owned() };
        assert_eq!(inner(" a.b.c\n", &Format::Text).unwrap(), "a.b.c");
        assert_eq!(inner(r#"{"id": "a.b.c"}"#, &json).unwrap(), "a.b.c");
        assert!(inner("\n", &Format::Text).unwrap_err().contains("empty"));
        assert!(inner("a.b.c", &json).unwrap_err().contains("no JSON"));
        assert!(inner(r#"{"token": "a"}"#, &json).unwrap_err().contains("no text `id`"));
    }
}
