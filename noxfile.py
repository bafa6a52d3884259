"""What is checked, and with what: `nox` runs everything, `nox -s tests-3.11 -- -k output` some of it.

Every session runs against the built wheel, not against `src`, but for those that read the source.
"""

from __future__ import annotations

import atexit
import functools
import os
import tempfile
import xml.etree.ElementTree as ET
from pathlib import Path

import nox

nox.needs_version = ">=2025.5.1"
nox.options.default_venv_backend = "uv"
nox.options.download_python = "never"
nox.options.error_on_external_run = True
nox.options.error_on_missing_interpreters = os.environ.get("CI") == "true"
nox.options.reuse_venv = "yes"

PROJECT = nox.project.load_toml("pyproject.toml")
PYTHONS = nox.project.python_versions(PROJECT)
EXTRAS = ",".join(PROJECT["project"]["optional-dependencies"])


def _show_all_pythons_of_pyenv() -> None:
    """Make pyenv's `python3.12` and so on work, also where it has been told to offer one version only."""
    versions = Path(os.environ.get("PYENV_ROOT", "~/.pyenv")).expanduser() / "versions"
    found = [path.name for python in PYTHONS for path in sorted(versions.glob(f"{python}.*[0-9]"))]
    if found:
        os.environ.setdefault("PYENV_VERSION", ":".join(found))


_show_all_pythons_of_pyenv()


@nox.session
def lint(session: nox.Session) -> None:
    """Check style and format."""
    session.install(*_group("lint"))
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")


@nox.session
def typing(session: nox.Session) -> None:
    """Check types, also those that users see, and who may import whom."""
    session.install("-r", "pyproject.toml", "--all-extras", *_group("typing"))
    session.run("mypy")
    session.run("lint-imports", env={"PYTHONPATH": "src"})


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    """Run the tests with the newest dependencies."""
    session.install("--upgrade", *_wheel(session), *_group("tests"))
    _pytest(session, *(session.posargs or _UNIT_TESTS))


@nox.session(python=PYTHONS[0])
def tests_oldest(session: nox.Session) -> None:
    """Run the tests with the oldest dependencies that pyproject.toml allows."""
    oldest = str(Path(session.create_tmp(), "oldest.txt"))
    resolution = ("--resolution", "lowest-direct", "--python-version", PYTHONS[0])
    compile_ = ("uv", "pip", "compile", "pyproject.toml", "--all-extras", *resolution, "--output-file", oldest)
    session.run(*compile_, "--no-header", "--quiet", external=True)
    session.install("--constraint", oldest, *_wheel(session), *_group("tests"))
    _pytest(session, *(session.posargs or _UNIT_TESTS))


@nox.session
def integration(session: nox.Session) -> None:
    """Bring the real engines up, run the tests that need them, and take them down again."""
    session.install("--upgrade", *_wheel(session), *_group("tests"))
    engines = ("python", "-m", "tests.engines")
    in_ci = os.environ.get("CI") == "true"
    try:
        # Elsewhere the tests of an engine that cannot be had are skipped, each with the way to get it.
        session.run(*engines, "up", success_codes=[0] if in_ci else [0, 1])
        report = Path(session.create_tmp(), "integration.xml")
        _pytest(session, f"--junit-xml={report}", *(session.posargs or ["tests/integration"]))
        if not _executed(report):
            session.error("no integration test was executed: no engine is up")
    finally:
        session.run(*engines, "down")


@nox.session
def docs(session: nox.Session) -> None:
    """Build the documentation, where every warning is fatal, and execute every snippet in it."""
    session.install("--upgrade", *_wheel(session), *_group("tests"), *_group("docs"))
    site = str(Path(session.create_tmp(), "site"))
    session.run("mkdocs", "build", "--strict", "--quiet", "--site-dir", site, env={"NO_MKDOCS_2_WARNING": "1"})
    _pytest(session, *(session.posargs or ["tests/docs"]))


@nox.session(python=PYTHONS[0], default=False)
def benchmarks(session: nox.Session) -> None:
    """Measure against the alternatives and write the table; takes minutes and wants a quiet machine."""
    session.run("python", "-m", "benchmarks", *(session.posargs or ["--write", "docs/performance.md"]))


# Those of engines and of documentation have sessions of their own, where one test may use the whole machine.
_UNIT_TESTS = ("tests", "--ignore=tests/integration", "--ignore=tests/docs", "-n", "2", "--dist", "worksteal")


def _group(name: str) -> tuple[str, ...]:
    return nox.project.dependency_groups(PROJECT, name)


def _pytest(session: nox.Session, *arguments: str) -> None:
    session.run("python", "-m", "pytest", *arguments)


def _wheel(session: nox.Session) -> tuple[str, ...]:
    """Give what installs this version of the library with all extras, also over another build of the same version."""
    return (f"{_built_wheel(session)}[{EXTRAS}]", "--reinstall-package", PROJECT["project"]["name"])


def _built_wheel(session: nox.Session) -> Path:
    """Build the source distribution, and the wheel out of that, once for all sessions of this run of nox."""
    if not list(_dist().glob("*.whl")):
        session.run("uv", "build", "--quiet", "--out-dir", str(_dist()), external=True)
    (wheel,) = _dist().glob("*.whl")
    return wheel


@functools.cache
def _dist() -> Path:
    directory = tempfile.TemporaryDirectory(prefix="infrablocks-dist-")
    atexit.register(directory.cleanup)
    return Path(directory.name)


def _executed(report: Path) -> int:
    """Count the tests of a report that were not skipped."""
    suites = ET.parse(report).getroot().iter("testsuite")  # noqa: S314 (pytest has just written it)
    return sum(int(suite.attrib["tests"]) - int(suite.attrib["skipped"]) for suite in suites)
