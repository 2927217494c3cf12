"""Every knob of the spec: what draws values that fit it, and what fits it never."""

from __future__ import annotations

from collections.abc import Iterator
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt
from hypothesis import strategies as st
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from seqmodel.specs import PipelineSpec

LEAST: dict[str, Any] = {"name": "p", "source": {"uri": "x.parquet"}}


def list_knobs(model: type[BaseModel] = PipelineSpec, path: str = "") -> Iterator[Any]:
    """Yield each knob that is no section: its dotted path and its field."""
    for name, field in model.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from list_knobs(kind, f"{path}{name}.")
        else:
            yield f"{path}{name}", field


KNOBS: dict[str, FieldInfo] = dict(list_knobs())
SECTIONS = sorted({path.rpartition(".")[0] for path in KNOBS})


def strip(kind: Any) -> tuple[Any, bool]:
    """Return a type without None, and whether None is allowed."""
    if get_origin(kind) in {Union, UnionType}:
        inner = [k for k in get_args(kind) if k is not NoneType]
        return (inner[0], len(inner) < len(get_args(kind)))
    return (get_args(kind)[0], False) if get_origin(kind) is Annotated else (kind, False)


def bounds(field: FieldInfo) -> dict[type, float]:
    marks = [m for m in field.metadata if isinstance(m, Ge | Gt | Le | Lt)]
    return {type(m): getattr(m, type(m).__name__.lower()) for m in marks}


def numbers(field: FieldInfo, kind: type) -> st.SearchStrategy[Any]:
    found = bounds(field)
    low = found.get(Ge, found.get(Gt, 0))
    high = found.get(Le, found.get(Lt, low + 1000))
    if kind is int:
        first, last = int(low) + (Gt in found), int(high) - (Lt in found)
        return st.integers(first, last)
    return st.floats(low, high, exclude_min=Gt in found, exclude_max=Lt in found)


def draw_knob(path: str, field: FieldInfo) -> st.SearchStrategy[Any] | None:
    """Return what draws values of a knob by its own type and bounds; None for the others."""
    kind, optional = strip(field.annotation)
    if get_origin(kind) is Literal:
        drawn: st.SearchStrategy[Any] = st.sampled_from(get_args(kind))
    elif kind is bool:
        drawn = st.booleans()
    elif kind in {int, float}:
        drawn = numbers(field, kind)
    elif path == "name":
        drawn = st.from_regex(r"[a-z0-9][a-z0-9-]{0,62}", fullmatch=True)
    else:
        return None
    return st.one_of(st.none(), drawn) if optional else drawn


DRAWN = {path: s for path, field in KNOBS.items() if (s := draw_knob(path, field)) is not None}


def put(spec: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """Return a copy of a spec with one knob set."""
    first, _, rest = path.partition(".")
    return {**spec, first: put(spec.get(first, {}), rest, value) if rest else value}


@st.composite
def specs(draw: Any) -> dict[str, Any]:
    """Draw a spec with up to eight knobs set, each within its bounds."""
    found = LEAST
    for path in draw(st.lists(st.sampled_from(sorted(DRAWN)), max_size=8, unique=True)):
        found = put(found, path, draw(DRAWN[path]))
    return found


def spoil(field: FieldInfo) -> list[Any]:
    """Return values that no knob of this kind takes: another type, out of bounds."""
    kind, optional = strip(field.annotation)
    wrong: list[Any] = [{"a": 1}]
    wrong += [] if optional or kind is Any else [None]
    if kind in {int, float}:
        found = bounds(field)
        wrong += ["many", float("nan"), float("inf")]
        wrong += [found[Ge] - 1] if Ge in found else [found[Gt]] if Gt in found else []
        wrong += [found[Le] + 1] if Le in found else [found[Lt]] if Lt in found else []
    elif kind is bool:
        wrong += ["perhaps", 7]
    elif get_origin(kind) is Literal:
        wrong += ["no such word", 7, ["mae"]]
    elif kind is str:
        wrong += [7, ["x"]]
    return wrong


PLANTED = [
    (path, value)
    for path, field in KNOBS.items()
    if not str(strip(field.annotation)[0]).startswith("dict")
    for value in spoil(field)
]
