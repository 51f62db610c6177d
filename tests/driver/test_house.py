"""What `make house` reads from sources, on some that are small enough to count by eye. It runs these tests first."""

from __future__ import annotations

import ast
import tempfile
import unittest
from collections.abc import Mapping
from pathlib import Path

import house
import rust_source

TRICKY = r"""
// fn commented() {
/* fn outer() { /* fn inner() { */ { */
/// Says `{`.
pub fn one<'a>(text: &'a str, array: [u8; 2]) -> bool
where
    'a: 'static,
{
    let brace = '{';
    let quote = '\'';
    text == "} \" {" || text == r#"" } "# || text == br"\" && brace == '\u{7b}' && quote == '"'
}
pub trait Trait {
    fn declared(&self, array: [u8; 3]);
}
#[cfg(test)]
mod tests {
    pub fn in_tests() {}
}
#[derive(Clone)]
#[error(";{")]
pub struct Bare;
/// Documented.
#[derive(
    Clone,
)]
pub const fn documented() {}
"""


class RustText(unittest.TestCase):
    """Comments, texts, braces."""

    def test_functions_end_where_they_end(self) -> None:
        code = rust_source.code_only(TRICKY)
        found = list(rust_source.functions(code))
        assert found == [("one", 5, 8), ("in_tests", 18, 1), ("documented", 27, 1)]

    def test_lengths_and_lines_stay(self) -> None:
        code = rust_source.code_only(TRICKY)
        assert (len(code), code.count("\n")) == (len(TRICKY), TRICKY.count("\n"))
        assert "commented" not in code
        assert "inner" not in code
        assert '"' not in code

    def test_public_items_without_documentation(self) -> None:
        code = rust_source.code_only(TRICKY)
        assert list(rust_source.without_docs(TRICKY, code)) == [("trait Trait", 13), ("struct Bare", 22)]

    def test_a_use_is_a_tree(self) -> None:
        tree = rust_source.use_tree("crate::{a::{self, b as c}, d::*, e}")
        paths = [("crate", "a"), ("crate", "a", "b"), ("crate", "d", "*"), ("crate", "e")]
        assert tree == list(zip(paths, ["", "c", "", ""]))


class RustCircles(unittest.TestCase):
    """Who uses whom."""

    def circles(self, files: Mapping[str, str]) -> list[list[str]]:
        with tempfile.TemporaryDirectory() as folder:
            for name, text in files.items():
                path = Path(folder, name)
                path.parent.mkdir(exist_ok=True)
                path.write_text(text)
            edges = rust_source.uses(rust_source.modules_of(Path(folder, "lib.rs")))
        return sorted(sorted(map(house.shown, circle)) for circle in house.circles(edges))

    def test_by_use_and_by_a_path_in_code(self) -> None:
        files = {
            "lib.rs": "mod a; mod b; mod c;",
            "a.rs": "use crate::{b::B, std};",
            "b.rs": "fn f() { super::c::g() }",
            "c.rs": "// use crate::b;\nfn g() -> crate::a::A {}",
        }
        assert self.circles(files) == [["a", "b", "c"]]
        assert self.circles({**files, "c.rs": '// use crate::a;\nconst TEXT: &str = "crate::a";'}) == []

    def test_behind_a_name_given_on(self) -> None:
        files = {
            "lib.rs": "mod room;",
            "room/mod.rs": "mod left; mod right; pub use left::Left as Given;",
            "room/left.rs": "use super::right;",
            "room/right.rs": "use super::Given;",
        }
        assert self.circles(files) == [["room::left", "room::right"]]

    def test_a_module_and_those_in_it_are_one_room(self) -> None:
        files = {
            "lib.rs": "mod room; mod other { use crate::room; }",
            "room/mod.rs": "mod part; struct Own; fn f() { part::g() }",
            "room/part.rs": "use super::Own;",
        }
        assert self.circles(files) == []
        assert self.circles({**files, "room/part.rs": "use crate::other::X;"}) == [["other", "room"]]

    def test_tests_may_use_everything(self) -> None:
        files = {
            "lib.rs": "mod a; mod b;",
            "a.rs": "use crate::b;",
            "b.rs": "#[cfg(test)]\nmod tests { use crate::a; }",
        }
        assert self.circles(files) == []


class Limits(unittest.TestCase):
    """What is worse than allowed."""

    def test_only_what_is_larger(self) -> None:
        assert list(house.beyond("length", {"short": 3, "long": 4}, 3)) == ["length: long: 4, 3 allowed"]

    def test_a_circle_may_shrink_and_not_grow(self) -> None:
        allowed = "crate: a - b - c"
        assert house.is_within("crate", ["a", "b"], allowed)
        assert not house.is_within("crate", ["a", "b", "d"], allowed)
        assert not house.is_within("other", ["a", "b"], allowed)

    def test_versions_of_a_crate(self) -> None:
        told = "rand v0.8.5\n\nrand v0.9.0 (proc-macro)\n\nsyn v2.0.1\nsyn v2.0.1 (*)\n"
        assert house.duplicates(told) == {"rand": 2}

    def test_imports_of_python(self) -> None:
        tree = ast.parse("from . import near\nif TYPE_CHECKING:\n    import far\ndef f():\n    import console\n")
        found = {name: Path("x") for name in ("tests:pack.near", "tests:far", "tests/driver:console")}
        imported = house.imports(tree, "tests:pack.own", Path("own.py"), found)
        assert list(imported) == ["tests:pack.near", "tests/driver:console"]


if __name__ == "__main__":
    unittest.main()
