"""No query is built from what a user brings: neither a series nor a column can change one."""

from __future__ import annotations

import ast
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa

from seqmodel.specs import PipelineSpec
from seqmodel.store.forecasts import forecast_key, publish_forecast
from seqmodel.store.runs import name_run
from seqmodel.store.sinks import deliver_forecast
from seqmodel.store.store import Store
from seqmodel.table.ingesting import ingest_table
from seqmodel.table.reading import look_at
from seqmodel.table.stream import stream_sorted
from tests.faults.safety.sources import TREES, calls
from tests.seqmodel.store.test_forecasts import CUTOFF, FIGURES

AS_OF = datetime(2024, 1, 3, tzinfo=UTC)
EVIL = [
    "'; DROP TABLE forecasts; --",
    '"; DROP VIEW canonical; --',
    "a' OR '1'='1",
    "$paths",
    "?",
    "%s",
    ":series_id",
    "\\'; SELECT 1; --",
    "read_parquet('/etc/passwd')",
]
QUERIES = {"execute", "sql", "query", "executemany", "text", "exec_driver_sql", "from_query"}
#: Names that hold a query made of constants and places only: file -> names, see the file's head.
OWN = {
    "seqmodel/table/merging.py": {"ROW", "names", "i", "query"},
    "seqmodel/table/stream.py": {"listed", "there", "query", "i"},
}


def names_in(node: ast.AST) -> set[str]:
    return {n.id for n in ast.walk(node) if isinstance(n, ast.Name)}


@pytest.mark.fault("SQL in names")
def test_a_query_holds_constants_and_our_own_aliases_only():
    seen = 0
    for where, called, node in calls():
        file = where.partition(":")[0]
        owner = ast.unparse(node.func).rpartition(".")[0]
        if called not in QUERIES or not node.args or owner.startswith("axes"):
            continue
        seen += 1
        first = node.args[0]
        if isinstance(first, ast.Constant) or (file.endswith("sinks.py") and called == "execute"):
            continue  # the sink's statements are objects of SQLAlchemy, with bound values
        assert names_in(first) <= OWN.get(file, set()), f"{where} {ast.unparse(first)}"
    assert seen >= 5, "the calls that this test is about have other names now"
    assert not [
        w for w, called, _ in calls() if called in {"text", "literal_column"} and "sink" in w
    ]


@pytest.mark.fault("SQL in names")
def test_the_text_of_every_query_names_our_own_aliases_only():
    words = ("SELECT ", "CREATE ", "INSERT ", "DELETE ", "DROP ")
    for file, tree in TREES.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.JoinedStr) and ast.unparse(node)[2:].startswith(words):
                assert names_in(node) <= OWN.get(file, set()), f"{file}:{node.lineno}"


def write_source(path, columns=("series_id", "target")):
    hours = [datetime(2024, 1, 1, tzinfo=UTC) + timedelta(hours=h) for h in range(24)]
    table = pa.table(
        {
            columns[0]: [name for name in EVIL for _ in hours],
            "timestamp": pa.array(hours * len(EVIL), pa.timestamp("us", tz="UTC")),
            columns[1]: [1.0] * (24 * len(EVIL)),
        }
    )
    pq.write_table(table, path)


@pytest.mark.fault("SQL in names")
def test_series_and_columns_called_like_queries_come_through_as_they_are(tmp_path):
    path, columns = tmp_path / "it's; DROP.parquet", ('id"; DROP VIEW canonical; --', "y'); --")
    write_source(path, columns)
    spec = PipelineSpec.model_validate(
        {"name": "p", "source": {"uri": str(path), "series_id": columns[0], "target": columns[1]}}
    )
    store = Store(tmp_path / "it's a root")
    source = look_at(spec.source)
    table = ingest_table(store, name_run(spec, AS_OF, source), AS_OF, source, spec)
    assert (table.series, table.ledger.kept) == (len(EVIL), 24 * len(EVIL))
    batches = list(stream_sorted(store.find(table.key), spec.source))
    found = {name for batch in batches for name in batch["series_id"].cast("string").to_pylist()}
    assert found == set(EVIL)


@pytest.mark.fault("SQL in names")
def test_the_sink_keeps_such_series_as_they_are(tmp_path):
    moments = pa.array([CUTOFF] * len(EVIL), pa.timestamp("us", tz="UTC"))
    rows = pa.table(
        {
            "series_id": sorted(EVIL),
            "cutoff": moments,
            "timestamp": moments,
            "step": pa.array([1] * len(EVIL), pa.int32()),
            "q0.5": [1.0] * len(EVIL),
            "model_version": EVIL,
        }
    )
    store, key = Store(tmp_path), forecast_key("p", CUTOFF)
    publish_forecast(store, key, rows, FIGURES)
    url = f"sqlite:///{tmp_path / 'out.db'}"
    for _ in range(2):
        assert deliver_forecast(store.path(key), url, "forecasts") == len(EVIL)
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    assert sa.inspect(engine).get_table_names() == ["forecasts"]
    with engine.connect() as connection:
        found = connection.execute(sa.text("select series_id from forecasts")).scalars().all()
    assert sorted(found) == sorted(EVIL)
