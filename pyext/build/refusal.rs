//! Where heapsee cannot be built, in words that say what to do instead of a page of compiler errors.

/// What is built for: cargo's `target_os`, `target_env` and `target_arch`, and the interpreter.
pub struct Target<'a> {
    pub system: &'a str,
    pub library: &'a str,
    pub machine: &'a str,
    pub implementation: &'a str,
    pub is_free_threaded: bool,
}

/// Why not, and what to do; `None` where it can be built.
pub fn refusal(target: &Target<'_>) -> Option<String> {
    let Target { system, library, machine, implementation, .. } = target;
    Some(match (*system, *library, *machine, *implementation) {
        ("linux", "musl", ..) => {
            "heapsee needs the GNU C library, and this system has musl (Alpine): use an image that is based on Debian, \
             such as python:3.13-slim instead of python:3.13-alpine"
                .to_owned()
        }
        ("linux", _, "x86_64" | "aarch64", "CPython") if target.is_free_threaded => {
            "heapsee does not support free-threaded builds of Python yet: use the usual build of the same version \
             (python3.13 instead of python3.13t)"
                .to_owned()
        }
        ("linux", _, "x86_64" | "aarch64", "CPython") => return None,
        ("linux", _, "x86_64" | "aarch64", _) => {
            format!("heapsee reads CPython's memory, and this interpreter is {implementation}: it cannot work in it")
        }
        ("linux", ..) => format!("heapsee runs on x86-64 and aarch64, and this machine is {machine}"),
        _ => format!(
            "heapsee's worker side runs on Linux only, and this system is {system}: install it where the workers run, \
             and read their dumps here with the program heapsee"
        ),
    })
}
