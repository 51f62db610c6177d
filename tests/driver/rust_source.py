"""What `house` has to know of Rust's grammar: what is text and what is code, functions, modules and who uses whom."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

Name = tuple[str, ...]
"""A module's path from its crate on: ``()`` is the crate itself."""

TOKEN = re.compile(
    r"""
    //[^\n]*                                            # a comment to the line's end
  | /\*                                                 # a comment that may hold others
  | (?:\b(?:br|cr|r)(?P<hashes>\#*)|\b[bc])?"             # a text, a raw one behind an r
  | b?'(?:\\(?:[^ux]|x..|u\{[^}]*\})|[^\\'])'           # a character; a lifetime has no second quote
    """,
    re.VERBOSE,
)
NESTED = re.compile(r"/\*|\*/")
QUOTE = re.compile(r'\\.|"', re.DOTALL)
SPACE = re.compile(r"[^\n]")


def code_only(source: str) -> str:
    """The source with spaces for what is in comments, texts and characters: lengths and lines stay."""
    parts: list[str] = []
    at = 0
    while found := TOKEN.search(source, at):
        end = token_end(source, found)
        parts += [source[at : found.start()], SPACE.sub(" ", source[found.start() : end])]
        at = end
    return "".join([*parts, source[at:]])


def token_end(source: str, found: re.Match[str]) -> int:
    """Where a comment, text or character ends that begins with this match."""
    opening = found.group()
    if opening == "/*":
        depth, at = 1, found.end()
        while depth and (mark := NESTED.search(source, at)):
            depth += 1 if mark.group() == "/*" else -1
            at = mark.end()
        return len(source) if depth else at
    if not opening.endswith('"'):
        return found.end()
    hashes = found.group("hashes") or ""
    if "r" in opening:
        end = source.find('"' + hashes, found.end())
        return len(source) if end < 0 else end + 1 + len(hashes)
    at = found.end()
    while mark := QUOTE.search(source, at):
        if mark.group() == '"':
            return mark.end()
        at = mark.end()
    return len(source)


def block_end(code: str, opening: int) -> int:
    """The place behind the brace that closes the one at `opening`."""
    depth = 0
    for mark in re.compile(r"[{}]").finditer(code, opening):
        depth += 1 if mark.group() == "{" else -1
        if depth == 0:
            return mark.end()
    return len(code)


FUNCTION = re.compile(r"\bfn\s+(?:r#)?(\w+)")


def functions(code: str) -> Iterator[tuple[str, int, int]]:
    """Name, first line and number of lines of each function that has a body."""
    for found in FUNCTION.finditer(code):
        depth = 0
        for mark in re.compile(r"[(\[)\]{;]").finditer(code, found.end()):
            if mark.group() in "([":
                depth += 1
            elif mark.group() in ")]":
                depth -= 1
            elif depth == 0 and mark.group() == ";":
                break
            elif depth == 0:
                end = block_end(code, mark.start())
                yield found.group(1), code.count("\n", 0, found.start()) + 1, code.count("\n", found.start(), end) + 1
                break


ITEM = re.compile(
    r"^[ \t]*pub (?:(?:async|const|unsafe|extern(?: +)?) +)*"
    r"(fn|struct|enum|union|trait|const|static|type|macro) +(?:mut )?(\w+)",
    re.MULTILINE,
)


DOCS = re.compile(r"^[ \t]*(?:///|#\[doc|/\*\*)", re.MULTILINE)


def without_docs(source: str, code: str) -> Iterator[tuple[str, int]]:
    """Public items that no documentation stands above, with their lines."""
    tests = [(start, end) for start, end, _, is_test in inline_modules(code, source) if is_test]
    for item in ITEM.finditer(code):
        is_test = any(start <= item.start() < end for start, end in tests)
        if not is_test and not DOCS.search(attributes(code, source, item.start())):
            yield f"{item.group(1)} {item.group(2)}", code.count("\n", 0, item.end()) + 1


MODULE = re.compile(r"\bmod\s+(\w+)\s*([;{])")


def attributes(code: str, source: str, at: int) -> str:
    """What stands before the item at `at`, behind the one before: documentation and attributes, as they are written."""
    start = max(code.rfind(mark, 0, at) for mark in ";{}") + 1
    return source[start:at]


def inline_modules(code: str, source: str) -> Iterator[tuple[int, int, str, bool]]:
    """Start, end and name of each module with a body here, and whether it is there for tests only."""
    for found in MODULE.finditer(code):
        if found.group(2) == "{":
            is_test = "cfg(test)" in attributes(code, source, found.start())
            yield found.start(), block_end(code, found.end() - 1), found.group(1), is_test


@dataclass
class Module:
    """One module: its code without that of the modules in it, and what it gives on under a name of its own."""

    code: str
    exports: dict[str, Name] = field(default_factory=dict)


