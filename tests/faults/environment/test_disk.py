"""The disk is full, read-only, closed or slow: one line, and with it mended the night completes."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.faults.environment.outcomes import assert_done, assert_one_line
from tests.faults.night import CUTOFF, check_whole, finish

pytestmark = [pytest.mark.tensorflow, pytest.mark.faults, pytest.mark.timeout(1800)]
#: Modes are nothing to root, unless it gives up what lets it pass them over.
POWERS = "-dac_override,-dac_read_search"
AS_OTHERS = () if os.geteuid() else ("setpriv", f"--bounding-set={POWERS}", f"--inh-caps={POWERS}")
mounts = pytest.mark.skipif(os.geteuid() != 0, reason="only root mounts a file system")


@contextmanager
def mounted(place: Path, options: str):
    """A file system of its own in memory."""
    place.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(place)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


def remount(place: Path, options: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{options}", str(place)], check=True)


@mounts
@pytest.mark.fault("a full disk")
@pytest.mark.parametrize(
    ("size", "step"), [("64k", "ingest"), ("256k", "window"), ("448k", "train")]
)
def test_a_full_disk_is_one_line_and_with_room_the_night_completes(ground, unbroken, size, step):
    with mounted(ground.root, f"size={size}"):
        end = ground.run()
        check_whole(ground.pipeline)
        assert f"step {step}: failed" in end.out
        if step == "ingest":
            assert_one_line(end, "full", "needed room to write")
        else:  # the training is what the disk has no room for, and a forecast needs none
            assert end.code == 0, end.out[-3000:]
            assert "The retraining failed: found the disk of the data root" in flatten(end.out)
            assert (ground.pipeline / "forecasts" / f"cutoff={CUTOFF}" / "_manifest.json").exists()
        assert not (ground.pipeline / "champion.json").exists()
        remount(ground.root, "size=64m")
        assert_done(ground, unbroken, ground.run())


def flatten(text: str) -> str:
    """The words without the folds of the terminal."""
    return " ".join(text.split())


@mounts
@pytest.mark.fault("a data root that is read-only")
def test_a_read_only_data_root_is_one_line(ground):
    with mounted(ground.root, "ro"):
        assert_one_line(ground.run(), "not writable", "Read-only file system")


@mounts
@pytest.mark.fault("a data root that turns read-only")
def test_a_root_that_turns_read_only_in_the_middle_is_one_line_and_then_the_night_completes(
    ground, unbroken
):
    with mounted(ground.root, "size=64m"):
        begun, process = time.monotonic(), ground.start()
        wait_for_table(ground, process)
        remount(ground.root, "ro")
        assert_one_line(finish(process, begun), "not writable", "Read-only file system")
        check_whole(ground.pipeline)
        remount(ground.root, "rw")
        assert_done(ground, unbroken, ground.run())


def wait_for_table(ground, process) -> None:
    while not (ground.pipeline / "tables").exists() and process.poll() is None:
        time.sleep(0.05)


@pytest.mark.fault("permission taken away")
def test_a_root_that_is_closed_in_the_middle_is_one_line_and_then_the_night_completes(
    ground, unbroken
):
    begun, process = time.monotonic(), ground.start(before=AS_OTHERS)
    wait_for_table(ground, process)
    set_modes(ground.root, 0o555)
    end = finish(process, begun)
    assert_one_line(end, "not writable", "Permission denied")
    check_whole(ground.pipeline)
    set_modes(ground.root, 0o755)
    assert_done(ground, unbroken, ground.run(before=AS_OTHERS))


def set_modes(root: Path, mode: int) -> None:
    for place in [root, *(p for p in root.rglob("*") if p.is_dir())]:
        with suppress(FileNotFoundError):  # a draft that is gone meanwhile
            place.chmod(mode)


@pytest.mark.fault("a slow disk")
def test_a_disk_that_waits_before_every_write_changes_nothing(ground, unbroken):
    end = ground.run(plan={"points": [], "slow": 0.1})
    assert end.seconds > 5, "it was not slow, so nothing is proved"
    assert_done(ground, unbroken, end)


@mounts
@pytest.mark.fault("a full disk under Prefect's home")
def test_a_full_disk_under_prefects_home_is_one_line_and_with_room_the_night_completes(
    ground, unbroken
):
    shutil.rmtree(ground.home)
    with mounted(ground.home, "size=8m"):
        shutil.copytree(unbroken.ground.home, ground.home, dirs_exist_ok=True)
        fill(ground.home)
        end = ground.run()
        check_whole(ground.pipeline)
        assert_one_line(end)
        remount(ground.home, "size=64m")
        (ground.home / "filler").unlink()
        assert_done(ground, unbroken, ground.run())


def fill(folder: Path) -> None:
    """Write until there is no room."""
    with (folder / "filler").open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(4096))
