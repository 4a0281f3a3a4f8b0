"""Save Audio and Preview Audio: whole files, one for every song, with level, fades, tags and workflow."""

import importlib
import json
import math
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
import torch

from support.comfyui import host as comfy_host
from support.comfyui.graphs import Node

LOSSLESS = {
    "FLAC 24-bit": 24,
    "FLAC 16-bit": 16,
    "WAV 16-bit": 16,
    "WAV 24-bit": 24,
    "WAV 32-bit float": None,
}
LOSSY = ["MP3 128 kbit/s", "MP3 320 kbit/s", "Opus 96 kbit/s", "Opus 256 kbit/s"]
OUTSIDE = [
    "../x",
    "a/../../x",
    "/x",
    "\\x",
    "C:\\x",
    "C:x",
    "..\\x",
    "",
    "  ",
    ".",
    "a\0b",
    "..",
    "\\\\host\\share\\x",
]
WORKFLOW = {"nodes": [{"id": 1, "note": "Gr\u00fc\u00dfe \u4f60\u597d \U0001f3b8"}]}
PROMPT = {"1": {"class_type": "X", "inputs": {}}}


def audio(songs=1, channels=2, seconds=1.0, rate=48_000, peak=0.5, seed=0):
    generator = torch.Generator().manual_seed(seed)
    samples = torch.randn(songs, channels, round(seconds * rate), generator=generator)
    return {"waveform": samples * (peak / samples.abs().amax((1, 2), keepdim=True)), "sample_rate": rate}


def read(path, kind="float64"):
    samples, rate = soundfile.read(path, dtype=kind, always_2d=True)
    return torch.from_numpy(samples.T.copy()), rate


def tags_in(path):
    av = importlib.import_module("av")
    with av.open(str(path)) as file:
        found = {**file.metadata, **file.streams.audio[0].metadata}
    return {name.lower(): text for name, text in found.items()}


@pytest.fixture
def output(pack, tmp_path):
    """The output folder of one test."""
    places = importlib.import_module("folder_paths")
    before = places.get_output_directory(), places.get_temp_directory()
    places.set_output_directory(str(tmp_path / "output"))
    places.set_temp_directory(str(tmp_path / "temp"))
    (tmp_path / "output").mkdir()
    yield tmp_path / "output"
    places.set_output_directory(before[0])
    places.set_temp_directory(before[1])


@pytest.fixture
def save(pack, output, monkeypatch):
    """Runs the node; answers with the files, the report and the audio that goes on."""
    node = pack.nodes.save_audio.SaveAudio

    def save(
        given,
        prefix="song",
        format="FLAC 24-bit",
        level="none",
        fades=(0.0, 0.0),
        conditions=None,
        hidden=None,
    ):
        monkeypatch.setattr(node, "hidden", hidden)
        done = node.execute(given, prefix, format, level, *fades, conditions=conditions)
        listed = done.ui.as_dict()["audio"]
        files = [output / entry["subfolder"] / entry["filename"] for entry in listed]
        assert all(entry["type"] == "output" for entry in listed)
        return SimpleNamespace(files=files, report=done.result[1], audio=done.result[0])

    return save


@pytest.fixture
def errors(pack):
    return pack.acestep_core.errors


def hidden(workflow=WORKFLOW, prompt=PROMPT):
    extra = None if workflow is None else {"workflow": workflow}
    return SimpleNamespace(prompt=prompt, extra_pnginfo=extra, unique_id="1")


def condition(pack, **words):
    brief = pack.acestep_core.text.prompts.Brief(**{"caption": "a song", **words})
    task = pack.acestep_core.text.tasks.TASKS["text2music"]
    return pack.acestep_core.text.conditions.Condition(torch.zeros(3, 8), task, brief)


def left_over(output):
    return [path for path in output.rglob("*") if path.name.endswith(".part")]


