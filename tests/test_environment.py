"""Variables: their names and texts, the Prefect settings in force, and which are secret."""

from __future__ import annotations

import logging
import os
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import SecretStr

from infrablocks._environment import (
    checked_environment,
    is_secret_name,
    masked,
    merged,
    prefect_settings,
    revealed,
    validated_environment,
)
from infrablocks.exceptions import InfrastructureError, InvalidSettings

if TYPE_CHECKING:
    from pathlib import Path

ACTIVE = 'active = "work"\n[profiles.work]\n'


@pytest.mark.parametrize("name", ["", "=", "A=B", "=A", "A=", "\0", "A\0B", 1, None, True, b"A", ("A",)])
def test_names_that_cannot_be_set_are_refused(name: Any) -> None:
    """A name that is no text, empty, or has "=" or NUL in it is an error that quotes it."""
    with pytest.raises(ValueError, match="is not the name of a variable") as error:
        validated_environment({"GOOD": "1", name: "secret-value"})
    assert repr(name) in str(error.value)
    assert "secret-value" not in str(error.value)
    with pytest.raises(InvalidSettings, match="^env: "):
        checked_environment({name: "1"})


@pytest.mark.parametrize("name", ["A", "a.b-c", "1", " ", "é", "A B", "\n", "-x", "%", "BASH_FUNC_f%%"])
def test_every_other_name_is_accepted(name: str) -> None:
    """Names that a shell could not assign but the system can are good."""
    assert validated_environment({name: "1"}) == {name: "1"}


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("text", "text"),
        ("", ""),
        (None, None),
        (True, "true"),
        (False, "false"),
        (0, "0"),
        (-12, "-12"),
        (10**30, "1" + "0" * 30),
        (1.5, "1.5"),
        (1e22, "1e+22"),
        (float("inf"), ".inf"),
        (float("-inf"), "-.inf"),
        (float("nan"), ".nan"),
        (date(2026, 1, 2), "2026-01-02"),
        (datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), "2026-01-02T03:04:05+00:00"),
        (SecretStr("x"), SecretStr("x")),
    ],
)
def test_plain_values_become_their_yaml_text(value: Any, text: object) -> None:
    """Numbers, booleans and dates of YAML become text; text, None and secrets stay."""
    assert validated_environment({"A": value}) == {"A": text}
    assert checked_environment({"A": value}) == {"A": text}


@pytest.mark.parametrize("value", [[1], {"a": 1}, b"x", object(), {1}])
def test_other_values_are_refused_when_used(value: Any) -> None:
    """A copy that was given a value which is no text is refused with the name, and without the value."""
    assert validated_environment({"A": value}) == {"A": value}
    with pytest.raises(InvalidSettings) as error:
        checked_environment({"A": value})
    assert str(error.value) == f"env: the value of 'A' must be text or None, not {type(value).__name__}"
    assert isinstance(error.value, InfrastructureError)
    assert isinstance(error.value, ValueError)


@pytest.mark.parametrize("value", [None, [], "A=1", 5])
def test_what_is_no_mapping(value: Any) -> None:
    """What is no mapping is left to the field's type, and refused when used."""
    with pytest.raises(InvalidSettings, match=f"env must be a mapping, not {type(value).__name__}"):
        checked_environment(value)
    assert validated_environment(value) is value


def test_layers() -> None:
    """The last layer wins, None takes away what is below, and order is that of the first mention; inputs stay."""
    lowest: dict[str, str | SecretStr | None] = {"A": "1", "B": "1", "C": "1"}
    result = merged(lowest, {"B": None, "C": SecretStr("2"), "D": None}, {"B": "3", "E": ""})
    assert result == {"A": "1", "C": SecretStr("2"), "B": "3", "E": ""}
    assert list(merged(lowest, {"A": "2", "D": "1"})) == ["A", "B", "C", "D"]
    assert lowest == {"A": "1", "B": "1", "C": "1"}
    assert merged() == {}


def test_secrets_are_shown_only_when_asked_for() -> None:
    """A SecretStr and a Prefect credential in plain text are masked, and revealed for the workload itself."""
    variables = merged({"A": "1", "B": SecretStr("s3cret"), "PREFECT_API_KEY": "s3cret", "PREFECT_API_URL": "u"})
    assert "s3cret" not in repr(variables)
    assert masked(variables) == {"A": "1", "B": "********", "PREFECT_API_KEY": "********", "PREFECT_API_URL": "u"}
    assert revealed(variables) == {"A": "1", "B": "s3cret", "PREFECT_API_KEY": "s3cret", "PREFECT_API_URL": "u"}


