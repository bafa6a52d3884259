"""A preview that is pasted into a shell runs exactly the command, with exactly the variables."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from infrablocks._shell import command_line

SHELLS = [shell for shell in ("sh", "bash") if shutil.which(shell)]
# Prints the program's own arguments and environment. -I: no variable of the test changes how it runs.
SHOW = "import json, os, sys; print(json.dumps([sys.argv[1:], dict(os.environ)]))"
PYTHON = [sys.executable, "-I", "-S", "-X", "utf8", "-c", SHOW]

in_every_shell = pytest.mark.parametrize("shell", SHELLS)


def run_pasted(shell: str, text: str, **inherited: str) -> tuple[list[str], dict[str, str]]:
    """Have a shell run a text; give the arguments and the environment that the program in it has seen."""
    environ = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", **inherited}
    ended = subprocess.run([shell, "-c", text], capture_output=True, check=False, env=environ)
    assert (ended.returncode, ended.stderr) == (0, b""), text
    arguments, seen = json.loads(ended.stdout)
    return arguments, seen


characters = st.characters(exclude_characters="\0", exclude_categories=["Cs"])
texts = st.text(characters | st.sampled_from("'\"\\$`!*?~#&;|<>(){}[] \t\n\r=-"), max_size=12)
names = st.text(characters.filter("=".__ne__), min_size=1, max_size=8) | st.from_regex(r"[A-Za-z_]\w*", fullmatch=True)


@in_every_shell
@settings(deadline=None, max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(arguments=st.lists(texts, max_size=4), variables=st.dictionaries(names, texts, max_size=4), gone=names)
def test_any_arguments_and_variables(shell: str, arguments: list[str], variables: dict[str, str], gone: str) -> None:
    """Whatever the arguments, names and values are, the shell passes on the very same."""
    removed = [gone] if gone not in {*variables, "PATH"} else []
    text = command_line(variables, removed, [*PYTHON, *arguments])
    seen_arguments, seen = run_pasted(shell, text, **dict.fromkeys(removed, "inherited"))
    assert seen_arguments == arguments
    assert {name: seen.get(name) for name in [*variables, *removed]} == {**variables, **dict.fromkeys(removed)}


def special_names() -> list[str]:
    """Give the variables that bash gives a meaning, from bash itself and from its manual."""
    listed = subprocess.run(["bash", "-c", "compgen -v"], capture_output=True, check=True, text=True, env={}).stdout
    others = (
        "BASH_ALIASES BASH_ARGV0 BASH_CMDS BASH_COMPAT BASH_ENV BASH_XTRACEFD COMP_WORDS COPROC DIRSTACK ENV "
        "EPOCHREALTIME EXECIGNORE FUNCNAME FUNCNEST GLOBIGNORE GROUPS HISTCMD HOME IFS LANG LC_ALL LINENO MAPFILE "
        "OLDPWD OPTARG OPTERR OPTIND POSIXLY_CORRECT PPID PS1 PS4 PWD RANDOM SECONDS SHELLOPTS SHLVL SRANDOM TERM "
        "TIMEFORMAT TMOUT UID _"
    )
    return sorted({*listed.split(), *others.split()} - {"PATH"})


@in_every_shell
@pytest.mark.parametrize("value", ["*", "7", ""])
def test_names_that_mean_something_to_a_shell(shell: str, value: str) -> None:
    """Also the variables that a shell keeps for itself reach the program with the value they were given."""
    variables = dict.fromkeys(special_names(), value)
    _, seen = run_pasted(shell, command_line(variables, [], [*PYTHON]))
    assert {name: seen.get(name) for name in variables} == variables


def make_program(folder: Path, name: str) -> None:
    """Make a program that prints its name, arguments and environment, whatever PATH is."""
    program = folder / name
    # Not the environment's own Python: the path of a checkout may have spaces, which `#!` cannot have.
    program.write_text(
        f"#!{Path(sys.executable).resolve()} -IS\nimport json, os, sys\n"
        f"print(json.dumps([[{name!r}, *sys.argv[1:]], dict(os.environ)]))\n"
    )
    program.chmod(0o755)


@pytest.fixture(scope="module")
def builtin_names() -> list[str]:
    """What bash and dash do not look up on PATH, by their own words."""
    of_bash = subprocess.run(["bash", "-c", "compgen -bk"], capture_output=True, check=True, text=True).stdout.split()
    of_dash = "chdir export hash local readonly setvar times wordexp".split()  # noqa: SIM905
    return sorted({*of_bash, *of_dash, "ordinary"} - {"."})


@pytest.mark.parametrize("way", ["plain", "variable", "path"])
@in_every_shell
def test_programs_named_like_words_of_the_shell(shell: str, way: str, builtin_names: list[str], tmp_path: Path) -> None:
    """A program is run even where the shell has a word of its own of that name, whatever variables there are."""
    path = f"{tmp_path}:{os.environ['PATH']}"
    variables = {"plain": {}, "variable": {"A": "1"}, "path": {"PATH": path}}[way]
    for name in builtin_names:
        (tmp_path / name).write_text('#!/bin/sh\nprintf \'<%s>\' "${0##*/}" "$@"\n')
        (tmp_path / name).chmod(0o755)
    script = "\n".join(command_line(variables, [], [name, "-e", "\\n", "x"]) for name in builtin_names)
    ended = subprocess.run([shell, "-c", script], capture_output=True, check=False, env={"PATH": path}, text=True)
    assert ended.stderr == ""
    assert ended.stdout == "".join(f"<{name}><-e><\\n><x>" for name in builtin_names)


@pytest.mark.parametrize("name", ["A=B", "-x", "--", "a b", "~", "$HOME", "*", "#"])
@pytest.mark.parametrize("gone", [(), ("GONE",)])
@in_every_shell
def test_programs_with_odd_names(shell: str, name: str, gone: tuple[str, ...], tmp_path: Path) -> None:
    """A name that looks like an assignment, an option or a pattern is the program's name all the same."""
    make_program(tmp_path, name)
    text = command_line({"A": "1", "B.C": "2"} if gone else {"A": "1"}, gone, [name, "-u", "C=D"])
    arguments, seen = run_pasted(shell, text, PATH=f"{tmp_path}:{os.environ['PATH']}", GONE="1")
    assert arguments == [name, "-u", "C=D"]
    assert (seen["A"], seen.get("GONE")) == ("1", None if gone else "1")


