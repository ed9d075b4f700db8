//! A tree and data made into text.

use serde_json::Value;

use super::error::TemplateError;
use super::fields::member;
use super::functions::call;
use super::nodes::{Branch, Command, Node, Operand, OperandKind, Pipeline};
use super::print::{is_true, show};

pub(super) fn render(nodes: &[Node], data: &Value) -> Result<String, TemplateError> {
    let mut renderer =
        Renderer { out: String::new(), variables: vec![(String::new(), data.clone())] };
    renderer.nodes(nodes, data)?;
    Ok(renderer.out)
}

struct Renderer {
    out: String,
    /// The last one by a name counts. The first one is `$`.
    variables: Vec<(String, Value)>,
}

/// How a list of nodes ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Flow {
    On,
    Break,
    Continue,
}

impl Renderer {
    fn nodes(&mut self, nodes: &[Node], dot: &Value) -> Result<Flow, TemplateError> {
        for node in nodes {
            let flow = match node {
                Node::Text(text) => {
                    self.out.push_str(text);
                    Flow::On
                }
                Node::Show(pipeline) => {
                    let value = self.pipeline(pipeline, dot)?;
                    if pipeline.variables.is_empty() {
                        self.out.push_str(&show(&value));
                    }
                    Flow::On
                }
                Node::If(branch) => self.scoped(|it| {
                    let value = it.pipeline(&branch.pipeline, dot)?;
                    it.nodes(if is_true(&value) { &branch.then } else { &branch.otherwise }, dot)
                })?,
                Node::With(branch) => self.scoped(|it| {
                    let value = it.pipeline(&branch.pipeline, dot)?;
                    if is_true(&value) {
                        it.nodes(&branch.then, &value)
                    } else {
                        it.nodes(&branch.otherwise, dot)
                    }
                })?,
                Node::Range(branch) => self.scoped(|it| it.range(branch, dot))?,
                Node::Break => Flow::Break,
                Node::Continue => Flow::Continue,
            };
            if flow != Flow::On {
                return Ok(flow);
            }
        }
        Ok(Flow::On)
    }

    /// Variables that are declared inside end there.
    fn scoped(
        &mut self,
        inside: impl FnOnce(&mut Self) -> Result<Flow, TemplateError>,
    ) -> Result<Flow, TemplateError> {
        let known = self.variables.len();
        let flow = inside(self)?;
        self.variables.truncate(known);
        Ok(flow)
    }

    fn range(&mut self, branch: &Branch, dot: &Value) -> Result<Flow, TemplateError> {
        let value = self.commands(&branch.pipeline, dot)?;
        let items: Vec<(Value, Value)> = match value {
            Value::Array(values) => {
                values.into_iter().enumerate().map(|(at, it)| (at.into(), it)).collect()
            }
            Value::Object(members) => {
                members.into_iter().map(|(name, it)| (name.into(), it)).collect()
            }
            Value::Null => Vec::new(),
            value => {
                let reason = format!("range can't iterate over {}", show(&value));
                return Err(failed(branch.pipeline.commands.last(), &reason));
            }
        };
        if items.is_empty() {
            return self.nodes(&branch.otherwise, dot);
        }
        let known = self.variables.len();
        for (key, item) in items {
            match branch.pipeline.variables.as_slice() {
                [] => {}
                [element] => self.set(element, item.clone(), branch.pipeline.declares),
                [index, element, ..] => {
                    self.set(index, key, branch.pipeline.declares);
                    self.set(element, item.clone(), branch.pipeline.declares);
                }
            }
            let flow = self.nodes(&branch.then, &item)?;
            self.variables.truncate(known);
            if flow == Flow::Break {
                break;
            }
        }
        Ok(Flow::On)
    }

    fn pipeline(&mut self, pipeline: &Pipeline, dot: &Value) -> Result<Value, TemplateError> {
        let value = self.commands(pipeline, dot)?;
        for name in &pipeline.variables {
            self.set(name, value.clone(), pipeline.declares);
        }
        Ok(value)
    }

