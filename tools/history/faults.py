"""Plays every fault of the history's disk in full, and prints what came of each.

    python tools/history/faults.py [--flips 1000] [--kills 100]

A full disk and one that becomes read-only (small file systems in a mount namespace of its own), files that are cut
short, bits that flip, a clock that is set back an hour and forward a day, `kill -9` while rounds are written. It runs
the tests of the history that do this, as `make test` does, but with more flips and kills. Each of them judges every
figure that is read back: all figures of a round follow from its time. Exit code 1 where any was wrong, or anything
crashed. Needs root.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
TESTS = "tests/cgstatd/feed/history"
FAULTS = (
    ("full disk (tmpfs)", "test_disk_faults.py", "test_a_full_disk_costs_nothing_but_the_rounds_on_it"),
    ("read-only", "test_disk_faults.py", "test_a_disk_that_becomes_read_only_is_still_read"),
    ("directory removed", "test_disk_faults.py", "test_a_directory_that_was_removed_is_made_again"),
    ("{flips} files with flipped bits", "test_disk_faults.py", "test_a_bit_that_flips_is_never_a_figure"),
    ("40 files cut short", "test_disk_faults.py", "test_a_file_that_was_cut_short_is_never_a_figure"),
    ("log of nonsense", "test_disk_faults.py", "test_a_log_of_nonsense_is_never_a_figure"),
    ("file of another program", "test_disk_faults.py", "test_what_is_of_another_program_or_version_is_set_aside"),
    ("breaks while written", "test_disk_faults.py", "test_a_file_that_breaks_while_it_is_written_is_written_anew"),
    ("breaks after it was read", "test_disk_faults.py", "test_figures_that_break_later_are_found_when_they_are_read"),
    ("clock set back 1 h, forward 1 d", "test_disk.py", "test_a_clock_that_was_set_moves_no_round_against_the_others"),
    ("clock set, in memory", "test_reading.py", "test_a_clock_that_was_set_moves_no_round_against_the_others"),
    ("clock wrong before a reboot", "test_disk.py", "test_a_clock_that_was_wrong_before_a_reboot_mixes_no_boots"),
    ("an hour of wrong clock", "test_disk.py", "test_an_hour_of_wrong_clock_drops_nothing"),
    ("disk that hangs", "test_disk.py", "test_nothing_waits_for_a_disk_that_hangs"),
    ("{kills} times kill -9 in writes", "test_disk_faults.py", "test_a_kill_while_it_is_written_costs_no_round"),
)


def played(results: Path) -> list[tuple[str, str, float, str]]:
    """File, name, seconds and verdict of each test that ran."""
    found = []
    for case in ElementTree.parse(results).iter("testcase"):
        bad = next((each.tag for each in case if each.tag in ("failure", "error", "skipped")), "")
        file = f"{case.get('classname', '').rpartition('.')[2]}.py"
        found.append((file, case.get("name", ""), float(case.get("time", "0")), bad or "right"))
    return found


def main() -> int:
    """Play and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--flips", type=int, default=1000)
    parser.add_argument("--kills", type=int, default=100)
    arguments = parser.parse_args()
    wrong = False
    with tempfile.TemporaryDirectory(prefix="cgstatd-faults-") as folder:
        results = Path(folder, "results.xml")
        tests = [f"{TESTS}/{file}" for file in ("test_disk.py", "test_disk_faults.py", "test_reading.py")]
        words = " or ".join(name for _, _, name in FAULTS)
        known = {"CGSTATD_FLIPS": str(arguments.flips), "CGSTATD_KILLS": str(arguments.kills)}
        command = ["unshare", "--mount", sys.executable, "-m", "pytest", "-q", *tests, "-k", words, "-o", "timeout=0"]
        subprocess.run([*command, f"--junitxml={results}"], cwd=PROJECT, env={**os.environ, **known}, check=False)
        cases = played(results)
    print(f"\n{'fault':34} {'tests':>5} {'seconds':>8}  verdict")
    for what, file, name in FAULTS:
        mine = [each for each in cases if each[0] == file and each[1].startswith(name)]
        verdicts = {verdict for *_, verdict in mine} or {"not played"}
        wrong |= verdicts != {"right"}
        title = what.format(flips=arguments.flips, kills=arguments.kills)
        print(f"{title:34} {len(mine):5} {sum(each[2] for each in mine):8.1f}  {', '.join(sorted(verdicts))}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
