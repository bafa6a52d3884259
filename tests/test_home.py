"""Where files of the user are, also for a user who has no home directory."""

from __future__ import annotations

from pathlib import Path

import pytest

from infrablocks import InfrastructureNotAvailable, _environment
from infrablocks._home import expand_home, home_directory, library_home
from infrablocks._watch_records import watched_keys
from infrablocks.blocks.stores.sqlite import SqliteStore
from infrablocks.cli.checks import docker, general
from infrablocks.cli.checks.finding import State
from infrablocks.docker._engine_address import engine_address
from infrablocks.kubernetes._kubeconfig import kubeconfig_paths
from infrablocks.process._record import runs_folder


@pytest.fixture
def _no_home(monkeypatch: pytest.MonkeyPatch) -> None:
    """HOME is not set, and the system does not know the user: so it is in a container with a user of its own."""
    for name in ("HOME", "INFRABLOCKS_HOME", "PREFECT_HOME", "PREFECT_PROFILES_PATH", "KUBECONFIG", "DOCKER_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("pwd.getpwuid", {}.__getitem__)


@pytest.mark.usefixtures("_no_home")
def test_without_a_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is looked for or put into a folder `~` of the working directory."""
    (tmp_path / "~/.prefect").mkdir(parents=True)
    (tmp_path / "~/.prefect/profiles.toml").write_text('active = "a"\n[profiles.a]\nPREFECT_API_URL = "x"\n')
    monkeypatch.chdir(tmp_path)
    assert home_directory() == "/nonexistent"
    assert runs_folder() == "/nonexistent/.infrablocks/runs"
    assert SqliteStore().location == "/nonexistent/.infrablocks/blocks.db"
    assert kubeconfig_paths() == [Path("/nonexistent/.kube/config")]
    assert kubeconfig_paths("~/config") == [Path("/nonexistent/config")]
    assert engine_address({}).url == "unix:///var/run/docker.sock"
    with pytest.raises(InfrastructureNotAvailable, match=r"/nonexistent/\.docker"):
        engine_address({"DOCKER_HOST": "tcp://x:1", "DOCKER_TLS_VERIFY": "1"})
    assert _environment.prefect_settings() == {}
    assert watched_keys() == set()
    assert all(address.url.startswith("unix:///") for address in docker._usual_sockets())


@pytest.mark.usefixtures("_no_home")
def test_the_doctor_without_a_home() -> None:
    """The doctor warns, and says which variable to set."""
    findings = {finding.name: finding for finding in (general.home(), general.prefect_settings())}
    assert findings["home"].state == State.WARNING
    assert findings["home"].detail.endswith("this user has no home directory: set INFRABLOCKS_HOME")
    assert findings["prefect"].state == State.OK


def test_with_a_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """HOME is the home directory, in the variable for another folder as well; a relative path is made absolute."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("INFRABLOCKS_HOME")
    assert library_home() == f"{tmp_path}/.infrablocks"
    monkeypatch.setenv("INFRABLOCKS_HOME", "~/elsewhere")
    assert library_home() == f"{tmp_path}/elsewhere"
    monkeypatch.setenv("INFRABLOCKS_HOME", "here")
    assert library_home() == f"{Path.cwd()}/here"
    assert [expand_home("~"), expand_home("~x~"), expand_home("/~")] == [str(tmp_path), "~x~", "/~"]
