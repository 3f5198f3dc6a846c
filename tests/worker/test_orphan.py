import os

from worker.orphan import PARENT_VARIABLE, is_orphan


def test_a_child_of_a_living_parent_is_no_orphan() -> None:
    assert not is_orphan({PARENT_VARIABLE: str(os.getppid())})
    assert not is_orphan({})


def test_a_child_whose_parent_is_another_process_by_now_is_an_orphan() -> None:
    assert is_orphan({PARENT_VARIABLE: str(os.getppid() + 1)})
