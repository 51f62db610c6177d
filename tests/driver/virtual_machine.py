"""A small machine of its own, in software, whose memory is in control groups of version 2: the agent's rules on it.

It takes half a minute and a kernel of Debian's (26 MB), so it is a verb of its own and no part of ``make test``.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

from console import BUILD, ROOT, StepError, run, say

FOLDER = BUILD / "machine"
KERNELS = "linux-image-cloud-amd64"
MEMORY = "1024M"
WANTED = {"qemu-system-x86_64": "qemu-system-x86", "busybox": "busybox-static", "dpkg": "dpkg", "cpio": "cpio"}
APPLETS = ("sh", "mount", "ip", "poweroff", "echo")
STDLIB_LEFT_OUT = ("test", "tests", "idlelib", "tkinter", "site-packages", "dist-packages", "ensurepip", "config-*")


def kernel() -> Path:
    """Debian's kernel for virtual machines, unpacked but not installed."""
    found = sorted(FOLDER.glob("kernel/boot/vmlinuz-*"))
    if found:
        return found[-1]
    told = run(["apt-cache", "depends", KERNELS], quiet=True)
    names = re.findall(r"Depends: (linux-image-\S+)", told)
    if not names:
        raise StepError(f"apt-cache does not know {KERNELS}: apt-get update")
    say(f"fetching {names[0]}")
    run(["sh", "-c", f"cd '{FOLDER}' && apt-get -qq download {names[0]}"], quiet=True)
    (package,) = FOLDER.glob("linux-image-*.deb")
    run(["dpkg", "--extract", package, FOLDER / "kernel"], quiet=True)
    return max(FOLDER.glob("kernel/boot/vmlinuz-*"))


def libraries(programs: Iterable[Path]) -> set[Path]:
    """The libraries that programs are linked with, and what loads them."""
    found = set()
    for program in programs:
        told = subprocess.run(["ldd", str(program)], capture_output=True, text=True, check=False).stdout
        found |= {Path(path) for path in re.findall(r"(/\S+) \(0x", told)}
    return found


def pack(interpreter: Path, agent: Path) -> Path:
    """The machine's disk: this Python, the agent, busybox, the tests' scenes."""
    root = FOLDER / "root"
    shutil.rmtree(root, ignore_errors=True)
    for name in ("bin", "usr", "dev", "proc", "sys", "tmp", "tests", "etc"):
        (root / name).mkdir(parents=True)
    shutil.copy(str(shutil.which("busybox")), root / "bin" / "busybox")
    for applet in APPLETS:
        (root / "bin" / applet).symlink_to("busybox")
    asked = "import sys, sysconfig; print(sys.executable, sys.prefix, sysconfig.get_path('stdlib'))"
    told = subprocess.run([str(interpreter), "-c", asked], capture_output=True, text=True, check=True).stdout
    executable, prefix, stdlib = map(Path, told.split())
    shutil.copytree(stdlib, inside(root, stdlib), ignore=shutil.ignore_patterns("__pycache__", *STDLIB_LEFT_OUT))
    executable = executable.resolve()
    programs = [executable, agent]
    for path in (*libraries([*programs, *stdlib.glob("lib-dynload/*.so")]), executable):
        inside(root, path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, inside(root, path))
    python = root / "usr" / "python"
    python.write_text(f'#!/bin/sh\nPYTHONHOME={prefix} exec {executable} "$@"\n')
    python.chmod(0o755)
    shutil.copy(agent, root / "bin" / "heapsee-agent")
    shutil.copytree(ROOT / "tests" / "cgroup2", root / "tests" / "cgroup2")
    shutil.copy(ROOT / "agent" / "tests" / "it" / "fake_worker.py", root / "tests")
    shutil.copy(ROOT / "tests" / "cgroup2" / "init", root / "init")
    (root / "init").chmod(0o755)
    disk = FOLDER / "disk.cpio"
    run(["sh", "-c", f"cd '{root}' && find . | cpio --quiet -o -H newc >'{disk}'"], quiet=True)
    return disk


def inside(root: Path, path: Path) -> Path:
    """Where an absolute path is on the machine's disk."""
    return root / str(path).lstrip("/")


def check_cgroup2(interpreter: Path, agent: Path) -> None:
    """Boots the machine and has the scenes played; raises `StepError` unless they go well."""
    missing = [package for program, package in WANTED.items() if shutil.which(program) is None]
    if missing:
        raise StepError(f"not on PATH: apt-get install {' '.join(missing)}")
    FOLDER.mkdir(parents=True, exist_ok=True)
    command = ["qemu-system-x86_64", "-accel", "tcg", "-cpu", "max", "-m", MEMORY, "-nographic", "-no-reboot"]
    command += ["-nic", "none", "-kernel", str(kernel()), "-initrd", str(pack(interpreter, agent))]
    command += ["-append", "console=ttyS0 quiet panic=-1 psi=1"]
    output = run(command, label="machine", timeout=900, env={"PATH": os.environ["PATH"]})
    if not re.search(r"^\d+ passed, 0 failed", output, re.MULTILINE):
        raise StepError("the scenes on the machine have failed")
