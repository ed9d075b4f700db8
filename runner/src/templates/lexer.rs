//! The words of a template: text, and within braces everything else.

use super::error::TemplateError;
use super::nodes::Place;

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token {
    Text(String),
    /// `{{`
    Open,
    /// `}}`
    Close,
    /// `.`, alone.
    Dot,
    /// `.name`
    Field(String),
    /// `$` or `$name`
    Variable(String),
    Word(String),
    Quoted(String),
    Integer(i64),
    Float(f64),
    /// `|`
    Pipe,
    /// `:=`
    Declare,
    /// `=`
    Assign,
    Comma,
    OpenParenthesis,
    CloseParenthesis,
    Space,
}

#[derive(Clone, Debug)]
pub(super) struct Lexeme {
    pub(super) token: Token,
    pub(super) place: Place,
}

const OPEN: &str = "{{";
const CLOSE: &str = "}}";
const BLANK: [char; 4] = [' ', '\t', '\r', '\n'];

pub(super) fn lex(text: &str) -> Result<Vec<Lexeme>, TemplateError> {
    let mut lexer = Lexer { text, at: 0, lexemes: Vec::new() };
    lexer.run()?;
    Ok(lexer.lexemes)
}

struct Lexer<'text> {
    text: &'text str,
    at: usize,
    lexemes: Vec<Lexeme>,
}

impl<'text> Lexer<'text> {
    fn run(&mut self) -> Result<(), TemplateError> {
        let mut trims_left = false;
        loop {
            let rest = self.rest();
            let end = rest.find(OPEN);
            let mut text = &rest[..end.unwrap_or(rest.len())];
            let trims_right = end.is_some_and(|end| trims(&rest[end + OPEN.len()..]));
            if trims_left {
                text = text.trim_start_matches(BLANK);
            }
            if trims_right {
                text = text.trim_end_matches(BLANK);
            }
            if !text.is_empty() {
                self.push(Token::Text(text.to_owned()));
            }
            let Some(end) = end else { return Ok(()) };
            self.at += end;
            let opened = self.at;
            self.at += OPEN.len() + if trims_right { 2 } else { 0 };
            trims_left = if self.rest().starts_with("/*") {
                self.comment()?
            } else {
                self.push_at(Token::Open, opened);
                self.action()?
            };
        }
    }

    /// Goes behind a comment, and says whether the text after it is trimmed.
    fn comment(&mut self) -> Result<bool, TemplateError> {
        let end = self.rest().find("*/").ok_or_else(|| self.error("unclosed comment"))?;
        self.at += end + 2;
        for (close, trims) in [(" -}}", true), (CLOSE, false)] {
            if self.rest().starts_with(close) {
                self.at += close.len();
                return Ok(trims);
            }
        }
        Err(self.error("comment ends before closing delimiter"))
    }

    /// Reads to the end of the braces, and says whether the text after them is trimmed.
    fn action(&mut self) -> Result<bool, TemplateError> {
        loop {
            let rest = self.rest();
            if rest.starts_with(" -}}") {
                self.at += 2;
                self.push(Token::Close);
                self.at += CLOSE.len();
                return Ok(true);
            }
            if rest.starts_with(CLOSE) {
                self.push(Token::Close);
                self.at += CLOSE.len();
                return Ok(false);
            }
            let Some(letter) = rest.chars().next() else {
                return Err(self.error("unclosed action"));
            };
            self.word(letter)?;
        }
    }

    fn word(&mut self, letter: char) -> Result<(), TemplateError> {
        let start = self.at;
        let token = match letter {
            letter if BLANK.contains(&letter) => {
                // A blank before `-}}` belongs to that.
                let blanks = self.rest().len() - self.rest().trim_start_matches(BLANK).len();
                let is_trim = self.rest()[blanks..].starts_with("-}}");
                self.at += if is_trim { blanks - 1 } else { blanks };
                if self.at == start {
                    return Ok(());
                }
                Token::Space
            }
            ':' if self.rest().starts_with(":=") => self.take(2, Token::Declare),
            '=' => self.take(1, Token::Assign),
            '|' => self.take(1, Token::Pipe),
            ',' => self.take(1, Token::Comma),
            '(' => self.take(1, Token::OpenParenthesis),
            ')' => self.take(1, Token::CloseParenthesis),
            '"' => self.quoted()?,
            '`' => self.raw()?,
            '\'' => self.character()?,
            '$' => {
                self.at += 1;
                let name = self.name();
                Token::Variable(name.to_owned())
            }
            '.' if self.rest()[1..].chars().next().is_none_or(|next| !next.is_ascii_digit()) => {
                self.at += 1;
                match self.name() {
                    "" => Token::Dot,
                    name => Token::Field(name.to_owned()),
                }
            }
            letter if letter.is_ascii_digit() || "+-.".contains(letter) => self.number()?,
            letter if is_of_name(letter) => Token::Word(self.name().to_owned()),
            letter => {
                return Err(self.error(&format!("unexpected {letter:?} in command")));
            }
        };
        self.push_at(token, start);
        Ok(())
    }

