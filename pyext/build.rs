//! Tells the sources which CPython they are built for (`cfg(Py_3_x)`).

fn main() {
    pyo3_build_config::use_pyo3_cfgs();
}
