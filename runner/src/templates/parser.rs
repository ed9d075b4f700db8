//! Words made into a tree.

use serde_json::{Number, Value};

use super::error::TemplateError;
use super::functions::is_function;
use super::lexer::{Lexeme, Token, lex};
use super::nodes::{Branch, Command, Node, Operand, OperandKind, Pipeline, Place};

/// Blocks and parentheses in each other: more than this nobody means.
const DEEPEST: usize = 64;

pub(super) fn parse(text: &str) -> Result<Vec<Node>, TemplateError> {
    let mut parser = Parser {
        text,
        lexemes: lex(text)?,
        at: 0,
        variables: vec![String::new()],
        depth: 0,
        ranges: 0,
    };
    let (nodes, end) = parser.nodes()?;
    match end {
        End::Text => Ok(nodes),
        End::Block => Err(parser.error("unexpected {{end}}")),
        End::Else(_) => Err(parser.error("unexpected {{else}}")),
    }
}

struct Parser<'text> {
    text: &'text str,
    lexemes: Vec<Lexeme>,
    at: usize,
    /// Names that are known here; the first one is `$` itself.
    variables: Vec<String>,
    depth: usize,
    ranges: usize,
}

/// What ended a list of nodes.
enum End {
    Text,
    Block,
    /// With the word after it: `{{else if …}}`.
    Else(Option<&'static str>),
}

impl Parser<'_> {
    fn nodes(&mut self) -> Result<(Vec<Node>, End), TemplateError> {
        let mut nodes = Vec::new();
        while let Some(lexeme) = self.next() {
            match lexeme.token {
                Token::Text(text) => nodes.push(Node::Text(text)),
                // Between braces there is nothing but text.
                _ => match self.action()? {
                    Action::Node(node) => nodes.push(node),
                    Action::End(end) => return Ok((nodes, end)),
                },
            }
        }
        Ok((nodes, End::Text))
    }

    /// What is in braces, the first of which is read.
    fn action(&mut self) -> Result<Action, TemplateError> {
        self.skip_space();
        let word = match self.peek() {
            Some(Token::Word(word)) => word.clone(),
            _ => String::new(),
        };
        let node = match word.as_str() {
            "if" => Node::If(self.branch("if")?),
            "with" => Node::With(self.branch("with")?),
            "range" => Node::Range(self.branch("range")?),
            "end" => {
                self.close("end")?;
                return Ok(Action::End(End::Block));
            }
            "else" => return self.otherwise().map(Action::End),
            "break" | "continue" => {
                if self.ranges == 0 {
                    return Err(self.error(&format!("{{{{{word}}}}} outside {{{{range}}}}")));
                }
                self.close(&word)?;
                if word == "break" { Node::Break } else { Node::Continue }
            }
            "define" | "template" | "block" => {
                return Err(self.error(&format!("{word} is not supported")));
            }
            _ => Node::Show(self.pipeline("command")?),
        };
        Ok(Action::Node(node))
    }

    /// `{{else}}`, `{{else if` and `{{else with`.
    fn otherwise(&mut self) -> Result<End, TemplateError> {
        self.next();
        self.skip_space();
        match self.peek() {
            Some(Token::Word(word)) if word == "if" => Ok(End::Else(Some("if"))),
            Some(Token::Word(word)) if word == "with" => Ok(End::Else(Some("with"))),
            Some(Token::Close) => {
                self.next();
                Ok(End::Else(None))
            }
            _ => Err(self.unexpected("else")),
        }
    }

    /// The rest of a word that stands alone.
    fn close(&mut self, context: &str) -> Result<(), TemplateError> {
        self.next();
        self.skip_space();
        match self.next().map(|lexeme| lexeme.token) {
            Some(Token::Close) => Ok(()),
            _ => {
                self.at = self.at.saturating_sub(1);
                Err(self.unexpected(context))
            }
        }
    }