@in_every_shell
@pytest.mark.parametrize("removed", [[], ["GONE"], ["GONE", "PATH"]])
def test_a_path_that_has_no_env(shell: str, removed: list[str], tmp_path: Path) -> None:
    """A PATH of the block's own may lack the programs that the shell itself needs."""
    variables = {"PATH": str(tmp_path), "ODD.NAME": "1"} if "PATH" not in removed else {"ODD.NAME": "1"}
    _, seen = run_pasted(shell, command_line(variables, removed, PYTHON), GONE="1")
    assert seen.get("PATH") == variables.get("PATH")
    assert (seen["ODD.NAME"], "GONE" in seen) == ("1", not removed)


@in_every_shell
def test_echo_prints_what_the_program_prints(shell: str) -> None:
    """Where the shell's own word is used it prints the same as the program."""
    for arguments in (["hi"], ["a  b", "c"], ["-n", "x"], ["-e", "a\\tb"], ["a\\nb"], ["\\c"], []):
        program = subprocess.run([shutil.which("echo") or "", *arguments], capture_output=True, check=True)
        pasted = subprocess.run(
            [shell, "-c", command_line({}, [], ["echo", *arguments])], capture_output=True, check=True
        )
        assert pasted.stdout == program.stdout


def test_the_whole_text() -> None:
    """One variable a line, plain ones first, then those through env, then what is removed, then the command."""
    assert command_line(
        {"A": "1", "B": "it's", "C": "", "X.Y": "2", "-o": "3"}, ["GONE", "a b"], ["python", "-c", "print(1)", ""]
    ) == (
        "A=1 \\\n"
        "B='it'\"'\"'s' \\\n"
        "C= \\\n"
        "env 'X.Y=2' \\\n"
        "env -- '-o=3' \\\n"
        "env -u GONE \\\n"
        "env -u 'a b' \\\n"
        "python -c 'print(1)' ''"
    )


def test_a_simple_command_stays_as_it_is() -> None:
    """What needs no quotes has none."""
    assert command_line({}, [], ["echo", "hi", "./x", "a=b"]) == "echo hi ./x a=b"
