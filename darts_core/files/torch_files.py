"""Reads `torch.save` files without torch and without executing code. Imports no torch.

The file is a zip with a pickle (`data.pkl`) and one member per tensor storage. A pickle is a program for a small stack
machine; this module decodes it with `pickletools` and interprets only the opcodes that build plain values. Names that
the pickle imports are compared with an allow list and never imported.
"""

from __future__ import annotations

import hashlib
import io
import pickletools
import struct
import zipfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

from darts_core.errors import CheckpointError
from darts_core.files.state_dicts import WRAPPERS

# Storage class, in old and new files, to (safetensors dtype, bytes per element).
_DTYPES: Final = {
    "FloatStorage": ("F32", 4),
    "DoubleStorage": ("F64", 8),
    "HalfStorage": ("F16", 2),
    "BFloat16Storage": ("BF16", 2),
    "LongStorage": ("I64", 8),
    "IntStorage": ("I32", 4),
    "ShortStorage": ("I16", 2),
    "CharStorage": ("I8", 1),
    "ByteStorage": ("U8", 1),
    "BoolStorage": ("BOOL", 1),
}
_TENSOR: Final = "torch._utils._rebuild_tensor_v2"
_OLD_TENSOR: Final = "torch._utils._rebuild_tensor"
_PARAMETER: Final = "torch._utils._rebuild_parameter"
_ORDERED: Final = "collections.OrderedDict"
_KNOWN: Final = {_TENSOR, _OLD_TENSOR, _PARAMETER, _ORDERED} | {f"torch.{name}" for name in _DTYPES}
# Thousands of tensors need a few megabytes of opcodes; a larger pickle is an attack.
_LARGEST_PICKLE: Final = 16 * 2**20
_MOST_MEMBERS: Final = 200_000
_LARGEST_BYTEORDER: Final = 16
_MOST_AXES: Final = 64
_LARGEST_NUMBER: Final = 2**63
_BLOCK: Final = 1 << 20
_LEGACY_MAGIC: Final = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."


@dataclass(frozen=True)
class StoredTensor:
    """A tensor stored in the file. dtype: safetensors name. member: of the zip. offset: in elements."""

    dtype: str
    itemsize: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    member: str
    offset: int

    @property
    def size(self) -> int:
        """In bytes."""
        count = self.itemsize
        for extent in self.shape:
            count *= extent
        return count

    @property
    def contiguous(self) -> bool:
        """Whether the elements are in index order without holes."""
        expected = 1
        for extent, stride in reversed(list(zip(self.shape, self.strides, strict=True))):
            if extent != 1 and stride != expected:
                return False
            expected *= extent
        return True


@dataclass(frozen=True)
class PickledName:
    """A name that the pickle would have imported."""

    path: str


@dataclass(frozen=True)
class _Storage:
    dtype: str
    itemsize: int
    key: str


class TorchFile:
    """An open file: `value` is its content, with a StoredTensor for each tensor."""

    def __init__(self, path: Path) -> None:
        """Raises CheckpointError for another format, or content besides plain values and tensors."""
        try:
            with zipfile.ZipFile(path) as archive:
                self._prefix, program = _program(archive, path)
        except (
            # zipfile accepts some damaged directories; RecursionError is a RuntimeError.
            *(zipfile.BadZipFile, OSError, NotImplementedError, RuntimeError),
            *(EOFError, ValueError, struct.error, MemoryError),
        ) as error:
            if isinstance(error, FileNotFoundError):
                raise
            if _is_pickle(path):
                raise CheckpointError(f"{path.name} is a plain pickle: {way_out(path)}") from error
            raise CheckpointError(f"{path.name} is not a file of torch.save: {error}") from error
        self.path = path
        self.value: Any = evaluated(program, path.name)

    def copy(self, tensors: list[StoredTensor], to: IO[bytes]) -> None:
        """Append the tensors' bytes, in this order. Raises CheckpointError for a truncated tensor."""
        with zipfile.ZipFile(self.path) as archive:
            for tensor in tensors:
                _copy(archive, f"{self._prefix}data/{tensor.member}", tensor, to, self.path.name)

    def digests(self, tensors: Iterable[StoredTensor]) -> list[str]:
        """The SHA-256 of each tensor: of a line with its type and shape, and its bytes. Raises as `copy` does."""
        found = []
        with zipfile.ZipFile(self.path) as archive:
            for tensor in tensors:
                digest = _Digest()
                digest.write(f"{tensor.dtype} {tensor.shape}\n".encode())
                _copy(archive, f"{self._prefix}data/{tensor.member}", tensor, digest, self.path.name)
                found.append(digest.sha256.hexdigest())
        return found


