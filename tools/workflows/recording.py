"""The demo recording: eight bars of synthesised music, so that every workflow that edits a song has one to edit."""

from pathlib import Path

import numpy as np
import soundfile

NAME = "acestep_graph_demo.flac"
RATE = 48_000
BEAT = 0.5  # seconds; 120 bpm
BARS = 8
SECONDS = BARS * 4 * BEAT
CHORDS = ((57, 60, 64), (53, 57, 60), (48, 52, 55), (55, 59, 62))  # MIDI notes: Am F C G, one bar each
MELODY = (76, 0, 74, 72, 74, 0, 72, 69, 67, 0, 69, 72, 71, 0, 67, 0)  # eighths of two bars; 0 rests


def write(folder: Path) -> Path:
    """Put the recording into `folder`, unless it is there."""
    path = folder / NAME
    if not path.is_file():
        soundfile.write(path, music().T, RATE, subtype="PCM_16")
    return path


def music() -> np.ndarray:
    """[2, samples]: a pad, a bass, a melody and drums."""
    song = np.zeros((2, round(SECONDS * RATE)))
    for bar in range(BARS):
        chord, start = CHORDS[bar % len(CHORDS)], bar * 4 * BEAT
        for place, note in enumerate(chord):
            add(song, start, tone(note, 4 * BEAT, harmonics=3, attack=0.15), 0.1, pan=place / 2)
        for beat in range(4):
            add(song, start + beat * BEAT, tone(chord[0] - 24, BEAT * 0.9, harmonics=4, fall=3), 0.28)
            add(song, start + beat * BEAT, kick() if beat % 2 == 0 else snare(bar * 4 + beat), 0.4)
            add(song, start + (beat + 0.5) * BEAT, hat(bar * 4 + beat), 0.08, pan=0.7)
    for place in range(BARS * 8):
        if note := MELODY[place % len(MELODY)]:
            add(song, place * BEAT / 2, tone(note, BEAT * 0.8, harmonics=5, fall=4), 0.16, pan=0.4)
    return 0.8 * song / np.abs(song).max()


def add(song: np.ndarray, seconds: float, sound: np.ndarray, gain: float, pan: float = 0.5) -> None:
    """Mix a mono sound in; pan 0 is left, 1 right."""
    start = round(seconds * RATE)
    heard = sound[: song.shape[1] - start]
    sides = np.array([[np.cos(pan * np.pi / 2)], [np.sin(pan * np.pi / 2)]])
    song[:, start : start + len(heard)] += gain * sides * heard


def clock(seconds: float) -> np.ndarray:
    return np.arange(round(seconds * RATE)) / RATE


def tone(note: int, seconds: float, harmonics: int, attack: float = 0.01, fall: float = 0.5) -> np.ndarray:
    """A plucked or held note."""
    time = clock(seconds)
    pitch = 440 * 2 ** ((note - 69) / 12)
    wave = sum(np.sin(2 * np.pi * pitch * k * time) / k**1.5 for k in range(1, harmonics + 1))
    edges = np.minimum(1, np.minimum(time / attack, (seconds - time) / 0.03))
    return wave * edges * np.exp(-fall * time)


def kick() -> np.ndarray:
    time = clock(0.25)
    return np.sin(2 * np.pi * (50 * time + 6 * (1 - np.exp(-25 * time)))) * np.exp(-14 * time)


def snare(seed: int) -> np.ndarray:
    time = clock(0.2)
    noise = np.random.default_rng(seed).standard_normal(len(time))
    return (0.35 * noise + 0.5 * np.sin(2 * np.pi * 190 * time)) * np.exp(-22 * time)


def hat(seed: int) -> np.ndarray:
    time = clock(0.06)
    return np.diff(np.random.default_rng(1000 + seed).standard_normal(len(time) + 1)) * np.exp(-70 * time)
