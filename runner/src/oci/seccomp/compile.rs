//! From calls and what becomes of them to a program.
//!
//! The numbers of an architecture are cut into stretches that are treated alike, from 0 to the last
//! number there is, and a call finds its stretch by halving. Each stretch ends in a return, so code
//! never runs from one into the next.

use super::super::config::seccomp::Architecture;
use super::super::kernel::task::Instruction;
use super::super::{Error, Result};
use super::RETURN_KILL_PROCESS;

/// Instructions of classic BPF, and where a call's number, architecture and arguments are.
const LOAD: u16 = 0x20;
const AND: u16 = 0x54;
const JUMP: u16 = 0x05;
const JUMP_IF_EQUAL: u16 = 0x15;
const JUMP_IF_GREATER: u16 = 0x25;
const JUMP_IF_AT_LEAST: u16 = 0x35;
const RETURN: u16 = 0x06;
const NUMBER: u32 = 0;
const ARCHITECTURE: u32 = 4;
const ARGUMENTS: u32 = 16;

/// Calls of x32 come as those of x86-64, with this bit in the number.
const X32: u32 = 0x4000_0000;
/// The kernel takes no longer programs.
const LONGEST: usize = 4096;

/// What becomes of a call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Body {
    /// Whatever its arguments are.
    always: Option<u32>,
    /// When all tests hold; the first that does decides.
    cases: Vec<(Vec<Test>, u32)>,
}

impl Body {
    pub(super) fn add(&mut self, tests: Vec<Test>, value: u32) {
        if tests.is_empty() {
            self.always.get_or_insert(value);
        } else {
            self.cases.push((tests, value));
        }
    }
}

/// A comparison of what is left of an argument under a mask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Test {
    pub(super) argument: u8,
    pub(super) comparison: Comparison,
    pub(super) value: u64,
    pub(super) mask: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// One architecture: its calls in ascending order, and what becomes of numbers beyond the last.
pub(super) type Part = (Architecture, Vec<(u32, Body)>, u32);

/// The whole program. What comes from an architecture that has no part kills.
pub(super) fn program(parts: &[Part], default: u32) -> Result<Vec<Instruction>> {
    let part = |wanted| parts.iter().find(|(architecture, ..)| *architecture == wanted);
    let stretches = |part: Option<&Part>| match part {
        Some((_, calls, beyond)) => Stretches::new(calls, default, *beyond).code(),
        None => vec![instruction(RETURN, 0, 0, RETURN_KILL_PROCESS)],
    };
    let mut program = vec![instruction(LOAD, 0, 0, ARCHITECTURE)];
    for (architecture, audit) in [
        (Architecture::X86_64, 0xc000_003e_u32),
        (Architecture::X86, 0x4000_0003),
        (Architecture::Aarch64, 0xc000_00b7),
        (Architecture::Arm, 0x4000_0028),
    ] {
        if part(architecture).is_none() {
            continue;
        }
        let own = stretches(part(architecture));
        let mut code = vec![instruction(LOAD, 0, 0, NUMBER)];
        if architecture == Architecture::X86_64 {
            code.extend(choose(JUMP_IF_AT_LEAST, X32, stretches(part(Architecture::X32)), own));
        } else {
            code.extend(own);
        }
        program.extend(only_if_equal(audit, code));
    }
    program.push(instruction(RETURN, 0, 0, RETURN_KILL_PROCESS));
    if program.len() > LONGEST {
        return Err(Error::unsupported(format!(
            "linux.seccomp: the filter has {} instructions, and the kernel takes {LONGEST}",
            program.len()
        )));
    }
    Ok(program)
}

fn instruction(code: u16, if_true: u8, if_false: u8, value: u32) -> Instruction {
    Instruction { code, if_true, if_false, value }
}

/// `code` when the accumulator is `value`; else what follows it.
fn only_if_equal(value: u32, code: Vec<Instruction>) -> Vec<Instruction> {
    let mut all =
        vec![instruction(JUMP_IF_EQUAL, 1, 0, value), instruction(JUMP, 0, 0, code.len() as u32)];
    all.extend(code);
    all
}

/// `yes` when the test of the accumulator holds, else `no`. A test jumps 255 instructions far at
/// most, so what is farther is reached by a jump of its own.
fn choose(test: u16, value: u32, yes: Vec<Instruction>, no: Vec<Instruction>) -> Vec<Instruction> {
    let mut all = match u8::try_from(no.len()) {
        Ok(length) => vec![instruction(test, length, 0, value)],
        Err(_) => vec![instruction(test, 0, 1, value), instruction(JUMP, 0, 0, no.len() as u32)],
    };
    all.extend(no);
    all.extend(yes);
    all
}

/// Where each stretch begins, and its code; the first begins at 0.
struct Stretches(Vec<(u32, Vec<Instruction>)>);

