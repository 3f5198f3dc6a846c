"""Genotypes as people paste them: log lines, whole modules, other tools' exports."""

from __future__ import annotations

import html
import json

import pytest

from darts_core.errors import GenotypeError
from darts_core.genotypes import KNOWN, KNOWN_RECURRENT, Genotype, cell_named, parse, parse_any, to_json, to_python

pytestmark = pytest.mark.light

DARTS_V1 = to_python(KNOWN["DARTS_V1"])
NESTED = (
    "Genotype(normal=[[('separable_convolution_3x3',0),('dilated_convolution_3x3',1)],"
    "[('dilated_convolution_3x3',2),('skip_connection',0)]],normal_concat=range(2,4),"
    "reduce=[[('max_pooling_3x3',0),('avg_pooling_3x3',1)],"
    "[('max_pooling_3x3',0),('dilated_convolution_5x5',2)]],reduce_concat=range(2,4))"
)
MODULE = f"""from collections import namedtuple

Genotype = namedtuple('Genotype', 'normal normal_concat reduce reduce_concat')

# Genotype of the paper's (first) search, "DARTS_V1
ONE = {DARTS_V1}  # 97.0 (test)
TWO = {to_python(KNOWN["DARTS_V2"])}
DARTS = TWO
"""
NNI_OF_DARTS_V2 = {
    "normal/op_2_0": "sep_conv_3x3", "normal/input_2_0": [0], "normal/op_2_1": "sep_conv_3x3", "normal/input_2_1": [1],
    "normal/op_3_0": "sep_conv_3x3", "normal/input_3_0": [0], "normal/op_3_1": "sep_conv_3x3", "normal/input_3_1": [1],
    "normal/op_4_0": "sep_conv_3x3", "normal/input_4_0": [1], "normal/op_4_1": "skip_connect", "normal/input_4_1": [0],
    "normal/op_5_0": "skip_connect", "normal/input_5_0": 0, "normal/op_5_1": "dil_conv_3x3", "normal/input_5_1": 2,
    "reduce/op_2_0": "max_pool_3x3", "reduce/input_2_0": [0], "reduce/op_2_1": "max_pool_3x3", "reduce/input_2_1": [1],
    "reduce/op_3_0": "skip_connect", "reduce/input_3_0": [2], "reduce/op_3_1": "max_pool_3x3", "reduce/input_3_1": [1],
    "reduce/op_4_0": "max_pool_3x3", "reduce/input_4_0": [0], "reduce/op_4_1": "skip_connect", "reduce/input_4_1": [2],
    "reduce/op_5_0": "skip_connect", "reduce/input_5_0": [2], "reduce/op_5_1": "max_pool_3x3", "reduce/input_5_1": [1],
    "width": 36, "depth": 20,
}  # fmt: skip