# The settings of Prefect 2.0, 2.20 and 3 that hold credentials, some of them in a URL or a header.
SECRET_NAMES = """
PREFECT_API_AUTH_STRING PREFECT_API_DATABASE_CONNECTION_URL PREFECT_API_DATABASE_PASSWORD PREFECT_API_KEY
PREFECT_CLIENT_CUSTOM_HEADERS PREFECT_ORION_DATABASE_CONNECTION_URL PREFECT_ORION_DATABASE_PASSWORD
PREFECT_REDIS_MESSAGING_PASSWORD PREFECT_SERVER_API_AUTH_STRING PREFECT_SERVER_DATABASE_CONNECTION_URL
PREFECT_SERVER_DATABASE_PASSWORD PREFECT_SERVER_DOCKET_URL
"""
# Those that look a little like it.
SHOWN_NAMES = """
PREFECT_API_DATABASE_CONNECTION_TIMEOUT PREFECT_API_ENABLE_HTTP2 PREFECT_API_SSL_CERT_FILE
PREFECT_API_TASK_CACHE_KEY_MAX_LENGTH PREFECT_API_TLS_INSECURE_SKIP_VERIFY PREFECT_API_URL
PREFECT_CLIENT_CSRF_SUPPORT_ENABLED PREFECT_CLOUD_API_URL PREFECT_DEBUG_MODE PREFECT_HOME
PREFECT_LOGGING_EXTRA_LOGGERS PREFECT_ORION_DATABASE_ECHO PREFECT_PROFILES_PATH PREFECT_SERVER_API_HOST
PREFECT_SERVER_API_KEEPALIVE_TIMEOUT PREFECT_SERVER_CSRF_PROTECTION_ENABLED PREFECT_SERVER_CSRF_TOKEN_EXPIRATION
PREFECT_SERVER_DATABASE_USER PREFECT_TASKS_REFRESH_CACHE PREFECT_UI_API_URL PREFECT_UI_URL PREFECT__FLOW_RUN_ID
API_KEY PATH TOKEN MY_PREFECT_API_KEY prefect_api_key
"""


@pytest.mark.parametrize("name", SECRET_NAMES.split())
def test_prefect_settings_that_hold_credentials(name: str) -> None:
    """Every setting of Prefect that holds a credential is secret by its name."""
    assert is_secret_name(name)


@pytest.mark.parametrize("name", SHOWN_NAMES.split())
def test_other_names_are_shown(name: str) -> None:
    """Settings that only sound alike, and variables that are not Prefect's, are not masked."""
    assert not is_secret_name(name)


def test_without_profiles_the_variables_alone(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A missing file is nothing to warn of; what is not a setting is left out."""
    environ = {
        "PREFECT_HOME": str(tmp_path),
        "PREFECT_API_URL": "u",
        "PREFECT_EMPTY": "",
        "PREFECT_PROFILE": "gone",
        "PREFECT__FLOW_RUN_ID": "1",
        "PREFECTURE": "1",
        "PATH": "/bin",
    }
    assert prefect_settings(environ) == {"PREFECT_HOME": str(tmp_path), "PREFECT_API_URL": "u", "PREFECT_EMPTY": ""}
    assert caplog.records == []


def test_the_process_own_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without an argument the variables of this process count, as they are at the call."""
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path))
    monkeypatch.setenv("PREFECT_API_URL", "one")
    assert prefect_settings() == {"PREFECT_HOME": str(tmp_path), "PREFECT_API_URL": "one"}
    monkeypatch.setenv("PREFECT_API_URL", "two")
    assert prefect_settings()["PREFECT_API_URL"] == "two"


def from_profiles(folder: Path, text: str, **environ: str) -> dict[str, str]:
    """Write a file of profiles and read the settings that come of it."""
    (folder / "profiles.toml").write_text(text)
    settings = prefect_settings({"PREFECT_HOME": str(folder), **environ})
    assert settings.pop("PREFECT_HOME") == str(folder)
    return settings


def test_the_active_profile(tmp_path: Path) -> None:
    """The active profile's settings are used, in their YAML text; a variable of the process is stronger."""
    text = (
        ACTIVE + 'PREFECT_API_URL = "http://here"\nPREFECT_API_KEY = "k"\nPREFECT_DEBUG_MODE = true\n'
        'PREFECT_RETRIES = 3\nPREFECT_LIST = [1]\nPREFECT__INNER = "1"\nOTHER = "1"\n[profiles.home]\nPREFECT_X = "1"\n'
    )
    assert from_profiles(tmp_path, text, PREFECT_API_KEY="stronger") == {
        "PREFECT_API_URL": "http://here",
        "PREFECT_API_KEY": "stronger",
        "PREFECT_DEBUG_MODE": "true",
        "PREFECT_RETRIES": "3",
    }


def test_a_profile_chosen_by_variable(tmp_path: Path) -> None:
    """PREFECT_PROFILE chooses another profile than the active one; empty, it chooses none."""
    text = ACTIVE + 'PREFECT_X = "work"\n[profiles.home]\nPREFECT_X = "home"\n'
    assert from_profiles(tmp_path, text, PREFECT_PROFILE="home") == {"PREFECT_X": "home"}
    assert from_profiles(tmp_path, text, PREFECT_PROFILE="") == {"PREFECT_X": "work"}


