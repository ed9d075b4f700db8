//! Checks of the `notifications` section.

use super::{Invalid, header_fault, is_url_with_query};
use crate::NotificationEndpoint;
use crate::error::ConfigError;

pub(super) fn notifications(
    endpoints: &[NotificationEndpoint],
    invalid: Invalid<'_>,
) -> Result<(), ConfigError> {
    for (place, endpoint) in endpoints.iter().enumerate() {
        let key = |key: &str| format!("notifications.endpoints.{place}.{key}");
        let name = endpoint.name.as_str();
        if name.is_empty() || name != name.trim() || name.contains(char::is_control) {
            return invalid(
                &key("name"),
                "every endpoint needs a name of its own, for example `name: ci`: the log, the metrics and the database call it by that".to_owned(),
            );
        }
        if endpoints[..place].iter().any(|other| other.name == name) {
            return invalid(
                &key("name"),
                format!("there is another endpoint with the name `{name}`: give each its own"),
            );
        }
        if endpoint.disabled {
            continue;
        }
        if !is_url_with_query(&endpoint.url) {
            return invalid(
                &key("url"),
                "it is not a URL of `http` or `https`: write for example `https://ci.example.org/hook`".to_owned(),
            );
        }
        let header = endpoint.headers.iter().find_map(|(name, values)| {
            header_fault(name, values.iter().map(|value| value.expose()))
        });
        if let Some(message) = header {
            return invalid(&key("headers"), message);
        }
    }
    Ok(())
}
