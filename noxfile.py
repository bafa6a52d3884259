"""What is checked, and with what: `nox` runs what needs no engine, `nox -s tests-3.11 -- -k output` some of it.

Every session runs against the built wheel, not against `src`, but for those that read the source. `.ci/run` names a
directory in INFRABLOCKS_CI_REPORT, in which the sessions leave what it reports at its end.
"""

from __future__ import annotations

import functools
import json
import os
import resource
import shutil
import ssl
import sys
import time
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import TYPE_CHECKING

import nox

sys.path.append(str(Path(__file__).parent / ".ci"))  # for the next import
import pythons

if TYPE_CHECKING:
    from collections.abc import Callable

nox.needs_version = ">=2025.5.1"
nox.options.default_venv_backend = "uv"
nox.options.download_python = "never"
nox.options.error_on_external_run = True
nox.options.reuse_venv = "yes"

# Tests start thousands of interpreters, each of which would compile all that it imports.
os.environ["UV_COMPILE_BYTECODE"] = "1"
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
# As pip does, which has installed nox: behind a company's proxy no others would do.
if ssl.get_default_verify_paths().cafile:
    os.environ.setdefault("UV_SYSTEM_CERTS", "1")

PROJECT = nox.project.load_toml("pyproject.toml")
PYTHONS = nox.project.python_versions(PROJECT)
EXTRAS = ",".join(PROJECT["project"]["optional-dependencies"])


IN_CI = os.environ.get("CI") == "true"
MISSING = pythons.offer([*PYTHONS, *pythons.UPCOMING], os.environ)

# These run all unit tests, the others those with the marker `pythons`.
THOROUGH = (PYTHONS[0], PYTHONS[-1])

nox.options.error_on_missing_interpreters = IN_CI
nox.options.sessions = DEFAULT = [
    "lint",
    "typing",
    *[f"tests-{python}" for python in PYTHONS],
    "tests_oldest",
    "docs",
    *(["package", "integration"] if IN_CI else ["left_out"]),
    # Last, since their failures change nothing.
    *[f"tests-{python}" for python in pythons.UPCOMING if python not in MISSING],
]


def _timed(function: Callable[[nox.Session], None]) -> Callable[[nox.Session], None]:
    """Note what a session takes, for the table at the end of CI."""

    @functools.wraps(function)
    def timed(session: nox.Session) -> None:
        begun, used = time.monotonic(), _processor_seconds()
        try:
            function(session)
        finally:
            times = {"wall": time.monotonic() - begun, "processor": _processor_seconds() - used}
            _note({"session": session.name, **times})

    return timed


def _note(what: dict[str, str | float]) -> None:
    """Leave a note for the end of CI."""
    if report := os.environ.get(_CI_REPORT):
        with Path(report, "times.jsonl").open("a") as notes:
            notes.write(json.dumps(what) + "\n")


