"""What the report says about forecasts that are out, from the histories of real nights."""

import base64

import pytest

from seqmodel.monitoring.watching import watch
from seqmodel.reporting.live import gather_compared, gather_live
from seqmodel.reporting.live_plots import draw_coverage, draw_skill
from seqmodel.reporting.night import LiveNight, Night
from seqmodel.reporting.pictures import list_pictures
from seqmodel.store.comparisons import Paired
from seqmodel.store.refs import BacktestRef
from seqmodel.store.store import Store
from tests.seqmodel.monitoring.published import SPEC, night, publish, put_night, run_of


@pytest.fixture
def store(tmp_path):
    """Nights 5 to 7: a good forecast, a bad one by another version, one by the baseline."""
    store = Store(tmp_path)
    for day, off, version in ((5, 0.1, "v1"), (6, 9.0, "v2"), (7, 0.1, "baseline")):
        publish(store, day, off=off, version=version)
    return store


def look(store, day):
    watched = watch(store, run_of(day), put_night(store, day), None, SPEC)
    return gather_live(store, run_of(day), watched, SPEC)


def test_each_night_has_its_version_skill_and_coverage(store):
    found = look(store, 8)["live"]
    assert [one.version for one in found] == ["v1", "v2", "baseline"]
    assert [one.cutoff < night(8) for one in found] == [True] * 3
    assert found[0].skill > 0 > found[1].skill
    assert found[0].coverage == 1
    assert found[1].coverage == 0
    assert all(one.share == 1 for one in found)


def test_live_figures_stand_beside_the_baselines_and_the_promise(store):
    found = {one.metric: one for one in look(store, 8)["promises"]}
    assert found["mae"].live == pytest.approx(0.1)
    assert found["mae"].baseline > found["mae"].live
    assert found["mae"].promised is None, "the baseline has no backtest of its own"


def test_of_a_night_without_a_watch_and_of_the_first_night_nothing_is_shown(tmp_path):
    assert gather_live(Store(tmp_path), run_of(5), None, SPEC) == {}
    first = look(Store(tmp_path), 5)
    assert (first["live"], first["promises"], first["drift"]) == ((), (), ())
    assert gather_compared(None) == ()


def test_what_the_gate_found_is_passed_on():
    one = Paired(
        test="bootstrap", difference=-0.1, chance=0.02, pairs=7, over="cutoffs", windows=21
    )
    ref = BacktestRef(key="k", windows=21, cutoffs=(), scores={}, paired={"champion": one})
    (found,) = gather_compared(ref)
    assert (found.rival, found.chance, found.pairs) == ("champion", 0.02, 7)


def build_live(skills):
    return tuple(
        LiveNight(cutoff=night(day), version=f"v{day // 3}", skill=skill, coverage=0.7, share=1)
        for day, skill in enumerate(skills)
    )


def test_the_plots_say_in_words_what_they_show():
    live = build_live([0.1, None, 0.3, -0.2])
    skill = draw_skill(live, "mase")
    assert "Live MASE against the baseline&#x27;s over 3 nights" in skill
    assert "newest -20.0 %; 1 changes of version" in skill
    assert "newest 70%, 70%, 70%; 80% are due" in draw_coverage(live, 0.8)
    assert draw_skill((), "mase").startswith("<svg")
    assert draw_skill(build_live([0.1] * 90), "log_loss") == draw_skill(
        build_live([0.1] * 90), "log_loss"
    )


def test_the_page_of_a_run_gets_small_pictures_of_several_nights_only():
    bare = {"pipeline": "p", "run": "r", "as_of": night(5), "verdict": "v", "live_metric": "mase"}
    assert list(list_pictures(Night(**bare, live=build_live([0.1])))) == []
    (line,) = list_pictures(Night(**bare, live=build_live([0.1, 0.2])))
    says, _, content = line.partition("](data:image/png;base64,")
    assert says.startswith("![Live skill")
    picture = base64.b64decode(content.rstrip(")"))
    assert picture.startswith(b"\x89PNG")
    assert len(picture) < 50_000
