"""Audio codes on the wire, as text and as files."""

import errno
import json
import os
from copy import deepcopy
from dataclasses import replace

import pytest
import torch

from support.comfyui.handles import core, tiny_handles

OUTSIDE = ["../song", "a/../../song", "/song", "\\song", "C:\\song", "..\\song", "", "  ", "a\x00b", ".."]


@pytest.fixture(scope="module")
def handles(pack, models):
    return tiny_handles(pack, models)


@pytest.fixture
def codes(pack):
    return pack.nodes.codes


@pytest.fixture
def folders(pack, tmp_path):
    """Input and output folder of one test."""
    import folder_paths

    before = folder_paths.get_input_directory(), folder_paths.get_output_directory()
    places = tmp_path / "input", tmp_path / "output"
    for place in places:
        place.mkdir()
    folder_paths.set_input_directory(str(places[0]))
    folder_paths.set_output_directory(str(places[1]))
    yield places
    folder_paths.set_input_directory(before[0])
    folder_paths.set_output_directory(before[1])


def latent(frames=40, songs=1, seed=0):
    return {
        "samples": torch.randn(songs, 64, frames, generator=torch.Generator().manual_seed(seed)),
        "type": "audio",
    }


def listed(codes, *songs):
    return codes.CodeList.of(songs)


def numbers(codes, given):
    return given.numbers()


def test_codes_are_the_core_s_for_every_song(codes, handles):
    given = latent(50, songs=3)
    before = given["samples"].clone()
    out, report = codes.AudioToCodes.execute(handles.model, given).result
    for song, items in zip(given["samples"], out.items, strict=True):
        assert torch.equal(items, handles.codec.encode(song.mT[None], handles.model.silence.frames(5))[0])
    assert torch.equal(given["samples"], before)
    assert "Song 3: 10 codes, 2 s." in report


def test_a_song_has_the_same_codes_alone_and_in_a_batch(codes, handles):
    batch = latent(50, songs=3)
    alone = {"samples": batch["samples"][1:2]}
    many = codes.AudioToCodes.execute(handles.model, batch)[0].items[1]
    assert torch.equal(many, codes.AudioToCodes.execute(handles.model, alone)[0].items[0])


def test_a_song_that_ends_within_a_code_is_filled_up_and_it_is_said(codes, handles):
    out, report = codes.AudioToCodes.execute(handles.model, latent(7)).result
    assert out.items[0].shape == (2,)
    assert "filled up with 0.12 s of silence" in report


def test_an_empty_latent_of_comfyui_has_the_codes_of_silence(codes, handles):
    empty = {"samples": torch.zeros(1, 64, 20)}
    silence = {"samples": handles.model.silence.frames(20).mT}
    one, other = (codes.AudioToCodes.execute(handles.model, given)[0].items[0] for given in (empty, silence))
    assert torch.equal(one, other)


def test_hints_are_the_core_s_and_shorter_songs_end_in_silence(codes, handles):
    given = listed(codes, (1, 2, 3), (63_999,))
    out, report = codes.CodesToLatent.execute(handles.model, given).result
    assert out["samples"].shape == (2, 64, 15)
    assert out["type"] == "audio"
    for place, item in enumerate(given.items):
        hints = handles.codec.hints(item[None], torch.float32)[0]
        assert torch.equal(out["samples"][place].mT[: len(hints)], hints)
    assert torch.equal(out["samples"][1:, :, 5:].mT, handles.model.silence.frames(10))
    assert "Filled up with silence to the longest: song 2." in report


def test_text_goes_there_and_back(codes):
    given = listed(codes, (0, 63_999), (5,))
    text = codes.CodesToText.execute(given)[0]
    back, report = codes.CodesFromText.execute(text).result
    assert numbers(codes, back) == [[0, 63_999], [5]]
    assert report == "Song 1: 2 codes, 0.4 s.\nSong 2: 1 codes, 0.2 s."


