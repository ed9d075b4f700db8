//! OSS signatures of version 1 and 4, in headers and in URLs.
//!
//! Version 1: <https://www.alibabacloud.com/help/en/oss/developer-reference/include-signatures-in-the-authorization-header>
//! Version 4: <https://www.alibabacloud.com/help/en/oss/developer-reference/recommend-to-use-signature-version-4>

use std::time::{Duration, SystemTime};

use aws_lc_rs::{digest, hmac};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http::request::Parts;
use http::{HeaderMap, StatusCode};
use jiff::Timestamp;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::xml::{Query, Refusal};

const ALGORITHM: &str = "OSS4-HMAC-SHA256";
const PAYLOAD: &str = "UNSIGNED-PAYLOAD";

/// How far a client's clock may be off.
const SKEW: Duration = Duration::from_secs(15 * 60);

/// What stays as it is in version 4: in a query all but these is encoded, in a path the slash stays too.
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
const PATH: &AsciiSet = &UNRESERVED.remove(b'/');

/// The parameters that version 1 signs, of those that a client of objects sends.
const SUBRESOURCES: [&str; 26] = [
    "acl",
    "append",
    "bucketInfo",
    "callback",
    "callback-var",
    "continuation-token",
    "delete",
    "encryption",
    "lifecycle",
    "location",
    "objectMeta",
    "partNumber",
    "position",
    "response-cache-control",
    "response-content-disposition",
    "response-content-encoding",
    "response-content-language",
    "response-content-type",
    "response-expires",
    "security-token",
    "sequential",
    "stat",
    "tagging",
    "uploadId",
    "uploads",
    "x-oss-process",
];

/// A key, and the region of its bucket.
#[derive(Clone, Debug)]
pub(super) struct Key {
    pub(super) id: String,
    pub(super) secret: String,
    pub(super) region: String,
    /// Of a temporary key; else empty.
    pub(super) token: String,
}

/// A request, and `/BUCKET/KEY` of what it is for, decoded.
pub(super) struct Signed<'a> {
    pub(super) head: &'a Parts,
    pub(super) resource: &'a str,
    pub(super) query: &'a Query,
}

