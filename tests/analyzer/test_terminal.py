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
    kinds = ("str", "KvsFieldData")
    lines = [LINE.format(16 * i, kinds[i % 2], i, LONG, 16 * (i % 100 + 1)) for i in range(1, 101)]
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


def ask(shell: Terminal, line: str) -> str:
    """Types a line; what can be seen until it is the person's turn again."""
    shell.type(f"{line}\n")
    return shell.expect(r"^::> $")


def leave(shell: Terminal) -> None:
    """Ends the input; the shell must be content."""
    shell.type(CTRL_D)
    assert shell.wait() == 0


def test_ctrl_c_ends_the_query_and_not_the_session(terminal: Terminal) -> None:
    ask(terminal, "set kept 16")
    assert "rows deleted" in ask(terminal, "delete from ref where child = 32")
    ask(terminal, "debug")
    for _ in range(3):
        terminal.type(f"{ENDLESS}\n")
        # With `debug` the query is shown when it begins.
        terminal.expect(r"from n\n.*from n\n")
        terminal.type(CTRL_C)
        terminal.expect(r"\*\*\* interrupted\n::> $")
    ask(terminal, "debug")
    assert "\n16\n" in ask(terminal, "echo $kept")
    assert "#0.0              0\n" in ask(terminal, "select count(*) from ref where child = 32")
    terminal.type("half a li" + CTRL_C)
    terminal.expect(r"^::> $")
    assert "100 (100) objects" in ask(terminal, "stats")
    leave(terminal)


def test_tab_completes_commands_types_and_names(terminal: Terminal) -> None:
    ask(terminal, "set leak 32")
    assert "\n32\n" in ask(terminal, f"ech{TAB}$le{TAB}")
    answer = ask(terminal, f"select count(*) from obj where type = 'Kvs{TAB} and referr{TAB} > 0")
    assert "'KvsFieldData' and referrers > 0" in answer
    assert "#0.0             50\n" in answer
    leave(terminal)


def test_what_is_longer_than_the_screen_goes_to_the_pager(folder: Path) -> None:
    pager = 'while read line; do echo "paged: $line"; done; echo left the pager'
    with start(folder, {"PAGER": pager}) as shell:
        assert "paged" not in ask(shell, "select address from obj order by address limit 5")
        shown = ask(shell, "select address from obj order by address")
        assert "paged: #1.99" in shown
        assert shown.endswith("left the pager\n::> ")
        leave(shell)
    # A pager that is left at once, or that there is none of, takes nothing from the result.
    for none in ("true", "no-such-pager-anywhere"):
        with start(folder, {"PAGER": none}) as shell:
            ask(shell, "select address from obj")
            assert "#1.0            100\n" in ask(shell, "select count(*) from obj where address in #0.address")
            leave(shell)


@pytest.mark.parametrize("columns", [80, 200])
def test_rows_fit_the_screen(folder: Path, columns: int) -> None:
    with start(folder, {"PAGER": "cat"}, columns=columns) as shell:
        shown = ask(shell, "select * from obj limit 3")
        rows = [line for line in shown.splitlines() if line.startswith("#0.")]
        assert len(rows) == 3
        assert all(len(row) <= columns for row in rows)
        leave(shell)