# ---------------------------------------------------------------------------------------------- what is stored
@pytest.mark.parametrize(("name", "bits"), LOSSLESS.items())
def test_lossless_formats_keep_every_sample(save, name, bits):
    given = audio(seconds=1.2345)
    (path,) = save(given, format=name, hidden=hidden(), conditions=()).files
    stored, rate = read(path)
    exact = given["waveform"][0].double()
    wanted = exact if bits is None else (exact * 2 ** (bits - 1)).round() / 2 ** (bits - 1)
    assert rate == 48_000
    assert torch.equal(stored, wanted)


@pytest.mark.parametrize("name", LOSSY)
def test_lossy_formats_have_the_song_s_length(save, name):
    given = audio(seconds=3.0)
    (path,) = save(given, format=name).files
    info = soundfile.info(path)
    assert (info.samplerate, info.channels) == (48_000, 2)
    assert 0 <= info.frames - 3 * 48_000 <= 960  # Opus ends with a full packet
    assert path.suffix == (".mp3" if name.startswith("MP3") else ".opus")


def test_every_song_of_a_batch_gets_a_file(save):
    given = audio(songs=3)
    done = save(given, "album/song")
    assert [path.name for path in done.files] == ["song_00001_.flac", "song_00002_.flac", "song_00003_.flac"]
    for path, song in zip(done.files, given["waveform"], strict=True):
        assert torch.allclose(read(path)[0].float(), song, atol=2**-23)
        assert path.name in done.report


def test_nothing_is_ever_overwritten(save):
    files = [
        path
        for format in ("FLAC 16-bit", "WAV 16-bit", "FLAC 16-bit")
        for path in save(audio(2), format=format).files
    ]
    assert [path.name[:10] for path in files] == [f"song_{n:05}" for n in range(1, 7)]
    assert all(path.is_file() for path in files)


def test_the_batch_number_is_filled_in_and_does_not_overwrite(save):
    first, second = save(audio(2), "take%batch_num%"), save(audio(2), "take%batch_num%")
    names = [path.name for path in (*first.files, *second.files)]
    assert [name[:5] for name in names] == ["take0", "take1", "take0", "take1"]
    assert len(set(names)) == 4


def test_dates_in_the_name_are_filled_in(save):
    (path,) = save(audio(), "%year%/a").files
    assert path.parent.name.isdigit()


def test_the_audio_goes_on_as_it_came(save):
    given = audio()
    before = given["waveform"].clone()
    assert save(given, level="peak -1 dBFS", fades=(0.5, 0.5)).audio is given
    assert torch.equal(given["waveform"], before)


@pytest.mark.parametrize("rate", [44_100, 22_050, 96_000])
def test_other_rates_stay_where_the_format_can(save, rate):
    given = audio(rate=rate)
    stored, found = read(save(given, format="FLAC 24-bit").files[0])
    assert (found, stored.shape[-1]) == (rate, rate)
    done = save(given, format="Opus 128 kbit/s")
    assert soundfile.info(done.files[0]).samplerate == 48_000
    assert f"Resampled from {rate} to 48000 Hz" in done.report


@pytest.mark.parametrize("channels", [1, 6])
def test_any_number_of_channels_is_kept(save, channels):
    given = audio(channels=channels)
    assert torch.equal(read(save(given, format="WAV 32-bit float").files[0])[0].float(), given["waveform"][0])
    assert read(save(given).files[0])[0].shape[0] == channels


def test_channels_that_a_format_cannot_hold_are_refused(save, errors, output):
    with pytest.raises(errors.InvalidAudioError, match="6 channels"):
        save(audio(channels=6), format="MP3 128 kbit/s")
    assert not list(output.rglob("*.*"))


def test_integer_samples_come_back_bit_for_bit(save):
    whole = (audio()["waveform"] * 2**15).to(torch.int16)
    stored, _ = read(save({"waveform": whole, "sample_rate": 48_000}, format="WAV 16-bit").files[0], "int16")
    assert torch.equal(stored, whole[0])


# ------------------------------------------------------------------------------------------- levels and fades
def test_each_song_gets_its_own_peak(save):
    given = audio(2)
    given["waveform"][1] *= 0.1
    for path in save(given, level="peak -1 dBFS").files:
        assert math.isclose(float(read(path)[0].abs().max()), 10 ** (-1 / 20), abs_tol=1e-5)


