"""What can go wrong, as one tree.

    SeqmodelError            anything this project refuses or cannot finish      exit 1
    ├── SpecError            a knob is wrong, or two knobs contradict            exit 2
    ├── DataError            the data are refused                                exit 3
    │   ├── SourceError      a file is missing, unreadable or of another shape   exit 3
    │   └── QualityError     the quality rules say no                            exit 3
    ├── StoreError           a stored file is missing, damaged or contested      exit 1
    ├── TrainingError        the model cannot be trained to a usable state       exit 1
    └── ChildDied            a child process was killed or overran; retryable    exit 1
        └── OutOfMemory      it met its limit, or the machine's; retryable       exit 2

Every message is one sentence that says what was found, what was needed and what to do. Every
exception takes that sentence as its only argument, so that it survives JSON and other processes.
"""

from __future__ import annotations

from typing import ClassVar


class SeqmodelError(Exception):
    """Base of all errors raised on purpose."""

    exit_code: ClassVar[int] = 1

    def __init__(self, sentence: str) -> None:
        # File names and the words of readers may hold anything: one printable line comes out.
        super().__init__("".join(c if c.isprintable() else ascii(c)[1:-1] for c in sentence))


class SpecError(SeqmodelError):
    """A knob is out of bounds, unknown, or contradicts another."""

    exit_code: ClassVar[int] = 2


class DataError(SeqmodelError):
    """The data cannot be used as they are."""

    exit_code: ClassVar[int] = 3


class SourceError(DataError):
    """A source file is missing, unreadable, or does not have the declared columns."""


class QualityError(DataError):
    """A critical quality rule failed, or could not be evaluated."""


class StoreError(SeqmodelError):
    """A stored file is missing, does not have its checksum, or is held by somebody else."""


class TrainingError(SeqmodelError):
    """Training ended without usable weights."""


class ChildDied(SeqmodelError):  # noqa: N818 - it says what happened
    """A child process ended without an answer, or did not answer before its deadline."""


class OutOfMemory(ChildDied):
    """A child process found no free memory: the spec asks for more than there is."""

    exit_code: ClassVar[int] = 2


def quote(name: object, most: int = 40) -> str:
    """Return a name as it stands in a sentence: in quotes, and not longer than `most` letters."""
    text = str(name)
    return repr(text if len(text) <= most else f"{text[:most]}...")


def find_error(name: str) -> type[SeqmodelError]:
    """Return the error class called `name`; `SeqmodelError` when there is none.

    A child process sends the name of its error and the sentence; the parent raises them again.
    """
    found: list[type[SeqmodelError]] = [SeqmodelError]
    for kind in found:
        if kind.__name__ == name:
            return kind
        found.extend(kind.__subclasses__())
    return SeqmodelError
