"""How the demo looks on a terminal, and, without colours, in a log."""

from __future__ import annotations

import os
import sys

COLOURED = sys.stdout.isatty() and "NO_COLOR" not in os.environ


def paint(code: str, text: str) -> str:
    """The text in an ANSI style, where the output is a terminal."""
    return f"\x1b[{code}m{text}\x1b[0m" if COLOURED else text


def bold(text: str) -> str:
    """Emphasis."""
    return paint("1", text)


def dim(text: str) -> str:
    """What may be skipped."""
    return paint("2", text)


def good(text: str) -> str:
    """What went as it should."""
    return paint("32", text)


def show(text: str = "") -> None:
    """Prints at once."""
    print(text, flush=True)


def chapter(number: int, title: str) -> None:
    """Begins a part of the story."""
    show()
    show(bold(f"{number}. {title}"))
    show()


def typed(prompt: str, command: str) -> None:
    """A command as the person would type it."""
    show(paint("36", prompt) + bold(command))


def indented(text: str, first: int | None = None, last: int | None = None) -> None:
    """Output of a program; of a long one only the first and the last lines."""
    lines = text.rstrip("\n").splitlines()
    if first is not None and last is not None and len(lines) > first + last + 1:
        left_out = len(lines) - first - last
        lines = [*lines[:first], dim(f"… {left_out:,} lines …"), *lines[-last:]]
    for line in lines:
        show("   " + line)


def amount(size: float) -> str:
    """Bytes, in a unit that a person can take in."""
    for unit in ("bytes", "kB", "MB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "bytes" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.2f} GB"
