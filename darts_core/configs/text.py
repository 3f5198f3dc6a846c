"""Fields and validators shared by the specs of jobs on text. Imports no torch."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from darts_core.configs.common import NonNegative, Rate, RunConfig, check_single
from darts_core.data.text.catalogue import PYTHON_DOCS, TEXT_SETS, TextInfo, is_uploaded_text, text_folder_of
from darts_core.errors import DataError, Problem

TextChecksum = Annotated[
    str | None,
    Field(pattern=r"^[0-9a-f]{64}$", description="checksum of the text's content; a worker with another text refuses"),
]
TextVersion = Annotated[
    str | None,
    Field(max_length=60, description="of `python-docs`: Python version of the text; filled in when the job is created"),
]


class TextTrainingConfig(RunConfig):
    """Fields of every training job of a recurrent cell. Defaults are those of the `ptb` presets."""

    family: Literal["rnn"] = "rnn"
    dataset: str = Field(
        max_length=120,
        description="`python-docs`, a published or an uploaded text, or `folder:NAME` for train/valid/test.txt under "
        "the workers' data root",
        examples=["python-docs"],
    )
    text_checksum: TextChecksum = None
    text_version: TextVersion = None
    hidden_size: int = Field(ge=1, le=16_384, description="size of embedding, state and output")
    bptt: int = Field(35, ge=4, le=1000, description="words of each column read by a training step, typically")
    weight_lr: Rate = Field(20.0, description="for steps of `bptt` words; scaled by each step's length")
    weight_decay: NonNegative = 5e-7
    grad_clip: Rate = Field(0.25, description="maximum norm of the weights' gradient")
    dropout_word: float = Field(0.0, ge=0, lt=1, description="dropout of whole words' embeddings")
    dropout_input: float = Field(
        0.2, ge=0, lt=1, description="dropout of the embedded input, with one mask for all times"
    )
    dropout_cell_input: float = Field(0.75, ge=0, lt=1, description="dropout of the cell's input")
    dropout_hidden: float = Field(0.25, ge=0, lt=1, description="dropout of states inside the cell")
    dropout_output: float = Field(
        0.75, ge=0, lt=1, description="dropout of the cell's output, with one mask for all times"
    )
    activation_penalty: NonNegative = Field(
        0.0, description="weight of the penalty on the squares of the cell's outputs"
    )
    slowness_penalty: NonNegative = Field(1e-3, description="weight of the penalty on the squares of their changes")
    validation_batch_size: int = Field(10, ge=1, le=65_536, description="columns that the validation text is cut into")
    # A learning rate of 20 amplifies the rounding of bf16 too much.
    precision: Literal["float32"] = "float32"

    def check_gpus(self, gpus: int) -> None:
        """Raises ConfigError for more than one: recurrent cells train on a single device."""
        check_single(gpus)


def text_problems(dataset: str, checksum: str | None, info: TextInfo | None) -> list[Problem]:
    """Validate the text's name and checksum. info: of an uploaded text, when known.

    A name that neither the catalogue nor `info` knows denotes an uploaded text and needs its checksum.
    """
    if info is not None:
        if checksum in (None, info.checksum):
            return []
        message = f"{dataset} is now {info.checksum}, not {checksum}: leave it out to use that"
        return [Problem(("text_checksum",), message)]
    if checksum is not None and is_uploaded_text(dataset):
        return []
    try:
        text_folder_of(dataset)
    except DataError as error:
        return [Problem(("dataset",), str(error))]
    return []


def fill_text(values: dict[str, Any], info: TextInfo | None) -> None:
    """Record the checksum of an uploaded text or of this machine's `python-docs`, unless the spec has one."""
    if info is not None:
        values["text_checksum"] = info.checksum
    if values["dataset"] == PYTHON_DOCS:
        from darts_core.data.text import python_docs

        here = python_docs.read()
        if values.get("text_checksum") in (None, here.checksum):
            values |= {"text_checksum": here.checksum, "text_version": here.version}


def columns_problems(
    batches: dict[str, int], dataset: str, info: TextInfo | None, *, least: int = 1, alphas: bool = False
) -> list[Problem]:
    """Check that each batch size (by field name) leaves long enough columns in a text of known size.

    least: the smallest valid `batch_size`. alphas: whether the validation text is cut into `batch_size` columns, too.
    """
    info = info or TEXT_SETS.get(dataset)
    if info is None:
        return []  # only the worker knows the size, and checks again
    training = min(info.train, info.valid) if alphas else info.train
    sizes = {"batch_size": training, "validation_batch_size": info.valid, "test_batch_size": info.test}
    return [
        Problem(
            (field,),
            f"{batch} is too large for the {sizes[field]:,} words; "
            + _way_out(sizes[field] // 3, least if field == "batch_size" else 1),
        )
        for field, batch in batches.items()
        if 3 * batch > sizes[field]
    ]


def _way_out(most: int, least: int) -> str:
    if most < least:
        return f"a batch has at least {least}, of 3 words each: these are too few words, use a longer text"
    return f"give at most {most:,}"