impl Signed<'_> {
    /// Checks the signature that a request has, and its time.
    pub(super) fn check(&self, key: &Key, now: SystemTime) -> Result<(), Refusal> {
        self.check_signature(key, now)?;
        let header = self.header("x-oss-security-token");
        let shown = ["x-oss-security-token", "security-token"].into_iter();
        let mut shown = shown.filter_map(|name| self.query.get(name)).chain([header.as_str()]);
        if key.token.is_empty() || shown.any(|token| token == key.token) {
            return Ok(());
        }
        Err(denied("InvalidSecurityToken", "The security token you provided is invalid."))
    }

    fn check_signature(&self, key: &Key, now: SystemTime) -> Result<(), Refusal> {
        let authorization = self.header("authorization");
        if let Some(credential) = authorization.strip_prefix("OSS ") {
            return self.check_header_v1(key, credential, now);
        }
        if let Some(fields) = authorization.strip_prefix(ALGORITHM) {
            return self.check_header_v4(key, fields, now);
        }
        if self.query.get("x-oss-signature").is_some() {
            return self.check_url_v4(key, now);
        }
        if self.query.get("Signature").is_some() {
            return self.check_url_v1(key, now);
        }
        Err(denied("AccessDenied", "Anonymous access is forbidden."))
    }

    fn check_header_v1(&self, key: &Key, given: &str, now: SystemTime) -> Result<(), Refusal> {
        let (id, signature) = given.split_once(':').ok_or_else(|| unreadable("Authorization"))?;
        let date = [self.header("x-oss-date"), self.header("date")];
        let date = date.into_iter().find(|date| !date.is_empty()).unwrap_or_default();
        let made = httpdate::parse_http_date(&date).map_err(|_| unreadable("Date"))?;
        is_recent(made, now)?;
        is_key(key, id)?;
        is_same(&v1(key, &self.text_v1(&date)), signature)
    }

    fn check_url_v1(&self, key: &Key, now: SystemTime) -> Result<(), Refusal> {
        let expires = self.parameter("Expires")?;
        let until = expires.parse().map_err(|_| unreadable("Expires"))?;
        if now > SystemTime::UNIX_EPOCH + Duration::from_secs(until) {
            return Err(denied("AccessDenied", "Request has expired."));
        }
        is_key(key, self.parameter("OSSAccessKeyId")?)?;
        is_same(&v1(key, &self.text_v1(expires)), self.parameter("Signature")?)
    }

    fn check_header_v4(&self, key: &Key, fields: &str, now: SystemTime) -> Result<(), Refusal> {
        let field = |name| {
            let mut fields = fields.split(',').filter_map(|field| field.trim().split_once('='));
            fields.find(|(key, _)| *key == name).map(|(_, value)| value)
        };
        let credential = field("Credential").ok_or_else(|| unreadable("Credential"))?;
        let signature = field("Signature").ok_or_else(|| unreadable("Signature"))?;
        let date = self.header("x-oss-date");
        is_recent(parse_date(&date)?, now)?;
        let names = field("AdditionalHeaders").unwrap_or_default();
        let request = self.canonical_v4(names, false);
        is_same(&v4(key, credential, &date, &request)?, signature)
    }

    fn check_url_v4(&self, key: &Key, now: SystemTime) -> Result<(), Refusal> {
        let date = self.parameter("x-oss-date")?;
        let lives = self.parameter("x-oss-expires")?;
        let lives = lives.parse().map_err(|_| unreadable("x-oss-expires"))?;
        if now > parse_date(date)? + Duration::from_secs(lives) {
            return Err(denied("AccessDenied", "Request has expired."));
        }
        let names = self.query.get("x-oss-additional-headers").unwrap_or_default();
        let request = self.canonical_v4(names, true);
        let signature = v4(key, self.parameter("x-oss-credential")?, date, &request)?;
        is_same(&signature, self.parameter("x-oss-signature")?)
    }

    fn text_v1(&self, date: &str) -> String {
        let md5 = self.header("content-md5");
        let kind = self.header("content-type");
        let mut text = format!("{}\n{md5}\n{kind}\n{date}\n", self.head.method);
        for name in sorted_names(&self.head.headers, |name| name.starts_with("x-oss-")) {
            text.push_str(&format!("{name}:{}\n", self.header(name)));
        }
        text.push_str(self.resource);
        let pairs = self.query.pairs().iter();
        let mut pairs: Vec<_> =
            pairs.filter(|(name, _)| SUBRESOURCES.contains(&name.as_str())).collect();
        pairs.sort();
        let pairs: Vec<_> = pairs.into_iter().map(|(name, value)| join(name, value)).collect();
        if !pairs.is_empty() {
            text.push_str(&format!("?{}", pairs.join("&")));
        }
        text
    }

    fn canonical_v4(&self, additional: &str, in_url: bool) -> String {
        let encode = |text: &str| utf8_percent_encode(text, UNRESERVED).to_string();
        let pairs = self.query.pairs().iter().filter(|(name, _)| name != "x-oss-signature");
        let mut pairs: Vec<_> = pairs.map(|(name, value)| (encode(name), encode(value))).collect();
        pairs.sort();
        let pairs: Vec<_> = pairs.iter().map(|(name, value)| join(name, value)).collect();
        let wanted = |name: &str| {
            let own = name.starts_with("x-oss-") && !(in_url && name == "x-oss-content-sha256");
            own || ["content-md5", "content-type"].contains(&name)
                || additional.split(';').any(|one| one == name)
        };
        let names = sorted_names(&self.head.headers, wanted).into_iter();
        let headers: String = names.map(|name| format!("{name}:{}\n", self.header(name))).collect();
        let method = &self.head.method;
        let path = utf8_percent_encode(self.resource, PATH);
        let query = pairs.join("&");
        format!("{method}\n{path}\n{query}\n{headers}\n{additional}\n{PAYLOAD}")
    }

    fn parameter(&self, name: &str) -> Result<&str, Refusal> {
        self.query.get(name).ok_or_else(|| unreadable(name))
    }

    fn header(&self, name: &str) -> String {
        let values = self.head.headers.get_all(name).iter();
        let values: Vec<_> =
            values.filter_map(|value| value.to_str().ok()).map(str::trim).collect();
        values.join(",")
    }
}

