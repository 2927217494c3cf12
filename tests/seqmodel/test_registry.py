"""The command over the stored versions: what it prints and how it ends."""

from datetime import datetime, timedelta

import pytest

from seqmodel.registry import main
from seqmodel.store.rolling_back import roll_back
from seqmodel.store.store import Store
from seqmodel.store.versions import compare_versions, find_version, trace_lineage
from tests.seqmodel.store.stored import NIGHT, SPEC, damage, point, write


@pytest.fixture
def store(tmp_path):
    store = Store(tmp_path)
    longer = SPEC.model_copy(update={"window": SPEC.window.model_copy(update={"lookback": 9})})
    write(store, "v1", NIGHT - timedelta(days=2), table="t1", code="c", start={"parent": None})
    write(store, "v2", NIGHT - timedelta(days=1), table="t2", code="c", start={"parent": "v1"})
    write(store, "v3", NIGHT, longer, table="t2", code="d", start={"parent": "v2"})
    for i in (1, 2, 3):
        point(store, f"v{i}", f"v{i - 1}" if i > 1 else None, f"v{i - 1}" if i > 1 else None)
    return store


@pytest.fixture
def ask(store, capsys):
    def run(command, *words):
        code = main([command, "--name", "p", "--data-root", str(store.root), *words])
        return code, capsys.readouterr()

    return run


def test_the_list_shows_every_version_its_state_and_its_parent(store, ask):
    damage(store, "v1")
    roll_back(store, "p", "v2", "it failed", NIGHT)
    code, said = ask("list")
    lines = said.out.splitlines()
    assert code == 0
    assert [line.split()[0] for line in lines] == ["version", "v1", "v2", "v3"]
    assert "damaged" in lines[1]
    assert "champion" in lines[2]
    assert "rolled back" in lines[3]
    assert lines[2].endswith("v1")


def test_lineage_goes_back_to_the_one_from_scratch(store, ask):
    assert [v.version for v in trace_lineage(store, "p", "champion")] == ["v3", "v2", "v1"]
    code, said = ask("show", "champion")
    assert code == 0
    assert said.out.index("v3") < said.out.index("v2") < said.out.index("v1")
    assert "table: t2" in said.out


def test_two_versions_differ_in_what_was_changed_and_in_nothing_else(store, ask):
    versions = [find_version(store, "p", name) for name in ("previous", "champion")]
    found = compare_versions(*versions)
    assert found == {
        "as_of": (versions[0].manifest["as_of"], versions[1].manifest["as_of"]),
        "code": ("c", "d"),
        "window.lookback": (168, 9),
    }
    code, said = ask("compare", "v2", "v3")
    assert code == 0
    assert "window.lookback" in said.out


def test_check_ends_with_1_where_something_is_damaged(store, ask):
    assert ask("check")[0] == 0
    damage(store, "v2")
    code, said = ask("check")
    assert code == 1
    assert "p/models/v2" in said.out
    assert said.out.splitlines()[-1] == "4 checked, 2 damaged", "the pointer names v2 as previous"


def test_the_journal_lists_every_move(ask):
    code, said = ask("journal")
    assert code == 0
    assert len(said.out.splitlines()) == 4


def test_prune_says_what_would_go_and_then_removes_it(store, ask):
    late = (NIGHT + timedelta(days=90)).isoformat()
    words = ("--nights", "7", "--as-of", late)
    write(store, "v4", NIGHT)
    assert "p/models/v4" in ask("prune", *words, "--dry-run")[1].out
    assert store.path("p/models/v4").exists()
    assert ask("prune", *words)[0] == 0
    assert not store.path("p/models/v4").exists()
    assert store.path("p/models/v1").exists(), "the champion went on from it"


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (("show", "v9"), 1, "found no version v9"),
        (("compare", "v1", "v9"), 1, "found no version v9"),
        (("prune", "--nights", "0"), 2, "--nights 0"),
    ],
)
def test_a_wrong_word_is_one_line_and_a_code(ask, words, code, says):
    found, said = ask(words[0], *words[1:])
    assert found == code
    assert says in said.err
    assert len(said.err.splitlines()) == 1


def test_a_version_is_promoted_by_hand_and_the_one_before_is_previous(store, ask):
    assert ask("promote", "v3")[0] == 1, "it serves already"
    code, said = ask("promote", "v1", "--reason", "as agreed")
    assert (code, said.out) == (0, "v1 serves, v3 did before\n")
    pointer = store.read_json("p/champion.json")
    assert (pointer["version"], pointer["previous"]) == ("v1", "v3")
    assert pointer["reason"] == "as agreed"
    assert datetime.fromisoformat(pointer["promoted_at"]) == NIGHT, "no earlier night replaces it"
    damage(store, "v2")
    assert ask("promote", "v2")[0] == 1


def test_the_first_version_may_be_promoted_by_hand(tmp_path, capsys):
    store = Store(tmp_path)
    write(store, "v1", NIGHT)
    assert main(["promote", "v1", "--name", "p", "--data-root", str(tmp_path)]) == 0
    assert "the baseline did before" in capsys.readouterr().out
