//! What a registry asks for (RFC 9110 section 11.6.1).

use http::HeaderMap;
use http::header::WWW_AUTHENTICATE;

/// A challenge that this client can answer.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Challenge {
    /// A name and a password.
    Basic,
    /// A token.
    Bearer {
        /// Where to get it.
        realm: String,
        /// What the registry is called there.
        service: Option<String>,
        /// What it must be for.
        scope: Option<String>,
    },
}

/// The challenge to answer among those of a 401: a token rather than a password, which need not travel
/// with every request then.
pub(crate) fn choose(headers: &HeaderMap) -> Option<Challenge> {
    let texts = headers.get_all(WWW_AUTHENTICATE).iter().filter_map(|value| value.to_str().ok());
    let known: Vec<Challenge> = texts.flat_map(parse).collect();
    let bearer = known.iter().find(|challenge| matches!(challenge, Challenge::Bearer { .. }));
    bearer.or(known.first()).cloned()
}

/// The challenges of a header that are known here, in their order.
fn parse(text: &str) -> Vec<Challenge> {
    let mut rest = text;
    let mut schemes: Vec<(&str, Vec<(&str, String)>)> = Vec::new();
    loop {
        rest = rest.trim_start_matches([' ', '\t', ',']);
        let (word, after) = token(rest);
        if word.is_empty() {
            break;
        }
        let value = after.trim_start().strip_prefix('=');
        match (value, schemes.last_mut()) {
            (Some(value), Some((_, parameters))) => {
                let (value, after) = quoted_or_token(value.trim_start());
                parameters.push((word, value));
                rest = after;
            }
            // A value before any scheme: nothing that can be understood.
            (Some(_), None) => break,
            (None, _) => {
                schemes.push((word, Vec::new()));
                rest = after;
            }
        }
    }
    schemes.into_iter().filter_map(|(scheme, parameters)| known(scheme, parameters)).collect()
}

fn known(scheme: &str, parameters: Vec<(&str, String)>) -> Option<Challenge> {
    if scheme.eq_ignore_ascii_case("basic") {
        return Some(Challenge::Basic);
    }
    if !scheme.eq_ignore_ascii_case("bearer") {
        return None;
    }
    let value = |sought: &str| {
        let mut found = parameters.iter().filter(|(name, _)| name.eq_ignore_ascii_case(sought));
        found.next().map(|(_, value)| value.clone())
    };
    let (service, scope) = (value("service"), value("scope"));
    Some(Challenge::Bearer { realm: value("realm")?, service, scope })
}

fn token(text: &str) -> (&str, &str) {
    let end = text.find([' ', '\t', ',', '=', '"']).unwrap_or(text.len());
    text.split_at(end)
}

fn quoted_or_token(text: &str) -> (String, &str) {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find([' ', '\t', ',']).unwrap_or(text.len());
        let (value, after) = text.split_at(end);
        return (value.to_owned(), after);
    };
    let mut value = String::new();
    let mut characters = quoted.char_indices();
    while let Some((place, character)) = characters.next() {
        match character {
            '"' => return (value, &quoted[place + 1..]),
            '\\' => value.extend(characters.next().map(|(_, escaped)| escaped)),
            other => value.push(other),
        }
    }
    (value, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bearer(realm: &str, service: Option<&str>, scope: Option<&str>) -> Challenge {
        let owned = |text: Option<&str>| text.map(str::to_owned);
        Challenge::Bearer { realm: realm.to_owned(), service: owned(service), scope: owned(scope) }
    }

    #[test]
    fn challenges_of_the_field_are_read() {
        for (text, expected) in [
            (
                r#"Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:library/alpine:pull""#,
                vec![bearer(
                    "https://auth.docker.io/token",
                    Some("registry.docker.io"),
                    Some("repository:library/alpine:pull"),
                )],
            ),
            (
                r#"bearer realm="https://h/t" , scope="repository:a:pull,push""#,
                vec![bearer("https://h/t", None, Some("repository:a:pull,push"))],
            ),
            (r#"Basic realm="Registry""#, vec![Challenge::Basic]),
            ("BASIC", vec![Challenge::Basic]),
            (
                r#"Negotiate, Basic realm="a, b", Bearer realm=https://h/t,service=s"#,
                vec![Challenge::Basic, bearer("https://h/t", Some("s"), None)],
            ),
            (r#"Basic realm="with \"quotes\"""#, vec![Challenge::Basic]),
            ("Bearer service=s", vec![]),
            ("", vec![]),
            ("=x", vec![]),
            (r#"Bearer realm="unclosed"#, vec![bearer("unclosed", None, None)]),
        ] {
            assert_eq!(parse(text), expected, "{text}");
        }
    }

    #[test]
    fn a_token_goes_before_a_password_wherever_it_stands() {
        let mut headers = HeaderMap::new();
        assert_eq!(choose(&headers), None);
        headers.append(WWW_AUTHENTICATE, "Basic realm=x".parse().unwrap());
        assert_eq!(choose(&headers), Some(Challenge::Basic));
        headers.append(WWW_AUTHENTICATE, "Bearer realm=\"https://h/t\"".parse().unwrap());
        assert_eq!(choose(&headers), Some(bearer("https://h/t", None, None)));
    }
}
