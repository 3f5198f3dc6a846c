"""Faults of every kind while searches run, and nothing is lost."""

import random

import pytest

from benchmarks.chaos import Outcome, run

SEARCHES, EPOCHS = 12, 6
# The others may find nothing to strike at their moment.
ALWAYS = {"worker", "api", "valkey", "postgres", "stop_worker", "stop_api"}
MINUTES = 3.0  # a fast machine does it again and again: time for a fault of each kind, half a minute for the longest


@pytest.fixture(scope="module")
def outcome() -> Outcome:
    seed = random.randrange(1_000_000)
    # Shown with a failure: `dartboard bench chaos --seed` draws the same faults in the same order.
    outcome = run(
        seed=seed, searches=SEARCHES, epochs=EPOCHS, minutes=MINUTES, say=lambda line: print(line, flush=True)
    )
    print(outcome.as_json())
    return outcome


pytestmark = pytest.mark.timeout(1200)


def test_every_kind_of_fault_that_this_machine_can_have_was_injected(outcome: Outcome) -> None:
    assert {name for name, struck in outcome.faults.items() if struck} >= ALWAYS, outcome


def test_every_search_succeeds(outcome: Outcome) -> None:
    assert outcome.succeeded == outcome.jobs >= SEARCHES, outcome


def test_every_epoch_is_stored_once(outcome: Outcome) -> None:
    assert outcome.epochs_stored == outcome.epochs_expected == outcome.jobs * EPOCHS
    assert outcome.duplicates == 0, outcome


def test_alphas_are_those_of_undisturbed_runs_bit_for_bit(outcome: Outcome) -> None:
    assert outcome.alpha_mismatches == 0, outcome


def test_every_stored_checkpoint_has_the_bytes_of_its_row(outcome: Outcome) -> None:
    assert outcome.wrong_files == 0, outcome


def test_usage_is_the_sum_of_all_attempts(outcome: Outcome) -> None:
    assert outcome.compute_seconds > 0
    assert outcome.usage_seconds == pytest.approx(outcome.compute_seconds, rel=1e-3)


def test_watchers_that_come_back_by_id_saw_every_event_once_and_in_order(outcome: Outcome) -> None:
    lost = (outcome.events_missed, outcome.events_doubled, outcome.events_out_of_order, outcome.events_unknown)
    assert lost == (0, 0, 0, 0), outcome
    assert outcome.watchers_connected > outcome.jobs, "no watcher ever had to come back"


def test_every_second_search_was_extended(outcome: Outcome) -> None:
    assert outcome.extended >= SEARCHES // 2, outcome


def test_a_webhook_is_told_of_every_end_and_of_nothing_else(outcome: Outcome) -> None:
    assert outcome.messages_stored >= outcome.succeeded + outcome.extended
    wrong = (outcome.ends_untold, outcome.messages_missed, outcome.messages_unknown, outcome.messages_unsigned)
    assert wrong == (0, 0, 0, 0), outcome