@pytest.mark.parametrize(
    "text",
    [
        f"11/29 09:43:01 AM | Best Genotype = {DARTS_V1}",
        f"Best-Genotype={DARTS_V1}",
        f"2018-06-27 13:25:46,378 epoch 49 lr 1e-03\n2018-06-27 genotype = {DARTS_V1}\n2018-06-27 train_acc 99.7",
        f"epoch 1 genotype = {DARTS_V1}\nepoch 2 genotype = {DARTS_V1}",
        f"{DARTS_V1}  # the best so far (97.0",
        f"Genotype of the run: see below\nmodel.Genotype{DARTS_V1.removeprefix('Genotype')}.",
        DARTS_V1.replace("normal_concat=[2, 3, 4, 5]", "normal_concat=tuple(range(2, 6))"),
        DARTS_V1.replace("normal_concat=[2, 3, 4, 5]", "normal_concat=list(range(2, 6, 1))"),
        DARTS_V1.replace("normal_concat=[2, 3, 4, 5]", "normal_concat=np.arange(2, 6)"),
        DARTS_V1.replace("normal_concat=[2, 3, 4, 5]", "normal_concat=array([2, 3, 4, 5])"),
        DARTS_V1.replace(", 0)", ", np.int64(0))").replace("'skip_connect'", "np.str_('skip_connect')"),
        DARTS_V1.replace(", 0)", ", tensor(0))"),
        DARTS_V1[:-1] + ", connectN=None, connects=None)",
        DARTS_V1.replace(", 0)", ", 0, 0.2386)").replace(", 1)", ", 1, np.float32(0.1))").replace(", 2)", ", 2, 1e-3)"),
        DARTS_V1.replace("('skip_connect', 0)", "\n  # a shortcut, (unlike 'the others\n  ('skip_connect', 0)"),
        DARTS_V1.replace("'", "\N{RIGHT SINGLE QUOTATION MARK}"),
        DARTS_V1.replace("('", "(\N{LEFT DOUBLE QUOTATION MARK}").replace("',", "\N{RIGHT DOUBLE QUOTATION MARK},"),
        DARTS_V1.replace(" ", "\N{NO-BREAK SPACE}"),
        html.escape(DARTS_V1),
        json.dumps({"log": f"genotype = {DARTS_V1}"})[9:-1],
        repr(DARTS_V1.replace(", reduce", ",\n reduce") + '"'),
        "\N{BYTE ORDER MARK}" + json.dumps(to_json(KNOWN["DARTS_V1"])),
        "\N{BYTE ORDER MARK}" + DARTS_V1,
    ],
)
def test_a_cell_is_found_in_the_text_around_it(text: str) -> None:
    assert parse(text) == KNOWN["DARTS_V1"]


def test_the_operations_of_katib_have_our_names() -> None:
    found = parse(f"Best-Genotype={NESTED}")
    assert isinstance(found, Genotype)
    assert [edge.op for edge in found.normal] == ["sep_conv_3x3", "dil_conv_3x3", "dil_conv_3x3", "skip_connect"]
    assert [edge.op for edge in found.reduce] == ["max_pool_3x3", "avg_pool_3x3", "max_pool_3x3", "dil_conv_5x5"]


@pytest.mark.parametrize("name", ["ONE", "TWO", "DARTS", "6", "7"])
def test_one_of_several_cells_is_chosen_by_its_name_or_its_line(name: str) -> None:
    expected = KNOWN["DARTS_V1" if name in ("ONE", "6") else "DARTS_V2"]
    assert parse(cell_named(MODULE, name)) == expected


def test_several_cells_are_refused_with_their_names() -> None:
    with pytest.raises(GenotypeError, match=r"2 different genotypes: ONE \(line 6\), TWO \(line 7\)"):
        parse(MODULE)
    with pytest.raises(GenotypeError, match=r"'THREE'.*ONE \(line 6\), TWO \(line 7\)"):
        cell_named(MODULE, "THREE")


def test_a_name_that_several_cells_of_a_log_have_is_refused_with_their_lines() -> None:
    log = f"genotype = {DARTS_V1}\ngenotype = {to_python(KNOWN['DARTS_V2'])}\n"
    with pytest.raises(GenotypeError, match=r"genotype \(line 1\), genotype \(line 2\)"):
        cell_named(log, "genotype")
    assert parse(cell_named(log, "2")) == KNOWN["DARTS_V2"]


def test_only_the_wanted_familys_cells_count() -> None:
    both = f"CNN = {DARTS_V1}\nRNN = {to_python(KNOWN_RECURRENT['ENAS'])}\n"
    assert parse(both) == KNOWN["DARTS_V1"]
    assert parse(both, "rnn") == KNOWN_RECURRENT["ENAS"]


@pytest.mark.parametrize(
    "value",
    [
        to_python(KNOWN_RECURRENT["ENAS"]),
        "ENAS",
        to_json(KNOWN_RECURRENT["ENAS"]),
        json.dumps(to_json(KNOWN_RECURRENT["ENAS"])),
        f"Genotype({[('tanh', 0)]}, [1])",
    ],
)
def test_the_family_is_found_in_the_text(value: str) -> None:
    found = parse_any(value)
    assert found == parse(value, "rnn")
    assert parse_any("DARTS") == KNOWN["DARTS"]


