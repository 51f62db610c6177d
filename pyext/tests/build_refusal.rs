//! The words of the build script for systems that nobody here has.

#[path = "../build/refusal.rs"]
mod refusal;

use refusal::{Target, refusal};

fn words(system: &str, library: &str, machine: &str, implementation: &str, is_free_threaded: bool) -> Option<String> {
    refusal(&Target { system, library, machine, implementation, is_free_threaded })
}

#[test]
fn what_is_supported_is_built() {
    assert_eq!(words("linux", "gnu", "x86_64", "CPython", false), None);
    assert_eq!(words("linux", "gnu", "aarch64", "CPython", false), None);
}

#[test]
fn what_is_not_is_refused_in_one_line_that_names_it() {
    for (refused, expect) in [
        (words("linux", "musl", "x86_64", "CPython", false), "musl"),
        (words("macos", "", "aarch64", "CPython", false), "this system is macos"),
        (words("windows", "msvc", "x86_64", "CPython", false), "this system is windows"),
        (words("linux", "gnu", "riscv64", "CPython", false), "riscv64"),
        (words("linux", "gnu", "x86_64", "PyPy", false), "PyPy"),
        (words("linux", "gnu", "x86_64", "CPython", true), "free-threaded"),
    ] {
        let refused = refused.unwrap();
        assert!(refused.contains(expect) && !refused.contains('\n'), "{refused}");
    }
}
