//! Which devices a cgroup of version 2 may use: a program that the kernel asks at each use.
//!
//! What it is given, and what it answers, is in `bpf_cgroup_dev_ctx` of the kernel's `linux/bpf.h`.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd};

use super::super::config::resources::{DeviceRule, RuleKind};

/// What every container has: it may make any node, and use those that do no harm.
pub(super) fn always_allowed() -> Vec<DeviceRule> {
    let rule = |kind, major, minor, access: &str| DeviceRule {
        allow: true,
        kind: Some(kind),
        major,
        minor,
        access: access.to_owned(),
    };
    let character = |major, minor| rule(RuleKind::Character, Some(major), minor, "rwm");
    vec![
        rule(RuleKind::Character, None, None, "m"),
        rule(RuleKind::Block, None, None, "m"),
        character(1, Some(3)), // null
        character(1, Some(5)), // zero
        character(1, Some(7)), // full
        character(1, Some(8)), // random
        character(1, Some(9)), // urandom
        character(5, Some(0)), // tty
        character(5, Some(2)), // ptmx
        character(136, None),  // pts
    ]
}

/// An instruction of eBPF, as the kernel has it in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
struct Instruction {
    code: u8,
    /// The destination in the lower half, the source in the upper.
    registers: u8,
    offset: i16,
    immediate: i32,
}

/// Registers: the argument, the answer, and where the parts of the question are kept.
const CONTEXT: u8 = 1;
const ANSWER: u8 = 0;
const KIND: u8 = 2;
const ACCESS: u8 = 3;
const MAJOR: u8 = 4;
const MINOR: u8 = 5;
const SCRATCH: u8 = 6;

const LOAD_WORD: u8 = 0x61;
const AND: u8 = 0x54;
const SHIFT_RIGHT: u8 = 0x74;
const MOVE_REGISTER: u8 = 0xbc;
const MOVE: u8 = 0xb7;
const JUMP_IF_EQUAL: u8 = 0x15;
const JUMP_IF_NOT_EQUAL: u8 = 0x55;
const EXIT: u8 = 0x95;

fn instruction(code: u8, destination: u8, source: u8, offset: i16, immediate: i32) -> Instruction {
    Instruction { code, registers: destination | source << 4, offset, immediate }
}

/// The program of `rules`: the last that a question matches decides, and none is no.
fn program(rules: &[DeviceRule]) -> Vec<Instruction> {
    let mut program = vec![
        instruction(LOAD_WORD, KIND, CONTEXT, 0, 0),
        instruction(AND, KIND, 0, 0, 0xffff),
        instruction(LOAD_WORD, ACCESS, CONTEXT, 0, 0),
        instruction(SHIFT_RIGHT, ACCESS, 0, 0, 16),
        instruction(LOAD_WORD, MAJOR, CONTEXT, 4, 0),
        instruction(LOAD_WORD, MINOR, CONTEXT, 8, 0),
    ];
    for rule in rules.iter().rev() {
        program.extend(block(rule));
    }
    program.extend(answer(false));
    program
}

fn answer(allow: bool) -> [Instruction; 2] {
    [instruction(MOVE, ANSWER, 0, 0, i32::from(allow)), instruction(EXIT, 0, 0, 0, 0)]
}

/// Answers when the rule matches, and goes on behind itself when not.
fn block(rule: &DeviceRule) -> Vec<Instruction> {
    let mut tests = Vec::new();
    match rule.kind {
        Some(RuleKind::Block) => tests.push((JUMP_IF_NOT_EQUAL, KIND, 1)),
        Some(RuleKind::Character) => tests.push((JUMP_IF_NOT_EQUAL, KIND, 2)),
        None | Some(RuleKind::All) => {}
    }
    for (register, number) in [(MAJOR, rule.major), (MINOR, rule.minor)] {
        if let Some(number) = number.and_then(|number| i32::try_from(number).ok())
            && number >= 0
        {
            tests.push((JUMP_IF_NOT_EQUAL, register, number));
        }
    }
    let access = access_bits(&rule.access);
    let mut block = Vec::new();
    if access != 7 {
        // To allow, all that is asked for must be in the rule; to deny, any of it.
        let (mask, leave) =
            if rule.allow { (!access & 7, JUMP_IF_NOT_EQUAL) } else { (access, JUMP_IF_EQUAL) };
        block.push(instruction(MOVE_REGISTER, SCRATCH, ACCESS, 0, 0));
        block.push(instruction(AND, SCRATCH, 0, 0, mask));
        block.push(instruction(leave, SCRATCH, 0, 0, 0));
    }
    block.extend(
        tests.iter().map(|&(code, register, value)| instruction(code, register, 0, 0, value)),
    );
    block.extend(answer(rule.allow));
    let end = block.len();
    for (index, instruction) in block.iter_mut().enumerate() {
        if matches!(instruction.code, JUMP_IF_EQUAL | JUMP_IF_NOT_EQUAL) {
            // A block has at most eight instructions.
            instruction.offset = (end - index - 1) as i16;
        }
    }
    block
}

