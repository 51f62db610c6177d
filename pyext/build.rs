//! Tells the sources which CPython they are built for (`cfg(Py_3_x)`), and says in words where they cannot be built.

#[path = "build/refusal.rs"]
mod refusal;

use std::env;

use refusal::{Target, refusal};

fn main() {
    println!("cargo::rerun-if-changed=build");
    let python = pyo3_build_config::get();
    let cfg = |name: &str| env::var(format!("CARGO_CFG_TARGET_{name}")).unwrap_or_default();
    let target = Target {
        system: &cfg("OS"),
        library: &cfg("ENV"),
        machine: &cfg("ARCH"),
        implementation: &python.implementation().to_string(),
        is_free_threaded: python.is_free_threaded(),
    };
    match refusal(&target) {
        Some(words) => println!("cargo::error={words}"),
        None => pyo3_build_config::use_pyo3_cfgs(),
    }
}