def _processor_seconds() -> float:
    """Return the processor time of all commands that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


@nox.session
@_timed
def lint(session: nox.Session) -> None:
    """Check style and format."""
    session.install(*_group("lint"))
    caches = {"RUFF_CACHE_DIR": _cache(session, "ruff")}
    session.run("ruff", "check", ".", env=caches)
    session.run("ruff", "format", "--check", ".", env=caches)


@nox.session
@_timed
def typing(session: nox.Session) -> None:
    """Check types for the oldest and the newest Python, also those that users see, and who may import whom."""
    session.install("-r", "pyproject.toml", "--all-extras", *_group("typing"))
    for python in THOROUGH:
        session.run("mypy", "--python-version", python, "--cache-dir", _cache(session, "mypy"))
    session.run("lint-imports", "--cache-dir", _cache(session, "import-linter"), env={"PYTHONPATH": "src"})


@nox.session(python=[*PYTHONS, *pythons.UPCOMING])
@_timed
def tests(session: nox.Session) -> None:
    """Run the tests with the newest dependencies: all on the oldest and the newest Python, else what may differ."""
    try:
        session.install("--upgrade", *_wheel(session), *_group("tests"))
        _unit_tests(session)
    except nox.command.CommandFailed:
        if session.python not in pythons.UPCOMING:
            raise
        _note({"shown": session.name})
        session.skip(f"failed, which is only shown: Python {session.python} is not supported yet")


@nox.session(python=PYTHONS[0])
@_timed
def tests_oldest(session: nox.Session) -> None:
    """Run the tests with the oldest dependencies that pyproject.toml allows."""
    oldest = _cache(session, "oldest.txt")
    resolution = ("--resolution", "lowest-direct", "--python-version", PYTHONS[0])
    compile_ = ("uv", "pip", "compile", "pyproject.toml", "--all-extras", *resolution, "--output-file", oldest)
    session.run(*compile_, "--no-header", "--quiet", external=True)
    session.install("--constraint", oldest, *_wheel(session), *_group("tests"))
    _unit_tests(session)


@nox.session
@_timed
def docs(session: nox.Session) -> None:
    """Build the documentation, where every warning is fatal, and execute every snippet in it."""
    session.install("--upgrade", *_wheel(session), *_group("tests"), *_group("docs"))
    site = ("--site-dir", _cache(session, "site"))
    session.run("mkdocs", "build", "--strict", "--quiet", *site, env={"NO_MKDOCS_2_WARNING": "1"})
    _pytest(session, *(session.posargs or ["tests/docs"]))


@nox.session
@_timed
def package(session: nox.Session) -> None:
    """Check what is published: files, page on the index, declared dependencies, and each extra installed by itself."""
    session.install("--upgrade", *_wheel(session), *_group("package"))
    session.env["INFRABLOCKS_DISTRIBUTIONS"] = str(_built_wheel(session).parent)
    _pytest(session, *(session.posargs or ["tests/package"]))


@nox.session
@_timed
def integration(session: nox.Session) -> None:
    """Bring the real engines up, run the tests that need them, and take them down again."""
    session.install("--upgrade", *_wheel(session), *_group("tests"))
    engines = ("python", "-m", "tests.engines")
    try:
        if IN_CI:  # a run that was killed may have left some
            session.run(*engines, "down")
        # Elsewhere the tests of an engine that cannot be had are skipped, each with the way to get it.
        session.run(*engines, "up", success_codes=[0] if IN_CI else [0, 1])
        if session.posargs:
            _pytest(session, *session.posargs)
        elif not _pytest_in_two_parts(session, "--numprocesses=3", *_BY_ENGINE, "tests/integration"):
            session.error("no integration test was executed: no engine is up")
    finally:
        session.run(*engines, "down")


@nox.session(venv_backend="none")
def left_out(session: nox.Session) -> None:
    """Say what is not run here."""
    if MISSING:
        session.warn(f"no Python {', '.join(MISSING)}; to get it: uv python install {' '.join(MISSING)}")
    session.skip("to run them too: nox -s integration (tests with real engines, as root on Debian); nox -s package")


@nox.session(default=False)
@_timed
def gate(session: nox.Session) -> None:
    """Check that `.ci/run` fails, and says where, when something of each kind is broken."""
    session.install("--upgrade", *_wheel(session), *_group("tests"))
    _pytest(session, *(session.posargs or ["tests/gate"]))


@nox.session(default=False)
def nightly(session: nox.Session) -> None:
    """Run everything that exists, also what costs minutes and finds little; takes hours."""
    os.environ[_NIGHTLY] = "true"
    session.install("--upgrade", *_wheel(session), *_group("tests"))
    _pytest(session, "--collect-only", "--quiet", "--quiet", "tests")  # lists what is not in the gate, with the reasons
    for name in dict.fromkeys([*DEFAULT, "package", "integration", "gate"]):
        session.notify(name)


@nox.session(python=PYTHONS[0], default=False)
def benchmarks(session: nox.Session) -> None:
    """Measure against the alternatives and write the table; takes minutes and wants a quiet machine."""
    session.run("python", "-m", "benchmarks", *(session.posargs or ["--write", "docs/performance.md"]))


_CI_REPORT, _NIGHTLY = "INFRABLOCKS_CI_REPORT", "INFRABLOCKS_NIGHTLY"

# More than ten times of what it takes: a Python that is not supported yet may hang, and nobody should wait for it.
_LIMIT_OF_UPCOMING = "15m"

# The wheel, as soon as it is built.
_built: list[Path] = []

_OF_OTHER_SESSIONS = tuple(f"--ignore=tests/{name}" for name in ("docs", "gate", "integration", "package"))

# All tests of an engine in one process, in the order of tests/integration/engine_groups.py.
_BY_ENGINE = ("--dist=loadgroup", "--no-loadscope-reorder")


def _group(name: str) -> tuple[str, ...]:
    return nox.project.dependency_groups(PROJECT, name)


def _unit_tests(session: nox.Session) -> None:
    if session.posargs:
        _pytest(session, *session.posargs)
        return
    everything = session.python in THOROUGH or _NIGHTLY in os.environ
    options = ("--numprocesses=4", "--dist=worksteal", "tests", *_OF_OTHER_SESSIONS)
    _pytest_in_two_parts(session, *options, among="" if everything else "pythons and ")


def _pytest_in_two_parts(session: nox.Session, *options: str, among: str = "") -> int:
    """Run tests beside each other, then those that want the machine for themselves; count what was not skipped."""
    beside, alone = (f"{among}not alone", f"{among}alone")
    parts = {"beside": ("-m", beside), "alone": ("-m", alone, "--dist=no", "--numprocesses=0")}
    executed, failed = 0, []
    for name, part in parts.items():
        report = _report_directory(session) / f"{session.name}-{name}.xml"
        report.unlink(missing_ok=True)
        try:
            _pytest(session, *options, *part, report=report)
        except nox.command.CommandFailed as failure:
            failed.append(failure)
        executed += _executed(report) if report.exists() else 0
    if failed:
        raise failed[0]
    return executed


def _pytest(session: nox.Session, *arguments: str, report: Path | None = None) -> None:
    report = report or _report_directory(session) / f"{session.name}.xml"
    nightly = ("--nightly",) if _NIGHTLY in os.environ else ()
    limit = ("timeout", _LIMIT_OF_UPCOMING) if session.python in pythons.UPCOMING else ()
    own = (f"--junit-xml={report}", "-o", f"cache_dir={_cache(session, 'pytest')}")
    caches = {"HYPOTHESIS_STORAGE_DIRECTORY": _cache(session, "hypothesis")}
    session.run(*limit, "python", "-m", "pytest", *own, *nightly, *arguments, env=caches, external=bool(limit))


def _cache(session: nox.Session, name: str) -> str:
    """Give a path in the cache of nox: with `--envdir` it is not in the checkout, which may be read-only."""
    return str(session.cache_dir.resolve() / name)


def _wheel(session: nox.Session) -> tuple[str, ...]:
    """Give what installs this version of the library with all extras, also over another build of the same version."""
    return (f"{_built_wheel(session)}[{EXTRAS}]", "--reinstall-package", PROJECT["project"]["name"])


def _built_wheel(session: nox.Session) -> Path:
    """Build the source distribution, and the wheel out of that, once for all sessions of this run of nox."""
    directory = session.cache_dir / "dist"
    if not _built:
        shutil.rmtree(directory, ignore_errors=True)
        session.run("uv", "build", "--quiet", "--out-dir", str(directory), external=True)
        _built.extend(directory.glob("*.whl"))
    (wheel,) = _built
    return wheel


def _report_directory(session: nox.Session) -> Path:
    return Path(os.environ.get(_CI_REPORT) or session.cache_dir)


def _executed(report: Path) -> int:
    """Count the tests of a report that were not skipped."""
    suites = ET.parse(report).getroot().iter("testsuite")  # noqa: S314 (pytest has just written it)
    return sum(int(suite.attrib["tests"]) - int(suite.attrib["skipped"]) for suite in suites)
