"""Loaded by every Python of a process tree under test: it writes down, or kills at, named moments.

A moment is a process and what it is about to do below the data root: `flow` or the function of a
child, then the audited call and its path. Nothing of the product is changed or knows of it. Each
point of the plan strikes once in a tree's life, whatever is started again.
"""

import json
import os
import re
import signal
import sys
import threading
import time

PLAN = os.environ.get("FAULT_PLAN")
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT


def who_am_i():
    words = sys.orig_argv
    if "tasks.child" in words:
        return words[words.index("tasks.child") + 1].rpartition(":")[2]
    return "flow" if any(word.startswith("flows.") for word in words) else None


def normalise(path, root):
    inner = os.path.relpath(path, root)
    inner = re.sub(r"tmp-[^/]+", "tmp", inner)
    return re.sub(r"(\.[^/]+?)\.[a-z0-9_]{8}$", r"\1.draft", inner)


def strike(plan, number, whom):
    try:
        mark = os.path.join(plan["folder"], f"struck-{number}")
        os.close(os.open(mark, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
    except FileExistsError:
        return
    if whom == "both":
        os.killpg(0, signal.SIGKILL)
    child = "tasks.child" in sys.orig_argv
    os.kill(os.getppid() if whom == "flow" and child else os.getpid(), signal.SIGKILL)
    time.sleep(5)  # the signal of the parent's death is on its way


def watch(plan, me):
    seen = {}
    busy = threading.local()

    def hook(event, args):
        if getattr(busy, "now", False) or event not in {
            "open", "os.rename", "os.mkdir", "os.remove", "os.rmdir",
        }:  # fmt: skip
            return
        busy.now = True
        try:
            if event == "open" and not (isinstance(args[2], int) and args[2] & WRITING):
                return
            path = args[1] if event == "os.rename" else args[0]
            if not isinstance(path, (str, os.PathLike)):
                return
            path = os.path.abspath(os.fspath(path))
            if not path.startswith(plan["root"]):
                return
            name = f"{me} {event} {normalise(path, plan['root'])}"
            seen[name] = seen.get(name, 0) + 1
            name = f"{name} #{seen[name]}"
            if plan.get("list"):
                with open(plan["list"], "a") as file:
                    file.write(name + "\n")
            time.sleep(plan.get("slow", 0))
            for number, point in enumerate(plan["points"]):
                first = point.get("first")
                if point.get("before") == name or (first and first in name and me == point["by"]):
                    strike(plan, number, point["whom"])
        finally:
            busy.now = False

    sys.addaudithook(hook)


def wait(plan, number, point):
    time.sleep(point["after"])
    strike(plan, number, point["whom"])


if PLAN:
    with open(PLAN) as found:
        plan = json.load(found)
    me = who_am_i()
    if me:
        watch(plan, me)
        for number, point in enumerate(plan["points"]):
            struck = os.path.exists(os.path.join(plan["folder"], f"struck-{number}"))
            if point.get("process") == me and not struck:
                threading.Thread(target=wait, args=(plan, number, point), daemon=True).start()
