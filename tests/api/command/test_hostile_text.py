"""Hostile text, given to every command and shown by every command: no markup, no terminal command, no traceback."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.command import NAME, Caller, Furnished, Outcome
from tests.support.command_tree import COMMANDS, HOSTILE, STARTS_AT_ONCE, filled, is_text, obeyed

TAKING_TEXT: Final = [
    name for name, command in COMMANDS.items() if name not in STARTS_AT_ONCE and any(map(is_text, command.params))
]


def unharmed(outcome: Outcome) -> None:
    assert outcome.code in (0, 1, 2, 3), outcome
    assert "Traceback" not in outcome.said, outcome.said
    assert "bug in dartboard" not in outcome.said, outcome.said
    assert not obeyed(outcome.said), outcome.said


def test_every_command_is_called_or_excused() -> None:
    assert set(STARTS_AT_ONCE) <= set(COMMANDS)
    assert len(TAKING_TEXT) > 30


@pytest.mark.parametrize("command", TAKING_TEXT)
@settings(max_examples=3, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.sampled_from(HOSTILE) | st.text(max_size=40).filter(lambda text: "\x00" not in text))
def test_a_command_shows_hostile_text_that_it_was_given(at_service: Caller, command: str, text: str) -> None:
    unharmed(at_service(*filled(command, lambda _: text, optional=True)))
    if any(p.required or p.param_type_name == "argument" for p in COMMANDS[command].params if is_text(p)):
        unharmed(at_service(*filled(command, lambda _: text)))


def test_up_shows_a_hostile_host(called: Caller, tmp_path: Path) -> None:
    outcome = called("up", "--host", NAME, "--data", str(tmp_path), "--port", "0")
    unharmed(outcome)
    assert outcome.code in (1, 2)


Lines = Callable[[Furnished], list[str]]
# A command that shows texts of the service, and where the hostile name has to stand in its output.
SHOWING: Final[dict[str, Lines]] = {
    "jobs": lambda _: ["jobs", "--limit", "100"],
    "show": lambda f: ["show", str(f.failed.id)],
    "logs": lambda f: ["logs", str(f.succeeded.id)],
    "workers": lambda _: ["workers"],
    "watch": lambda f: ["watch", str(f.failed.id)],
    "compare": lambda f: ["compare", str(f.succeeded.id), str(f.failed.id)],
    "compare as CSV": lambda f: ["compare", str(f.succeeded.id), str(f.failed.id), "--format", "csv"],
    "checkpoints": lambda _: ["checkpoints"],
    "checkpoints list": lambda _: ["checkpoints", "list"],
}


@pytest.mark.parametrize("command", SHOWING)
def test_a_command_shows_hostile_text_of_the_service_as_it_is(
    at_service: Caller, furnished: Furnished, command: str
) -> None:
    outcome = at_service(*SHOWING[command](furnished))
    unharmed(outcome)
    for visible in ("x [/foo][red]hi[link=http://e]x[/link]", r"\x1b[31mred", r"\x9b31m", r"a\u202egnp.exe"):
        assert visible in outcome.said, outcome.said


@pytest.mark.parametrize("command", SHOWING)
def test_the_same_as_json_has_the_text_unchanged(at_service: Caller, furnished: Furnished, command: str) -> None:
    line = SHOWING[command](furnished)
    if command == "compare as CSV":
        pytest.skip("a format of its own")
    outcome = at_service(*line, "--json")
    unharmed(outcome)
    documents = [json.loads(text) for text in outcome.out.splitlines()]
    assert json.dumps(NAME)[1:-1] in json.dumps(documents)


def test_the_tables_of_a_study_and_of_the_data_sets_are_unharmed(at_service: Caller, furnished: Furnished) -> None:
    for line in (["watch", str(furnished.study.id)], ["datasets"], ["datasets", "show", "hostile"]):
        unharmed(at_service(*line))


def test_an_upload_with_hostile_names_is_reported_unharmed(at_service: Caller, tmp_path: Path) -> None:
    folder = tmp_path / "[red]x"
    for label in ("[/a]", "b"):
        (folder / label).mkdir(parents=True)
        (folder / label / "\x1b[31m.png").write_bytes(b"no picture")
    unharmed(at_service("datasets", "add", str(folder), "--name", "no-pictures"))
