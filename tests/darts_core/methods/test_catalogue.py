"""The catalogue of search methods and its page in the documentation."""

from __future__ import annotations

from pathlib import Path

import pytest

from darts_core.configs.method_fields import MethodFields
from darts_core.configs.method_rules import fields_of
from darts_core.configs.methods import METHODS, Computed, Method

pytestmark = pytest.mark.light

PAGE = Path(__file__).parents[3] / "docs" / "methods.md"


def shown(default: float | str | Computed) -> str:
    if isinstance(default, Computed):
        return default.text
    return default if isinstance(default, str) else f"{default:g}"


@pytest.mark.parametrize("method", METHODS.values(), ids=list(METHODS))
def test_the_page_has_a_row_of_each_method_with_its_fields(method: Method) -> None:
    [row] = [
        line for line in PAGE.read_text().splitlines() if line.startswith(f"| `{method.name}` | {method.source} |")
    ]
    *_, families, orders, fields, _ = (cell.strip() for cell in row.split("|"))
    assert (families, orders) == (", ".join(method.families), ", ".join(map(str, method.orders)))
    values = {**method.fields, **method.defaults}
    assert fields == ", ".join(f"`{name}` {shown(default)}" for name, default in values.items())


@pytest.mark.parametrize("method", METHODS.values(), ids=list(METHODS))
def test_a_methods_fields_are_described_fields_of_a_spec(method: Method) -> None:
    fields = fields_of(method)
    assert all(MethodFields.model_fields[name].description for name in fields)
    assert ("weights_only_epochs" in fields) == method.trains_alphas
    assert set(method.fields) <= set(fields)
    assert not set(method.defaults) & set(MethodFields.model_fields)
