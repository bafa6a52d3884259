"""Checks of what every back end needs."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import sys
import tomllib

from infrablocks import _environment
from infrablocks._home import NO_HOME, home_directory, library_home
from infrablocks.cli.checks.finding import Finding, State

_LIBRARIES = ("infrablocks", "pydantic", "anyio", "docker", "kubernetes", "typer", "rich")


def python() -> Finding:
    """Name the interpreter and the system."""
    system = f"{platform.system()} {platform.release()} {platform.machine()}"
    return Finding("python", State.OK, f"{platform.python_version()} ({sys.executable}) on {system}")


def libraries() -> Finding:
    """Name the versions of the library and of what it is made with."""
    return Finding("libraries", State.OK, ", ".join(f"{name} {_version(name)}" for name in _LIBRARIES))


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "(not installed)"


def home() -> Finding:
    """Say where the library keeps its files."""
    given = os.environ.get("INFRABLOCKS_HOME")
    if given:
        return Finding("home", State.OK, f"{given} (from INFRABLOCKS_HOME)")
    if home_directory() == NO_HOME:
        problem = f"{library_home()}, as this user has no home directory: set INFRABLOCKS_HOME"
        return Finding("home", State.WARNING, problem)
    return Finding("home", State.OK, f"{library_home()} (set INFRABLOCKS_HOME for another)")


def prefect_settings() -> Finding:
    """Name the Prefect settings that every workload gets, without their values."""
    names = ", ".join(sorted(_environment.prefect_settings())) or "none"
    try:
        profile = _prefect_profile()
    except (OSError, RuntimeError, ValueError) as error:
        return Finding("prefect", State.WARNING, f"the profiles cannot be read ({error}); settings in force: {names}")
    return Finding("prefect", State.OK, f"{profile}; settings in force: {names}")


def _prefect_profile() -> str:
    path = _environment.profiles_path(os.environ).expanduser()
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return "no profiles"
    name = os.environ.get("PREFECT_PROFILE") or document.get("active")
    return f"no active profile in {path}" if name is None else f"profile {name} of {path}"


CHECKS = (python, libraries, home, prefect_settings)
