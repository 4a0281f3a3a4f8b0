"""The example of CONTRIBUTING.md, run as it stands there on the tiny checkpoint."""

import re
import runpy
from pathlib import Path

import pytest
import torch

from acestep_core.sound.audio_file import FORMATS, read_audio, write_audio
from acestep_core.timebase import SAMPLE_RATE

ROOT = Path(__file__).resolve().parents[3]
EXAMPLE = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
SECONDS = 12


@pytest.fixture
def example(tmp_path: Path) -> Path:
    """The lines in a file of their own."""
    (lines,) = EXAMPLE.findall((ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8"))
    file = tmp_path / "example.py"
    file.write_text(lines, encoding="utf-8")
    return file


def test_it_makes_a_song_of_a_recording_and_a_checkpoint(example, tiny_turbo, tmp_path, monkeypatch, capsys):
    (tmp_path / "models").mkdir()
    (tmp_path / "models/acestep").symlink_to(tiny_turbo / "official")
    tone = torch.sin(torch.arange(SAMPLE_RATE) * 0.05)[None]
    write_audio(tmp_path / "voice.wav", tone, SAMPLE_RATE, FORMATS["WAV 16-bit"])
    monkeypatch.chdir(tmp_path)

    runpy.run_path(str(example))

    song = read_audio(tmp_path / "song.flac")
    assert song.sample_rate == SAMPLE_RATE
    assert song.samples.shape == (2, SECONDS * SAMPLE_RATE)
    assert "Timbre: 1 given." in capsys.readouterr().out


def test_the_example_imports_nothing_but_torch_and_the_core(example):
    imported = re.findall(r"^(?:from|import) (\w+)", example.read_text(encoding="utf-8"), re.MULTILINE)
    assert set(imported) == {"pathlib", "torch", "acestep_core"}
