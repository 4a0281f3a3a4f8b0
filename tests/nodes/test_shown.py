"""What Save Audio and Preview Audio tell their player of every song: length, loudness, wave, seed, label."""

import json
import math
import struct
from pathlib import Path

import pytest
import torch

from support.comfyui.task_graphs import encode, finished, opened, silence

RATE = 48_000


@pytest.fixture
def temp(pack, tmp_path, monkeypatch):
    """The temp folder of one test, which is not there yet."""
    import folder_paths

    before = folder_paths.get_temp_directory(), folder_paths.get_output_directory()
    folder_paths.set_temp_directory(str(tmp_path / "temp"))
    folder_paths.set_output_directory(str(tmp_path))
    yield tmp_path / "temp"
    folder_paths.set_temp_directory(before[0])
    folder_paths.set_output_directory(before[1])


def sine(amplitude, seconds=2.0):
    time = torch.arange(round(seconds * RATE)) / RATE
    return (amplitude * torch.sin(2 * math.pi * 997 * time)).expand(2, -1)


def listed(pack, songs, level="none", **more):
    audio = {"waveform": torch.stack(songs), "sample_rate": RATE}
    node = pack.nodes.save_audio.SaveAudio
    return node.execute(audio, "song", "WAV 24-bit", level, 0.0, 0.0, **more).ui.as_dict()


def test_every_song_is_told_beside_its_file(pack, temp):
    shown = listed(pack, [sine(0.5), sine(0.25)])
    loud, quiet = shown["acegraph_songs"]
    assert len(shown["audio"]) == len(shown["acegraph_songs"])
    assert (loud["seconds"], loud["seed"], loud["sampler"], loud["sheet"]) == (2.0, None, None, None)
    assert loud["lufs"] == pytest.approx(-6.0, abs=0.1)  # 997 Hz at full scale on both sides is 0 LUFS
    assert loud["lufs"] - quiet["lufs"] == pytest.approx(6.02, abs=0.02)
    assert loud["peak"] == pytest.approx(-6.02, abs=0.02)
    assert loud["lines"] == quiet["lines"] == []  # nobody told their times
    json.dumps(shown["acegraph_songs"], allow_nan=False)


def test_the_wave_is_that_of_the_stored_song_and_written_once(pack, temp):
    first, second, third = listed(pack, [sine(0.1), sine(0.1), sine(0.2)], "peak -1 dBFS")["acegraph_songs"]
    assert first["wave"] == second["wave"] == third["wave"]  # all of them at their level
    (file,) = temp.iterdir()
    before = file.stat().st_mtime_ns
    header, steps = file.read_bytes()[:16], file.read_bytes()[16:]
    assert struct.unpack("<4sHHII", header) == (b"AGPK", 1, 1, 100, 200)
    assert max(struct.unpack(f"{len(steps)}b", steps)) == math.ceil(127 * 10 ** (-1 / 20))
    listed(pack, [sine(0.1)], "peak -1 dBFS")
    assert [(path, path.stat().st_mtime_ns) for path in temp.iterdir()] == [(file, before)]


def test_silence_and_what_is_too_short_have_no_loudness(pack, temp):
    silent, _ = listed(pack, [torch.zeros(2, RATE)] * 2)["acegraph_songs"]
    assert (silent["lufs"], silent["peak"]) == (None, None)
    (short,) = listed(pack, [sine(0.5, 0.2)])["acegraph_songs"]
    assert (short["lufs"], short["seconds"]) == (None, 0.2)


def test_a_full_temp_folder_costs_the_wave_and_not_the_song(pack, temp):
    temp.write_text("no folder")
    shown = listed(pack, [sine(0.5)])
    assert shown["acegraph_songs"][0]["wave"] is None
    assert len(shown["audio"]) == 1


# ---------------------------------------------------------------------------------------------------- seeds
def test_songs_bring_the_seeds_and_the_sampler_that_played_them(host, trial):
    graph = host.graph()
    load = opened(graph)
    song = finished(graph, load, encode(graph, load), silence(graph, load, 3, 1.0), seed=2**64 - 1)
    done = trial.plays(graph)
    told = done.ui[song.save.id]["acegraph_songs"]
    assert [entry["seed"] for entry in told] == [str(2**64 - 1), str(2**64), str(2**64 + 1)]
    assert {entry["sampler"] for entry in told} == {song.sampler.id}
    assert Path(told[0]["wave"]).suffix == ".peaks"


