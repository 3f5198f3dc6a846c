"""Parses and writes every genotype format. Imports no torch.

JSON is handled here; Python text, NNI exports, mmrazor YAML and DOT have a module each.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Callable, Mapping
from typing import Any, Final, Literal, overload

from darts_core.errors import GenotypeError
from darts_core.genotypes import mmrazor, nasbench201, nni
from darts_core.genotypes.calls import only_call, plain
from darts_core.genotypes.dot import to_dot
from darts_core.genotypes.known import KNOWN, KNOWN_RECURRENT
from darts_core.genotypes.model import FIELDS, Genotype
from darts_core.genotypes.nasbench201 import NasBench201Genotype
from darts_core.genotypes.python_text import fields_of_python, positional
from darts_core.genotypes.recurrent import RECURRENT_FIELDS, RecurrentGenotype
from darts_core.primitives import Family
from darts_core.spaces.nasbench201 import CELL
from darts_core.spaces.nasbench201 import NAME as NASBENCH201
from darts_core.validation import did_you_mean

__all__ = [
    "FORMATS",
    "AnyGenotype",
    "ConvolutionalGenotype",
    "family_of",
    "known_genotypes",
    "parse",
    "parse_any",
    "to_dot",
    "to_json",
    "to_mmrazor",
    "to_python",
]

ConvolutionalGenotype = Genotype | NasBench201Genotype
AnyGenotype = ConvolutionalGenotype | RecurrentGenotype

# A genotype of six nodes is under 1 kB of text, 3 kB of YAML; far longer input is refused before parsing.
_LONGEST = 20_000
# Limit on a module or log with genotypes in it: searched within some 50 ms, whatever its content.
_LONGEST_TEXT = 120_000
# The start of a JSON object or a Python dictionary.
_MAPPING: Final = re.compile(r"(?:\w+\s*=\s*)?\{")
_OTHER: Final[dict[Family, Family]] = {"cnn": "rnn", "rnn": "cnn"}
_FIELDS_OF: Final[dict[Family, tuple[str, ...]]] = {"cnn": FIELDS, "rnn": RECURRENT_FIELDS}


def to_python(genotype: AnyGenotype) -> str:
    """One line of Python in the DARTS authors' format; the benchmark's string of a cell of NAS-Bench-201."""
    return str(genotype)


def to_mmrazor(genotype: AnyGenotype) -> str:
    """The subnet as mmrazor YAML. Raises GenotypeError when the format cannot express it, as for recurrent cells."""
    if isinstance(genotype, NasBench201Genotype):
        raise GenotypeError(
            "mmrazor's subnets are of normal and reduction cells; write a cell of NAS-Bench-201 as python, json or dot"
        )
    if isinstance(genotype, RecurrentGenotype):
        raise GenotypeError(
            "mmrazor's subnets are of convolutional cells; write a recurrent one as python, json or dot"
        )
    return mmrazor.to_mmrazor(genotype)


def known_genotypes(family: Family) -> dict[str, Genotype] | dict[str, RecurrentGenotype]:
    """Published cells of a family, by name."""
    return KNOWN if family == "cnn" else KNOWN_RECURRENT


def to_json(genotype: AnyGenotype) -> dict[str, Any]:
    """The JSON form of docs/api.md, with the text of `to_python` under `text`."""
    if isinstance(genotype, RecurrentGenotype):
        return {
            "family": "rnn",
            "recurrent": [list(e) for e in genotype.recurrent],
            "concat": list(genotype.concat),
            "text": to_python(genotype),
        }
    if isinstance(genotype, NasBench201Genotype):
        return {
            "family": "cnn",
            "space": NASBENCH201,
            "cell": [list(e) for e in genotype.cell],
            "index": genotype.index,
            "text": to_python(genotype),
        }
    return {
        "family": "cnn",
        "normal": [list(e) for e in genotype.normal],
        "normal_concat": list(genotype.normal_concat),
        "reduce": [list(e) for e in genotype.reduce],
        "reduce_concat": list(genotype.reduce_concat),
        "text": to_python(genotype),
    }


# Writers by format name.
FORMATS: Final[dict[str, Callable[[AnyGenotype], str]]] = {
    "python": to_python,
    "json": lambda genotype: json.dumps(to_json(genotype)),
    "mmrazor": to_mmrazor,
    "dot": to_dot,
}


def family_of(genotype: Mapping[str, Any]) -> Family:
    """The family named by a genotype's JSON; `cnn` by default."""
    return "rnn" if genotype.get("family") == "rnn" else "cnn"


