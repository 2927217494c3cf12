"""Events as a panel: the events of a series are its steps, and lists become events.

series a   |e  e e     e|        numbers  -3 -2 -1  0 | 1        the newest event of each has 0
series b   |      e    e|                       -1  0 | 1        whenever it was
                        ^ as_of                       ^ the next event, known covariates only

A row of lists is a series of its own: its elements are events, and its label is one event more.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from seqmodel.specs import SourceSpec

Integers = NDArray[np.int64]
#: Number of the newest event of each series.
NEWEST = 0


def explode_sequences(rows: pa.Table, source: SourceSpec) -> pa.Table:
    """Return an event for each element of a sequence, and one more for its label.

    Args:
        rows: n sequences; the past columns are lists of one length a row.
        source: which columns are lists.

    Returns:
        Sorted by series, elements in order; all events of a sequence have its timestamp. The
        target stands at the last event alone, which has no element; a sequence without a label
        has no such event.
    """
    lists = {name: rows[name].combine_chunks() for name in source.past}
    lengths = pc.list_value_length(lists[source.past[0]]).to_numpy().astype(np.int64)
    labelled = rows["target"].is_valid().to_numpy().astype(np.int64)
    counts = lengths + labelled
    owner = np.repeat(np.arange(rows.num_rows), counts)
    place = np.arange(len(owner)) - np.repeat(np.cumsum(counts) - counts, counts)
    is_label = place == lengths[owner]
    begins = np.cumsum(lengths) - lengths
    element = pa.array(begins[owner] + place, mask=is_label)
    owners = pa.array(owner)
    columns = {
        "series_id": rows["series_id"].take(owners),
        "timestamp": rows["timestamp"].take(owners),
        "target": rows["target"].take(pa.array(owner, mask=~is_label)),
        **{name: pa.chunked_array([lists[name].flatten().take(element)]) for name in source.past},
        **{name: rows[name].take(owners) for name in source.static},
    }
    return pa.table(columns)


def number_events(codes: Integers, past: NDArray[np.bool_], first_future: int) -> Integers:
    """Return the number of each event within its series.

    Args:
        codes: R numbers of the series, ascending.
        past: R marks of the events that have happened; those of a series come before the others.
        first_future: number of the first event that has not.
    """
    ends = np.searchsorted(codes[past], codes, side="right")
    happened = np.searchsorted(codes[past], codes, side="left")
    begins = np.searchsorted(codes, codes, side="left")
    numbers: Integers = np.arange(len(codes)) - begins - (ends - happened) + first_future
    return numbers
