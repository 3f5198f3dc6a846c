"""The LSTM that searched cells are compared with, against torch's own."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from darts_core.models.recurrent.dropout import DropoutRates, Masks, draw_masks
from darts_core.models.recurrent.lstm import LstmCell, LstmNetwork, lstm_parameters, size_of_equal_lstm

SIZE, BATCH, ROWS, WORDS = 5, 3, 6, 11


def of_torch(cell: LstmCell) -> nn.LSTM:
    reference = nn.LSTM(SIZE, SIZE).double()
    state = {
        "weight_ih_l0": cell.from_x.T,
        "weight_hh_l0": cell.from_hidden.T,
        "bias_ih_l0": cell.bias,
        "bias_hh_l0": torch.zeros_like(cell.bias),
    }
    reference.load_state_dict(state)
    return reference


def draw(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape)), dtype=torch.float64)


@pytest.mark.parametrize("ones", [True, False])
def test_cell_without_dropout_is_torchs_lstm(ones: bool) -> None:
    cell = LstmCell(SIZE).double()
    x, state = draw(ROWS, BATCH, SIZE), draw(BATCH, 2 * SIZE)
    outputs, after = cell(x, state, torch.ones(BATCH, SIZE, dtype=torch.float64) if ones else None)
    hidden, kept = (part.contiguous()[None] for part in state.chunk(2, dim=-1))
    expected, (last, last_kept) = of_torch(cell)(x, (hidden, kept))
    torch.testing.assert_close(outputs, expected, rtol=0, atol=1e-12)
    torch.testing.assert_close(after, torch.cat([last[0], last_kept[0]], dim=-1), rtol=0, atol=1e-12)


def test_the_hidden_mask_is_on_the_gates_input_at_every_step() -> None:
    cell = LstmCell(SIZE).double()
    x, state, mask = draw(ROWS, BATCH, SIZE), draw(BATCH, 2 * SIZE), draw(BATCH, SIZE)
    outputs, _ = cell(x, state, mask)
    reference = of_torch(cell)
    hidden, kept = (part.contiguous()[None] for part in state.chunk(2, dim=-1))
    for row, output in zip(x, outputs, strict=True):
        _, (hidden, kept) = reference(row[None], (hidden * mask, kept))
        torch.testing.assert_close(output, hidden[0], rtol=0, atol=1e-12)


def test_network_puts_each_mask_where_a_searched_cells_network_does() -> None:
    torch.manual_seed(0)
    network = LstmNetwork(words=WORDS, size=SIZE).double()
    rates = DropoutRates(0.2, 0.3, 0.3, 0.3, 0.3)
    masks = draw_masks(rates, words=WORDS, size=SIZE, batch=BATCH, source=torch.Generator(), dtype=torch.float64)
    tokens = torch.arange(ROWS * BATCH).view(ROWS, BATCH) % WORDS
    passed = network(tokens, network.start(BATCH), masks)
    embedding = network.encoder.weight
    x = (embedding * masks.word)[tokens] * masks.input * masks.cell_input
    outputs, _ = network.rnns[0](x, network.start(BATCH), masks.hidden)
    torch.testing.assert_close(passed.logits, outputs * masks.output @ embedding.T + network.decoder.bias)


def test_masks_of_ones_change_nothing() -> None:
    torch.manual_seed(0)
    network = LstmNetwork(words=WORDS, size=SIZE).double()
    tokens = torch.arange(ROWS * BATCH).view(ROWS, BATCH) % WORDS
    ones = Masks(*(torch.ones(shape, dtype=torch.float64) for shape in [(WORDS, 1)] + 4 * [(BATCH, SIZE)]))
    with_masks, without = (network(tokens, network.start(BATCH), masks) for masks in (ones, None))
    torch.testing.assert_close(with_masks.logits, without.logits, rtol=0, atol=1e-12)


def test_two_windows_carry_on_as_one() -> None:
    network = LstmNetwork(words=WORDS, size=SIZE).double()
    tokens = torch.arange(ROWS * BATCH).view(ROWS, BATCH) % WORDS
    whole = network(tokens, network.start(BATCH)).logits
    first = network(tokens[:2], network.start(BATCH))
    second = network(tokens[2:], first.hidden)
    torch.testing.assert_close(torch.cat([first.logits, second.logits]), whole, rtol=0, atol=1e-12)


def test_parameters_are_counted_as_the_network_has_them() -> None:
    network = LstmNetwork(words=WORDS, size=SIZE)
    assert lstm_parameters(SIZE, WORDS) == sum(p.numel() for p in network.parameters())


@pytest.mark.parametrize(("parameters", "words"), [(388_000, 2097), (22_960_000, 10_000), (1, 50)])
def test_no_other_size_comes_nearer_to_the_parameters_asked_for(parameters: int, words: int) -> None:
    size = size_of_equal_lstm(parameters, words)
    distances = [abs(lstm_parameters(s, words) - parameters) for s in range(1, 3000)]
    assert distances[size - 1] == min(distances)
