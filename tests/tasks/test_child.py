"""The child process: its answer, its words, its errors, and all the ways it can die."""

import logging
import os
import re
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from seqmodel.errors import ChildDied, DataError, OutOfMemory, SeqmodelError
from tasks import weighing
from tasks.child import run_in_child
from tasks.retrying import may_pass

LOG = logging.getLogger("parent")
HERE = "tests.tasks.work_in_child"
ROOT = Path(__file__).parents[2]


def run(name, job=None, deadline=30.0, tell=lambda _: None, **limits):
    return run_in_child(
        f"{HERE}:{name}", job or {}, deadline=deadline, tell=tell, log=LOG, **limits
    )


def is_alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def wait_until(true, seconds=10.0):
    end = time.monotonic() + seconds
    while not true() and time.monotonic() < end:
        time.sleep(0.02)
    return true()


def test_the_answer_comes_back_with_progress_and_log(caplog):
    told = []
    with caplog.at_level(logging.INFO):
        answer = run("answer", {"n": 21}, tell=told.append)
    assert answer["doubled"] == 42
    assert answer["pid"] != os.getpid()
    assert answer["backend"]
    assert told == [{"step": 1}, {"step": 2}]
    assert ("parent", logging.WARNING, "seen 7") in caplog.record_tuples
    assert wait_until(lambda: not is_alive(answer["pid"]))


def test_an_error_of_the_library_keeps_its_class_and_its_sentence():
    with pytest.raises(DataError) as caught:
        run("refuse")
    assert str(caught.value) == "found 1, needed 2; bring another"


def test_a_bug_in_the_child_is_named_and_not_worth_another_try(caplog):
    with caplog.at_level("ERROR"), pytest.raises(SeqmodelError, match="KeyError: 'a bug'") as found:
        run("break_down")
    assert not may_pass(found.value)
    assert "Traceback" in caplog.text


def test_a_full_disk_in_the_child_may_pass():
    with pytest.raises(ChildDied, match="No space left") as found:
        run("fill_disk")
    assert may_pass(found.value)


def test_a_child_above_its_memory_limit_is_ended_with_figure_and_knob():
    with pytest.raises(OutOfMemory, match=r"needed at most 512 \(train.memory_limit\)") as caught:
        run("grow", memory_limit=512)
    found = int(re.search(r"at (\d+) MiB", str(caught.value))[1])
    assert 512 < found < 700
    assert caught.value.exit_code == 2
    assert may_pass(caught.value)


def test_a_child_below_its_memory_limit_is_left_alone():
    assert run("answer", {"n": 1}, memory_limit=512)["doubled"] == 2


@pytest.mark.parametrize("error", ["MemoryError", "ResourceExhaustedError"])
def test_a_child_that_finds_no_free_memory_says_what_to_make_smaller(error):
    with pytest.raises(OutOfMemory, match=r"found no free memory .*lower train.batch_size"):
        run("find_no_memory", {"error": error})


def test_a_child_that_the_system_ended_for_want_of_memory_is_told_from_one_that_somebody_killed(
    monkeypatch,
):
    counts = iter([3, 4])
    monkeypatch.setattr(weighing, "_count_ended", lambda: next(counts))
    with pytest.raises(OutOfMemory, match="found no free memory on this machine"):
        run("kill")


def test_a_killed_child_is_named_with_its_signal():
    with pytest.raises(ChildDied, match="SIGKILL"):
        run("kill")


def test_a_child_that_ends_without_a_word_is_named_with_its_exit_code():
    with pytest.raises(ChildDied, match="exit code 3; no last words"):
        run("say_nothing")


@pytest.mark.parametrize("name", ["sleep", "chatter"])
def test_a_child_that_overruns_is_killed_at_its_deadline(name, tmp_path):
    begun = time.monotonic()
    with pytest.raises(ChildDied, match=r"still running after 2 s"):
        run(name, {"file": str(tmp_path / "pid")}, deadline=2.0)
    assert time.monotonic() - begun < 8
    if name == "sleep":
        assert not is_alive(int((tmp_path / "pid").read_text()))


def test_what_a_library_prints_does_not_hide_the_answer(caplog):
    with caplog.at_level(logging.INFO):
        assert run("print_much") == "y" * 200_000
    words = [r.message for r in caplog.records]
    assert words == ["42", '["a", "list"]', "no end of line"]


def test_an_error_of_the_listener_ends_the_child():
    def fail(_):
        raise RuntimeError("cancelled")

    with pytest.raises(RuntimeError, match="cancelled"):
        run("chatter", tell=fail)


def test_a_large_job_crosses():
    assert run("answer", {"n": 1, "ballast": "x" * 3_000_000})["doubled"] == 2


@pytest.mark.skipif(sys.platform != "linux", reason="the parent-death signal is Linux's")
def test_a_child_dies_with_its_parent(tmp_path):
    file = tmp_path / "pid"
    program = textwrap.dedent(
        f"""
        import logging
        from tasks.child import run_in_child
        run_in_child("{HERE}:sleep", {{"file": {str(file)!r}}}, deadline=60,
                     tell=print, log=logging.getLogger())
        """
    )
    parent = subprocess.Popen([sys.executable, "-c", program], cwd=ROOT)
    try:
        assert wait_until(lambda: file.exists() and file.read_text(), 30)
        child = int(file.read_text())
        assert is_alive(child)
        parent.send_signal(signal.SIGKILL)
        parent.wait()
        assert wait_until(lambda: not is_alive(child), 5)
    finally:
        parent.kill()


def test_a_child_whose_parent_is_gone_before_it_begins_does_nothing():
    job = subprocess.run(
        [sys.executable, "-m", "tasks.child", f"{HERE}:answer", "1"],
        cwd=ROOT,
        input='{"n": 1}',
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (job.returncode, job.stdout) == (0, "")