def test_profiles_in_another_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """PREFECT_PROFILES_PATH names the file, and `~` in either path is the user's home."""
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".prefect").mkdir()
    (tmp_path / "mine.toml").write_text(ACTIVE + 'PREFECT_X = "mine"\n')
    (tmp_path / ".prefect/profiles.toml").write_text(ACTIVE + 'PREFECT_X = "default"\n')
    assert prefect_settings({})["PREFECT_X"] == "default"
    assert prefect_settings({"PREFECT_HOME": "~/.prefect"})["PREFECT_X"] == "default"
    assert prefect_settings({"PREFECT_PROFILES_PATH": "~/mine.toml"})["PREFECT_X"] == "mine"


def test_a_changed_file_is_read_again(tmp_path: Path) -> None:
    """What stands in the file at the call counts."""
    assert from_profiles(tmp_path, ACTIVE + 'PREFECT_X = "1"\n') == {"PREFECT_X": "1"}
    assert from_profiles(tmp_path, ACTIVE + 'PREFECT_X = "longer"\n') == {"PREFECT_X": "longer"}


def test_the_settings_are_the_caller_s_own(tmp_path: Path) -> None:
    """Changing what was given does not change what the next call gives."""
    text = ACTIVE + 'PREFECT_X = "1"\n'
    from_profiles(tmp_path, text).clear()
    assert from_profiles(tmp_path, text) == {"PREFECT_X": "1"}


@pytest.mark.parametrize("text", ["", "[profiles.work]\nPREFECT_X = '1'\n", "other = 1\n"])
def test_a_file_without_active_profile(tmp_path: Path, text: str, caplog: pytest.LogCaptureFixture) -> None:
    """Where no profile is chosen none is used, which is nothing to warn of."""
    assert from_profiles(tmp_path, text) == {}
    assert caplog.records == []


@pytest.mark.parametrize(
    "text",
    [
        "active = ",
        "[profiles.work]\nPREFECT_X = 1\n[profiles.work]\n",
        'active = "gone"\n[profiles.work]\n',
        'active = "work"\nprofiles = 5\n',
        'active = "work"\n[profiles]\nwork = "text"\n',
        'active = ["work"]\n[profiles.work]\n',
        "active = {a = 1}\n[profiles.work]\n",
        "active = 5\n[profiles.work]\n",
        "\0",
    ],
)
def test_a_broken_file_is_warned_of_once(tmp_path: Path, text: str, caplog: pytest.LogCaptureFixture) -> None:
    """A file that cannot be used gives one warning with its path, however often it is read, and the variables alone."""
    for _ in range(3):
        assert from_profiles(tmp_path, text, PREFECT_API_URL="u") == {"PREFECT_API_URL": "u"}
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert str(tmp_path / "profiles.toml") in caplog.text


def test_a_file_that_is_not_utf8(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Bytes that are no text are one warning."""
    (tmp_path / "profiles.toml").write_bytes(b'active = "\xff"')
    for _ in range(2):
        assert prefect_settings({"PREFECT_HOME": str(tmp_path)}) == {"PREFECT_HOME": str(tmp_path)}
    assert len(caplog.records) == 1


def test_a_folder_in_place_of_the_file(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A folder of that name is one warning; a file where a folder should be is the same as none."""
    (tmp_path / "profiles.toml").mkdir()
    for _ in range(2):
        assert prefect_settings({"PREFECT_HOME": str(tmp_path)}) == {"PREFECT_HOME": str(tmp_path)}
    assert len(caplog.records) == 1
    (tmp_path / "file").touch()
    assert prefect_settings({"PREFECT_HOME": str(tmp_path / "file")}) == {"PREFECT_HOME": str(tmp_path / "file")}
    assert len(caplog.records) == 1


def test_a_home_of_nobody(caplog: pytest.LogCaptureFixture) -> None:
    """A `~user` that does not exist is one warning."""
    for _ in range(2):
        assert prefect_settings({"PREFECT_HOME": "~nobody-of-this-name/x"}) == {
            "PREFECT_HOME": "~nobody-of-this-name/x"
        }
    assert len(caplog.records) == 1


def test_a_missing_profile_names_itself(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The warning says which profile the file does not have, and shows no value."""
    text = ACTIVE + 'PREFECT_API_KEY = "s3cret"\n'
    assert from_profiles(tmp_path, text, PREFECT_PROFILE="typo") == {}
    assert caplog.messages == [
        f"Prefect's profiles in {tmp_path / 'profiles.toml'} are not used: it has no profile 'typo'"
    ]


def test_nothing_is_set_in_this_process(tmp_path: Path) -> None:
    """Reading settings leaves the environment of this process as it is."""
    before = dict(os.environ)
    from_profiles(tmp_path, ACTIVE + 'PREFECT_X = "1"\n')
    assert dict(os.environ) == before
