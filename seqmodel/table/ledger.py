"""The ledger: every row that was read is kept, set aside, dropped or too late, exactly once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

import numpy as np
from numpy.typing import NDArray

from seqmodel.errors import StoreError
from seqmodel.store.ledgers import FileLedger, Ledger
from seqmodel.store.refs import RunRef
from seqmodel.store.store import Store

Counts = NDArray[np.int64]


@final
class Tally:
    """Rows counted where they pass, for each source file.

    Args:
        files: the source files, in the order in which they are read.
    """

    def __init__(self, files: Sequence[str]) -> None:
        self._files = tuple(files)
        self._read, self._quarantined, self._after = (
            np.zeros(len(files), dtype=np.int64) for _ in range(3)
        )

    def count(self, file: int, *, read: int, quarantined: int, after: int) -> None:
        """Add the rows of one batch of the file with this number."""
        self._read[file] += read
        self._quarantined[file] += quarantined
        self._after[file] += after

    def balance(
        self, kept: Counts, dropped: Counts, truncated: Counts | None = None
    ) -> tuple[FileLedger, ...]:
        """Return a ledger for each file.

        Args:
            kept: rows of each file that stayed after the sort.
            dropped: rows of each file that gave way to another of the same series and time.
            truncated: of those kept, sequences of each file longer than the lookback.

        Raises:
            StoreError: if the rows of a file do not add up.
        """
        ledgers = []
        for i, file in enumerate(self._files):
            ledger = Ledger(
                read=int(self._read[i]),
                kept=int(kept[i]),
                quarantined=int(self._quarantined[i]),
                duplicates=int(dropped[i]),
                after_as_of=int(self._after[i]),
                truncated=0 if truncated is None else int(truncated[i]),
            )
            if not ledger.balances:
                raise StoreError(
                    f"found a ledger of {file} that does not add up ({ledger}), needed every row"
                    " accounted for; report this as a bug, nothing was published"
                )
            ledgers.append(FileLedger(file=file, ledger=ledger))
        return tuple(ledgers)


def sum_ledgers(files: Sequence[FileLedger]) -> Ledger:
    """Return the ledger of all files together."""
    return sum((f.ledger for f in files[1:]), start=files[0].ledger)


def write_ledger(store: Store, run: RunRef, files: Sequence[FileLedger]) -> None:
    """Write `ledger.json` of a run: the total, and the same for each file.

    What was truncated is named where anything was.
    """
    total = sum_ledgers(files).model_dump(exclude_defaults=True)
    parts = {f.file: f.ledger.model_dump(exclude_defaults=True) for f in files}
    value = {**total, "files": parts}
    store.write_json(f"{run.key}/ledger.json", value)