/// `BPF_DEVCG_ACC_*`.
fn access_bits(access: &str) -> i32 {
    let bit = |letter| match letter {
        'm' => 1,
        'r' => 2,
        'w' => 4,
        _ => 0,
    };
    if access.is_empty() { 7 } else { access.chars().fold(0, |bits, letter| bits | bit(letter)) }
}

/// Has the kernel ask about the devices of the cgroup that is open as `cgroup` from now on.
pub(super) fn attach(cgroup: BorrowedFd<'_>, rules: &[DeviceRule]) -> io::Result<()> {
    const PROG_LOAD: libc::c_int = 5;
    const PROG_ATTACH: libc::c_int = 8;
    const PROG_TYPE_CGROUP_DEVICE: u32 = 15;
    const CGROUP_DEVICE: u32 = 6;
    const ALLOW_MULTI: u32 = 2;

    #[repr(C)]
    #[derive(Default)]
    struct Load {
        program_type: u32,
        count: u32,
        instructions: u64,
        license: u64,
        log: [u64; 3],
    }
    #[repr(C)]
    struct Attach {
        target: u32,
        program: u32,
        kind: u32,
        flags: u32,
    }

    let instructions = program(rules);
    let load = Load {
        program_type: PROG_TYPE_CGROUP_DEVICE,
        count: instructions.len() as u32,
        instructions: instructions.as_ptr() as u64,
        license: c"Apache-2.0".as_ptr() as u64,
        ..Load::default()
    };
    // SAFETY: `load` is as large as is said; the instructions and the licence, a C string, that it
    // points to live until the return.
    let fd = unsafe { libc::syscall(libc::SYS_bpf, PROG_LOAD, &raw const load, size_of::<Load>()) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just opened it for this process. Descriptors fit an int.
    let program = unsafe { OwnedFd::from_raw_fd(fd as i32) };
    let attach = Attach {
        target: cgroup.as_raw_fd() as u32,
        program: program.as_raw_fd() as u32,
        kind: CGROUP_DEVICE,
        flags: ALLOW_MULTI,
    };
    // SAFETY: `attach` is as large as is said and holds no pointers.
    let result = unsafe {
        libc::syscall(libc::SYS_bpf, PROG_ATTACH, &raw const attach, size_of::<Attach>())
    };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the program answers, by carrying it out.
    fn ask(rules: &[DeviceRule], kind: u32, access: u32, major: u32, minor: u32) -> bool {
        let context = [access << 16 | kind, major, minor];
        let program = program(rules);
        let mut registers = [0_u32; 11];
        let mut at = 0;
        loop {
            let Instruction { code, registers: used, offset, immediate } = program[at];
            let (to, from) = (usize::from(used & 15), usize::from(used >> 4));
            at += 1;
            match code {
                LOAD_WORD => registers[to] = context[offset as usize / 4],
                AND => registers[to] &= immediate as u32,
                SHIFT_RIGHT => registers[to] >>= immediate,
                MOVE_REGISTER => registers[to] = registers[from],
                MOVE => registers[to] = immediate as u32,
                JUMP_IF_EQUAL if registers[to] == immediate as u32 => at += offset as usize,
                JUMP_IF_NOT_EQUAL if registers[to] != immediate as u32 => at += offset as usize,
                JUMP_IF_EQUAL | JUMP_IF_NOT_EQUAL => {}
                EXIT => return registers[0] == 1,
                code => panic!("{code:#x}"),
            }
        }
    }

    const BLOCK: u32 = 1;
    const CHARACTER: u32 = 2;
    const MAKE: u32 = 1;
    const READ: u32 = 2;
    const WRITE: u32 = 4;

    fn rules(text: &str) -> Vec<DeviceRule> {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn without_rules_nothing_is_allowed() {
        assert!(!ask(&[], CHARACTER, READ, 1, 3));
    }

    #[test]
    fn the_last_rule_decides() {
        let rules = rules(
            r#"[{"allow": true}, {"allow": false, "type": "c", "major": 10, "minor": 229},
                {"allow": false, "type": "b", "major": 8, "access": "w"}]"#,
        );
        assert!(ask(&rules, CHARACTER, READ | WRITE, 10, 200));
        assert!(!ask(&rules, CHARACTER, READ, 10, 229));
        assert!(ask(&rules, BLOCK, READ, 8, 1));
        assert!(!ask(&rules, BLOCK, READ | WRITE, 8, 1));
    }

    #[test]
    fn more_than_is_allowed_is_not_allowed() {
        let rules =
            rules(r#"[{"allow": true, "type": "c", "major": 1, "minor": 3, "access": "r"}]"#);
        assert!(ask(&rules, CHARACTER, READ, 1, 3));
        assert!(!ask(&rules, CHARACTER, READ | WRITE, 1, 3));
        assert!(!ask(&rules, BLOCK, READ, 1, 3));
        assert!(!ask(&rules, CHARACTER, READ, 1, 4));
    }

    #[test]
    fn what_every_container_has_is_enough_for_its_nodes_and_no_more() {
        let rules = always_allowed();
        assert!(ask(&rules, CHARACTER, READ | WRITE, 1, 3));
        assert!(ask(&rules, BLOCK, MAKE, 8, 0));
        assert!(!ask(&rules, BLOCK, READ, 8, 0));
        assert!(ask(&rules, CHARACTER, READ | WRITE, 136, 77));
    }
}
