"""Source lines of generated code, kept for tracebacks: every request makes a template of its own."""

from __future__ import annotations

import linecache

from leaks.culprit import Culprit

CULPRIT = Culprit(path="sys.modules['linecache'].cache", holds="tuple", count=2000)
REQUESTS = 2000


def serve(numbers: range) -> None:
    """Every request compiles a template."""
    for number in numbers:
        name = f"<template {number}>"
        source = "\n".join(f"write({line}, {number})" for line in range(20))
        linecache.cache[name] = (len(source), None, source.splitlines(keepends=True), name)