    fn set(&mut self, name: &str, value: Value, is_new: bool) {
        let known = self.variables.iter_mut().rev().find(|(known, _)| known == name);
        match known {
            Some((_, old)) if !is_new => *old = value,
            _ => self.variables.push((name.to_owned(), value)),
        }
    }

    fn commands(&mut self, pipeline: &Pipeline, dot: &Value) -> Result<Value, TemplateError> {
        let mut given = None;
        for command in &pipeline.commands {
            given = Some(self.command(command, dot, given)?);
        }
        Ok(given.unwrap_or(Value::Null))
    }

    /// A command with what the one before it gave as its last argument.
    fn command(
        &mut self,
        command: &Command,
        dot: &Value,
        given: Option<Value>,
    ) -> Result<Value, TemplateError> {
        let Some((first, others)) = command.operands.split_first() else { return Ok(Value::Null) };
        if let OperandKind::Function(name) = &first.kind {
            if matches!(name.as_str(), "and" | "or") {
                return self.and_or(name == "and", others, dot, given, first);
            }
            let mut arguments = self.arguments(others, dot)?;
            arguments.extend(given);
            return call(name, &arguments).map_err(|reason| failed_at(first, &reason));
        }
        let mut arguments = self.arguments(others, dot)?;
        arguments.extend(given);
        let value = self.operand(first, dot)?;
        match arguments.as_slice() {
            [] => Ok(value),
            // What is a method of docker's is a map here.
            [Value::String(name)] if !first.fields.is_empty() && value.is_object() => {
                Ok(value.get(name).cloned().unwrap_or_else(|| "".into()))
            }
            _ => {
                let reason = format!("can't give argument to non-function {}", first.text);
                Err(failed_at(first, &reason))
            }
        }
    }

    /// The first value that decides; those after it are not looked at.
    fn and_or(
        &mut self,
        is_and: bool,
        operands: &[Operand],
        dot: &Value,
        given: Option<Value>,
        function: &Operand,
    ) -> Result<Value, TemplateError> {
        let mut last = None;
        for operand in operands {
            let value = self.operand(operand, dot)?;
            if is_true(&value) != is_and {
                return Ok(value);
            }
            last = Some(value);
        }
        given.or(last).ok_or_else(|| {
            failed_at(
                function,
                &format!("wrong number of args for {}: want at least 1 got 0", function.text),
            )
        })
    }

    fn arguments(
        &mut self,
        operands: &[Operand],
        dot: &Value,
    ) -> Result<Vec<Value>, TemplateError> {
        operands.iter().map(|operand| self.operand(operand, dot)).collect()
    }

    fn operand(&mut self, operand: &Operand, dot: &Value) -> Result<Value, TemplateError> {
        let value = match &operand.kind {
            OperandKind::Dot => dot.clone(),
            OperandKind::Variable(name) => {
                let known = self.variables.iter().rev().find(|(known, _)| known == name);
                // The parser knows all of them.
                known.map_or(Value::Null, |(_, value)| value.clone())
            }
            OperandKind::Literal(value) => value.clone(),
            OperandKind::Function(name) => {
                call(name, &[]).map_err(|reason| failed_at(operand, &reason))?
            }
            OperandKind::Pipeline(pipeline) => self.commands(pipeline, dot)?,
        };
        member(value, &operand.fields).map_err(|reason| failed_at(operand, &reason))
    }
}

fn failed(command: Option<&Command>, reason: &str) -> TemplateError {
    match command.and_then(|command| command.operands.first()) {
        Some(operand) => failed_at(operand, reason),
        None => TemplateError::Parse { line: 1, reason: reason.to_owned() },
    }
}

fn failed_at(operand: &Operand, reason: &str) -> TemplateError {
    TemplateError::Render {
        line: operand.place.line,
        column: operand.place.column,
        at: operand.text.clone(),
        reason: reason.to_owned(),
    }
}
