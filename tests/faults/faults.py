"""What can go wrong, what then happens, and which test says so: one list.

Tests carry the names of this list as a mark, `make test-faults` counts by them, and the README's
table is made of it:

    python -m tests.faults.faults        writes it into the README
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

README = Path(__file__).resolve().parents[2] / "README.md"
BEGIN, END = "<!-- what survives -->", "<!-- end -->"


@dataclass(frozen=True)
class Fault:
    """A fault.

    Attributes:
        name: as the mark of its tests has it.
        outcome: what a user sees.
        test: file and function below `tests/`.
    """

    name: str
    outcome: str
    test: str


FAULTS = (
    Fault(
        "SIGKILL at 8 named points",
        "run again: done steps are not repeated, outputs equal an unbroken run's (the network by its weights, all else byte for byte), no stray file outlives the next retention, the ledger adds up",
        "faults/test_kills.py::test_a_night_killed_eight_times_ends_as_if_nothing_had_happened",
    ),
    Fault(
        "SIGKILL anywhere, by seed",
        "the same, for the flow, the child or both, before any write or by the clock, with a server that is up and with Prefect's temporary one",
        "faults/test_kills.py::test_a_night_killed_anywhere_ends_as_if_nothing_had_happened",
    ),
    Fault(
        "sixty nights in one process",
        "each with new data, its forecast and a ledger that adds up; memory, open files, processes and, under retention, files on disk stay as they are",
        "faults/test_soak.py::test_sixty_nights_leave_no_more_than_twenty",
    ),
    Fault(
        "Parquet bytes mutated",
        "a table whose ledger adds up, or exit 3 with one sentence; nothing half-done",
        "faults/test_mutations.py::test_six_hundred_damaged_files_end_whole_or_in_one_sentence",
    ),
    Fault(
        "a spec made of its own fields",
        "accepted, the same after JSON and YAML, and it runs to a forecast or to one sentence; or exit 2 with a sentence on the two knobs that contradict",
        "faults/test_specs.py::test_an_accepted_spec_survives_json_and_the_yaml_of_a_deployment",
    ),
    Fault(
        "a spec of anything",
        "accepted, or exit 2 with the path of the knob",
        "faults/test_specs.py::test_any_value_of_any_knob_is_accepted_or_refused_by_its_path",
    ),
    Fault(
        "a knob of the wrong kind",
        "another type, no number, out of bounds: exit 2 with its path",
        "faults/test_specs.py::test_a_value_that_does_not_fit_is_refused_with_the_path_of_its_knob",
    ),
    Fault(
        "a knob misspelt",
        "exit 2 with its path",
        "faults/test_specs.py::test_an_unknown_knob_is_refused_with_its_path",
    ),
    Fault(
        "a flag of nonsense",
        "exit 2, one sentence with the path",
        "faults/test_specs.py::test_nonsense_on_the_command_line_is_one_sentence_with_the_path",
    ),
    Fault(
        "a pickle planted in the store",
        "never run: nothing of this project unpickles",
        "faults/safety/test_pickle.py::test_a_pickle_in_a_bundle_with_the_right_checksum_is_not_executed",
    ),
    Fault(
        "a stored network changed by one byte",
        "refused by its sha256 before a byte is parsed; the version before serves",
        "faults/safety/test_bundles.py::test_a_network_that_is_not_what_its_manifest_says_is_refused_before_it_is_parsed",
    ),
    Fault(
        "code inside a stored network",
        "refused by Keras' safe mode in one sentence, and never run, though its sha256 is right",
        "faults/safety/test_bundles.py::test_code_inside_a_network_never_runs_though_its_checksum_is_right",
    ),
    Fault(
        "a graph changed or swapped",
        "refused by its sha256 before a byte is parsed; the next run makes it again of the version's network",
        "faults/safety/test_graphs.py::test_a_graph_that_is_not_what_the_run_began_with_is_refused_before_it_is_parsed",
    ),
    Fault(
        "a path that climbs out",
        "refused, in keys, names, manifests and archives, by `..`, from the root, or over a link; nothing outside is read",
        "faults/safety/test_paths.py::test_a_manifest_that_names_a_file_elsewhere_reads_nothing_there",
    ),
    Fault(
        "a secret in the spec",
        "exit 2 without repeating it; a password, key or signature in a URL reaches neither log nor database",
        "faults/safety/test_secrets.py::test_the_real_command_line_ends_with_2_and_leaves_no_trace_of_it",
    ),
    Fault(
        "secrets in the environment",
        "in no output, log, report, manifest, or row of Prefect's database, whether the sink takes the rows or not",
        "faults/safety/test_secrets.py::test_no_secret_of_the_environment_is_left_anywhere",
    ),
    Fault(
        "SQL in names",
        "statements are literals, values are bound",
        "faults/safety/test_sql.py::test_a_query_holds_constants_and_our_own_aliases_only",
    ),
    Fault(
        "files open to everybody",
        "written for their owner alone, whatever the umask",
        "faults/safety/test_paths.py::test_what_is_stored_is_writable_by_its_owner_alone_even_under_umask_0",
    ),
    Fault(
        "a server open to the network",
        "127.0.0.1 only",
        "faults/safety/test_exceptions.py::test_no_server_listens_beyond_loopback",
    ),
    Fault(
        "a security rule switched off",
        "only with its reason beside it",
        "faults/safety/test_exceptions.py::test_every_exception_from_a_security_rule_says_why",
    ),
    Fault(
        "a full disk",
        "in the ingestion exit 1 and one line, in the training a forecast of what serves or of the baseline; with room the next run completes",
        "faults/environment/test_disk.py::test_a_full_disk_is_one_line_and_with_room_the_night_completes",
    ),
    Fault(
        "a data root that is read-only",
        "exit 1 and one line",
        "faults/environment/test_disk.py::test_a_read_only_data_root_is_one_line",
    ),
    Fault(
        "a data root that turns read-only",
        "exit 1 and one line; writable again, the next run completes",
        "faults/environment/test_disk.py::test_a_root_that_turns_read_only_in_the_middle_is_one_line_and_then_the_night_completes",
    ),
    Fault(
        "permission taken away",
        "the same, as a user who is not root",
        "faults/environment/test_disk.py::test_a_root_that_is_closed_in_the_middle_is_one_line_and_then_the_night_completes",
    ),
    Fault(
        "a full disk under Prefect's home",
        "exit 1 and one line; with room the next run completes",
        "faults/environment/test_disk.py::test_a_full_disk_under_prefects_home_is_one_line_and_with_room_the_night_completes",
    ),
    Fault(
        "a slow disk",
        "the night takes longer, its outputs are the same",
        "faults/environment/test_disk.py::test_a_disk_that_waits_before_every_write_changes_nothing",
    ),
    Fault(
        "no memory for the child",
        "the training is given up, what serves or the baseline forecasts",
        "faults/environment/test_limits.py::test_a_child_without_memory_costs_the_training_and_not_the_forecast",
    ),
    Fault(
        "few open files",
        "with 64 the night completes; with 24 the training is given up, what serves or the baseline forecasts",
        "faults/environment/test_limits.py::test_a_limit_of_open_files_costs_the_training_and_not_the_forecast",
    ),
    Fault(
        "a clock set back by a year",
        "with an as_of the outputs are the same",
        "faults/environment/test_clock.py::test_a_clock_that_is_wrong_changes_nothing_where_as_of_is_given",
    ),
    Fault(
        "another time zone",
        "the machine's zone changes nothing",
        "faults/environment/test_clock.py::test_the_zone_of_the_machine_changes_nothing",
    ),
    Fault(
        "the night of a clock change",
        "spring and autumn, hourly and daily: each step of the forecast once, no row lost but the doubled hour's first reading",
        "faults/environment/test_clock.py::test_an_hourly_forecast_over_the_night_of_a_change_has_every_hour_once",
    ),
    Fault(
        "a server that cannot be reached",
        "exit 1 and one line; the data root is not touched",
        "faults/environment/test_server.py::test_a_server_that_is_not_there_is_one_line",
    ),
    Fault(
        "a server that dies in the middle",
        "the night completes, or exit 1 and one line; the next run completes",
        "faults/environment/test_server.py::test_a_server_that_dies_leaves_what_is_whole_and_the_next_run_completes",
    ),
    Fault(
        "Prefect's SQLite locked",
        "the night waits for it and completes",
        "faults/environment/test_server.py::test_a_locked_database_delays_the_night",
    ),
    Fault(
        "a worker stopped and started again",
        "the run ends with it, the next one goes on from its last finished step",
        "faults/environment/test_worker.py::test_a_night_whose_worker_is_stopped_is_taken_up_by_the_next_one",
    ),
    Fault(
        "two nightlies at once",
        "one at least completes, the other says in one line who was first; nothing is mixed",
        "faults/environment/test_beside.py::test_of_two_nightlies_at_once_one_at_least_completes_and_nothing_is_mixed",
    ),
    Fault(
        "a backfill beside the nightly",
        "all forecasts whole, what lost is made by the next backfill",
        "faults/environment/test_beside.py::test_a_backfill_beside_the_nightly_leaves_both_forecasts_whole",
    ),
    Fault(
        "a flow that dies alone",
        "everything it started ends with it, Prefect's temporary server too",
        "faults/environment/test_server.py::test_nothing_that_a_killed_flow_started_outlives_it",
    ),
)


def show_table() -> str:
    """Return the README's table."""
    lines = ["| fault | outcome | test |", "|---|---|---|"]
    lines += [
        f"| {one.name} | {one.outcome} | `{one.test.partition('::')[0].rpartition('/')[2]}` |"
        for one in FAULTS
    ]
    return "\n".join(lines)


def show_tally(tally: dict[str, list[int]]) -> str:
    """Return the table of a run: fault, tries, survived, lost."""
    width = max(map(len, ("fault", "total", *tally)))
    lines = [f"{'fault':<{width}}  {'tries':>6}  {'survived':>8}  {'lost':>5}"]
    order = {one.name: number for number, one in enumerate(FAULTS)}
    rows = sorted(tally.items(), key=lambda row: order.get(row[0], len(order)))
    rows.append(("total", [sum(x) for x in zip(*tally.values(), strict=True)]))
    lines += [
        f"{name:<{width}}  {tries:>6}  {tries - lost:>8}  {lost:>5}" for name, (tries, lost) in rows
    ]
    return "\n".join(lines)


def write_readme(text: str) -> str:
    """Return the README with the table of today."""
    head, _, rest = text.partition(BEGIN)
    _, end, tail = rest.partition(END)
    return f"{head}{BEGIN}\n{show_table()}\n{end}{tail}"


if __name__ == "__main__":
    README.write_text(write_readme(README.read_text()))
    sys.stdout.write(show_table() + "\n")