    fn branch(&mut self, word: &'static str) -> Result<Branch, TemplateError> {
        self.next();
        self.deeper()?;
        let known = self.variables.len();
        let pipeline = self.pipeline(word)?;
        self.ranges += usize::from(word == "range");
        let (then, end) = self.nodes()?;
        self.ranges -= usize::from(word == "range");
        let otherwise = match end {
            End::Block => Vec::new(),
            End::Else(Some(next)) if next == word => {
                let inner = self.branch(next)?;
                vec![if next == "if" { Node::If(inner) } else { Node::With(inner) }]
            }
            End::Else(Some(next)) => {
                return Err(self.error(&format!("unexpected <{next}> in else")));
            }
            End::Else(None) => match self.nodes()? {
                (otherwise, End::Block) => otherwise,
                (_, End::Else(_)) => {
                    return Err(self.error("expected end; found {{else}}"));
                }
                (_, End::Text) => return Err(self.error("unexpected EOF")),
            },
            End::Text => return Err(self.error("unexpected EOF")),
        };
        self.variables.truncate(known);
        self.depth -= 1;
        Ok(Branch { pipeline, then, otherwise })
    }

    /// A pipeline to the end of its braces.
    fn pipeline(&mut self, context: &str) -> Result<Pipeline, TemplateError> {
        let pipeline = self.commands(context, &Token::Close)?;
        // A variable is known from its own declaration on, but not in it.
        if pipeline.declares {
            self.variables.extend(pipeline.variables.iter().cloned());
        }
        Ok(pipeline)
    }

    fn commands(&mut self, context: &str, end: &Token) -> Result<Pipeline, TemplateError> {
        let (variables, declares) = self.declaration(context)?;
        let mut commands = Vec::new();
        let mut operands = Vec::new();
        loop {
            self.skip_space();
            let is_end = self.peek() == Some(end);
            if is_end || self.peek() == Some(&Token::Pipe) {
                self.next();
                if operands.is_empty() {
                    return Err(self.error(&format!("missing value for {context}")));
                }
                self.check(&operands, commands.is_empty())?;
                commands.push(Command { operands: std::mem::take(&mut operands) });
                if is_end {
                    return Ok(Pipeline { variables, declares, commands });
                }
                continue;
            }
            operands.push(self.operand(context)?);
        }
    }

    /// Only a function or a field can take arguments, also those of a pipe.
    fn check(&self, operands: &[Operand], is_first: bool) -> Result<(), TemplateError> {
        let Some(first) = operands.first() else { return Ok(()) };
        let takes = matches!(first.kind, OperandKind::Function(_)) || !first.fields.is_empty();
        if !is_first && !takes && operands.len() == 1 {
            return Err(
                self.error(&format!("non executable command in pipeline stage 2: {}", first.text))
            );
        }
        Ok(())
    }

    /// `$x :=`, `$x =`, and in a range `$i, $x :=`.
    fn declaration(&mut self, context: &str) -> Result<(Vec<String>, bool), TemplateError> {
        let start = self.at;
        let mut names = Vec::new();
        loop {
            self.skip_space();
            let Some(Token::Variable(name)) = self.peek().cloned() else { break };
            self.next();
            names.push(name);
            self.skip_space();
            match self.peek() {
                Some(Token::Comma) if context == "range" && names.len() == 1 => {
                    self.next();
                }
                Some(Token::Declare) => {
                    self.next();
                    return Ok((names, true));
                }
                Some(Token::Assign) => {
                    self.next();
                    for name in &names {
                        self.known(name)?;
                    }
                    return Ok((names, false));
                }
                _ => break,
            }
        }
        self.at = start;
        Ok((Vec::new(), false))
    }