def test_a_picked_take_keeps_its_own_seed(pack):
    tensors, pick = pack.nodes.wires.tensors, pack.nodes.analysis.pick_take
    audio = {"waveform": torch.zeros(3, 2, 9), "sample_rate": 8, **tensors.noted_takes([7, 8, 9], "x", 2)}
    assert tensors.takes_of(pick.audio_at(audio, 1), 1)[0]["seed"] == "8"
    latent = {"samples": torch.zeros(3, 64, 9), **tensors.noted_takes([7, 8, 9], "x", 2)}
    assert tensors.takes_of(pick.latent_at(latent, 2), 1)[0]["seed"] == "9"


def sampler(seed=7, **more):
    return {"class_type": "AceGraphSampler", "inputs": {"seed": seed, "source": ["0", 0], **more}}


def node(kind, **inputs):
    return {"class_type": kind, "inputs": {name: [origin, 0] for name, origin in inputs.items()}}


SAVED = {"9": node("AceGraphSaveAudio", audio="8", conditions="5"), "5": node("AceGraphEncodeConditions")}
DECODED = {**SAVED, "8": node("AceGraphOobleckDecode", latent="7", vae="1"), "7": sampler()}
SPLICED = {
    **SAVED,
    "8": node("AceGraphSplice", new="6", original="4"),
    "6": node("VAEDecodeAudio", samples="7"),
    "7": sampler(),
    "4": node("VAEDecodeAudio", samples="3"),
    "3": sampler(50),
}
PROMPTS = {  # -> the Sampler, and the seed of the first song
    "decoded": (DECODED, ("7", 7)),
    "inside a box": ({"9": SAVED["9"], "8": node("VAEDecodeAudio", samples="4:1"), "4:1": sampler()}, ("4:1", 7)),
    "spliced into a song of the same graph": (SPLICED, ("7", 7)),
    "a node that may change the order": ({**DECODED, "8": node("SliceOfABatch", latent="7")}, ("7", None)),
    "two that are as near": (
        {**SAVED, "8": node("AudioConcat", audio1="7", audio2="6"), "7": sampler(), "6": sampler(8)},
        None,
    ),
    "a wired seed": ({**DECODED, "7": sampler(["2", 0])}, ("7", None)),
    "seeds of Retake": ({**DECODED, "7": sampler(noise=["2", 0])}, ("7", None)),
    "no Sampler": (SAVED, None),
    "a circle": ({"9": node("AceGraphSaveAudio", audio="9")}, None),
    "no prompt": (None, None),
}  # fmt: skip


@pytest.mark.parametrize("case", PROMPTS)
def test_the_nearest_sampler_is_found(pack, case):
    prompt, player = PROMPTS[case]
    found = pack.nodes.host.takes.sampler_of(prompt, "9")
    assert found == player


def test_songs_that_have_lost_their_seed_count_from_the_samplers(pack):
    from types import SimpleNamespace

    hidden = SimpleNamespace(prompt=DECODED, unique_id="9")
    told = list(pack.nodes.runs.shown.seeds_of(hidden, [{}, {"seed": "40"}, {}]))
    assert [entry["seed"] for entry in told] == ["7", "40", "9"]
    assert list(pack.nodes.runs.shown.seeds_of(None, [{}])) == [{"seed": None, "sampler": None}]


# ---------------------------------------------------------------------------------------------------- sheets
def sheet(seeds="3, 5", values="0.40"):
    return {"class_type": "AceGraphSheet", "inputs": {"seeds": seeds, "values": values}}


@pytest.mark.parametrize(
    ("nodes", "sides"),
    [
        ({"7": sampler(["6", 0]), "6": sheet()}, [["3", "5"], ["0.40"]]),
        ({"7": sampler(["6", 0]), "6": sheet("3, x")}, None),
        ({"7": sampler(["6", 0]), "6": sheet(["2", 0])}, None),
        ({"7": sampler(["6", 0], shift=["4", 1]), "6": sheet(), "4": sheet()}, None),
        ({"7": sampler(), "6": sheet()}, None),  # of another song
    ],
)
def test_the_sheet_that_songs_are_part_of_is_found(pack, nodes, sides):
    assert pack.nodes.host.takes.sheet_of({**DECODED, **nodes}, "9") == sides
