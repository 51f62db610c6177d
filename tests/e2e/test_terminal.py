"""The shell before a person: Ctrl-C, Tab, the pager, and the width of the screen."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from harness import binaries
from harness.terminal import CTRL_C, CTRL_D, TAB, Terminal

ENDLESS = "with recursive n(i) as (select 1 union all select i + 1 from n) select count(*) from n"
LINE = '{{"address": {}, "type": "{}", "size": {}, "len": 1, "value": "{}", "refs": [{}]}}\n'
LONG = "x" * 90


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a small heap in it."""
    lines = [LINE.format(16 * i, "KvsFieldData" if i % 2 else "str", i, LONG, 16 * (i % 100 + 1)) for i in range(1, 101)]
    (tmp_path / "x.dump").write_text("".join(lines))
    return tmp_path


@pytest.fixture
def terminal(folder: Path) -> Iterator[Terminal]:
    """The shell with the heap, its prompt just seen."""
    with start(folder, {"PAGER": "cat"}) as shell:
        yield shell


def start(folder: Path, env: dict[str, str], columns: int = 100) -> Terminal:
    env = {"XDG_STATE_HOME": str(folder), "XDG_CACHE_HOME": str(folder), **env}
    shell = Terminal([binaries.HEAPSEE, "shell", "x.dump"], env, folder, columns=columns)
    shell.expect(r"objects and .*\n::> $", 20)
    return shell


def leave(shell: Terminal) -> None:
    shell.type(CTRL_D)
    assert shell.wait() == 0


def test_ctrl_c_ends_the_query_and_not_the_session(terminal: Terminal) -> None:
    terminal.type("set kept 16\n")
    terminal.expect("::> ")
    terminal.type("delete from ref where child = 32\n")
    terminal.expect(r"(\d+) rows deleted")
    for _ in range(3):
        terminal.type("debug\n")
        terminal.expect("::> ")
        terminal.type(f"{ENDLESS}\n")
        # With `debug` the query is shown when it begins.
        terminal.expect(r"select count\(\*\) from n\n.*select count\(\*\) from n\n")
        terminal.type(CTRL_C)
        terminal.expect(r"\*\*\* interrupted\n::> ")
        terminal.type("debug\n")
        terminal.expect("::> ")
    terminal.type("echo $kept\n")
    terminal.expect(r"^16\n")
    terminal.type("select count(*) from ref where child = 32\n")
    terminal.expect(r"#\d+\.0 +0\n")
    terminal.type("half a li" + CTRL_C)
    terminal.expect("::> ")
    terminal.type("stats\n")
    terminal.expect(r"100 \(100\) objects")
    leave(terminal)


def test_tab_completes_commands_types_and_names(terminal: Terminal) -> None:
    terminal.type("set leak 32\n")
    terminal.expect("::> ")
    terminal.type(f"ech{TAB}$le{TAB}\n")
    terminal.expect(r"^32\n")
    terminal.type(f"select count(*) from obj where type = 'Kvs{TAB} and refer{TAB.join(['re'])}rs > 0\n")
    terminal.expect(r"#0\.0 +50\n")
    leave(terminal)


def test_what_is_longer_than_the_screen_goes_to_the_pager(folder: Path) -> None:
    pager = "while read line; do echo \"paged: $line\"; done; echo left the pager"
    with start(folder, {"PAGER": pager}) as shell:
        shell.type("select address from obj order by address limit 5\n")
        assert "paged" not in shell.expect(r"#0\.4 +80\n(.*\n)*::> ")
        shell.type("select address from obj order by address\n")
        shown = shell.expect(r"left the pager\n::> ")
        assert "paged: #1.99" in shown
        # A pager that is left at once takes nothing from the result.
        shell.type("exit\n")
        assert shell.wait() == 0
    with start(folder, {"PAGER": "true"}) as shell:
        shell.type("select address from obj\n")
        shell.expect("::> ")
        shell.type("select count(*) from obj where address in #0.address\n")
        shell.expect(r"#1\.0 +100\n")
        leave(shell)
    with start(folder, {"PAGER": "no-such-pager-anywhere"}) as shell:
        shell.type("select address from obj\n")
        shell.expect("::> ")
        leave(shell)


@pytest.mark.parametrize("columns", [60, 80, 200])
def test_rows_fit_the_screen(folder: Path, columns: int) -> None:
    with start(folder, {"PAGER": "cat"}, columns=columns) as shell:
        shell.type("select address, type, value, repr from obj limit 3\n")
        shown = shell.expect(r"^#0\.2.*\n")
        rows = [line for line in shown.splitlines() if line.startswith("#0.")]
        assert len(rows) == 3
        assert all(len(row) <= columns for row in rows)
        leave(shell)