def test_text_shows_in_preview_any_of_comfyui(codes):
    from comfy_extras.nodes_preview_any import PreviewAny

    text = codes.CodesToText.execute(listed(codes, (5, 6)))[0]
    assert PreviewAny().main(text)["ui"]["text"] == ("<|audio_code_5|><|audio_code_6|>",)


@pytest.mark.parametrize("text", ["", "la la", "<|audio_code_70000|>", "<|audio_code_1|><|audio_code_"])
def test_text_without_codes_is_refused(pack, codes, text):
    with pytest.raises(core(pack, "errors").InvalidInputError, match=r"audio code|broken code|as code 1"):
        codes.CodesFromText.execute(text)


def test_files_go_there_and_back_and_are_never_overwritten(codes, folders):
    for song in ((1, 2), (3,)):
        codes.SaveCodes.execute(listed(codes, song, (9,)), "codes/mine/song")
    saved = codes.LoadCodes.define_schema().inputs[0].options
    assert saved == ["codes/mine/song_00001_.json [output]", "codes/mine/song_00002_.json [output]"]
    assert numbers(codes, codes.LoadCodes.execute(saved[0])[0]) == [[1, 2], [9]]
    assert numbers(codes, codes.LoadCodes.execute(saved[1])[0]) == [[3], [9]]


def test_what_was_saved_is_the_small_known_form(codes, folders):
    report = codes.SaveCodes.execute(listed(codes, (1, 2)), "song")[0]
    (path,) = folders[1].iterdir()
    assert json.loads(path.read_text()) == {"format": "ace-step-1.5-codes", "version": 1, "songs": [[1, 2]]}
    assert path.name in report


def test_the_picker_offers_json_of_the_input_folder_and_the_codes_folder_of_the_output_folder(codes, folders):
    for path in (
        folders[0] / "b.json",
        folders[0] / "a.json",
        folders[0] / "x.wav",
        folders[1] / "song.json",
    ):
        path.write_text("{}")
    codes.SaveCodes.execute(listed(codes, (1,)), "codes/deep/song")
    offered = codes.LoadCodes.define_schema().inputs[0].options
    assert offered == ["a.json", "b.json", "codes/deep/song_00001_.json [output]"]


@pytest.mark.parametrize("prefix", OUTSIDE)
def test_a_prefix_never_leaves_the_output_folder(pack, codes, folders, prefix):
    with pytest.raises(core(pack, "errors").InvalidInputError, match="no name in the output folder"):
        codes.SaveCodes.execute(listed(codes, (1,)), prefix)
    assert sorted(path.name for path in folders[1].parent.rglob("*")) == ["input", "output"]