    fn operand(&mut self, context: &str) -> Result<Operand, TemplateError> {
        let start = self.at;
        let Some(Lexeme { token, place }) = self.next() else {
            return Err(self.error("unclosed action"));
        };
        let mut fields = Vec::new();
        let kind = match token {
            Token::Dot => OperandKind::Dot,
            Token::Field(name) => {
                fields.push(name);
                OperandKind::Dot
            }
            Token::Variable(name) => {
                self.known(&name)?;
                OperandKind::Variable(name)
            }
            Token::Quoted(text) => OperandKind::Literal(text.into()),
            Token::Integer(number) => OperandKind::Literal(number.into()),
            Token::Float(number) => {
                OperandKind::Literal(Number::from_f64(number).map_or(Value::Null, Value::Number))
            }
            Token::Word(word) => match word.as_str() {
                "true" => OperandKind::Literal(true.into()),
                "false" => OperandKind::Literal(false.into()),
                "nil" => OperandKind::Literal(Value::Null),
                name if is_function(name) => OperandKind::Function(word),
                name => return Err(self.error(&format!("function {name:?} not defined"))),
            },
            Token::OpenParenthesis => {
                self.deeper()?;
                let inner = self.commands("parenthesized pipeline", &Token::CloseParenthesis)?;
                self.depth -= 1;
                OperandKind::Pipeline(Box::new(inner))
            }
            _ => {
                self.at -= 1;
                return Err(self.unexpected(context));
            }
        };
        while let Some(Token::Field(name)) = self.peek().cloned() {
            self.next();
            fields.push(name);
        }
        let is_constant = matches!(kind, OperandKind::Literal(_) | OperandKind::Function(_));
        if is_constant && !fields.is_empty() {
            return Err(self.error(&format!("unexpected <.{}> in operand", fields.join("."))));
        }
        let text = self.written(start);
        Ok(Operand { place, text, kind, fields })
    }

    /// The text of the words from `start` to here.
    fn written(&self, start: usize) -> String {
        let position = |at: usize| {
            let place = self.lexemes.get(at).map(|lexeme| lexeme.place)?;
            let lines = self.text.split_inclusive('\n').take(place.line - 1);
            Some(lines.map(str::len).sum::<usize>() + place.column)
        };
        let end = position(self.at).unwrap_or(self.text.len());
        let text = position(start).and_then(|start| self.text.get(start..end));
        text.unwrap_or_default().trim().to_owned()
    }

    fn known(&self, name: &String) -> Result<(), TemplateError> {
        if self.variables.contains(name) {
            return Ok(());
        }
        Err(self.error(&format!("undefined variable \"${name}\"")))
    }

    fn deeper(&mut self) -> Result<(), TemplateError> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(self.error("too many blocks in each other"));
        }
        Ok(())
    }

    fn skip_space(&mut self) {
        while self.peek() == Some(&Token::Space) {
            self.at += 1;
        }
    }

    fn peek(&self) -> Option<&Token> {
        self.lexemes.get(self.at).map(|lexeme| &lexeme.token)
    }

    fn next(&mut self) -> Option<Lexeme> {
        let lexeme = self.lexemes.get(self.at).cloned();
        self.at += usize::from(lexeme.is_some());
        lexeme
    }

    fn unexpected(&self, context: &str) -> TemplateError {
        let found = match self.peek() {
            None => "EOF".to_owned(),
            Some(token) => match token {
                Token::Close => "\"}}\"".to_owned(),
                Token::Declare => "\":=\"".to_owned(),
                Token::Assign => "\"=\"".to_owned(),
                Token::Comma => "\",\"".to_owned(),
                Token::CloseParenthesis => "right paren".to_owned(),
                Token::Word(word) => format!("<{word}>"),
                _ => "token".to_owned(),
            },
        };
        self.error(&format!("unexpected {found} in {context}"))
    }

    fn error(&self, reason: &str) -> TemplateError {
        let last = self.at.min(self.lexemes.len().saturating_sub(1));
        let place = self.lexemes.get(last).map_or(Place { line: 1, column: 0 }, |it| it.place);
        TemplateError::Parse { line: place.line, reason: reason.to_owned() }
    }
}

enum Action {
    Node(Node),
    End(End),
}