class _Digest(io.BytesIO):
    """Hashes what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.sha256 = hashlib.sha256()

    def write(self, data: Any, /) -> int:
        self.sha256.update(data)
        return len(data)


def is_legacy(path: Path) -> bool:
    """Whether a PyTorch before 1.6 wrote the file: concatenated pickles and bytes, not a zip."""
    with path.open("rb") as file:
        return file.read(len(_LEGACY_MAGIC)) == _LEGACY_MAGIC


def _is_pickle(path: Path) -> bool:
    """Whether the file starts like a pickle that torch.save did not write."""
    with path.open("rb") as file:
        return file.read(2) in (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")


def is_pickled(path: Path) -> bool:
    """Whether the file may hold pickled objects, by how it begins: an image, for instance, holds none."""
    return zipfile.is_zipfile(path) or is_legacy(path) or _is_pickle(path)


def read_legacy(path: Path) -> Any:
    """Read a file of a PyTorch before 1.6, like TorchFile's value. Raises CheckpointError.

    It starts with four pickles: the magic number, the version, the writing machine, and the value.
    """
    with path.open("rb") as file:
        pickles = io.BytesIO(file.read(_LARGEST_PICKLE))
    for _ in range(3):
        evaluated(pickles, path.name)
    return evaluated(pickles, path.name)


def _program(archive: zipfile.ZipFile, path: Path) -> tuple[str, bytes]:
    if len(archive.infolist()) > _MOST_MEMBERS:
        raise CheckpointError(f"{path.name} has {len(archive.infolist()):,} members, more than a checkpoint needs")
    programs = [info for info in archive.infolist() if info.filename.rpartition("/")[2] == "data.pkl"]
    if len(programs) != 1:
        raise CheckpointError(f"{path.name} is a zip without a data.pkl: not a file of torch.save")
    [info] = programs
    if info.file_size > _LARGEST_PICKLE:
        raise CheckpointError(f"{path.name}: its data.pkl has {info.file_size:,} bytes, more than a checkpoint needs")
    # torch does not compress, and stored members cannot expand.
    if any(m.compress_type != zipfile.ZIP_STORED or m.compress_size != m.file_size for m in archive.infolist()):
        raise CheckpointError(f"{path.name} has compressed members: not a file of torch.save")
    prefix = info.filename.removesuffix("data.pkl")
    order = next((m for m in archive.infolist() if m.filename == f"{prefix}byteorder"), None)
    if order is not None and (order.file_size > _LARGEST_BYTEORDER or archive.read(order) != b"little"):
        raise CheckpointError(f"{path.name} was written on a big-endian machine: save it anew on another")
    return prefix, archive.read(info)


def _copy(archive: zipfile.ZipFile, member: str, tensor: StoredTensor, to: IO[bytes], name: str) -> None:
    if not tensor.contiguous:
        raise CheckpointError(f"{name}: a tensor in {member} is not contiguous: save it anew with .contiguous()")
    try:
        with archive.open(member) as source:
            source.seek(tensor.offset * tensor.itemsize)
            left = tensor.size
            while block := source.read(min(left, _BLOCK)):
                to.write(block)
                left -= len(block)
    except (KeyError, zipfile.BadZipFile) as error:
        raise CheckpointError(f"{name} is damaged: {error}") from error
    if left:
        raise CheckpointError(f"{name} is damaged: {left:,} of {tensor.size:,} bytes of {member} are missing")


def evaluated(program: bytes | IO[bytes], name: str) -> Any:
    """Build a pickle's plain value. Raises CheckpointError for any other content."""
    return run_pickle(PickleMachine(name), program, name)


