from pathlib import Path

from darts_core.data import load
from darts_core.training.stages import listening, stage, tell


def test_the_innermost_stage_counts_and_then_the_one_around_it_again() -> None:
    heard: list[str | None] = []
    with listening(heard.append), stage("outer"), stage("inner"):
        tell("of another process")
    assert heard == ["outer", "inner", "of another process", "outer", None]


def test_a_listener_hears_nothing_after_its_block() -> None:
    heard: list[str | None] = []
    with listening(heard.append):
        pass
    with stage("later"):
        pass
    assert heard == []


def test_reading_a_data_set_is_a_stage(tmp_path: Path) -> None:
    heard: list[str | None] = []
    with listening(heard.append):
        load("digits", tmp_path)
    assert heard == ["loading data", None]
