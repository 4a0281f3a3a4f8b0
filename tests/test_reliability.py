"""The hostile run notices what it is there to notice, and its quick form holds."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
import soundfile
import torch

from acestep_core import errors
from tools import reliability
from tools.hostile import fuzz, mutations, plan, readers, saving
from tools.hostile.kit import Kit, Reader
from tools.hostile.moments import Clock
from tools.hostile.stage import same
from tools.hostile.verdict import SHOWN, Verdict

COMMAND = [sys.executable, str(reliability.ROOT / "tools" / "reliability.py")]


@pytest.fixture
def followed(tmp_path, monkeypatch):
    """followed(case) -> counts and faults of four cases of this reader, each in a child as in a real run."""
    kit = Kit(
        SimpleNamespace(pack=SimpleNamespace(acestep_core=SimpleNamespace(errors=errors))), tmp_path, []
    )
    monkeypatch.setattr(fuzz, "SLOWEST", 2.0)

    def run(case):
        counts, verdict = {"it": [0, 0, 0]}, Verdict("Fuzz")
        fuzz.batch(kit, Reader("it", case, 1.0), range(4), 0, counts, verdict)
        return counts["it"], verdict.faults

    return run


def at(case, number):
    """Whether these are the dice of a case."""
    return case.random() == random.Random(f"0 it {number}").random()


def test_what_is_taken_and_what_is_refused_in_words_is_no_fault(followed):
    def case(kit, dice):
        if at(dice, 1):
            raise errors.InvalidInputError("It is wrong.", "Mend it.")

    assert followed(case) == ([3, 1, 0], [])


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.parametrize(
    ("deed", "said"),
    [
        (lambda: [][0], "case 2: IndexError"),
        (lambda: os.kill(os.getpid(), signal.SIGSEGV), "case 2: kills the process"),
        (lambda: time.sleep(60), "case 2: takes over"),
        (lambda: (_ for _ in ()).throw(AssertionError("NaN was accepted")), "NaN was accepted"),
        (lambda: (_ for _ in ()).throw(errors.InvalidInputError("a\nb", "c")), "case 2: says"),
    ],
)
def test_a_bare_exception_a_crash_a_hang_and_an_accepted_nan_are_faults(followed, deed, said):
    counts, faults = followed(lambda kit, dice: deed() if at(dice, 2) else None)
    assert counts[0] + counts[1] == 3  # the others go on behind it
    assert counts[2] == 1
    assert [said in fault for fault in faults] == [True]


def test_the_same_seed_is_the_same_damage():
    for change, data in ((mutations.turned, b"x" * 99), (mutations.json_of, b'{"a": [1, {"b": 2}]}')):
        assert change(data, random.Random("7")) == change(data, random.Random("7"))
        assert len({change(data, random.Random(str(seed))) for seed in range(40)}) > 20


def test_every_reader_has_its_share():
    assert sum(reader.share for reader in readers.READERS) == pytest.approx(1)
    assert plan.full(0).fuzz == 100_000


@pytest.mark.parametrize(
    "damage", [lambda data: data[: len(data) // 2], lambda data: b"", lambda data: b"\0" * len(data)]
)
def test_half_a_song_under_a_final_name_is_seen(tmp_path, damage):
    path = tmp_path / "song_00001_.wav"
    soundfile.write(path, torch.zeros(round(saving.SECONDS * saving.RATE), 2).numpy(), saving.RATE)
    (tmp_path / ".0123456789abcdef.part").write_bytes(b"half")
    assert saving.half_files(tmp_path) == []
    path.write_bytes(damage(path.read_bytes()))
    assert saving.half_files(tmp_path) == [path.name]


def test_the_clock_strikes_at_its_operator_and_knows_what_takes_memory():
    struck = []
    with Clock(2, lambda: struck.append(True), allocations=True) as clock:
        first = torch.ones(4)
        first.view(2, 2).t()
        first.add_(1)
        assert not struck
        first + 1
    assert struck == [True]
    assert clock.now == 2


def test_results_are_compared_bit_by_bit():
    tensor = torch.rand(3)
    assert same([tensor, {"a": 1}], [tensor.clone(), {"a": 1}])
    assert not same([tensor], [tensor + 1e-7])
    assert not same([tensor], [])


def test_a_fault_is_told_and_ends_with_1(monkeypatch, capsys):
    verdict = Verdict("Stop", cases=3)
    verdict.expect(True, "never")
    for number in range(SHOWN + 2):
        verdict.expect(False, f"case {number}")
    monkeypatch.setattr(reliability, "verdicts", lambda *_: [verdict])
    monkeypatch.setattr(reliability, "with_group_of_its_own", lambda: None)
    assert reliability.main(["--quick"]) == 1
    told = capsys.readouterr().out
    assert "Stop: 3 cases, 14 FAULTS" in told
    assert "! case 0" in told
    assert "and 2 more" in told
    verdict.faults.clear()
    assert reliability.main(["--quick"]) == 0


def test_an_unknown_part_is_refused(capsys):
    with pytest.raises(SystemExit):
        reliability.main(["--only", "fuzz,nonsense"])
    assert "nonsense" in capsys.readouterr().err


@pytest.mark.slow
def test_the_quick_form_holds(comfyui_dir: Path, tmp_path: Path):
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    done = subprocess.run(
        [*COMMAND, "--quick", "--limit", "4"],
        capture_output=True,
        text=True,
        timeout=900,
        env=environment,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr[-2_000:]
    for name in (
        "Fuzz",
        "Saves of eight processes",
        "Failing disks",
        "kill -9 while saving",
        "Out of memory",
        "Stop",
        "Load on a server",
    ):
        (line,) = (line for line in done.stdout.splitlines() if line.startswith(f"{name}: "))
        assert int(line.split(": ")[1].split()[0]) > 0, line
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(("hostile-", "fuzz-"))]


def test_tests_that_are_run_along_are_counted_and_their_failure_is_a_fault(tmp_path):
    (tmp_path / "test_it.py").write_text(
        "def test_one(): pass\n\ndef test_two(): assert 0\n\ndef test_three(): pass\n"
    )
    good = reliability.tests("It", [str(tmp_path / "test_it.py"), "-k", "one or three"])
    assert (good.cases, good.faults) == (2, [])
    bad = reliability.tests("It", [str(tmp_path / "test_it.py")])
    assert bad.cases == 2
    assert "1 failed" in bad.faults[0]