def song(loudness, rate=48_000):
    """Three seconds of noise and clicks."""
    sound = 0.1 * torch.randn(1, 2, 3 * rate, generator=torch.Generator().manual_seed(0))
    sound = torch.nn.functional.avg_pool1d(sound, 5, 1, 2)
    sound[..., :: rate // 3] += 0.5
    return loudness * sound


@pytest.mark.parametrize(
    ("format", "ceiling"), [("FLAC 24-bit", -1), ("MP3 320 kbit/s", -1.5), ("Opus 192 kbit/s", -1.5)]
)
def test_a_loudness_is_reached_in_the_file_and_told(pack, save, format, ceiling):
    given = {"waveform": torch.cat([song(0.1), song(1.0)]), "sample_rate": 48_000}
    done = save(given, format=format, level="-14 LUFS")
    loudness = pack.acestep_core.sound.loudness

    for number, path in enumerate(done.files, 1):
        stored = read(path)[0].float()
        assert loudness.integrated_lufs(stored, 48_000) == pytest.approx(-14, abs=0.15)
        assert loudness.true_peak(stored, 48_000) <= 10 ** (-1 / 20)
        assert f"Song {number}: -14.0 LUFS, peaks below {ceiling:g} dBTP" in done.report
        assert f"{path.name}: 3.00 s, -14.0 LUFS, " in done.report
    assert done.audio is given


def test_a_fade_comes_after_the_loudness(save):
    given = {"waveform": song(1.0), "sample_rate": 48_000}
    stored = read(save(given, level="-23 LUFS", fades=(1.0, 0.0)).files[0])[0]
    plain = read(save(given, level="-23 LUFS").files[0])[0]
    assert torch.allclose(stored[:, 48_000:], plain[:, 48_000:], atol=1e-6)
    assert float(stored[:, 0].abs().max()) == 0


def test_without_a_level_only_songs_that_would_clip_change_and_it_is_said(save):
    given = torch.cat([audio()["waveform"], audio(peak=2.0)["waveform"]])
    done = save({"waveform": given, "sample_rate": 48_000})
    assert torch.allclose(read(done.files[0])[0].float(), given[0], atol=2**-23)
    assert torch.allclose(read(done.files[1])[0].float(), given[1] / 2, atol=2**-22)
    assert "Song 2 made 6.02 dB quieter" in done.report
    assert "Song 1 made" not in done.report


def test_float_keeps_what_exceeds_full_scale(save):
    given = audio(peak=3.0)
    done = save(given, format="WAV 32-bit float")
    assert torch.equal(read(done.files[0])[0].float(), given["waveform"][0])
    assert "quieter" not in done.report


def test_fades_reach_zero(save):
    stored, _ = read(save(audio(), fades=(0.1, 0.2), level="peak -1 dBFS").files[0])
    assert not stored[:, 0].any()
    assert not stored[:, -1].any()
    assert stored[:, :480].abs().max() < 0.12


# -------------------------------------------------------------------------------------------- tags and workflow
@pytest.mark.parametrize("name", ["FLAC 24-bit", "FLAC 16-bit", "MP3 256 kbit/s", "Opus 128 kbit/s"])
def test_the_workflow_lies_in_the_file(save, name):
    (path,) = save(audio(), format=name, hidden=hidden()).files
    found = tags_in(path)
    assert json.loads(found["workflow"]) == WORKFLOW
    assert json.loads(found["prompt"]) == PROMPT
    assert not list(path.parent.glob("*.json"))


def test_the_workflow_lies_beside_every_wav(save):
    for path in save(audio(2), format="WAV 24-bit", hidden=hidden()).files:
        assert json.loads(path.with_suffix(".json").read_text()) == WORKFLOW


def test_a_workflow_that_the_frontend_could_not_find_lies_beside_the_file(save):
    big = {"nodes": ["x" * 70_000]}
    done = save(audio(), format="Opus 128 kbit/s", hidden=hidden(big))
    assert json.loads(done.files[0].with_suffix(".json").read_text()) == big
    assert "workflow" not in tags_in(done.files[0])
    assert "song_00001_.json" in done.report


def test_without_a_workflow_the_prompt_lies_beside_a_wav(save):
    (path,) = save(audio(), format="WAV 16-bit", hidden=hidden(workflow=None)).files
    assert json.loads(path.with_suffix(".json").read_text()) == PROMPT


@pytest.mark.parametrize("format", ["FLAC 24-bit", "WAV 16-bit"])
def test_nothing_to_embed_is_fine(save, format):
    (path,) = save(audio(), format=format, hidden=hidden(workflow=None, prompt=None)).files
    assert not path.with_suffix(".json").exists()


@pytest.mark.parametrize("format", ["FLAC 24-bit", "WAV 16-bit"])
def test_disable_metadata_is_respected(pack, save, monkeypatch, format):
    monkeypatch.setattr(importlib.import_module("comfy.cli_args").args, "disable_metadata", True)
    done = save(audio(), format=format, hidden=hidden(), conditions=(condition(pack),))
    assert not {"workflow", "prompt", "title"} & set(tags_in(done.files[0]))
    assert not done.files[0].with_suffix(".json").exists()
    assert "--disable-metadata" in done.report


def test_each_song_carries_its_own_brief(pack, save):
    briefs = (
        condition(pack, caption="one", lyrics="la \u4f60\n" * 5_000),
        condition(pack, caption="two", bpm=99),
    )
    first, second = map(tags_in, save(audio(2), conditions=briefs, hidden=hidden()).files)
    assert (first["title"], second["title"]) == ("one", "two")
    assert first["lyrics"].count("\u4f60") == 5_000
    assert second["bpm"] == "99"
    assert json.loads(second["workflow"]) == WORKFLOW


def test_one_brief_serves_all_songs(pack, save):
    files = save(audio(3), conditions=(condition(pack, caption="one"),)).files
    assert [tags_in(path)["title"] for path in files] == ["one"] * 3


def test_tags_do_not_touch_the_samples(pack, save):
    given = audio(seconds=2.0)
    for name in (*LOSSLESS, *LOSSY):
        plain = save(given, format=name).files[0]
        labelled = save(
            given, format=name, hidden=hidden(), conditions=(condition(pack, lyrics="la"),)
        ).files[0]
        assert np.array_equal(read(plain)[0], read(labelled)[0]), name


# ----------------------------------------------------------------------------------------------- what goes wrong
@pytest.mark.parametrize("prefix", OUTSIDE)
def test_a_name_outside_of_the_output_folder_is_refused(save, errors, output, prefix):
    with pytest.raises(errors.InvalidInputError, match="no name in the output folder"):
        save(audio(), prefix)
    assert [path.name for path in output.parent.rglob("*")] == ["output"]


def test_both_kinds_of_slashes_lead_into_folders(save, output):
    assert save(audio(), "a\\b/song").files == [output / "a" / "b" / "song_00001_.flac"]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (None, "holds no sound"),
        ({"waveform": torch.zeros(1, 2, 0), "sample_rate": 48_000}, "0 samples"),
        ({"waveform": torch.full((1, 2, 9), torch.nan), "sample_rate": 48_000}, "18 samples that are NaN"),
    ],
)
def test_audio_that_is_none_is_refused(save, errors, output, given, said):
    with pytest.raises(errors.InvalidAudioError, match=said):
        save(given)
    assert not list(output.rglob("*.*"))


