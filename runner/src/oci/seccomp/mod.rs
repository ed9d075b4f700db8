//! Seccomp filters of a configuration, compiled to what the kernel runs at each system call.

mod calls;
mod compile;

use super::config::seccomp::{Action, Architecture, Flag, Operator, Rule, Seccomp};
use super::kernel::task::Instruction;
use super::{Error, Result};

use compile::{Body, Comparison, Test, program};

/// A program and the flags it is installed with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Filter {
    pub(super) program: Vec<Instruction>,
    pub(super) flags: u64,
}

/// `EPERM`, which a refused call gets where nothing else is said,
const DEFAULT_ERRNO: u16 = 1;
/// and `ENOSYS`, which a program takes as leave to try something older.
const NO_SUCH_CALL: u16 = 38;

const RETURN_KILL_PROCESS: u32 = 0x8000_0000;
const RETURN_ERRNO: u32 = 0x0005_0000;

impl Filter {
    /// Compiles a filter. Calls whose names nobody knows are passed over: profiles name calls of
    /// every architecture and of kernels to come.
    pub(super) fn compile(seccomp: &Seccomp) -> Result<Self> {
        if seccomp.default_action == Action::Notify
            || seccomp.syscalls.iter().any(|rule| rule.action == Action::Notify)
            || !seccomp.listener_path.is_empty()
        {
            return Err(Error::unsupported(
                "linux.seccomp: SCMP_ACT_NOTIFY is not there: no other process is asked",
            ));
        }
        let default = value(seccomp.default_action, seccomp.default_errno_ret);
        let mut parts = Vec::new();
        for architecture in architectures(&seccomp.architectures)? {
            let calls = calls_of(architecture, &seccomp.syscalls, default)?;
            let beyond = beyond(seccomp.default_action, default);
            parts.push((architecture, calls, beyond));
        }
        Ok(Self { program: program(&parts, default)?, flags: flags(&seccomp.flags) })
    }
}

/// The host's own is always among them.
fn architectures(wanted: &[Architecture]) -> Result<Vec<Architecture>> {
    let mut known: Vec<Architecture> = vec![calls::NATIVE];
    for &architecture in wanted {
        if architecture != Architecture::Other && !known.contains(&architecture) {
            known.push(architecture);
        }
    }
    Ok(known)
}

/// What calls get that are newer than any that the filter names: where they would be refused with
/// some other error, programs could not tell that they must do without.
fn beyond(default_action: Action, default: u32) -> u32 {
    match default_action {
        Action::Errno | Action::KillThread | Action::KillProcess | Action::Trap => {
            RETURN_ERRNO | u32::from(NO_SUCH_CALL)
        }
        Action::Trace | Action::Log | Action::Allow | Action::Notify => default,
    }
}

fn calls_of(architecture: Architecture, rules: &[Rule], default: u32) -> Result<Vec<(u32, Body)>> {
    let mut bodies = std::collections::BTreeMap::<u32, Body>::new();
    for rule in rules {
        let value = value(rule.action, rule.errno_ret);
        // A rule that says what is said anyway would only hide a later one.
        if value == default {
            continue;
        }
        let tests = tests_of(rule)?;
        for number in rule.names.iter().flat_map(|name| calls::numbers(architecture, name)) {
            let body = bodies.entry(number).or_default();
            for tests in &tests {
                body.add(tests.clone(), value);
            }
        }
    }
    Ok(bodies.into_iter().collect())
}

/// Each of which alone lets the rule apply. Two comparisons of one argument are two such cases, as
/// libseccomp's users mean them.
fn tests_of(rule: &Rule) -> Result<Vec<Vec<Test>>> {
    let mut tests = Vec::with_capacity(rule.args.len());
    for argument in &rule.args {
        if argument.index > 5 {
            return Err(Error::invalid(format!(
                "linux.seccomp: a system call has no argument {}",
                argument.index
            )));
        }
        let (comparison, value, mask) = match argument.op {
            Operator::Equal => (Comparison::Equal, argument.value, u64::MAX),
            Operator::NotEqual => (Comparison::NotEqual, argument.value, u64::MAX),
            Operator::Less => (Comparison::Less, argument.value, u64::MAX),
            Operator::LessOrEqual => (Comparison::LessOrEqual, argument.value, u64::MAX),
            Operator::Greater => (Comparison::Greater, argument.value, u64::MAX),
            Operator::GreaterOrEqual => (Comparison::GreaterOrEqual, argument.value, u64::MAX),
            Operator::MaskedEqual => (Comparison::Equal, argument.value_two, argument.value),
        };
        tests.push(Test { argument: argument.index, comparison, value, mask });
    }
    let repeats =
        (0..6).any(|index| tests.iter().filter(|test| test.argument == index).count() > 1);
    Ok(if repeats { tests.into_iter().map(|test| vec![test]).collect() } else { vec![tests] })
}

