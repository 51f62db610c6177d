"""CPythons that this machine lacks, from the newer suites of Debian, unpacked into the cache.

Installs nothing and needs no rights: apt resolves and verifies with lists and a state of its own, and the packages are
unpacked side by side with the C library they were built for. The suites move on: what they carry now is taken.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cache import cache_folder, cached, keep
from console import StepError, run, say
from tools import tool

SUITES = ("testing", "unstable")
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
NEEDED_PROGRAMS = ("apt-get", "dpkg-deb")
KIND = "pythons"


@dataclass(frozen=True)
class Apt:
    """apt-get with nothing of the system's but its way to the archive and Debian's keys."""

    folder: Path

    def run(self, *arguments: str, cwd: Path | None = None) -> str:
        """Runs apt-get; raises `StepError` when it fails."""
        options = {
            "Dir::State": self.folder / "state",
            "Dir::Cache": self.folder / "cache",
            "Dir::State::status": os.devnull,
            "Dir::Etc::sourcelist": self.folder / "sources.list",
            "Dir::Etc::sourceparts": os.devnull,
            "Acquire::Languages": "none",
            "Acquire::Retries": "2",
            # As root, apt would fetch as a user who may not write here.
            "APT::Sandbox::User": "root",
        }
        chosen = [part for name, value in options.items() for part in ("-o", f"{name}={value}")]
        # Catalogues of applications, which take as long as the packages' lists.
        chosen += ["-o", "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false"]
        return run(["apt-get", "-qq", *chosen, *arguments], cwd=cwd or self.folder, quiet=True, timeout=900)

    def prepare(self, archive: str) -> None:
        """Reads the suites' lists of packages, whose signatures must be Debian's."""
        for name in ("state/lists/partial", "cache/archives/partial"):
            (self.folder / name).mkdir(parents=True)
        lines = [f"deb [signed-by={KEYRING}] {archive} {suite} main\n" for suite in SUITES]
        (self.folder / "sources.list").write_text("".join(lines))
        self.run("update")

    def download(self, *packages: str) -> list[Path]:
        """Fetches the packages and all they depend on, and nothing else."""
        archives = self.folder / "cache" / "archives"
        for of_another in archives.glob("*.deb"):
            of_another.unlink()
        self.run("--yes", "--no-install-recommends", "--download-only", "install", *packages)
        return sorted(archives.glob("*.deb"))


def archive() -> str | None:
    """Where this machine gets Debian's packages from; None where it is no Debian."""
    if not KEYRING.is_file() or any(shutil.which(program) is None for program in NEEDED_PROGRAMS):
        return None
    wanted = ["Created-By: Packages", "Origin: Debian", "Label: Debian", "Component: main"]
    command = ["apt-get", "indextargets", "--format", "$(REPO_URI)", *wanted]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return next(iter(done.stdout.split()), None)


def unpacked(minor: str) -> Path | None:
    """The executable of this minor version that an earlier run unpacked, if there is one."""
    folder = cached(KIND, f"cpython-{minor}")
    return executable(folder, minor) if folder else None


def executable(folder: Path, minor: str) -> Path:
    """Where an unpacked interpreter is."""
    return folder / "usr" / "bin" / f"python{minor}"


def fetch(minors: Sequence[str]) -> dict[str, Path]:
    """Fetches CPythons; minor version → executable. Raises `StepError` that says why they are not to be had."""
    source = archive()
    if source is None:
        raise StepError("not on PATH or under pyenv, and only a Debian with apt can fetch it")
    say(f"fetching CPython {', '.join(minors)} from Debian's {' and '.join(SUITES)}")
    with tempfile.TemporaryDirectory(prefix="heapsee-apt-") as name:
        apt = Apt(Path(name))
        apt.prepare(source)
        return {minor: fetch_one(apt, minor) for minor in minors}


def fetch_one(apt: Apt, minor: str) -> Path:
    """Downloads a CPython and unpacks it; its executable."""
    patchelf = tool("patchelf")

    def make(folder: Path) -> None:
        for package in apt.download(f"python{minor}", f"libpython{minor}-dev"):
            run(["dpkg-deb", "--extract", package, folder], quiet=True)
        final = cache_folder() / KIND / folder.name
        bind_libraries(patchelf, folder, final, minor)
        relocate(folder, final, minor)

    return executable(keep(KIND, f"cpython-{minor}", make), minor)


def bind_libraries(patchelf: Path, folder: Path, final: Path, minor: str) -> None:
    """Makes the interpreter use the C library and the others that were unpacked beside it.

    `final` is where the folder will be. An RPATH, because a RUNPATH would not count for what its modules are linked
    with: `_ssl` would find this machine's OpenSSL.
    """
    loader = final / loader_of(folder).relative_to(folder)
    command: list[str | Path] = [patchelf, "--set-interpreter", loader]
    command += ["--force-rpath", "--set-rpath", loader.parent, executable(folder, minor)]
    run(command, quiet=True)


def loader_of(folder: Path) -> Path:
    """What loads the libraries that were unpacked."""
    (loader,) = folder.glob("usr/lib/*/ld-linux-*.so.*")
    return loader


def relocate(folder: Path, final: Path, minor: str) -> None:
    """Has the interpreter tell those who compile for it where its headers and its library are."""
    standard = folder / "usr" / "lib" / f"python{minor}"
    for path in standard.glob("_sysconfig*"):
        if not path.is_symlink():
            path.write_text(re.sub(r"/usr/(?=lib|include)", f"{final}/usr/", path.read_text()))
    headers = folder / "usr" / "include"
    (configuration,) = headers.glob(f"*/python{minor}/pyconfig.h")
    shutil.copyfile(configuration, headers / f"python{minor}" / "pyconfig.h")
    # Headers of that C library do not go with this machine's, which are what compilers use.
    for other in [folder for folder in headers.iterdir() if folder.name != f"python{minor}"]:
        shutil.rmtree(other) if other.is_dir() and not other.is_symlink() else other.unlink()
    # A program that is linked on this machine gets on with a shared library that was built for a newer C library only.
    for archive_of_objects in folder.rglob(f"libpython{minor}*.a"):
        archive_of_objects.unlink()


def link_flags(interpreter: Path) -> str:
    """What a program that embeds an unpacked interpreter is linked with; nothing for any other interpreter."""
    unpacked_in = [folder for folder in interpreter.parents if folder.parent == cache_folder() / KIND]
    if not unpacked_in:
        return ""
    loader = loader_of(unpacked_in[0])
    flags = ["--allow-shlib-undefined", "--disable-new-dtags", f"-rpath={loader.parent}", f"--dynamic-linker={loader}"]
    return " ".join(f"-Wl,{flag}" for flag in flags)