@pytest.mark.parametrize("change", [{"format": "FLAC 8-bit"}, {"level": "loud"}])
def test_choices_that_do_not_exist_are_refused(save, errors, change):
    with pytest.raises(errors.InvalidInputError, match="Choose one of"):
        save(audio(), **change)


def test_conditions_of_other_songs_are_refused(pack, save, errors):
    with pytest.raises(errors.InvalidInputError, match="3 songs came with 2 conditions"):
        save(audio(3), conditions=(condition(pack), condition(pack)))


def test_a_full_disk_leaves_no_part_of_a_file(save, errors, output):
    """The limit on the size of a file is met in the middle of writing, as the end of a disk is."""
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    (whole,) = save(audio(seconds=0.1)).files
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    try:
        with pytest.raises(errors.FileError, match="cannot be written"):
            save(audio(seconds=5))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert [path for path in output.rglob("*") if path.is_file()] == [whole]


def test_a_folder_that_cannot_be_made_is_told(save, errors, output):
    (output / "taken").write_text("a file")
    with pytest.raises(errors.FileError, match="cannot be made"):
        save(audio(), "taken/song")


def test_a_name_that_is_too_long_is_told(save, errors, output):
    with pytest.raises(errors.FileError, match="cannot be written"):
        save(audio(), "x" * 300)
    assert not left_over(output)


