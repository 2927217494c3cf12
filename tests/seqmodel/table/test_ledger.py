"""The ledger adds up or says so."""

import json
from datetime import UTC, datetime

import numpy as np
import pytest

from seqmodel.errors import StoreError
from seqmodel.store.ledgers import Ledger
from seqmodel.store.refs import RunRef
from seqmodel.store.store import Store
from seqmodel.table.ledger import Tally, sum_ledgers, write_ledger

RUN = RunRef(pipeline="p", run="r", as_of=datetime(2024, 1, 1, tzinfo=UTC))


def make_ledgers():
    tally = Tally(["a", "b"])
    tally.count(0, read=5, quarantined=1, after=1)
    tally.count(0, read=2, quarantined=0, after=0)
    tally.count(1, read=3, quarantined=0, after=3)
    return tally.balance(np.array([4, 0]), np.array([1, 0]))


def test_every_file_has_its_own_count_and_the_total_is_their_sum():
    first, second = make_ledgers()
    assert first.ledger == Ledger(read=7, kept=4, quarantined=1, duplicates=1, after_as_of=1)
    assert second.ledger == Ledger(read=3, kept=0, quarantined=0, duplicates=0, after_as_of=3)
    assert sum_ledgers((first, second)).read == 10


def test_ledger_that_does_not_add_up_is_refused_with_its_file():
    tally = Tally(["rows.parquet"])
    tally.count(0, read=5, quarantined=0, after=0)
    with pytest.raises(StoreError, match=r"rows\.parquet that does not add up"):
        tally.balance(np.array([4]), np.array([0]))


def test_ledger_json_holds_the_total_and_every_file(tmp_path):
    write_ledger(Store(tmp_path), RUN, make_ledgers())
    found = json.loads((tmp_path / "p/reports/r/ledger.json").read_text())
    files = found.pop("files")
    names = {"read": 10, "kept": 4, "quarantined": 1, "duplicates": 1, "after_as_of": 4}
    assert found == names
    assert set(files) == {"a", "b"}
    assert {name: sum(f[name] for f in files.values()) for name in names} == names
