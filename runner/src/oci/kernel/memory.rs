//! Memory of a process that waits for long.
#![allow(unsafe_code)]

use std::fs;
use std::io;

/// Of the stack as much is left as whoever calls may still be about to use.
const STACK: usize = 64 * 1024;

/// Lets go of the pages of this process that the kernel can bring back by itself, from a file or as zeros: those of
/// programs, and those of the stack that nobody is on any more.
pub(crate) fn give_back() -> io::Result<()> {
    let here = 0_u8;
    let top = (&raw const here as usize).saturating_sub(STACK);
    for line in fs::read_to_string("/proc/self/maps")?.lines() {
        let Some((start, end, is_program, is_stack)) = read(line) else { continue };
        let end = if is_stack { end.min(top & !0xfff) } else { end };
        if (is_program || is_stack) && start < end {
            // SAFETY: a page of a program is never written to, so it is read again as it was. The stack grows
            // downwards, so what is below the local variable by more than frames of this function take, and what
            // it calls, is in nobody's use.
            unsafe { libc::madvise(start as *mut libc::c_void, end - start, libc::MADV_DONTNEED) };
        }
    }
    Ok(())
}

/// Where a mapping begins and ends, and whether it is a program's code or the stack.
fn read(line: &str) -> Option<(usize, usize, bool, bool)> {
    let mut fields = line.split_whitespace();
    let (start, end) = fields.next()?.split_once('-')?;
    let rights = fields.next()?;
    let name = fields.nth(3).unwrap_or_default();
    let number = |text| usize::from_str_radix(text, 16).ok();
    let is_program = rights == "r-xp" && name.starts_with('/');
    Some((number(start)?, number(end)?, is_program, name == "[stack]"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_and_the_stack_are_told_from_the_rest() {
        let program = "562877f4c000-562878253000 r-xp 00000000 00:1f 123  /usr/bin/berth";
        assert_eq!(read(program), Some((0x5628_77f4_c000, 0x5628_7825_3000, true, false)));
        let data = "562877f4c000-562878253000 r--p 00000000 00:1f 123  /usr/bin/berth";
        assert!(read(data).is_some_and(|(.., is_program, is_stack)| !is_program && !is_stack));
        let stack = "7ffd87a43000-7ffd87a7c000 rw-p 00000000 00:00 0  [stack]";
        assert!(read(stack).is_some_and(|(.., is_stack)| is_stack));
    }

    #[test]
    fn a_process_goes_on_as_before() {
        let kept = String::from("kept");
        give_back().unwrap();
        assert_eq!(kept, "kept");
    }
}
