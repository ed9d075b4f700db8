//! What a template consists of.

use serde_json::Value;

/// Where something begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) line: usize,
    pub(super) column: usize,
}

#[derive(Debug)]
pub(super) enum Node {
    Text(String),
    Show(Pipeline),
    If(Branch),
    With(Branch),
    Range(Branch),
    Break,
    Continue,
}

/// What is done when the pipeline has a value, and what otherwise.
#[derive(Debug)]
pub(super) struct Branch {
    pub(super) pipeline: Pipeline,
    pub(super) then: Vec<Node>,
    pub(super) otherwise: Vec<Node>,
}

/// Commands, each of which gets what the one before it gives as its last argument.
#[derive(Debug)]
pub(super) struct Pipeline {
    /// One, or two in `range $index, $element := …`.
    pub(super) variables: Vec<String>,
    /// Whether they are new (`:=`).
    pub(super) declares: bool,
    pub(super) commands: Vec<Command>,
}

/// An operand, or a function with its arguments.
#[derive(Debug)]
pub(super) struct Command {
    pub(super) operands: Vec<Operand>,
}

#[derive(Debug)]
pub(super) struct Operand {
    pub(super) place: Place,
    /// As it was written, for messages.
    pub(super) text: String,
    pub(super) kind: OperandKind,
    /// Names after it: `.a.b`.
    pub(super) fields: Vec<String>,
}

#[derive(Debug)]
pub(super) enum OperandKind {
    Dot,
    Variable(String),
    Literal(Value),
    Function(String),
    Pipeline(Box<Pipeline>),
}