def run_pickle(machine: PickleMachine, program: bytes | IO[bytes], name: str) -> Any:
    """Interpret a pickle's opcodes with a machine. Raises CheckpointError."""
    try:
        for opcode, argument, _ in pickletools.genops(program):
            if opcode.name == "STOP":
                return machine.result()
            machine.step(opcode.name, argument)
    except (
        *(IndexError, KeyError, TypeError, ValueError, AttributeError, RecursionError),
        *(EOFError, OverflowError, MemoryError, struct.error),
    ) as error:
        raise CheckpointError(f"{name} is damaged: its pickle is malformed ({error})") from error
    raise CheckpointError(f"{name} is damaged: its pickle has no end")


class PickleMachine:
    """Interprets opcodes that build plain values, and resolves the few names that tensors need."""

    known: frozenset[str] = frozenset(_KNOWN)

    def __init__(self, name: str) -> None:
        self.stack: list[Any] = []
        self._name = name
        self._marks: list[int] = []
        self._memo: dict[int, Any] = {}
        self._actions: dict[str, Callable[[Any], None]] = dict(self._table())

    def result(self) -> Any:
        """The single value left on the stack."""
        if len(self.stack) != 1 or self._marks:
            raise ValueError("it ends within an unfinished value")
        return self.stack[0]

    def step(self, name: str, argument: Any) -> None:
        """Interpret one opcode. Raises CheckpointError for one that plain values do not need."""
        action = self._actions.get(name)
        if action is None:
            raise self._refused(f"the instruction {name}")
        action(argument)

    def _table(self) -> Iterator[tuple[str, Callable[[Any], None]]]:
        push = self.stack.append
        for name in ("PROTO", "FRAME"):
            yield name, lambda _: None
        for name in (
            *("BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8", "UNICODE", "SHORT_BINSTRING", "BINSTRING", "STRING"),
            *("BININT", "BININT1", "BININT2", "INT", "LONG", "LONG1", "LONG4", "BINFLOAT", "FLOAT"),
        ):
            yield name, push
        yield "NONE", lambda _: push(None)
        yield "NEWTRUE", lambda _: push(True)
        yield "NEWFALSE", lambda _: push(False)
        yield "EMPTY_DICT", lambda _: push({})
        yield "EMPTY_LIST", lambda _: push([])
        yield "EMPTY_TUPLE", lambda _: push(())
        yield "MARK", lambda _: self._marks.append(len(self.stack))
        yield "TUPLE", lambda _: push(tuple(self._since_mark()))
        yield "TUPLE1", lambda _: push(tuple(self._popped(1)))
        yield "TUPLE2", lambda _: push(tuple(self._popped(2)))
        yield "TUPLE3", lambda _: push(tuple(self._popped(3)))
        yield "APPEND", lambda _: self._append(self._popped(1))
        yield "APPENDS", lambda _: self._append(self._since_mark())
        yield "SETITEM", lambda _: self._set(self._popped(2))
        yield "SETITEMS", lambda _: self._set(self._since_mark())
        for name in ("BINPUT", "LONG_BINPUT", "PUT"):
            yield name, lambda place: self._memo.__setitem__(place, self.stack[-1])
        yield "MEMOIZE", lambda _: self._memo.__setitem__(len(self._memo), self.stack[-1])
        for name in ("BINGET", "LONG_BINGET", "GET"):
            yield name, lambda place: push(self._memo[place])
        yield "GLOBAL", lambda text: push(self._named(*text.split(" ", 1)))
        yield "STACK_GLOBAL", lambda _: push(self._named(*self._popped(2)))
        yield "BINPERSID", lambda _: push(self._storage(self.stack.pop()))
        yield "REDUCE", lambda _: push(self._reduced(*self._popped(2)))
        yield "BUILD", lambda _: self._built(self.stack.pop())

    def _popped(self, count: int) -> list[Any]:
        if len(self.stack) < count:
            raise IndexError("the stack is empty")
        values = self.stack[-count:]
        del self.stack[-count:]
        return values

    def _since_mark(self) -> list[Any]:
        start = self._marks.pop()
        values = self.stack[start:]
        del self.stack[start:]
        return values

    def _append(self, values: list[Any]) -> None:
        self.stack[-1].extend(values)

    def _set(self, pairs: list[Any]) -> None:
        target = self.stack[-1]
        if not isinstance(target, dict):
            raise TypeError("items are set on a value that is not a dictionary")
        target.update(_keyed(zip(pairs[::2], pairs[1::2], strict=True)))

    def _named(self, module: Any, name: Any) -> PickledName:
        if not isinstance(module, str) or not isinstance(name, str):
            raise TypeError("a name that is not text")
        path = f"{module}.{name}"
        if path not in self.known:
            raise self._refused(path)
        return PickledName(path)

    def _storage(self, reference: Any) -> _Storage:
        _, kind, key, *_ = reference
        dtype, itemsize = _DTYPES[kind.path.removeprefix("torch.")]
        # The key becomes a zip member's name: only digits are allowed.
        return _Storage(dtype, itemsize, str(int(key)))

    def _reduced(self, function: PickledName, arguments: tuple[Any, ...]) -> Any:
        if function.path == _ORDERED:
            pairs = arguments[0] if arguments else ()
            # Dictionary keys have been checked already.
            return dict(pairs) if isinstance(pairs, dict) else _keyed(pairs)
        if function.path == _PARAMETER:
            return arguments[0]
        if function.path not in (_TENSOR, _OLD_TENSOR):
            raise self._refused(function.path)
        storage, offset, shape, strides = arguments[:4]
        numbers = (offset, *shape, *strides)
        whole = all(isinstance(n, int) and 0 <= n < _LARGEST_NUMBER for n in numbers)
        if len(shape) != len(strides) or len(shape) > _MOST_AXES or not whole:
            raise ValueError("a tensor without a shape")
        return StoredTensor(storage.dtype, storage.itemsize, tuple(shape), tuple(strides), storage.key, offset)

    def _built(self, _: Any) -> None:
        # An OrderedDict's own attributes (a state_dict's versions); a plain dictionary does not need them.
        if not isinstance(self.stack[-1], dict):
            raise self._refused("an object's state")

    def _refused(self, what: str) -> CheckpointError:
        return CheckpointError(
            f"{self._name} holds pickled objects besides tensors, numbers and text ({what[:200]}): "
            f"{way_out(Path(self._name))}"
        )


def way_out(path: Path) -> str:
    """The end of a message: how the owner converts a file with pickled objects."""
    if not path.is_file() or zipfile.is_zipfile(path) or is_legacy(path):
        loaded = f"torch.load({path.name!r}, map_location='cpu', weights_only=False)"
    else:
        loaded = f"pickle.load(open({path.name!r}, 'rb'))"  # not written by torch.save
    return (
        "loading it could run code. Where you trust it, and have the code of its classes, this program turns it into "
        f'what is taken here: python -c "import pickle, torch; x = {loaded}; '
        f"x = next((x[k] for k in {WRAPPERS} if k in x), x) if isinstance(x, dict) else x; "
        "torch.save(x.state_dict() if hasattr(x, 'state_dict') else x, 'state.pt')\""
    )


def _keyed(pairs: Iterable[tuple[Any, Any]]) -> dict[Any, Any]:
    """Check that keys are plain: hashing tuples that share parts may never end."""
    made = {}
    for key, value in pairs:
        if not isinstance(key, str | int | float | bool | None):
            raise TypeError("a key that is neither text nor a number")
        made[key] = value
    return made
