"""Where the rows of a source went: counts that add up."""

from __future__ import annotations

from seqmodel.store.ref import Ref


class Ledger(Ref):
    """Rows in, and what became of them. It must add up.

    Attributes:
        read: rows read from the source.
        kept: rows in the canonical table.
        quarantined: rows set aside with a reason.
        duplicates: rows dropped because another row has the same series and timestamp.
        after_as_of: rows that end after `as_of`.
        truncated: of the rows kept, sequences longer than the lookback, whose newest elements
            alone are read; they are no part of the sum.
    """

    read: int
    kept: int
    quarantined: int
    duplicates: int
    after_as_of: int
    truncated: int = 0

    @property
    def balances(self) -> bool:
        """Whether every row read is accounted for exactly once."""
        return self.read == self.kept + self.quarantined + self.duplicates + self.after_as_of

    def __add__(self, other: Ledger) -> Ledger:
        return Ledger(**{n: getattr(self, n) + getattr(other, n) for n in Ledger.model_fields})


class FileLedger(Ref):
    """The ledger of one source file."""

    file: str
    ledger: Ledger