def modules_of(root: Path) -> dict[Name, Module]:
    """All modules of the crate whose first file is `root`, but for those of tests."""
    found: dict[Name, Module] = {}
    add_file(found, (), root, root.parent)
    for name, module in found.items():
        for use in re.compile(r"\bpub(?:\([^)]*\))?\s+use\s+([^;]+);").finditer(module.code):
            for path, alias in use_tree(use.group(1)):
                if path:
                    module.exports[alias or path[-1]] = resolved(found, name, path, exports=False)
    return found


def add_file(found: dict[Name, Module], name: Name, file: Path, folder: Path) -> None:
    """Adds the module in a file, whose own modules' files are in `folder`."""
    source = file.read_text()
    add_module(found, name, source, code_only(source), folder)


def add_module(found: dict[Name, Module], name: Name, source: str, code: str, folder: Path) -> None:
    """Adds a module by its text, and those in it."""
    own = code
    for start, end, child, is_test in inline_modules(code, source):
        if any(start > other and end < other_end for other, other_end, *_ in inline_modules(code, source)):
            continue
        own = own[:start] + SPACE.sub(" ", own[start:end]) + own[end:]
        if not is_test:
            body = slice(code.index("{", start) + 1, end - 1)
            add_module(found, (*name, child), source[body], code[body], folder / child)
    found[name] = Module(own)
    for declared in MODULE.finditer(own):
        child = declared.group(1)
        said = attributes(own, source, declared.start())
        if declared.group(2) == ";" and "cfg(test)" not in said:
            elsewhere = re.search(r'path = "([^"]+)"', said)
            # With `cfg_attr`, the file by the usual name is there as well: that one counts.
            files = [folder / f"{child}.rs", folder / child / "mod.rs"]
            files += [folder / elsewhere.group(1)] if elsewhere else []
            file = next((file for file in files if file.is_file()), None)
            if file is not None:
                add_file(found, (*name, child), file, folder / child)


WORD = re.compile(r"\s*(?:(::)|([{},*])|(\w+))")


def use_tree(text: str) -> list[tuple[Name, str]]:
    """The paths of a ``use`` or of an expression, with the names that they get by ``as``."""
    found: list[tuple[Name, str]] = []
    read_tree(text, 0, (), found)
    return found


def read_tree(text: str, at: int, prefix: Name, found: list[tuple[Name, str]]) -> int:
    """Reads one tree behind `prefix`; the place behind it."""
    path, alias = prefix, ""
    while word := WORD.match(text, at):
        separator, mark, segment = word.groups()
        if mark == "{":
            at = word.end()
            while (closing := WORD.match(text, at)) and closing.group(2) != "}":
                at = closing.end() if closing.group(2) == "," else read_tree(text, at, path, found)
            return closing.end() if closing else len(text)
        if mark in {",", "}"}:
            break
        at = word.end()
        if segment == "as":
            name = WORD.match(text, at)
            alias = name.group(3) if name and name.group(3) else ""
            at = name.end() if name else at
            break
        if segment or mark == "*":
            path = (*path, segment or mark)
            if not re.match(r"\s*(?:::|as\b)", text[at:]):
                break
        elif not separator:
            break
    found.append((path[:-1] if path[-1:] == ("self",) and len(path) > 1 else path, alias))
    return at


def resolved(found: dict[Name, Module], user: Name, path: Name, *, exports: bool = True, hops: int = 8) -> Name:
    """The module that a path leads to when it is written in the module `user`."""
    at = () if path[0] == "crate" else user
    for i, segment in enumerate(path):
        if segment == "super":
            at = at[:-1]
        elif (*at, segment) in found:
            at = (*at, segment)
        elif exports and hops and segment in found[at].exports and segment not in {"crate", "self"}:
            return resolved(found, found[at].exports[segment], ("self", *path[i + 1 :]), hops=hops - 1)
        elif segment not in {"crate", "self"}:
            break
    return at


PATH = re.compile(r"(?<![\w:$])(?:crate|super|self)\s*::")


def uses(found: dict[Name, Module]) -> set[tuple[Name, Name]]:
    """Who uses whom, of modules that stand side by side: a module and those in it are one room."""
    edges: set[tuple[Name, Name]] = set()
    for user, module in found.items():
        for start in PATH.finditer(module.code):
            # An expression's path ends where no `::` follows; a tree of `use` has braces.
            for path, _ in use_tree(module.code[start.start() : start.start() + 4000]):
                target = resolved(found, user, path)
                same = next((i for i, (a, b) in enumerate(zip(user, target)) if a != b), None)
                if same is not None:
                    edges.add((user[: same + 1], target[: same + 1]))
    return edges
