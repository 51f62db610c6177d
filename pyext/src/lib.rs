//! heapsee inside the worker: signal handler, snapshot, heap walker. The Python package is `heapsee`.
//!
//! This file is the module's table of contents. Nothing here opens a network connection, reads a dump, or runs
//! before it is asked to.

mod address_space;
mod api;
mod arena;
mod clock;
mod config;
mod control;
mod cpython;
mod directory;
mod distributions;
mod fork;
mod gate;
mod problem;
mod process_info;
mod publish;
mod server;
mod sidecar;
mod signal_action;
mod snapshot;
mod spare;
mod state;
mod trigger;
mod walk;

use pyo3::exceptions::PyImportError;
use pyo3::prelude::*;

#[global_allocator]
static ARENA: arena::Arena = arena::Arena;

#[pymodule(name = "_heapsee")]
fn heapsee_module(module: &Bound<'_, PyModule>) -> PyResult<()> {
    if api::is_free_threaded() {
        return Err(PyImportError::new_err(
            "heapsee does not support free-threaded builds of Python yet: use the usual build of the same version",
        ));
    }
    cpython::sizeof::calibrate(module.py())?;
    cpython::inline_values::calibrate(module.py())?;
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add("DumpError", module.py().get_type::<api::DumpError>())?;
    module.add_function(wrap_pyfunction!(api::install, module)?)?;
    module.add_function(wrap_pyfunction!(api::uninstall, module)?)?;
    module.add_function(wrap_pyfunction!(api::dump_to_directory, module)?)?;
    module.add_function(wrap_pyfunction!(api::dump_to_path, module)?)?;
    module.add_function(wrap_pyfunction!(api::dump_to_file, module)?)?;
    module.add_function(wrap_pyfunction!(api::dump_name, module)?)?;
    module.add_function(wrap_pyfunction!(api::status, module)?)?;
    module.add_function(wrap_pyfunction!(api::size_of, module)?)?;
    module.add_function(wrap_pyfunction!(api::get_referents, module)?)?;
    module.add_function(wrap_pyfunction!(api::reachable, module)?)?;
    module.add_function(wrap_pyfunction!(api::dump_reachable, module)?)?;
    module.add_function(wrap_pyfunction!(api::layout, module)?)?;
    module.add_function(wrap_pyfunction!(api::forget_layouts, module)?)?;
    module.add_function(wrap_pyfunction!(api::collector_lists, module)?)?;
    module.add_function(wrap_pyfunction!(api::make_walker, module)?)?;
    module.add_function(wrap_pyfunction!(api::shut_down, module)?)?;
    module.add_function(wrap_pyfunction!(api::fork_begins, module)?)?;
    module.add_function(wrap_pyfunction!(api::fork_is_over, module)?)?;
    Ok(())
}
