//! The allocator, and memory that is given back.
#![allow(unsafe_code)]

#[cfg(target_os = "linux")]
use std::ops::Range;

/// musl and glibc both keep more memory, and lock more, than this allocator does under many
/// threads.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// One arena, no caches of large pieces by thread, and a quick return of unused pages: the buffers
/// of uploads are taken by one thread and given back by another, and what many arenas and threads
/// keep of them is more than all that is in use.
#[allow(non_upper_case_globals)]
// SAFETY: the allocator reads this symbol, a C string, before it starts; nothing else has the name.
#[unsafe(export_name = "_rjem_malloc_conf")]
static malloc_conf: Option<&'static std::ffi::c_char> = {
    let text = c"narenas:1,lg_tcache_max:15,dirty_decay_ms:200,muzzy_decay_ms:0";
    // SAFETY: a C string has a first byte.
    Some(unsafe { &*text.as_ptr() })
};

/// Gives memory that is not in use back to the system: for processes that wait for long.
#[cfg(target_os = "linux")]
pub(crate) fn give_back() {
    unsafe extern "C" {
        fn _rjem_mallctl(
            name: *const std::ffi::c_char,
            old: *mut std::ffi::c_void,
            old_length: *mut usize,
            new: *mut std::ffi::c_void,
            new_length: usize,
        ) -> std::ffi::c_int;
    }
    use std::ptr::null_mut;
    for name in [c"thread.tcache.flush", c"arena.0.purge"] {
        // SAFETY: the name is a C string, and neither of them takes or gives a value. What is refused changes
        // nothing.
        unsafe { _rjem_mallctl(name.as_ptr(), null_mut(), null_mut(), null_mut(), 0) };
    }
}

/// Gives back what only the start has needed: for services. A tenth of this program's code is what an idle one goes on
/// with; the rest would be counted as its own, and a kernel maps more of it than was asked for.
#[cfg(target_os = "linux")]
pub(crate) fn forget_start() {
    give_back();
    // Nothing depends on it.
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap_or_default();
    for Range { start, end } in maps.lines().filter_map(code) {
        // SAFETY: nobody writes to code, so the file, which the mapping keeps open, has all of it: what is executed
        // next is mapped again.
        let _ = unsafe {
            rustix::mm::madvise(start as *mut _, end - start, rustix::mm::Advice::LinuxDontNeed)
        };
    }
}

/// It stays elsewhere.
#[cfg(not(target_os = "linux"))]
pub(crate) fn forget_start() {}

/// The addresses of a line of `/proc/self/maps` (proc_pid_maps(5)), if the code of a file is there.
#[cfg(target_os = "linux")]
fn code(line: &str) -> Option<Range<usize>> {
    let mut words = line.split_ascii_whitespace();
    let (addresses, rights, inode) = (words.next()?, words.next()?, words.nth(2)?);
    if rights != "r-xp" || inode == "0" {
        return None;
    }
    let (start, end) = addresses.split_once('-')?;
    Some(usize::from_str_radix(start, 16).ok()?..usize::from_str_radix(end, 16).ok()?)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn only_code_of_files_is_forgotten() {
        let line =
            "00a99000-02d9e000 r-xp 00898000 fe:00 9978000                    /usr/bin/berth";
        assert_eq!(code(line), Some(0xa9_9000..0x2d9_e000));
        for other in [
            "7fff3d5f2000-7fff3d5f4000 r-xp 00000000 00:00 0                  [vdso]",
            "02d9e000-02e95000 r--p 02b9d000 fe:00 9978000                    /usr/bin/berth",
            "02e95000-02e9e000 rw-p 02c93000 fe:00 9978000                    /usr/bin/berth",
            "",
        ] {
            assert_eq!(code(other), None, "{other}");
        }
    }

    #[test]
    fn what_was_forgotten_is_there_again() {
        let before = std::hint::black_box(code as fn(&str) -> _)("0-1000 r-xp 0 fe:00 1 /a");
        forget_start();
        assert_eq!(code("0-1000 r-xp 0 fe:00 1 /a"), before);
    }
}