fn sorted_names(headers: &HeaderMap, wanted: impl Fn(&str) -> bool) -> Vec<&str> {
    let names = headers.keys().map(|name| name.as_str());
    let mut names: Vec<_> = names.filter(|name| wanted(name)).collect();
    names.sort_unstable();
    names
}

fn join(name: &str, value: &str) -> String {
    if value.is_empty() { name.to_owned() } else { format!("{name}={value}") }
}

fn v1(key: &Key, text: &str) -> String {
    let secret = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, key.secret.as_bytes());
    BASE64_STANDARD.encode(hmac::sign(&secret, text.as_bytes()))
}

/// The signature of a canonical request by a credential `ID/DAY/REGION/oss/aliyun_v4_request`.
fn v4(key: &Key, credential: &str, date: &str, request: &str) -> Result<String, Refusal> {
    let (id, scope) = credential.split_once('/').ok_or_else(|| unreadable("Credential"))?;
    is_key(key, id)?;
    let day = date.split('T').next().unwrap_or_default();
    if scope != format!("{day}/{}/oss/aliyun_v4_request", key.region) {
        return Err(denied("AccessDenied", "The scope of the credential is not this bucket's."));
    }
    let hash = hex::encode(digest::digest(&digest::SHA256, request.as_bytes()));
    let text = format!("{ALGORITHM}\n{date}\n{scope}\n{hash}");
    let mut signing = format!("aliyun_v4{}", key.secret).into_bytes();
    for step in scope.split('/') {
        signing = sign(&signing, step);
    }
    Ok(hex::encode(sign(&signing, &text)))
}

fn sign(key: &[u8], text: &str) -> Vec<u8> {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key);
    hmac::sign(&key, text.as_bytes()).as_ref().to_vec()
}

/// `20250411T064124Z`
fn parse_date(date: &str) -> Result<SystemTime, Refusal> {
    let time = Timestamp::strptime("%Y%m%dT%H%M%S%z", date.replace('Z', "+0000"));
    time.map(SystemTime::from).map_err(|_| unreadable("x-oss-date"))
}

fn is_recent(made: SystemTime, now: SystemTime) -> Result<(), Refusal> {
    if made > now + SKEW || now > made + SKEW {
        let message = "The difference between the request time and the current time is too large.";
        return Err(denied("RequestTimeTooSkewed", message));
    }
    Ok(())
}

fn is_key(key: &Key, id: &str) -> Result<(), Refusal> {
    let message = "The OSS Access Key Id you provided does not exist in our records.";
    if key.id == id { Ok(()) } else { Err(denied("InvalidAccessKeyId", message)) }
}

fn is_same(ours: &str, given: &str) -> Result<(), Refusal> {
    if ours == given {
        return Ok(());
    }
    let message = "The request signature we calculated does not match the signature you provided. Check your key and signing method.";
    Err(denied("SignatureDoesNotMatch", message))
}

fn denied(code: &'static str, message: &str) -> Refusal {
    Refusal::new(StatusCode::FORBIDDEN, code, message)
}

