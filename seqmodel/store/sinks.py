"""A published forecast in a table of a database or of Delta Lake, beside its files.

parts that the manifest names -- rows, some thousands at a time --> upsert, all in one transaction
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import SQLAlchemyError

from seqmodel.errors import StoreError
from seqmodel.store.delta import SCHEME, find_lake, replace_cutoff
from seqmodel.store.forecasts import list_parts

#: What makes a row one row.
KEYS = ("series_id", "cutoff", "step")
#: Databases that can replace a row where its key is there already.
UPSERTS: dict[str, Any] = {"postgresql": postgresql.insert, "sqlite": sqlite.insert}
#: Rows sent together.
ROWS = 10_000


def deliver_forecast(folder: Path, url: str, table: str) -> int:
    """Put a published forecast into a table: all of its rows or none.

    A row that is there already, by series, cutoff and step, is replaced; others stay.

    Args:
        folder: `<data root>/<pipeline>/forecasts/cutoff=<moment>`.
        url: of the database, as SQLAlchemy writes it; `delta:///folder` of Delta Lake.
        table: name of the table; made where there is none.

    Returns:
        Rows delivered.

    Raises:
        StoreError: if the database cannot be reached or refuses; the table stays as it was.
    """
    parts = list_parts(folder)
    try:
        if url.startswith(SCHEME):
            return replace_cutoff(parts, find_lake(url, table))
        engine = sa.create_engine(url, poolclass=sa.NullPool)
        _create(engine, pq.read_schema(parts[0]), table)
        with engine.begin() as connection:
            return _upsert(connection, parts, table)
    except (SQLAlchemyError, ImportError, KeyError, OSError) as error:
        said = " ".join(str(getattr(error, "orig", None) or error).split())[:200]
        raise StoreError(
            f"found the forecast of {folder} published but not in table {table!r} of"
            f" forecast.sink ({type(error).__name__}: {said}), needed a database that takes it;"
            " mend it, its driver or its columns, and run again"
        ) from error


def _create(engine: sa.Engine, schema: pa.Schema, table: str) -> None:
    """Make the table where there is none; another run may do so at the same moment."""
    try:
        _declare(schema, table).create(engine, checkfirst=True)
    except SQLAlchemyError:
        if not sa.inspect(engine).has_table(table):
            raise


def _upsert(connection: sa.Connection, parts: list[str], table: str) -> int:
    insert, count = UPSERTS[connection.dialect.name], 0
    for path in parts:
        with pq.ParquetFile(path) as part:
            goal = _declare(part.schema_arrow, table)
            new = insert(goal)
            rest = {
                name: new.excluded[name] for name in part.schema_arrow.names if name not in KEYS
            }
            changed = {name: new.excluded[name] for name in rest}
            upsert = new.on_conflict_do_update(index_elements=KEYS, set_=changed)
            for batch in part.iter_batches(ROWS):
                connection.execute(upsert, [_make_plain(row) for row in batch.to_pylist()])
                count += batch.num_rows
    return count


def _declare(schema: pa.Schema, table: str) -> sa.Table:
    """Return a table with the columns of the rows."""
    columns = [
        sa.Column(field.name, _choose_type(field.type), primary_key=field.name in KEYS)
        for field in schema
    ]
    return sa.Table(table, sa.MetaData(), *columns)


def _choose_type(kind: pa.DataType) -> Any:
    if pa.types.is_timestamp(kind):
        return sa.DateTime(timezone=True)
    if pa.types.is_integer(kind):
        return sa.BigInteger()
    return sa.Double() if pa.types.is_floating(kind) else sa.Text()


def _make_plain(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row with its moments in UTC, whatever class the reader gave them."""
    return {
        name: value.astimezone(UTC) if isinstance(value, datetime) else value
        for name, value in row.items()
    }