/// What the kernel takes as the answer.
fn value(action: Action, errno: Option<u16>) -> u32 {
    let errno = u32::from(errno.unwrap_or(DEFAULT_ERRNO));
    match action {
        Action::KillThread => 0,
        Action::KillProcess => RETURN_KILL_PROCESS,
        Action::Trap => 0x0003_0000,
        Action::Errno => RETURN_ERRNO | errno,
        Action::Trace => 0x7ff0_0000 | errno,
        Action::Log => 0x7ffc_0000,
        Action::Allow => 0x7fff_0000,
        Action::Notify => 0x7fc0_0000,
    }
}

fn flags(flags: &[Flag]) -> u64 {
    flags.iter().fold(0, |bits, flag| {
        bits | match flag {
            // There is one thread.
            Flag::Tsync => 0,
            Flag::Log => 1 << 1,
            Flag::SpecAllow => 1 << 2,
            // Only of use with SCMP_ACT_NOTIFY.
            Flag::WaitKillable => 0,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALLOW: u32 = 0x7fff_0000;
    const X86_64: u32 = 0xc000_003e;
    const I386: u32 = 0x4000_0003;

    /// What a filter answers to a call, by carrying it out as the kernel does.
    fn ask(filter: &Filter, architecture: u32, number: u32, arguments: [u64; 6]) -> u32 {
        let mut data = vec![number, architecture, 0, 0];
        data.extend(arguments.iter().flat_map(|&value| [value as u32, (value >> 32) as u32]));
        let (mut accumulator, mut at) = (0_u32, 0_usize);
        loop {
            let Instruction { code, if_true, if_false, value } = filter.program[at];
            at += 1;
            let mut jump = |taken: bool| at += usize::from(if taken { if_true } else { if_false });
            match code {
                0x20 => accumulator = data[value as usize / 4],
                0x54 => accumulator &= value,
                0x15 => jump(accumulator == value),
                0x25 => jump(accumulator > value),
                0x35 => jump(accumulator >= value),
                0x05 => at += value as usize,
                0x06 => return value,
                code => panic!("{code:#x}"),
            }
        }
    }

    fn filter(text: &str) -> Filter {
        Filter::compile(&serde_json::from_str(text).unwrap()).unwrap()
    }

    fn error(number: u32) -> u32 {
        RETURN_ERRNO | number
    }

    #[cfg(target_arch = "x86_64")]
    #[test]
    fn what_is_named_is_allowed_and_all_else_is_refused() {
        let filter = filter(
            r#"{"defaultAction": "SCMP_ACT_ERRNO", "architectures": ["SCMP_ARCH_X86_64"],
                "syscalls": [{"names": ["read", "write", "close", "nosuchcall", "openat2"],
                              "action": "SCMP_ACT_ALLOW"}]}"#,
        );
        let ask = |number| ask(&filter, X86_64, number, [0; 6]);
        assert_eq!([ask(0), ask(1), ask(3), ask(437)], [ALLOW; 4]);
        assert_eq!([ask(2), ask(4), ask(165), ask(436)], [error(1); 4]);
    }

    #[cfg(target_arch = "x86_64")]
    #[test]
    fn a_call_newer_than_the_filter_does_not_exist() {
        let filter = filter(
            r#"{"defaultAction": "SCMP_ACT_ERRNO",
                "syscalls": [{"names": ["openat2"], "action": "SCMP_ACT_ALLOW"}]}"#,
        );
        assert_eq!(ask(&filter, X86_64, 438, [0; 6]), error(38));
    }

    #[cfg(target_arch = "x86_64")]
    #[test]
    fn calls_of_an_architecture_that_is_not_named_kill() {
        let filter = filter(
            r#"{"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86_64"],
                "syscalls": [{"names": ["mount"], "action": "SCMP_ACT_ERRNO", "errnoRet": 13}]}"#,
        );
        assert_eq!(ask(&filter, X86_64, 165, [0; 6]), error(13));
        assert_eq!(ask(&filter, I386, 21, [0; 6]), RETURN_KILL_PROCESS);
        // A call of x32 has the number of another one and a bit: it must not pass for that one.
        assert_eq!(ask(&filter, X86_64, 0x4000_0000 | 165, [0; 6]), RETURN_KILL_PROCESS);
    }

    #[cfg(target_arch = "x86_64")]
    #[test]
    fn each_architecture_has_its_own_numbers() {
        let filter = filter(
            r#"{"defaultAction": "SCMP_ACT_ALLOW",
                "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"],
                "syscalls": [{"names": ["mount"], "action": "SCMP_ACT_ERRNO"}]}"#,
        );
        assert_eq!(ask(&filter, X86_64, 165, [0; 6]), error(1));
        assert_eq!(ask(&filter, X86_64, 21, [0; 6]), ALLOW);
        assert_eq!(ask(&filter, I386, 21, [0; 6]), error(1));
        assert_eq!(ask(&filter, I386, 165, [0; 6]), ALLOW);
        assert_eq!(ask(&filter, X86_64, 0x4000_0000 | 165, [0; 6]), error(1));
    }

    type Holds = fn(u64, u64) -> bool;

    #[cfg(target_arch = "x86_64")]
    #[test]
    fn arguments_are_compared_in_all_their_bits() {
        let rule = |op: &str, value: u64, two: u64| {
            filter(&format!(
                r#"{{"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [{{"names": ["personality"],
                     "action": "SCMP_ACT_ALLOW",
                     "args": [{{"index": 0, "value": {value}, "valueTwo": {two}, "op": "{op}"}}]}}]}}"#
            ))
        };
        let numbers = [0, 7, 8, 9, 1 << 32, (1 << 32) | 8, (2 << 32) | 7, u64::MAX];
        for middle in numbers {
            let cases: [(&str, Holds); 6] = [
                ("SCMP_CMP_EQ", |a, b| a == b),
                ("SCMP_CMP_NE", |a, b| a != b),
                ("SCMP_CMP_LT", |a, b| a < b),
                ("SCMP_CMP_LE", |a, b| a <= b),
                ("SCMP_CMP_GT", |a, b| a > b),
                ("SCMP_CMP_GE", |a, b| a >= b),
            ];
            for (op, holds) in cases {
                let filter = rule(op, middle, 0);
                for number in numbers {
                    let allowed = ask(&filter, X86_64, 135, [number, 0, 0, 0, 0, 0]) == ALLOW;
                    assert_eq!(allowed, holds(number, middle), "{number} {op} {middle}");
                }
            }
        }
        let filter = rule("SCMP_CMP_MASKED_EQ", 0xf_0000_000f, 0x3_0000_0005);
        assert_eq!(ask(&filter, X86_64, 135, [0xf3_0000_00f5, 0, 0, 0, 0, 0]), ALLOW);
        assert_eq!(ask(&filter, X86_64, 135, [0xf2_0000_00f5, 0, 0, 0, 0, 0]), error(1));
    }

    #[cfg(target_arch = "x86_64")]
    #[test]
    fn all_arguments_of_a_rule_must_fit_and_one_of_its_rules_is_enough() {
        let filter = filter(
            r#"{"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [
                {"names": ["socket"], "action": "SCMP_ACT_ALLOW",
                 "args": [{"index": 0, "value": 1, "op": "SCMP_CMP_EQ"},
                          {"index": 1, "value": 2, "op": "SCMP_CMP_EQ"}]},
                {"names": ["socket"], "action": "SCMP_ACT_ALLOW",
                 "args": [{"index": 0, "value": 9, "op": "SCMP_CMP_GE"}]}]}"#,
        );
        let ask = |first, second| ask(&filter, X86_64, 41, [first, second, 0, 0, 0, 0]);
        assert_eq!([ask(1, 2), ask(9, 0)], [ALLOW; 2]);
        assert_eq!([ask(1, 3), ask(2, 2)], [error(1); 2]);
    }

    #[cfg(target_arch = "x86_64")]
    #[test]
    fn long_filters_are_jumped_over() {
        let name = |number| syscalls::x86_64::Sysno::new(number).map(|call| call.name().to_owned());
        let names: Vec<String> = (0..330).step_by(4).filter_map(name).collect();
        let text = serde_json::json!({
            "defaultAction": "SCMP_ACT_ERRNO",
            "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"],
            "syscalls": [{"names": names, "action": "SCMP_ACT_ALLOW",
                "args": [{"index": 2, "value": 5, "op": "SCMP_CMP_LT"},
                         {"index": 3, "value": 7, "op": "SCMP_CMP_NE"}]}],
        });
        let filter = filter(&text.to_string());
        assert!(filter.program.len() > 1000);
        for name in names {
            let number = calls::numbers(Architecture::X86_64, &name).next().unwrap();
            assert_eq!(ask(&filter, X86_64, number, [0, 0, 4, 8, 0, 0]), ALLOW, "{name}");
            assert_eq!(ask(&filter, X86_64, number, [0, 0, 5, 8, 0, 0]), error(1), "{name}");
        }
    }

    #[test]
    fn asking_another_process_is_refused_in_words() {
        let seccomp = serde_json::from_str(r#"{"defaultAction": "SCMP_ACT_NOTIFY"}"#).unwrap();
        assert!(matches!(Filter::compile(&seccomp), Err(Error::Unsupported(_))));
    }
}
