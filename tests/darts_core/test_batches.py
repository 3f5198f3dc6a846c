"""Order and augmentation of the training images: pure functions of seed, pass and index."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from darts_core.data.augmentation import Augmentation, Draws, cropped, cut_out, draw
from darts_core.data.batches import Feed, Normaliser
from darts_core.data.held_out import held_out_indices
from darts_core.data.order import permutation
from darts_core.data.splits import part_indices
from darts_core.errors import DataError

CPU = torch.device("cpu")
PLAIN = Augmentation(crop_padding=0, flip=False, cutout=0)
FULL = Augmentation(crop_padding=1, flip=True, cutout=3)


def feed_of(
    count: int = 20, batch_size: int = 6, augmentation: Augmentation = FULL, seed: int = 0, name: str = "training"
) -> Feed:
    images = torch.arange(count * 16, dtype=torch.int64).remainder(251).to(torch.uint8).reshape(count, 1, 4, 4)
    return Feed(
        images,
        torch.arange(count),
        torch.arange(count),
        name=name,
        batch_size=batch_size,
        augmentation=augmentation,
        normalise=Normaliser([0.5], [0.25], CPU),
        seed=seed,
    )


def labels(feed: Feed, steps: range) -> list[int]:
    return [label for step in steps for label in feed.batch(step).labels.tolist()]


def same(a: tuple[Tensor, Tensor], b: tuple[Tensor, Tensor]) -> bool:
    return all(torch.equal(x, y) for x, y in zip(a, b, strict=True))


def test_a_batch_depends_on_seed_and_step_and_not_on_earlier_ones() -> None:
    forwards, backwards = feed_of(), feed_of()
    ahead = [forwards.batch(step) for step in range(9)]
    behind = [backwards.batch(step) for step in reversed(range(9))][::-1]
    assert all(same(a, b) for a, b in zip(ahead, behind, strict=True))
    assert not same(ahead[0], feed_of(seed=1).batch(0))
    assert not same(ahead[0], feed_of(name="other").batch(0))


def test_a_feed_cuts_images_with_its_probability() -> None:
    feed, whole = feed_of(), feed_of(augmentation=Augmentation(crop_padding=1, flip=True, cutout=0))
    always = feed.batch(0)
    assert not same(always, whole.batch(0))
    feed.cutout_probability = 0.0
    assert same(feed.batch(0), whole.batch(0))
    feed.cutout_probability = 0.5
    for mixed, cut, uncut in zip(feed.batch(0).images, always.images, whole.batch(0).images, strict=True):
        assert torch.equal(mixed, cut) or torch.equal(mixed, uncut)


def test_every_pass_holds_every_image_once_in_a_new_order() -> None:
    feed = feed_of()
    assert feed.steps == 4
    first, second = labels(feed, range(4)), labels(feed, range(4, 8))
    assert sorted(first) == sorted(second) == list(range(20))
    assert first != second


def test_augmentation_of_an_image_does_not_depend_on_the_batch_size() -> None:
    def by_label(batch_size: int) -> dict[int, Tensor]:
        feed = feed_of(batch_size=batch_size)
        batches = [feed.batch(step) for step in range(feed.steps)]
        return {int(y): x for batch in batches for x, y in zip(batch.images, batch.labels, strict=True)}

    small, large = by_label(5), by_label(20)
    assert all(torch.equal(small[label], large[label]) for label in range(20))


def test_last_batch_is_kept_unless_it_is_a_single_image() -> None:
    assert [len(feed_of(20, 6).batch(step).labels) for step in range(4)] == [6, 6, 6, 2]
    assert feed_of(19, 6).steps == 3


def test_batch_larger_than_the_part_is_refused() -> None:
    with pytest.raises(DataError, match=r"batch of 21 is larger than the 20 training images.*at most 20"):
        feed_of(20, 21)


def test_plain_batches_are_the_normalised_images() -> None:
    feed = feed_of(augmentation=PLAIN)
    images, chosen = feed.batch(0)
    expected = (torch.arange(320).remainder(251).reshape(20, 1, 4, 4)[chosen] / 255 - 0.5) / 0.25
    torch.testing.assert_close(images, expected)


def draws_of(**values: int | bool) -> Draws:
    given = {"top": 0, "left": 0, "flip": False, "centre_y": 0, "centre_x": 0, "chance": 0, **values}
    return Draws(**{name: torch.tensor([value]) for name, value in given.items()})


IMAGE = torch.arange(1, 17, dtype=torch.uint8).reshape(1, 1, 4, 4)


def test_crop_shifts_within_zero_padding() -> None:
    out = cropped(IMAGE, draws_of(top=0, left=2), Augmentation(1, False, 0))
    expected = [[0, 0, 0, 0], [2, 3, 4, 0], [6, 7, 8, 0], [10, 11, 12, 0]]
    assert out[0, 0].tolist() == expected


def test_centred_crop_is_the_image_and_flip_mirrors_columns() -> None:
    assert torch.equal(cropped(IMAGE, draws_of(top=1, left=1), Augmentation(1, True, 0)), IMAGE)
    flipped = cropped(IMAGE, draws_of(top=1, left=1, flip=True), Augmentation(1, True, 0))
    assert torch.equal(flipped, IMAGE.flip(3))


def test_flip_moves_colours_along() -> None:
    colours = torch.arange(48, dtype=torch.uint8).reshape(1, 3, 4, 4)
    assert torch.equal(cropped(colours, draws_of(flip=True), Augmentation(0, True, 0)), colours.flip(3))


@pytest.mark.parametrize(("centre", "rows"), [(0, [0]), (2, [1, 2]), (3, [2, 3])])
def test_cutout_of_even_side_covers_the_authors_area(centre: int, rows: list[int]) -> None:
    out = cut_out(torch.ones(1, 2, 4, 4), draws_of(centre_y=centre, centre_x=1), Augmentation(0, False, 2))
    expected = torch.ones(1, 2, 4, 4)
    expected[:, :, rows[0] : rows[-1] + 1, 0:2] = 0
    assert torch.equal(out, expected)


def test_cutout_of_odd_side_is_centred() -> None:
    out = cut_out(torch.ones(1, 1, 5, 5), draws_of(centre_y=2, centre_x=2), Augmentation(0, False, 3))
    assert int((out == 0).sum()) == 9
    assert out[0, 0, 1:4, 1:4].sum() == 0


def test_draws_cover_all_offsets_and_half_the_flips() -> None:
    drawn = draw(Augmentation(2, True, 1), 10_000, (4, 6), 0, device=CPU)
    assert sorted(set(drawn.top.tolist())) == [0, 1, 2, 3, 4]
    assert sorted(set(drawn.centre_x.tolist())) == [0, 1, 2, 3, 4, 5]
    assert 0.47 < drawn.flip.double().mean() < 0.53


def test_permutation_is_a_function_of_seed_and_purpose() -> None:
    assert torch.equal(permutation(50, 3, "a", 1), permutation(50, 3, "a", 1))
    assert not torch.equal(permutation(50, 3, "a", 1), permutation(50, 3, "a", 2))
    assert not torch.equal(permutation(50, 3, "a", 1), permutation(50, 4, "a", 1))


def test_parts_of_the_training_images_are_disjoint_and_complete() -> None:
    first, second = part_indices(21, (10, 11), seed=5)
    assert sorted(first.tolist() + second.tolist()) == list(range(21))
    assert not torch.equal(first, part_indices(21, (10, 11), seed=6)[0])


def test_held_out_images_are_in_proportion_and_never_a_class_whole() -> None:
    classes = [0] * 50 + [1] * 25 + [2]
    chosen = held_out_indices(classes, [str(i) for i in range(76)], 15)
    assert [sum(classes[i] == c for i in chosen) for c in range(3)] == [10, 5, 0]