def subnet(**changes: object) -> dict[str, object]:
    """As NNI's first one-shot trainer exports a cell: its own names, and [] for an edge that is not kept."""
    names = {"sep_conv_3x3": "sepconv3x3", "skip_connect": "skipconnect", "dil_conv_3x3": "dilconv3x3"}
    made: dict[str, object] = {}
    cell = KNOWN["DARTS_V2"]
    for kind, nodes in (("normal", cell.nodes("normal")), ("reduce", cell.nodes("reduce"))):
        for node, kept in enumerate(nodes, 2):
            made |= {f"{kind}_n{node}_p{source}": [] for source in range(node)}
            made |= {f"{kind}_n{node}_p{source}": names.get(op, "maxpool") for op, source in kept}
            made[f"{kind}_n{node}_switch"] = [f"{kind}_n{node}_p{source}" for _, source in kept]
    return {**made, **changes}


@pytest.mark.parametrize(
    "value",
    [
        NNI_OF_DARTS_V2,
        json.dumps(NNI_OF_DARTS_V2),
        f"arch = {NNI_OF_DARTS_V2}",
        subnet(),
        json.dumps(subnet(), indent=2),
        subnet(normal_n2_switch=[0, 1], normal_n2_p0=3),
        subnet(normal_n2_p0=[False, False, False, True, False, False, False]),
    ],
)
def test_exports_of_nni_are_read(value: str) -> None:
    assert parse(value) == KNOWN["DARTS_V2"]


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (subnet(normal_n2_switch=[0]), "normal_n2_switch: expected two"),
        (subnet(normal_n3_p0=9), "normal_n3_p0: 9"),
        (subnet(normal_n3_p0="none"), "normal.*none"),
        ({k: v for k, v in subnet().items() if k != "reduce_n4_switch"}, "reduce_n4_switch: missing"),
        ({k: v for k, v in NNI_OF_DARTS_V2.items() if k != "normal/op_3_1"}, "normal/op_3_1: missing"),
        (NNI_OF_DARTS_V2 | {"normal/input_3_1": [0, 1]}, "normal/input_3_1"),
        (NNI_OF_DARTS_V2 | {"normal/op_5_1": "sep_conv_9x9"}, "sep_conv_9x9"),
    ],
)
def test_an_error_in_an_export_of_nni_is_named(value: dict[str, object], says: str) -> None:
    with pytest.raises(GenotypeError, match=says):
        parse(value)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (DARTS_V1[:100], "line 1.*cut off"),
        ("Genotype = namedtuple('Genotype', 'normal reduce')", "no call `Genotype"),
        (
            DARTS_V1.replace("('sep_conv_3x3', 1), ('sep_conv_3x3', 0)", "('sep_conv_3x3', 2, 0), ('x', 2, 1)"),
            r"normal\[2\].*operation, node, source",
        ),
        (DARTS_V1.replace("'sep_conv_3x3', 1", "'mbconv', 1"), "unknown operation 'mbconv'.*noise"),
        (DARTS_V1.replace("[2, 3, 4, 5]", "range(2, 600000)"), "range"),
        (DARTS_V1[:-1] + ", connectN=5)", "connectN"),
        (DARTS_V1.replace(", 0)", ", os.remove(0))"), "os.remove"),
        ("Genotype([" * 5000, "cut off"),
        ("x = '" + "Genotype(" * 9000, "cut off"),
    ],
)
def test_an_unreadable_part_is_named(text: str, says: str) -> None:
    with pytest.raises(GenotypeError, match=says):
        parse(text)


def test_the_text_of_a_genotype_can_be_read_again() -> None:
    for cell in KNOWN.values():
        assert isinstance(cell, Genotype)
        assert parse(str(cell)) == cell
    for recurrent in KNOWN_RECURRENT.values():
        assert parse(str(recurrent), "rnn") == recurrent
