"""Jobs that start from another job's state, through the whole service."""

from __future__ import annotations

from collections.abc import Callable

from api.schemas.jobs import JobOut
from client.sdk import Dartboard


def test_a_search_forks_from_the_alphas_of_another_ones_second_epoch(
    dartboard: Dartboard, submit: Callable[..., JobOut]
) -> None:
    search = dartboard.wait(submit(epochs=3))
    taken = dartboard.epochs(search.id)[1].alphas
    start = {"job": str(search.id), "epoch": 2, "what": "alphas"}
    fork = submit(epochs=2, seed=1, weights_only_epochs=1, init_from=start)
    dartboard.delete(search.id)
    ended = dartboard.wait(fork)
    assert ended.status == "succeeded", ended.error
    first, second = dartboard.epochs(fork.id)
    assert first.alphas == taken
    assert second.alphas != taken
    told = [line.message for line in dartboard.logs(fork.id)]
    assert any(f"of epoch 2 of job {search.id}; all else begins anew" in line for line in told)


def test_a_retraining_inherits_the_weights_of_its_searchs_supernet(
    dartboard: Dartboard, submit: Callable[..., JobOut]
) -> None:
    search = dartboard.wait(submit(epochs=1))
    sizes = {name: search.spec[name] for name in ("channels", "layers", "batch_size")}
    body = {**sizes, "search_id": str(search.id), "epochs": 1, "init_from": {"job": str(search.id)}}
    trained = dartboard.wait(dartboard.submit("evaluation", body))
    assert trained.status == "succeeded", trained.error
    told = [line.message for line in dartboard.logs(trained.id) if line.message.startswith("starts with the weights")]
    assert [f"of epoch 1 of job {search.id}; all else begins anew" in line for line in told] == [True]
    again = dartboard.wait(dartboard.submit("evaluation", {**body, "init_from": {"job": str(trained.id)}}))
    assert again.status == "succeeded", again.error
