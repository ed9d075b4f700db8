//! The functions: Go's own, and those that docker adds.

use std::cmp::Ordering;

use serde_json::Value;

use super::print::{is_true, kind, text};
use super::printf::printf;

const NAMES: [&str; 26] = [
    "and", "or", "not", "eq", "ne", "lt", "le", "gt", "ge", "len", "index", "slice", "print",
    "printf", "println", "html", "urlquery", "json", "split", "join", "lower", "upper", "title",
    "pad", "truncate", "js",
];

pub(super) fn is_function(name: &str) -> bool {
    NAMES.contains(&name)
}

/// What a function gives, or Go's words why not. `and` and `or` are not among them: they do not
/// evaluate what they need not.
pub(super) fn call(name: &str, arguments: &[Value]) -> Result<Value, String> {
    let wrong_number = |wants: &str| {
        format!("wrong number of args for {name}: want {wants} got {}", arguments.len())
    };
    match (name, arguments) {
        ("not", [value]) => Ok((!is_true(value)).into()),
        ("eq", [first, others @ ..]) if !others.is_empty() => {
            for other in others {
                if equal(first, other)? {
                    return Ok(true.into());
                }
            }
            Ok(false.into())
        }
        ("ne", [one, other]) => equal(one, other).map(|equal| (!equal).into()),
        ("lt", [one, other]) => Ok(compare(one, other)?.is_lt().into()),
        ("le", [one, other]) => Ok(compare(one, other)?.is_le().into()),
        ("gt", [one, other]) => Ok(compare(one, other)?.is_gt().into()),
        ("ge", [one, other]) => Ok(compare(one, other)?.is_ge().into()),
        ("len", [value]) => length(value),
        ("index", [value, keys @ ..]) => {
            keys.iter().try_fold(value.clone(), |it, key| index(&it, key))
        }
        ("slice", [value, bounds @ ..]) if bounds.len() <= 2 => slice(value, bounds),
        ("print", values) => Ok(print(values).into()),
        ("println", values) => {
            let parts: Vec<String> = values.iter().map(text).collect();
            Ok(format!("{}\n", parts.join(" ")).into())
        }
        ("printf", [Value::String(format), values @ ..]) => Ok(printf(format, values).into()),
        ("html" | "js" | "urlquery", values) => Ok(escape(name, &print(values)).into()),
        ("json", [value]) => Ok(value.to_string().into()),
        ("split", [value, separator]) => {
            let (value, separator) = (string(value)?, string(separator)?);
            Ok(if separator.is_empty() {
                value.chars().map(|letter| Value::from(letter.to_string())).collect()
            } else {
                value.split(separator).map(Value::from).collect()
            })
        }
        ("join", [Value::Array(values), separator]) => {
            let parts: Vec<String> = values.iter().map(text).collect();
            Ok(parts.join(string(separator)?).into())
        }
        ("join", [Value::Null, _]) => Ok("".into()),
        ("join", [value, _]) => {
            Err(format!("wrong type for value; expected []string; got {}", kind(value)))
        }
        ("lower", [value]) => Ok(string(value)?.to_lowercase().into()),
        ("upper", [value]) => Ok(string(value)?.to_uppercase().into()),
        ("title", [value]) => Ok(title(string(value)?).into()),
        ("pad", [value, before, after]) => {
            let count = |value: &Value| value.as_u64().map_or(0, |it| it.min(10_000) as usize);
            let value = string(value)?;
            // Docker leaves what is empty as it is.
            Ok(if value.is_empty() {
                "".into()
            } else {
                format!("{}{value}{}", " ".repeat(count(before)), " ".repeat(count(after))).into()
            })
        }
        ("truncate", [value, length]) => {
            let length = length.as_u64().and_then(|it| usize::try_from(it).ok());
            Ok(string(value)?.chars().take(length.unwrap_or(0)).collect::<String>().into())
        }
        ("not" | "len" | "json" | "lower" | "upper" | "title", _) => Err(wrong_number("1")),
        ("eq", _) => Err("missing argument for comparison".to_owned()),
        ("ne" | "lt" | "le" | "gt" | "ge" | "split" | "join" | "truncate", _) => {
            Err(wrong_number("2"))
        }
        ("pad", _) => Err(wrong_number("3")),
        _ => Err(wrong_number("at least 1")),
    }
}

fn string(value: &Value) -> Result<&str, String> {
    value
        .as_str()
        .ok_or_else(|| format!("wrong type for value; expected string; got {}", kind(value)))
}

fn equal(one: &Value, other: &Value) -> Result<bool, String> {
    match (one, other) {
        (Value::Null, _) | (_, Value::Null) => Ok(one == other),
        (Value::Bool(_), Value::Bool(_)) | (Value::String(_), Value::String(_)) => Ok(one == other),
        (Value::Number(_), Value::Number(_)) => compare(one, other).map(Ordering::is_eq),
        (Value::Array(_) | Value::Object(_), _) | (_, Value::Array(_) | Value::Object(_)) => {
            Err("error calling eq: non-comparable type".to_owned())
        }
        _ => Err("error calling eq: incompatible types for comparison".to_owned()),
    }
}

