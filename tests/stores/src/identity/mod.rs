//! Services of clouds that tell a machine or a pod its temporary credentials, in this process: they give out what a
//! store takes, and only to who asks as the cloud's documentation says.

mod aliyun;
mod aws;
mod azure;
mod google;

use std::time::Duration;

use http::request::Parts;
use jiff::Timestamp;

pub use self::aliyun::AliyunIdentity;
pub use self::aws::{AwsIdentity, AwsKey};
pub use self::azure::AzureIdentity;
pub use self::google::GoogleIdentity;

/// So long from now, in RFC 3339.
fn in_so_long(lifetime: Duration) -> String {
    (Timestamp::now() + lifetime).to_string()
}

/// A header of a request, empty when it is not there.
fn header<'a>(head: &'a Parts, name: &str) -> &'a str {
    head.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}
