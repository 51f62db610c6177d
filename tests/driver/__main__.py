"""Sets up, builds, tests and shows heapsee: the program behind the Makefile's verbs.

Needs nothing but Python 3.9, cargo and a C compiler. Makes everything under ``build/`` and ``target/``.
"""

from __future__ import annotations

import shutil
import sys

from console import StepError, say
from steps import VERBS


def main(arguments: list[str]) -> int:
    """Runs one verb; 0 if it went well, 1 if something failed, 2 for a wrong call."""
    if len(arguments) != 1 or arguments[0] not in VERBS:
        say(f"usage: tests/driver VERB, where VERB is one of {', '.join(VERBS)}")
        return 2
    try:
        if shutil.which("cargo") is None:
            raise StepError("cargo is not on PATH: install Rust 1.89 or later")
        VERBS[arguments[0]]()
    except StepError as failure:
        say(f"{arguments[0]}: {failure}")
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