fn unreadable(what: &str) -> Refusal {
    Refusal::invalid(format!("{what} is missing or not readable"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(id: &str, secret: &str) -> Key {
        Key {
            id: id.into(),
            secret: secret.into(),
            region: "cn-hangzhou".into(),
            token: String::new(),
        }
    }

    fn check(
        key: &Key,
        request: http::request::Builder,
        resource: &str,
        now: SystemTime,
    ) -> Result<(), String> {
        let (head, ()) = request.body(()).unwrap().into_parts();
        let query = Query::new(head.uri.query().unwrap_or_default());
        let signed = Signed { head: &head, resource, query: &query };
        signed.check(key, now).map_err(|refusal| format!("{refusal:?}"))
    }

    /// The example of Alibaba's page on version 1.
    fn example_v1(author: &str) -> http::request::Builder {
        http::Request::put("/nelson")
            .header("content-md5", "ODBGOERFMDMzQTczRUY3NUE3NzA5QzdFNUYzMDQxNEM=")
            .header("content-type", "text/html")
            .header("date", "Thu, 17 Nov 2005 18:49:58 GMT")
            .header("host", "oss-example.oss-cn-hangzhou.aliyuncs.com")
            .header("x-oss-meta-author", author)
            .header("x-oss-magic", "abracadabra")
            .header("authorization", "OSS 44CF9590006BF252F707:26NBxoKdsyly4EDv6inkoDft/yA=")
    }

    #[test]
    fn the_published_example_of_version_1_is_accepted_and_its_changes_are_not() {
        let key = key("44CF9590006BF252F707", "OtxrzxIsfpFjA7SwPzILwy8Bw21TLhquhboDYROV");
        let now = httpdate::parse_http_date("Thu, 17 Nov 2005 18:50:00 GMT").unwrap();
        let resource = "/oss-example/nelson";
        assert_eq!(check(&key, example_v1("foo@bar.com"), resource, now), Ok(()));
        let changed = check(&key, example_v1("bar@foo.com"), resource, now).unwrap_err();
        assert!(changed.contains("SignatureDoesNotMatch"), "{changed}");
        let late = check(&key, example_v1("foo@bar.com"), resource, now + 2 * SKEW).unwrap_err();
        assert!(late.contains("RequestTimeTooSkewed"), "{late}");
    }

    #[test]
    fn the_published_example_of_version_4_is_accepted() {
        let key = key("testid", "yourAccessKeySecret");
        let now = parse_date("20250411T064200Z").unwrap();
        let request = |kind: &str| {
            http::Request::put("/exampleobject")
                .header("content-disposition", "attachment")
                .header("content-length", "3")
                .header("content-md5", "ICy5YqxZB1uWSwcVLSNLcA==")
                .header("content-type", kind)
                .header("x-oss-content-sha256", PAYLOAD)
                .header("x-oss-date", "20250411T064124Z")
                .header("authorization", "OSS4-HMAC-SHA256 Credential=testid/20250411/cn-hangzhou/oss/aliyun_v4_request, AdditionalHeaders=content-disposition;content-length, Signature=d3694c2dfc5371ee6acd35e88c4871ac95a7ba01d3a2f476768fe61218590097")
        };
        let resource = "/examplebucket/exampleobject";
        assert_eq!(check(&key, request("text/plain"), resource, now), Ok(()));
        assert!(check(&key, request("text/html"), resource, now).is_err());
    }

    #[test]
    fn the_published_example_of_a_url_of_version_4_is_accepted_until_it_expires() {
        let key = key("testid", "yourAccessKeySecret");
        let request = || {
            http::Request::get("/exampleobject?x-oss-additional-headers=host&x-oss-credential=testid%2F20241203%2Fcn-hangzhou%2Foss%2Faliyun_v4_request&x-oss-date=20241203T032307Z&x-oss-expires=86400&x-oss-signature-version=OSS4-HMAC-SHA256&x-oss-signature=a9ad2ce702a93c7c36ace35dd4e1b80cb76a999c890d7dfe78ff342a23dac8e0")
                .header("host", "examplebucket.oss-cn-hangzhou.aliyuncs.com")
        };
        let made = parse_date("20241203T032307Z").unwrap();
        let resource = "/examplebucket/exampleobject";
        assert_eq!(check(&key, request(), resource, made + Duration::from_secs(86_399)), Ok(()));
        let late = check(&key, request(), resource, made + Duration::from_secs(86_401));
        assert!(late.unwrap_err().contains("expired"));
    }
}
