//! The `notifications` section.

use berth_config::{Config, GoDuration, NotificationEndpoint, NotifiedAction};

use crate::{Variables, config, error, with_env};

/// As the documentation of `registry:2` has it.
const REGISTRY_2: &str = "\
notifications:
  events:
    includereferences: true
  endpoints:
    - name: alistener
      disabled: false
      url: https://my.listener.com/event
      headers:
        Authorization: [Bearer secret-token]
        X-Two: [a, b]
      timeout: 500ms
      threshold: 5
      backoff: 2s
      ignoredmediatypes:
        - application/octet-stream
      ignore:
        mediatypes:
          - application/json
        actions:
          - pull
";

fn endpoint(config: &Config) -> &NotificationEndpoint {
    &config.notifications.endpoints[0]
}

#[test]
fn a_section_of_registry_2_is_read_whole() {
    let config = config(REGISTRY_2);
    assert!(config.notifications.events.includereferences);
    assert_eq!(config.notifications.events.keep, GoDuration::from_secs(168 * 3600));
    let endpoint = endpoint(&config);
    assert_eq!((endpoint.name.as_str(), endpoint.disabled), ("alistener", false));
    assert_eq!(endpoint.url, "https://my.listener.com/event");
    let values: Vec<_> = endpoint.headers["X-Two"].iter().map(|value| value.expose()).collect();
    assert_eq!(values, ["a", "b"]);
    assert_eq!(endpoint.timeout, GoDuration::from_millis(500));
    assert_eq!((endpoint.threshold, endpoint.backoff), (5, GoDuration::from_secs(2)));
    for (action, media_type, wanted) in [
        (NotifiedAction::Push, Some("application/x"), true),
        (NotifiedAction::Push, None, true),
        (NotifiedAction::Push, Some("application/json"), false),
        (NotifiedAction::Mount, Some("application/octet-stream"), false),
        (NotifiedAction::Pull, Some("application/x"), false),
        (NotifiedAction::Delete, None, true),
    ] {
        assert_eq!(endpoint.wants(action, media_type), wanted, "{action:?} {media_type:?}");
    }
}

#[test]
fn every_key_can_come_from_the_environment() {
    let one: Variables<'_> = &[
        ("REGISTRY_NOTIFICATIONS_EVENTS_INCLUDEREFERENCES", "true"),
        ("REGISTRY_NOTIFICATIONS_ENDPOINTS_0_NAME", "alistener"),
        ("REGISTRY_NOTIFICATIONS_ENDPOINTS_0_URL", "https://my.listener.com/event"),
        ("REGISTRY_NOTIFICATIONS_ENDPOINTS_0_HEADERS_Authorization_0", "Bearer secret-token"),
        ("REGISTRY_NOTIFICATIONS_ENDPOINTS_0_HEADERS_X-Two", "[a, b]"),
        ("REGISTRY_NOTIFICATIONS_ENDPOINTS_0_TIMEOUT", "500ms"),
        ("REGISTRY_NOTIFICATIONS_ENDPOINTS_0_THRESHOLD", "5"),
        ("REGISTRY_NOTIFICATIONS_ENDPOINTS_0_BACKOFF", "2s"),
        ("REGISTRY_NOTIFICATIONS_ENDPOINTS_0_IGNOREDMEDIATYPES", "[application/octet-stream]"),
        ("REGISTRY_NOTIFICATIONS_ENDPOINTS_0_IGNORE_MEDIATYPES_0", "application/json"),
        ("REGISTRY_NOTIFICATIONS_ENDPOINTS_0_IGNORE_ACTIONS_0", "pull"),
    ];
    assert_eq!(with_env(one).notifications, config(REGISTRY_2).notifications);
    let whole = "[{name: a, url: 'http://a/'}]";
    let config = with_env(&[("REGISTRY_NOTIFICATIONS_ENDPOINTS", whole)]);
    assert_eq!(endpoint(&config).url, "http://a/");
}

#[test]
fn what_cannot_work_is_refused_with_what_would() {
    for (endpoints, at, says) in [
        ("[{url: 'http://a/'}]", "[0].name", "a name of its own"),
        ("[{name: '', url: 'http://a/'}]", "[0].name", "a name of its own"),
        (
            "[{name: a, url: 'http://a/'}, {name: b, url: 'http://a/'}, {name: a, url: 'http://c/'}]",
            "[2].name",
            "another endpoint with the name `a`",
        ),
        ("[{name: a}]", "[0].url", "write for example `https://ci.example.org/hook`"),
        ("[{name: a, url: 'ftp://a/'}]", "[0].url", "`http` or `https`"),
        ("[{name: a, url: 'a.example.org/hook'}]", "[0].url", "`http` or `https`"),
        ("[{name: a, url: 'http://a/ b'}]", "[0].url", "`http` or `https`"),
        (
            "[{name: a, url: 'http://a/', ignore: {actions: [scan]}}]",
            "[0].ignore.actions[0]",
            "`scan` is none of `push`, `pull`, `mount`, `delete`",
        ),
        (
            "[{name: a, url: 'http://a/', headers: {'X Y': [b]}}]",
            "[0].headers",
            "`X Y` is not the name of a header",
        ),
        ("[{name: a, url: 'http://a/', header: {}}]", "[0].header", "headers"),
        ("[{name: a, url: 'http://a/', timeout: 5}]", "[0].timeout", "write for example `30s`"),
    ] {
        let message = error(&format!("notifications: {{endpoints: {endpoints}}}"), &[]);
        assert!(message.contains(&format!("`notifications.endpoints{at}`")), "{message}");
        assert!(message.contains(says), "{message}");
    }
    for limit in ["keep: 0s", "maxpending: 0"] {
        let message = error(&format!("notifications: {{events: {{{limit}}}}}"), &[]);
        assert!(message.contains("it must be more than 0"), "{message}");
    }
}

#[test]
fn an_endpoint_that_is_disabled_needs_no_url() {
    let config = config("notifications: {endpoints: [{name: a, disabled: true}]}");
    assert_eq!(config.notifications.enabled().count(), 0);
}

#[test]
fn nothing_secret_is_shown() {
    let yaml = "notifications: {endpoints: [
        {name: a, url: 'https://user:hidden@host/hook?token=hidden', headers: {Authorization: [hidden]}},
        {name: b, url: 'https://host/hook@1'}]}";
    let shown = config(yaml).show();
    assert!(!shown.contains("hidden"), "{shown}");
    assert!(shown.contains("https://<redacted>@host/hook?<redacted>"), "{shown}");
    assert!(shown.contains("https://host/hook@1"), "{shown}");
    let fault = "notifications: {endpoints: [{name: a, url: 'http://a/', headers: {X: [\"hid\\u0001den\"]}}]}";
    assert!(!error(fault, &[]).contains("hid"));
}

#[test]
fn a_change_of_the_endpoints_needs_a_restart_that_of_a_secret_too() {
    let with = |token: &str| {
        let headers = format!("{{X: [{token}]}}");
        config(&format!(
            "notifications: {{endpoints: [{{name: a, url: 'http://a/', headers: {headers}}}]}}"
        ))
    };
    assert_eq!(Config::restart_needed(&with("a"), &with("b")), ["notifications.endpoints"]);
    assert_eq!(Config::restart_needed(&config(""), &with("b")), ["notifications.endpoints"]);
    let limits = config("notifications: {events: {keep: 1h, maxpending: 7}}");
    assert!(Config::restart_needed(&config(""), &limits).is_empty());
}