    fn take(&mut self, length: usize, token: Token) -> Token {
        self.at += length;
        token
    }

    fn name(&mut self) -> &'text str {
        let rest = &self.text[self.at..];
        let end = rest.find(|letter| !is_of_name(letter)).unwrap_or(rest.len());
        self.at += end;
        &rest[..end]
    }

    fn quoted(&mut self) -> Result<Token, TemplateError> {
        self.at += 1;
        let mut text = String::new();
        let rest = self.rest();
        let mut letters = rest.char_indices();
        while let Some((at, letter)) = letters.next() {
            match letter {
                '"' => {
                    self.at += at + 1;
                    return Ok(Token::Quoted(text));
                }
                '\n' => break,
                '\\' => {
                    let escaped = escaped(&mut letters);
                    text.push(escaped.ok_or_else(|| self.error("invalid syntax"))?);
                }
                letter => text.push(letter),
            }
        }
        Err(self.error("unterminated quoted string"))
    }

    fn raw(&mut self) -> Result<Token, TemplateError> {
        self.at += 1;
        let rest = self.rest();
        let end = rest.find('`').ok_or_else(|| self.error("unterminated raw quoted string"))?;
        self.at += end + 1;
        Ok(Token::Quoted(rest[..end].to_owned()))
    }

    fn character(&mut self) -> Result<Token, TemplateError> {
        self.at += 1;
        let mut letters = self.rest().char_indices();
        let letter = match letters.next() {
            Some((_, '\\')) => escaped(&mut letters),
            Some((_, letter)) if letter != '\'' => Some(letter),
            _ => None,
        };
        match (letter, letters.next()) {
            (Some(letter), Some((end, '\''))) => {
                self.at += end + 1;
                Ok(Token::Integer(i64::from(u32::from(letter))))
            }
            _ => Err(self.error("unterminated character constant")),
        }
    }

    fn number(&mut self) -> Result<Token, TemplateError> {
        let rest = self.rest();
        let is_part = |letter: char| letter.is_ascii_alphanumeric() || "+-._".contains(letter);
        let end = rest.find(|letter| !is_part(letter)).unwrap_or(rest.len());
        let text = &rest[..end];
        let digits = text.replace('_', "");
        let (negative, plain) = match digits.strip_prefix('-') {
            Some(plain) => (true, plain),
            None => (false, digits.strip_prefix('+').unwrap_or(&digits)),
        };
        let lower = plain.to_ascii_lowercase();
        let radix = [("0x", 16), ("0o", 8), ("0b", 2)];
        let prefixed = radix.iter().find_map(|(prefix, radix)| {
            i64::from_str_radix(lower.strip_prefix(prefix)?, *radix).ok()
        });
        let integer = prefixed.or_else(|| lower.parse().ok());
        let token = match integer {
            Some(number) => Some(Token::Integer(if negative { -number } else { number })),
            None => digits
                .parse()
                .ok()
                .filter(|number: &f64| {
                    number.is_finite()
                        && lower.starts_with(|it: char| it.is_ascii_digit() || it == '.')
                })
                .map(Token::Float),
        };
        let token = token.ok_or_else(|| self.error(&format!("bad number syntax: {text:?}")))?;
        self.at += end;
        Ok(token)
    }

    fn rest(&self) -> &'text str {
        &self.text[self.at..]
    }

    fn push(&mut self, token: Token) {
        self.push_at(token, self.at);
    }

    fn push_at(&mut self, token: Token, at: usize) {
        let before = &self.text[..at];
        let line = before.matches('\n').count() + 1;
        let column = at - before.rfind('\n').map_or(0, |end| end + 1);
        self.lexemes.push(Lexeme { token, place: Place { line, column } });
    }

    fn error(&self, reason: &str) -> TemplateError {
        let line = self.text[..self.at].matches('\n').count() + 1;
        TemplateError::Parse { line, reason: reason.to_owned() }
    }
}

/// Whether braces that were opened trim what is before them: `{{- `.
fn trims(rest: &str) -> bool {
    rest.strip_prefix('-').is_some_and(|rest| rest.starts_with(BLANK))
}

fn is_of_name(letter: char) -> bool {
    letter == '_' || letter.is_alphanumeric()
}

/// What a backslash and the letters after it stand for.
fn escaped(letters: &mut std::str::CharIndices<'_>) -> Option<char> {
    let digits = match letters.next()?.1 {
        'a' => return Some('\u{7}'),
        'b' => return Some('\u{8}'),
        'f' => return Some('\u{c}'),
        'n' => return Some('\n'),
        'r' => return Some('\r'),
        't' => return Some('\t'),
        'v' => return Some('\u{b}'),
        letter @ ('\\' | '"' | '\'') => return Some(letter),
        'x' => 2,
        'u' => 4,
        'U' => 8,
        _ => return None,
    };
    let mut code = 0_u32;
    for _ in 0..digits {
        code = code.checked_mul(16)? + letters.next()?.1.to_digit(16)?;
    }
    char::from_u32(code)
}