fn compare(one: &Value, other: &Value) -> Result<Ordering, String> {
    match (one, other) {
        (Value::String(one), Value::String(other)) => Ok(one.cmp(other)),
        (Value::Number(one), Value::Number(other)) => {
            if let (Some(one), Some(other)) = (one.as_i64(), other.as_i64()) {
                return Ok(one.cmp(&other));
            }
            let pair = one.as_f64().zip(other.as_f64());
            let order = pair.and_then(|(one, other)| one.partial_cmp(&other));
            order.ok_or_else(|| "invalid type for comparison".to_owned())
        }
        (Value::String(_) | Value::Number(_), Value::String(_) | Value::Number(_)) => {
            Err("incompatible types for comparison".to_owned())
        }
        _ => Err("invalid type for comparison".to_owned()),
    }
}

fn length(value: &Value) -> Result<Value, String> {
    Ok(match value {
        Value::String(value) => value.len().into(),
        Value::Array(value) => value.len().into(),
        Value::Object(value) => value.len().into(),
        Value::Null => return Err("error calling len: len of nil pointer".to_owned()),
        value => return Err(format!("error calling len: len of type {}", kind(value))),
    })
}

fn index(value: &Value, key: &Value) -> Result<Value, String> {
    match (value, key) {
        (Value::Object(members), Value::String(name)) => {
            Ok(members.get(name).cloned().unwrap_or(Value::Null))
        }
        (Value::Array(values), Value::Number(at)) => {
            let found = at.as_u64().and_then(|at| values.get(usize::try_from(at).ok()?));
            found.cloned().ok_or_else(|| format!("error calling index: index out of range: {at}"))
        }
        (Value::String(value), Value::Number(at)) => {
            let found =
                at.as_u64().and_then(|at| value.as_bytes().get(usize::try_from(at).ok()?).copied());
            found
                .map(Value::from)
                .ok_or_else(|| format!("error calling index: index out of range: {at}"))
        }
        (Value::Null, _) => Err("error calling index: index of untyped nil".to_owned()),
        (Value::Object(_), key) => {
            Err(format!("error calling index: value has type {}; should be string", kind(key)))
        }
        (Value::Array(_), key) => {
            Err(format!("error calling index: cannot index slice/array with type {}", kind(key)))
        }
        (value, _) => Err(format!("error calling index: can't index item of type {}", kind(value))),
    }
}

fn slice(value: &Value, bounds: &[Value]) -> Result<Value, String> {
    let bound = |at: usize, default: usize| match bounds.get(at) {
        None => Ok(default),
        Some(value) => value.as_u64().and_then(|it| usize::try_from(it).ok()).ok_or_else(|| {
            format!("error calling slice: cannot index slice/array with type {}", kind(value))
        }),
    };
    let out_of_range = || "error calling slice: index out of range".to_owned();
    match value {
        Value::String(text) => {
            let part = text.get(bound(0, 0)?..bound(1, text.len())?);
            part.map(Value::from).ok_or_else(out_of_range)
        }
        Value::Array(values) => {
            let part = values.get(bound(0, 0)?..bound(1, values.len())?);
            part.map(|part| part.to_vec().into()).ok_or_else(out_of_range)
        }
        value => Err(format!("error calling slice: can't slice item of type {}", kind(value))),
    }
}

/// A space is between two values neither of which is text.
fn print(values: &[Value]) -> String {
    let mut out = String::new();
    for (at, value) in values.iter().enumerate() {
        if at > 0 && !value.is_string() && !values[at - 1].is_string() {
            out.push(' ');
        }
        out.push_str(&text(value));
    }
    out
}

fn escape(name: &str, value: &str) -> String {
    let mut out = String::new();
    for letter in value.chars() {
        match (name, letter) {
            ("html", '&') => out.push_str("&amp;"),
            ("html", '<') => out.push_str("&lt;"),
            ("html", '>') => out.push_str("&gt;"),
            ("html", '"') => out.push_str("&#34;"),
            ("html", '\'') => out.push_str("&#39;"),
            ("js", '"' | '\'' | '\\') => {
                out.push('\\');
                out.push(letter);
            }
            ("js", '<' | '>' | '&' | '=') => out.push_str(&format!("\\u{:04X}", u32::from(letter))),
            ("urlquery", ' ') => out.push('+'),
            ("urlquery", letter) if !letter.is_ascii_alphanumeric() && !"-_.~".contains(letter) => {
                let mut bytes = [0; 4];
                for byte in letter.encode_utf8(&mut bytes).bytes() {
                    out.push_str(&format!("%{byte:02X}"));
                }
            }
            (_, letter) => out.push(letter),
        }
    }
    out
}

/// The first letter of each word in capitals.
fn title(value: &str) -> String {
    let mut is_first = true;
    value
        .chars()
        .flat_map(|letter| {
            let letters: Vec<char> =
                if is_first { letter.to_uppercase().collect() } else { vec![letter] };
            is_first = letter.is_whitespace();
            letters
        })
        .collect()
}