def test_a_full_disk_leaves_no_half_file(pack, codes, folders, monkeypatch):
    def full(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(core(pack, "errors").AceStepError, match=r"cannot be written to .*: No space left"):
        codes.SaveCodes.execute(listed(codes, (1,)), "song")
    assert not list(folders[1].iterdir())


def test_a_folder_that_cannot_be_made_is_said(pack, codes, folders):
    (folders[1] / "taken").write_text("a file")
    with pytest.raises(core(pack, "errors").FileError, match=r"cannot be made|cannot be written"):
        codes.SaveCodes.execute(listed(codes, (1,)), "taken/song")


def test_a_wired_file_name_has_a_fingerprint_too(codes):
    assert codes.LoadCodes.fingerprint_inputs(None) == codes.LoadCodes.fingerprint_inputs(None)


def test_the_fingerprint_follows_the_content(codes, folders):
    path = folders[0] / "song.json"
    prints = []
    for songs in ([[1]], [[2]], [[1]]):
        path.write_text(core_file(songs))
        prints.append(codes.LoadCodes.fingerprint_inputs("song.json"))
        assert numbers(codes, codes.LoadCodes.execute("song.json")[0]) == songs
    assert prints[0] == prints[2] != prints[1]


def core_file(songs):
    return json.dumps({"format": "ace-step-1.5-codes", "version": 1, "songs": songs})


@pytest.mark.parametrize(
    "name", ["", "gone.json", "gone.json [output]", "../secret.json", "folder", "gone.json [temp]"]
)
def test_a_file_that_is_not_there_or_not_ours_is_refused(pack, codes, folders, name):
    (folders[0].parent / "secret.json").write_text(core_file([[1]]))
    (folders[0] / "folder").mkdir()
    with pytest.raises(core(pack, "errors").InvalidInputError, match=r"no file|outside|cannot be read"):
        codes.LoadCodes.execute(name)


@pytest.mark.parametrize(
    "content",
    ["", "{", "[]", core_file([[-1]]), core_file([[True]]), core_file([[1.5]]), core_file([[64_000]])],
)
def test_a_strange_file_is_refused(pack, codes, folders, content):
    (folders[0] / "song.json").write_text(content)
    with pytest.raises(core(pack, "errors").InvalidInputError, match=r"song\.json"):
        codes.LoadCodes.execute("song.json")


def test_a_model_without_a_codec_says_so(pack, codes, handles):
    bare = replace(handles.model, codec=None)
    for run in (
        lambda: codes.AudioToCodes.execute(bare, latent()),
        lambda: codes.CodesToLatent.execute(bare, listed(codes, (1,))),
    ):
        with pytest.raises(
            core(pack, "errors").UnsupportedCheckpointError, match="brings no semantic tokenizer"
        ):
            run()


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"samples": torch.ones(1, 4, 8, 8)}, "shape"),
        (
            {"samples": torch.ones(1, 1, 1).expand(1, 64, 16_500)},
            "lasts 660 s, and the model plays up to 600 s",
        ),
    ],
)
def test_a_latent_without_codes_says_why(pack, codes, handles, given, problem):
    with pytest.raises(core(pack, "errors").InvalidInputError, match=problem):
        codes.AudioToCodes.execute(handles.model, given)


def test_stop_takes_effect_between_songs(codes, handles):
    import comfy.model_management as mm

    mm.interrupt_current_processing(True)
    with pytest.raises(mm.InterruptProcessingException):
        codes.AudioToCodes.execute(handles.model, latent())
    assert codes.AudioToCodes.execute(handles.model, latent())[0].items[0].shape == (8,)


def test_in_a_graph_a_changed_file_is_read_again_and_an_unchanged_one_is_not(folders, graph, run_graph):
    path = folders[0] / "song.json"
    path.write_text(core_file([[1]]))
    load = graph.add("AceGraphLoadCodes", file="song.json")
    text = graph.add("AceGraphCodesToText", codes=load[0])
    save = graph.add("AceGraphSaveCodes", codes=load[0])
    graph.add("PreviewAny", source=text[0])
    first = run_graph(deepcopy(graph.prompt))  # ComfyUI notes fingerprints in the prompt
    assert first.success, first.error or first.refused
    assert first[text[0]] == "<|audio_code_1|>"
    assert first.ui[save.id] == {
        "codes": [{"filename": "ACE-Step_00001_.json", "subfolder": "codes", "type": "output"}]
    }
    assert load.id in run_graph(deepcopy(graph.prompt)).cached
    path.write_text(core_file([[2]]))
    assert run_graph(deepcopy(graph.prompt))[text[0]] == "<|audio_code_2|>"


def test_a_cover_s_codes_run_through_a_graph(graph, run_graph):
    loaded = graph.add("AceGraphLoad", model="acestep-v15-turbo")
    empty = graph.add("EmptyAudio", duration=2.0, sample_rate=48_000)
    encoded = graph.add("AceGraphOobleckEncode", vae=loaded[2], audio=empty[0])
    made = graph.add("AceGraphAudioToCodes", model=loaded[0], latent=encoded[0])
    text = graph.add("AceGraphCodesToText", codes=made[0])
    read = graph.add("AceGraphCodesFromText", text=text[0])
    hints = graph.add("AceGraphCodesToLatent", model=loaded[0], codes=read[0])
    audio = graph.add("AceGraphOobleckDecode", vae=loaded[2], latent=hints[0])
    graph.add("PreviewAudio", audio=audio[0])
    run = run_graph(graph)
    assert run.success, run.error or run.refused
    assert run[audio[0]]["waveform"].shape == (1, 2, 96_000)
