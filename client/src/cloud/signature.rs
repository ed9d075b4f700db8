//! Signatures of version 4
//! (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html>).

use aws_lc_rs::{digest, hmac};
use jiff::Timestamp;
use reqwest::Url;

/// The service that is asked.
const SERVICE: &str = "ecr";

/// A key of Amazon's, perhaps a temporary one.
pub(super) struct Key {
    pub(super) id: String,
    pub(super) secret: String,
    pub(super) session: Option<String>,
}

/// A question to be signed.
pub(super) struct Signed<'a> {
    pub(super) url: &'a Url,
    pub(super) region: &'a str,
    pub(super) target: &'a str,
    pub(super) body: &'a str,
    pub(super) key: &'a Key,
}

impl Signed<'_> {
    /// All headers of the request but its host.
    pub(super) fn headers(&self, now: Timestamp) -> Vec<(&'static str, String)> {
        let date = now.strftime("%Y%m%dT%H%M%SZ").to_string();
        let mut headers = vec![("content-type", "application/x-amz-json-1.1".to_owned())];
        headers.push(("host", self.host()));
        headers.push(("x-amz-date", date.clone()));
        headers.extend(self.key.session.clone().map(|token| ("x-amz-security-token", token)));
        headers.push(("x-amz-target", self.target.to_owned()));
        // In the order of their names.
        let names = headers.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(";");
        let lines: String =
            headers.iter().map(|(name, value)| format!("{name}:{value}\n")).collect();
        let body = hex::encode(digest::digest(&digest::SHA256, self.body.as_bytes()));
        let canonical = format!("POST\n{}\n\n{lines}\n{names}\n{body}", self.url.path());
        let day = &date[..8];
        let scope = format!("{day}/{}/{SERVICE}/aws4_request", self.region);
        let hash = hex::encode(digest::digest(&digest::SHA256, canonical.as_bytes()));
        let text = format!("AWS4-HMAC-SHA256\n{date}\n{scope}\n{hash}");
        let secret = format!("AWS4{}", self.key.secret).into_bytes();
        let key = [day, self.region, SERVICE, "aws4_request"]
            .into_iter()
            .fold(secret, |key, part| mac(&key, part));
        let signature = hex::encode(mac(&key, &text));
        let authorization = format!(
            "AWS4-HMAC-SHA256 Credential={}/{scope}, SignedHeaders={names}, Signature={signature}",
            self.key.id
        );
        headers.retain(|(name, _)| *name != "host");
        headers.push(("authorization", authorization));
        headers
    }

    fn host(&self) -> String {
        let host = self.url.host_str().unwrap_or_default();
        self.url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
    }
}

fn mac(key: &[u8], text: &str) -> Vec<u8> {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key);
    hmac::sign(&key, text.as_bytes()).as_ref().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_is_signed_as_amazons_own_client_signs_it() {
        let key = Key {
            id: "AKIDEXAMPLE".to_owned(),
            secret: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".to_owned(),
            session: Some("session/token+=".to_owned()),
        };
        let url = Url::parse("https://api.ecr.eu-central-1.amazonaws.com/").unwrap();
        let target = "AmazonEC2ContainerRegistry_V20150921.GetAuthorizationToken";
        let signed = Signed { url: &url, region: "eu-central-1", target, body: "{}", key: &key };
        let headers = signed.headers("2024-05-06T07:08:09Z".parse().unwrap());
        let (_, found) = headers.last().unwrap();
        // Made by botocore's SigV4Auth of the same request at the same time.
        let expected = "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20240506/eu-central-1/ecr/aws4_request, \
                        SignedHeaders=content-type;host;x-amz-date;x-amz-security-token;x-amz-target, \
                        Signature=01134cbeb69b4c1f64851bb36c801f95110458d5d09b5d1bfa566640e92b68bc";
        assert_eq!(found, expected);
    }
}