def test_stop_leaves_whole_files_only_and_the_next_run_goes_on(host, save, output):
    management = host.module("comfy.model_management")
    calls = []

    def stop_at_the_third(move):
        calls.append(move)
        if len(calls) == 3:
            management.interrupt_current_processing(True)
            management.throw_exception_if_processing_interrupted()

    try:
        with (
            comfy_host.progress_bars(host, stop_at_the_third),
            pytest.raises(management.InterruptProcessingException),
        ):
            save(audio(4))
    finally:
        management.interrupt_current_processing(False)
    assert sorted(path.name for path in output.iterdir()) == ["song_00001_.flac", "song_00002_.flac"]
    assert save(audio()).files[0].name == "song_00003_.flac"


# ---------------------------------------------------------------------------------------------------- preview
@pytest.mark.parametrize(("name", "subtype"), [("FLAC 16-bit", "PCM_16"), ("FLAC 24-bit", "PCM_24")])
def test_a_preview_lists_every_song_from_the_temp_folder(pack, output, name, subtype):
    given = audio(3)
    done = pack.nodes.save_audio.PreviewAudio.execute(given, name, "none", 0.0, 0.0)
    listed = done.ui.as_dict()["audio"]
    assert [entry["type"] for entry in listed] == ["temp"] * 3
    for entry, song in zip(listed, given["waveform"], strict=True):
        path = output.parent / "temp" / entry["subfolder"] / entry["filename"]
        assert soundfile.info(path).subtype == subtype
        assert torch.allclose(read(path)[0].float(), song, atol=2**-15)
    assert done.result[0] is given
    assert not list(output.iterdir())


def test_previews_never_share_a_name(pack, output):
    """Browsers keep what they heard under a name."""
    run = pack.nodes.save_audio.PreviewAudio.execute
    names = [
        run(audio(), "FLAC 16-bit", "none", 0.0, 0.0).ui.as_dict()["audio"][0]["filename"] for _ in range(2)
    ]
    assert len(set(names)) == 2


@pytest.mark.parametrize("node", ["AceGraphSaveAudio", "AceGraphPreviewAudio"])
def test_a_graph_saves_what_comfyui_loads(graph, run_graph, host, node):
    soundfile.write(host.base / "input" / "tone.wav", read_tone(), 44_100)
    loaded = graph.add("LoadAudio", audio="tone.wav")
    saver: Node = graph.add(node, audio=loaded[0])
    again = graph.add("PreviewAudio", audio=saver["audio"])
    told = graph.add("PreviewAny", source=saver["report"])
    run = run_graph(graph)
    assert run.success, run.error
    (path,) = run.files(saver)
    assert soundfile.info(path).frames == 44_100
    assert run.files(again)
    assert "1.00 s" in run.ui[told.id]["text"][0]
    assert json.loads(tags_in(path)["prompt"])[saver.id]["class_type"] == node


def read_tone():
    return 0.3 * np.sin(2 * np.pi * 220 * np.arange(44_100) / 44_100)[:, None].repeat(2, 1)


def test_the_player_s_file_is_offered_to_the_frontend(pack):
    from pathlib import Path

    web = Path(pack.__file__).parent / pack.WEB_DIRECTORY / "player.js"
    text = web.read_text(encoding="ascii")
    assert "prototype" not in text
    assert all(
        f'"{node}"' in text for node in ("AceGraphSaveAudio", "AceGraphPreviewAudio", "acestepgraph.player")
    )
