//! `printf`, with Go's verbs and complaints.

use serde_json::Value;

use super::print::{exponent, kind, text};

/// More than this of width or precision nobody can look at.
const MOST: usize = 10_000;

/// What stands between `%` and the verb.
#[derive(Default)]
struct Flags {
    minus: bool,
    plus: bool,
    space: bool,
    zero: bool,
    sharp: bool,
    width: usize,
    precision: Option<usize>,
}

pub(super) fn printf(format: &str, arguments: &[Value]) -> String {
    let mut out = String::new();
    let mut rest = arguments.iter();
    let mut letters = format.chars().peekable();
    while let Some(letter) = letters.next() {
        if letter != '%' {
            out.push(letter);
            continue;
        }
        let mut flags = Flags::default();
        while let Some(letter) = letters.next_if(|letter| "-+ 0#".contains(*letter)) {
            match letter {
                '-' => flags.minus = true,
                '+' => flags.plus = true,
                ' ' => flags.space = true,
                '0' => flags.zero = true,
                _ => flags.sharp = true,
            }
        }
        flags.width = count(&mut letters);
        if letters.next_if_eq(&'.').is_some() {
            flags.precision = Some(count(&mut letters));
        }
        match letters.next() {
            None => out.push_str("%!(NOVERB)"),
            Some('%') => out.push('%'),
            Some(verb) => match rest.next() {
                None => out.push_str(&format!("%!{verb}(MISSING)")),
                Some(value) => out.push_str(&pad(&written(verb, value, &flags), &flags, value)),
            },
        }
    }
    let extra: Vec<String> = rest.map(|value| format!("{}={}", kind(value), text(value))).collect();
    if !extra.is_empty() {
        out.push_str(&format!("%!(EXTRA {})", extra.join(", ")));
    }
    out
}

fn count(letters: &mut std::iter::Peekable<std::str::Chars<'_>>) -> usize {
    let mut number = 0_usize;
    while let Some(digit) = letters.next_if(char::is_ascii_digit) {
        number = (number * 10 + digit.to_digit(10).unwrap_or(0) as usize).min(MOST);
    }
    number
}

fn pad(text: &str, flags: &Flags, value: &Value) -> String {
    let missing = flags.width.saturating_sub(text.chars().count());
    if flags.minus {
        format!("{text}{}", " ".repeat(missing))
    } else if flags.zero && value.is_number() {
        // The zeros come after the sign.
        let (sign, digits) = match text.strip_prefix(['-', '+']) {
            Some(digits) => (&text[..1], digits),
            None => ("", text),
        };
        format!("{sign}{}{digits}", "0".repeat(missing))
    } else {
        format!("{}{text}", " ".repeat(missing))
    }
}

fn written(verb: char, value: &Value, flags: &Flags) -> String {
    let float = value.as_f64().filter(|_| value.is_number());
    let integer = value.as_i64().map(i128::from).or(value.as_u64().map(i128::from));
    match (verb, value) {
        ('T', value) => kind(value).to_owned(),
        ('v', Value::String(value)) if flags.sharp => quoted(value),
        ('v', value) => text(value),
        ('s', Value::String(value)) => cut(value, flags),
        ('s', Value::Array(values)) => {
            let parts: Vec<String> = values.iter().map(|it| written('s', it, flags)).collect();
            format!("[{}]", parts.join(" "))
        }
        ('q', Value::String(value)) => quoted(value),
        ('q', Value::Array(values)) => {
            let parts: Vec<String> = values.iter().map(|it| written('q', it, flags)).collect();
            format!("[{}]", parts.join(" "))
        }
        ('x', Value::String(value)) => value.bytes().map(|byte| format!("{byte:02x}")).collect(),
        ('X', Value::String(value)) => value.bytes().map(|byte| format!("{byte:02X}")).collect(),
        ('t', Value::Bool(value)) => value.to_string(),
        _ => number(verb, integer, float, flags)
            .unwrap_or_else(|| format!("%!{verb}({}={})", kind(value), text(value))),
    }
}

fn number(verb: char, integer: Option<i128>, float: Option<f64>, flags: &Flags) -> Option<String> {
    let digits = match (verb, integer, float) {
        ('d', Some(number), _) => number.to_string(),
        ('x', Some(number), _) => {
            radix(number, |it| format!("{it:x}"), if flags.sharp { "0x" } else { "" })
        }
        ('X', Some(number), _) => {
            radix(number, |it| format!("{it:X}"), if flags.sharp { "0X" } else { "" })
        }
        ('o', Some(number), _) => radix(number, |it| format!("{it:o}"), ""),
        ('b', Some(number), _) => radix(number, |it| format!("{it:b}"), ""),
        ('c', Some(number), _) => {
            let letter = u32::try_from(number).ok().and_then(char::from_u32);
            return Some(letter.unwrap_or(char::REPLACEMENT_CHARACTER).to_string());
        }
        ('f' | 'F', None, Some(number)) => format!("{number:.*}", flags.precision.unwrap_or(6)),
        ('e', None, Some(number)) => {
            exponent(&format!("{number:.*e}", flags.precision.unwrap_or(6)))
        }
        ('g', None, Some(number)) => text(&Value::from(number)),
        _ => return None,
    };
    Some(if digits.starts_with('-') {
        digits
    } else if flags.plus {
        format!("+{digits}")
    } else if flags.space {
        format!(" {digits}")
    } else {
        digits
    })
}

fn radix(number: i128, write: impl Fn(u128) -> String, prefix: &str) -> String {
    let sign = if number < 0 { "-" } else { "" };
    format!("{sign}{prefix}{}", write(number.unsigned_abs()))
}

fn cut(text: &str, flags: &Flags) -> String {
    text.chars().take(flags.precision.unwrap_or(usize::MAX)).collect()
}

/// Text as Go writes it in its sources, in quotation marks: `%q`.
#[must_use]
pub fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for letter in text.chars() {
        match letter {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            letter if letter.is_control() => out.push_str(&format!("\\x{:02x}", u32::from(letter))),
            letter => out.push(letter),
        }
    }
    out.push('"');
    out
}
