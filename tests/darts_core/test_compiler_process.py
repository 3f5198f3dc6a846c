"""The compilation of the CPU kernels: shared, stopped, continued. A compiler of the test's own says what it does."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from darts_core.errors import Stopped
from darts_core.kernels import levels
from darts_core.kernels.compiler_process import compile_for_run, compiling, has_compiler
from darts_core.kernels.library import Library
from darts_core.training.control import Uncontrolled, controlled_by
from darts_core.training.stages import COMPILING, listening
from tests.support.processes import Announcements, Watch

pytestmark = pytest.mark.skipif(not has_compiler(), reason="no compiler, no kernels")

# `last` waits for the object of `first`, then announces its number; it goes on when the file `go` is there.
COMPILER = """#!/bin/sh
for argument in "$@"; do source=$argument; [ "${argument%.cpp}" = "$argument" ] || break; done
echo "${source##*/}" >> FOLDER/calls
case $source in */last.cpp)
    while [ ! -e "$(echo FOLDER/cache/*/first.o)" ]; do sleep 0.02; done
    [ -e FOLDER/go ] || { echo $$ > FOLDER/announcements; exec sleep 1000; } ;;
esac
exec c++ "$@"
"""


@pytest.fixture
def announcements(tmp_path: Path) -> Iterator[Announcements]:
    opened = Announcements(tmp_path / "announcements")
    yield opened
    opened.close()


@pytest.fixture
def watch() -> Iterator[Watch]:
    watch = Watch()
    yield watch
    watch.close()


@pytest.fixture
def kernels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, announcements: Announcements) -> Library:
    """Two kernels, of which the last takes forever until the file `go` exists."""
    sources = tmp_path / "sources"
    sources.mkdir()
    (sources / "first.cpp").write_text("// the larger one comes first\nint first() { return 1; }\n")
    (sources / "last.cpp").write_text("int last() { return 2; }\n")
    compiler = tmp_path / "c++"
    compiler.write_text(COMPILER.replace("FOLDER", str(tmp_path)))
    compiler.chmod(0o755)
    monkeypatch.setenv("CXX", str(compiler))
    return Library(levels.NATIVE, "float32", tmp_path / "cache", sources)


def calls(folder: Path) -> list[str]:
    return sorted(name for name in (folder / "calls").read_text().split() if name.endswith(".cpp"))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_stopped_compilation_ends_with_its_compilers_and_goes_on_where_it_was(
    kernels: Library, number: signal.Signals, tmp_path: Path, announcements: Announcements, watch: Watch
) -> None:
    with compiling(kernels) as process:
        watch.add(int(announcements.next()))
        process.signal(number)
        assert process.wait(20)
    assert watch.all_ended()
    (tmp_path / "calls").unlink()
    (tmp_path / "go").touch()
    compile_for_run(kernels)
    assert kernels.path.is_file()
    assert calls(tmp_path) == ["last.cpp"]


def test_two_jobs_share_one_compilation(kernels: Library, tmp_path: Path, announcements: Announcements) -> None:
    with compiling(kernels) as one:
        compiler = int(announcements.next())
        with compiling(kernels) as other:
            (tmp_path / "go").touch()
            one.signal(signal.SIGTERM)
            assert one.wait(20)
            assert other.wait(20)
            assert other.code == 0
    assert compiler
    assert kernels.path.is_file()
    assert calls(tmp_path) == ["first.cpp", "last.cpp", "last.cpp"]


def test_a_run_that_is_stopped_does_not_wait_for_its_kernels(
    kernels: Library, announcements: Announcements, watch: Watch
) -> None:
    class StoppedOnceItCompiles(Uncontrolled):
        def should_stop(self) -> bool:
            watch.add(int(announcements.next()))
            return True

    stages: list[str | None] = []
    with listening(stages.append), controlled_by(StoppedOnceItCompiles()), pytest.raises(Stopped):
        compile_for_run(kernels)
    assert stages == [COMPILING, None]
    assert watch.all_ended()


def test_the_first_error_of_a_compiler_is_the_reason(kernels: Library, tmp_path: Path) -> None:
    (kernels.sources / "last.cpp").write_text("int last() { return unknown; }\n")
    (tmp_path / "go").touch()
    with pytest.raises(RuntimeError, match=r"c\+\+ failed \(1\): .*last\.cpp:1:.*error.*unknown"):
        compile_for_run(Library(kernels.level, kernels.number, kernels.cache, kernels.sources))