@overload
def parse(value: str | dict[str, Any], family: Literal["cnn"] = "cnn") -> ConvolutionalGenotype: ...
@overload
def parse(value: str | dict[str, Any], family: Literal["rnn"]) -> RecurrentGenotype: ...
@overload
def parse(value: str | dict[str, Any], family: Family) -> AnyGenotype: ...
def parse(value: str | dict[str, Any], family: Family = "cnn") -> AnyGenotype:
    """Parse a known name, JSON (text or decoded), Python text, an NNI export, mmrazor YAML, or a cell of NAS-Bench-201.

    The last is given by the benchmark's string or six digits. A `Genotype(...)` call or such a string is found inside
    surrounding text, such as a log or a module. NNI, mmrazor and NAS-Bench-201 are of the family cnn. `family` resolves
    names shared by both families. Raises GenotypeError, also for a genotype of the other family.
    """
    if isinstance(value, dict):
        return _from_mapping(value, family)
    if len(value) > _LONGEST_TEXT:
        raise GenotypeError(f"a text with a genotype has at most {_LONGEST_TEXT:,} characters, this has {len(value):,}")
    text = plain(value)
    known, fields = known_genotypes(family), _FIELDS_OF[family]
    if text in known:
        return known[text]
    if (mapping := _mapping_in(text)) is not None:
        return _from_mapping(mapping, family)
    if mmrazor.is_mmrazor(text):
        _refuse_other_tools(family, "mmrazor's subnets")
        return mmrazor.from_mmrazor(_short_enough(text))
    if nasbench201.is_index(text):
        _refuse_other_tools(family, "cells of NAS-Bench-201")
        return NasBench201Genotype.of_index(text)
    if nasbench201.is_string(text):
        _refuse_other_tools(family, "cells of NAS-Bench-201")
        return NasBench201Genotype.of_string(text)
    if "Genotype" in text:
        call = _short_enough(only_call(text, family))
        _refuse_other_family(set(_named_fields(call)), family)
        return _from_mapping(fields_of_python(call, fields), family)
    subnet = " nor a subnet in mmrazor's YAML" if family == "cnn" else ""
    raise GenotypeError(
        f"{text[:60]!r} is neither a known name ({', '.join(known)}) nor JSON nor a text `Genotype({fields[0]}=...)`"
        f"{subnet}{did_you_mean(text, known)}"
    )


def parse_any(value: str | dict[str, Any]) -> AnyGenotype:
    """Parse a genotype of either family; a name shared by both means the cnn cell. Raises GenotypeError."""
    return parse(value, _family_in(value))


def _family_in(value: str | dict[str, Any]) -> Family:
    if isinstance(value, dict):
        return "cnn" if set(FIELDS) & set(value) or not set(RECURRENT_FIELDS) & set(value) else "rnn"
    if len(value) > _LONGEST_TEXT:
        return "cnn"
    text = plain(value)
    if text in KNOWN_RECURRENT and text not in KNOWN:
        return "rnn"
    if (mapping := _mapping_in(text)) is not None:
        return _family_in(mapping)
    if "Genotype" not in text:
        return "cnn"
    call = _short_enough(only_call(text, "cnn"))
    named = set(_named_fields(call))
    if named:
        return "cnn" if named & set(FIELDS) else "rnn"
    return "rnn" if positional(call) == len(RECURRENT_FIELDS) else "cnn"


def _short_enough(text: str) -> str:
    if len(text) > _LONGEST:
        raise GenotypeError(f"a genotype has at most {_LONGEST:,} characters, this has {len(text):,}")
    return text


def _mapping_in(text: str) -> dict[str, Any] | None:
    """The object in a text of JSON or a Python dictionary, with or without `NAME = `; None for any other text."""
    start = _MAPPING.match(text)
    if start is None:
        return None
    text = _short_enough(text[start.end() - 1 :])
    try:
        found = json.loads(text)
    except (json.JSONDecodeError, RecursionError) as error:
        try:
            found = ast.literal_eval(text)
        except (SyntaxError, ValueError, TypeError, RecursionError, MemoryError):
            raise GenotypeError(f"this is not JSON: {error}") from error
    return found if isinstance(found, dict) else None


def _from_mapping(value: Mapping[Any, Any], family: Family) -> AnyGenotype:
    fields = _FIELDS_OF[family]
    if nni.is_nni(value):
        _refuse_other_tools(family, "NNI's exports")
        return nni.from_nni(value)
    if mmrazor.is_mmrazor_mapping(value):
        _refuse_other_tools(family, "mmrazor's subnets")
        return mmrazor.from_mmrazor_mapping(value)
    if nasbench201.is_mapping(value):
        _refuse_other_tools(family, "cells of NAS-Bench-201")
        return NasBench201Genotype.of(value[CELL])
    _refuse_other_family(set(value), family)
    if missing := [f for f in fields if f not in value]:
        raise GenotypeError(f"missing: {', '.join(missing)}")
    parts = (value[f] for f in fields)
    return Genotype.of(*parts) if family == "cnn" else RecurrentGenotype.of(*parts)


def _named_fields(text: str) -> list[str]:
    """Genotype fields of either family that a Python text names."""
    return re.findall(r"\b(normal|normal_concat|reduce|reduce_concat|recurrent|concat)\s*=", text)


def _refuse_other_family(fields: set[Any], family: Family) -> None:
    own, others = (set(_FIELDS_OF[f]) for f in (family, _OTHER[family]))
    if fields & others and not fields & own:
        raise GenotypeError(f"this is a genotype of family {_OTHER[family]!r}, expected one of family {family!r}")


def _refuse_other_tools(family: Family, what: str) -> None:
    if family != "cnn":
        raise GenotypeError(f"{what} are of convolutional cells; give a recurrent one as a name, Python or JSON")