impl Stretches {
    fn new(calls: &[(u32, Body)], default: u32, beyond: u32) -> Self {
        let mut stretches = Self(Vec::new());
        let mut next = 0;
        let mut last = None;
        for (number, body) in calls {
            if *number > next {
                stretches.begin(next, returned(default));
                last = None;
            }
            // Most calls are treated like the one before.
            if last.replace(body) != Some(body) {
                stretches.begin(*number, code_of(body, default));
            }
            next = number + 1;
        }
        stretches.begin(next, returned(beyond));
        stretches
    }

    /// Nothing begins where things go on as they were.
    fn begin(&mut self, number: u32, code: Vec<Instruction>) {
        if self.0.last().is_none_or(|(_, last)| *last != code) {
            self.0.push((number, code));
        }
    }

    fn code(&self) -> Vec<Instruction> {
        halve(&self.0)
    }
}

fn halve(stretches: &[(u32, Vec<Instruction>)]) -> Vec<Instruction> {
    match stretches {
        [] => Vec::new(),
        [(_, code)] => code.clone(),
        _ => {
            let (lower, upper) = stretches.split_at(stretches.len() / 2);
            choose(JUMP_IF_AT_LEAST, upper[0].0, halve(upper), halve(lower))
        }
    }
}

fn returned(value: u32) -> Vec<Instruction> {
    vec![instruction(RETURN, 0, 0, value)]
}

fn code_of(body: &Body, default: u32) -> Vec<Instruction> {
    if let Some(value) = body.always {
        return returned(value);
    }
    let mut code = Vec::new();
    for (tests, value) in &body.cases {
        code.extend(case(tests, *value));
    }
    code.extend(returned(default));
    code
}

/// A jump to the end of its case, to be filled in when the end is known.
const NEXT_CASE: u8 = u8::MAX;

/// Returns `value` when all tests hold, and else goes on behind itself.
fn case(tests: &[Test], value: u32) -> Vec<Instruction> {
    let mut code: Vec<Instruction> = tests.iter().flat_map(code_of_test).collect();
    code.push(instruction(RETURN, 0, 0, value));
    let end = code.len();
    for (index, instruction) in code.iter_mut().enumerate() {
        // Six arguments of at most seven instructions each: a byte is enough.
        let distance = (end - index - 1) as u8;
        for jump in [&mut instruction.if_true, &mut instruction.if_false] {
            if *jump == NEXT_CASE {
                *jump = distance;
            }
        }
    }
    code
}

/// Goes on behind itself when the test holds. The upper half of the argument decides, and where it
/// is equal the lower one.
fn code_of_test(test: &Test) -> Vec<Instruction> {
    let offset = ARGUMENTS + 8 * u32::from(test.argument);
    let half = |offset, mask: u32| {
        let mut code = vec![instruction(LOAD, 0, 0, offset)];
        if mask != u32::MAX {
            code.push(instruction(AND, 0, 0, mask));
        }
        code
    };
    let (high, low) = ((test.value >> 32) as u32, test.value as u32);
    let mut lower = half(offset, test.mask as u32);
    let lower_length = lower.len() as u8;
    let mut code = half(offset + 4, (test.mask >> 32) as u32);
    match test.comparison {
        Comparison::Equal => {
            code.push(instruction(JUMP_IF_EQUAL, 0, NEXT_CASE, high));
            lower.push(instruction(JUMP_IF_EQUAL, 0, NEXT_CASE, low));
        }
        Comparison::NotEqual => {
            code.push(instruction(JUMP_IF_EQUAL, 0, lower_length + 1, high));
            lower.push(instruction(JUMP_IF_EQUAL, NEXT_CASE, 0, low));
        }
        Comparison::Greater => {
            code.push(instruction(JUMP_IF_GREATER, lower_length + 2, 0, high));
            code.push(instruction(JUMP_IF_EQUAL, 0, NEXT_CASE, high));
            lower.push(instruction(JUMP_IF_GREATER, 0, NEXT_CASE, low));
        }
        Comparison::GreaterOrEqual => {
            code.push(instruction(JUMP_IF_GREATER, lower_length + 2, 0, high));
            code.push(instruction(JUMP_IF_EQUAL, 0, NEXT_CASE, high));
            lower.push(instruction(JUMP_IF_AT_LEAST, 0, NEXT_CASE, low));
        }
        Comparison::Less => {
            code.push(instruction(JUMP_IF_GREATER, NEXT_CASE, 0, high));
            code.push(instruction(JUMP_IF_EQUAL, 0, lower_length + 1, high));
            lower.push(instruction(JUMP_IF_AT_LEAST, NEXT_CASE, 0, low));
        }
        Comparison::LessOrEqual => {
            code.push(instruction(JUMP_IF_GREATER, NEXT_CASE, 0, high));
            code.push(instruction(JUMP_IF_EQUAL, 0, lower_length + 1, high));
            lower.push(instruction(JUMP_IF_GREATER, NEXT_CASE, 0, low));
        }
    }
    code.extend(lower);
    code
}
