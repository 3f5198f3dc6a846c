"""Reads pickled dictionaries of arrays, such as the CIFAR batches, without executing code. Imports no torch.

Interprets the opcodes that build plain values and numpy arrays, as `darts_core.files.torch_files` does. Names that the
pickle imports are compared with an allow list and never imported.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from darts_core.errors import CheckpointError, DataError
from darts_core.files.torch_files import PickledName, PickleMachine, run_pickle

_MODULES: Final = ("numpy.core", "numpy._core")
_RECONSTRUCT: Final = frozenset(f"{module}.multiarray._reconstruct" for module in _MODULES)
_FROM_BUFFER: Final = frozenset(f"{module}.numeric._frombuffer" for module in _MODULES)
_DTYPE: Final = "numpy.dtype"
_ENCODE: Final = "_codecs.encode"
# Numbers only: an object array is a pickle within the pickle.
_KINDS: Final = "biuf"


def read(content: bytes, name: str) -> dict[str, Any]:
    """Return the pickled dictionary of lists, numbers, texts and arrays; byte strings become text (latin-1).

    Raises DataError for a pickle that needs more than that, or that holds no dictionary.
    """
    try:
        value = run_pickle(_ArrayMachine(name), content, name)
    except CheckpointError as error:
        raise DataError(str(error)) from error
    if not isinstance(value, dict):
        raise DataError("is a pickle, but not of a dictionary: a batch holds data and labels")
    return {str(key): item.array if isinstance(item, _Array) else item for key, item in value.items()}


@dataclass
class _Dtype:
    dtype: np.dtype[Any]


@dataclass
class _Array:
    """An array whose shape and bytes arrive in a later opcode."""

    array: npt.NDArray[Any] | None = None


class _ArrayMachine(PickleMachine):
    known = frozenset({*_RECONSTRUCT, *_FROM_BUFFER, _DTYPE, _ENCODE, "numpy.ndarray"})

    def _table(self) -> Iterator[tuple[str, Any]]:
        yield from super()._table()
        for name in ("BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8"):
            yield name, lambda data: self.stack.append(bytes(data).decode("latin-1"))

    def _storage(self, reference: Any) -> Any:
        raise self._refused("a persistent id")

    def _reduced(self, function: PickledName, arguments: tuple[Any, ...]) -> Any:
        if function.path in _RECONSTRUCT:
            return _Array()
        if function.path == _DTYPE:
            return _Dtype(_number_type(arguments[0]))
        if function.path == _ENCODE:
            return _bytes(arguments[0]).decode("latin-1")
        if function.path in _FROM_BUFFER:
            data, kind, shape, order = arguments
            return _Array(_array(data, kind, shape, fortran=order == "F"))
        raise self._refused(function.path)

    def _built(self, state: Any) -> None:
        target = self.stack[-1]
        if isinstance(target, _Array):
            _, shape, kind, fortran, data = state
            target.array = _array(data, kind, shape, fortran=bool(fortran))
        elif isinstance(target, _Dtype):
            # (version, byte order, ...); the rest describes structures, which a plain number has not.
            if state[1] in ("<", ">"):
                target.dtype = target.dtype.newbyteorder(state[1])
        else:
            raise self._refused("an object's state")

    def _refused(self, what: str) -> CheckpointError:
        return CheckpointError(
            f"{self._name} holds pickled objects besides arrays, numbers and text ({what[:200]}): reading it could run "
            "code; save its arrays with numpy.savez"
        )


def _number_type(code: Any) -> np.dtype[Any]:
    dtype = np.dtype(str(code))
    if dtype.kind not in _KINDS:
        raise ValueError(f"an array of {dtype}")
    return dtype


def _array(data: Any, kind: _Dtype, shape: Any, *, fortran: bool) -> npt.NDArray[Any]:
    flat = np.frombuffer(_bytes(data), dtype=kind.dtype)
    return flat.reshape(tuple(int(extent) for extent in shape), order="F" if fortran else "C")


def _bytes(text: str) -> bytes:
    return text.encode("latin-1")
