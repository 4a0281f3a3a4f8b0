"""Lyric Times and Save Lyrics in a real ComfyUI: from a song to files that players read, and what is refused."""

import json
import re

import pytest
import torch

from support.comfyui.task_graphs import HEADS, TURBO, encode, finished, opened, silence
from support.comfyui.trial import given

LYRICS = "[Verse 1]\nHello world\nla la la\n[Chorus]\n\u4f60\u597d"


def played(graph, lyrics=LYRICS, songs=1, pickers=TURBO, **more):
    """A song and Lyric Times behind it."""
    load = opened(graph, pickers)
    conditions = encode(graph, load, lyrics=lyrics)
    song = finished(graph, load, conditions, silence(graph, load, songs))
    wires = {"model": load["model"], "conditions": conditions, "latent": song.sampler["latent"]}
    node = graph.add("AceGraphLyricTimes", **{**wires, "heads": HEADS, **more})
    for output in (node["text"], node["report"]):
        graph.add("PreviewAny", source=output)
    return song, node


@pytest.fixture
def sings(pack, monkeypatch):
    """A model that follows the words from the first place to the last, as one with real weights may."""

    def lyric_maps(parts, song, heads, t):
        tokens = len(song.condition.lyrics.pieces)
        places = -(-song.latents.shape[1] // 2)
        maps = torch.full((3, tokens, places), 0.02)
        for token in range(tokens):
            first, last = (round(edge * places / tokens) for edge in (token, token + 1))
            maps[:, token, first : max(last, first + 1)] = 0.95
        return maps

    monkeypatch.setattr(pack.nodes.runs.listening, "lyric_maps", lyric_maps)


def outputs(run_graph, graph, node):
    done = run_graph(graph)
    assert done.success, done.error
    return [done[node[name]] for name in ("times", "text", "report")]


@pytest.mark.usefixtures("sings")
def test_every_line_has_its_time_and_the_report_tells_them(graph, run_graph):
    _, node = played(graph)
    ((song,), text, report) = outputs(run_graph, graph, node)
    assert [line.text for line in song.lines] == [line for line in LYRICS.split("\n") if line]
    assert 0 <= song.lines[0].start < song.lines[-1].end <= 6.0
    assert re.findall(r"^\[\d\d:\d\d\.\d\d\](.*)$", text, re.MULTILINE) == [
        "Hello world",
        "la la la",
        "\u4f60\u597d",
    ]
    assert "3 lines in 6 s" in report
    assert "100% of the words" in report
    assert re.search(r"^00:0\d\.\d\d to 00:0\d\.\d\d Hello world$", report, re.MULTILINE)
    assert "No source was connected" in report


def test_singing_that_is_not_found_is_said_and_nothing_is_written(graph, run_graph, host, pack, monkeypatch):
    flat = torch.full((3, len(LYRICS.encode()), 75), 0.01)
    monkeypatch.setattr(
        pack.nodes.runs.listening,
        "lyric_maps",
        lambda parts, song, *more: flat[:, : len(song.condition.lyrics.pieces)],
    )
    song, node = played(graph)
    saver = graph.add("AceGraphSaveLyrics", times=node["times"], filename_prefix="test/lost")
    graph.add("PreviewAny", source=saver["report"])
    graph.change(song.save, times=node["times"], filename_prefix="test/lost")
    done = run_graph(graph)
    assert done.success, done.error
    assert done[node["times"]][0].lines == ()
    assert done[node["text"]] == ""
    assert "the singing was not found" in done[node["report"]]
    assert "no file" in done[saver["report"]]
    assert not list((host.base / "output" / "test").glob("lost*.lrc"))


@pytest.mark.usefixtures("sings")
@pytest.mark.parametrize(
    ("form", "extension", "sign"),
    [
        ("lrc", "lrc", r"^\[00:0\d\.\d\d\]Hello world$"),
        ("lrc by word", "lrc", r"^\[00:0\d\.\d\d\]<00:0\d\.\d\d>Hello <00:0\d\.\d\d>world$"),
        ("srt", "srt", r"^00:00:0\d,\d{3} --> 00:00:0\d,\d{3}$"),
        ("json", "json", r'"text": "Hello world"'),
    ],
)
def test_each_form_is_a_file_for_each_song(graph, run_graph, host, form, extension, sign):
    prefix = f"test/{form.replace(' ', '_')}"
    _, node = played(graph, songs=2)
    saver = graph.add("AceGraphSaveLyrics", times=node["times"], filename_prefix=prefix, form=form)
    graph.add("PreviewAny", source=saver["text"])
    done = run_graph(graph)
    assert done.success, done.error
    files = sorted((host.base / "output" / "test").glob(f"{prefix[5:]}_*.{extension}"))
    assert len(files) == 2
    texts = [path.read_text(encoding="utf-8") for path in files]
    assert "\n".join(texts) == done[saver["text"]]
    for text, path in zip(texts, files, strict=True):
        assert re.search(sign, text, re.MULTILINE)
        assert "[Verse 1]" not in text
        assert path.name in done[saver["report"]]
    if form == "json":
        assert json.loads(texts[0])["lines"][0]["words"][0]["text"] == "Hello"


@pytest.mark.usefixtures("sings")
def test_tags_are_written_when_they_are_asked_for(graph, run_graph):
    _, node = played(graph)
    saver = graph.add(
        "AceGraphSaveLyrics", times=node["times"], filename_prefix="test/t", structure_tags=True
    )
    graph.add("PreviewAny", source=saver["text"])
    done = run_graph(graph)
    assert "[Verse 1]" in done[saver["text"]]


@pytest.mark.usefixtures("sings")
def test_save_audio_writes_the_times_into_the_song_and_beside_it(graph, run_graph, host):
    import av

    song, node = played(graph, songs=2)
    graph.change(song.save, times=node["times"], filename_prefix="test/timed")
    heard = graph.add(
        "AceGraphPreviewAudio", audio=graph.prompt[song.save.id]["inputs"]["audio"], times=node["times"]
    )
    done = run_graph(graph)
    assert done.success, done.error
    sung = [[(line.start, line.end, line.text) for line in one.sung()] for one in done[node["times"]]]
    assert [text for *_, text in sung[0]] == ["Hello world", "la la la", "\u4f60\u597d"]  # tags are not
    for player in (song.save, heard):
        assert [told["lines"] for told in done.ui[player.id]["acegraph_songs"]] == sung
    lyrics = sorted((host.base / "output" / "test").glob("timed_*.lrc"))
    sounds = sorted((host.base / "output" / "test").glob("timed_*.flac"))
    assert [path.stem for path in lyrics] == [path.stem for path in sounds]
    assert len(lyrics) == 2
    for text, sound in zip(lyrics, sounds, strict=True):
        with av.open(str(sound)) as file:
            tags = {name.lower(): value for name, value in file.metadata.items()}
        assert tags["lyrics"] == text.read_text(encoding="utf-8")
        assert "]Hello world" in tags["lyrics"]
        assert tags["title"] == "slow piano"


def test_the_times_of_other_songs_are_refused(trial, graph, pack):
    song, _ = played(graph)
    lrc = pack.acestep_core.text.lrc
    times = tuple(lrc.TimedLyrics((), 6.0, 0.0) for _ in range(3))
    graph.change(song.save, times=given(graph, times))
    trial.refuses(graph, song.save, "1 songs came with the times of 3")


def test_layers_behind_the_heads_are_not_evaluated_and_every_song_is_heard_alone(
    graph, run_graph, pack, monkeypatch
):
    block, heard = pack.acestep_core.networks.dit.DiTBlock, []
    whole = block.heard

    def counting(self, parts, *given):
        heard.append(len(parts[0]))
        return whole(self, parts, *given)

    _, node = played(graph, songs=2)
    run_graph(graph)
    graph.change(node, heads='{"1": [0]}')
    monkeypatch.setattr(block, "heard", counting)
    outputs(run_graph, graph, node)
    assert heard == [1, 1] * 2


def test_the_source_and_the_mask_are_shown_to_the_model(graph, run_graph, pack, monkeypatch):
    shown = []
    module = pack.nodes.runs.listening
    whole = module.lyric_maps
    monkeypatch.setattr(
        module, "lyric_maps", lambda parts, song, *more: shown.append(song) or whole(parts, song, *more)
    )
    song, node = played(graph)
    outputs(run_graph, graph, node)
    mask = graph.add("AceGraphChunkMask", latent=song.sampler["latent"], start=2.0, end=3.0)
    graph.change(node, source=song.sampler["latent"], mask=mask["mask"])
    _, _, report = outputs(run_graph, graph, node)
    plain, told = shown
    assert not torch.equal(plain.source, plain.latents)
    assert torch.equal(told.source, told.latents)
    assert plain.mask is None
    assert told.mask.sum() == 25
    assert "No source" not in report


def test_zero_steps_are_those_of_the_checkpoint(graph, run_graph, pack, monkeypatch):
    moments = []
    module = pack.nodes.runs.listening
    monkeypatch.setattr(
        module, "lyric_maps", lambda parts, song, heads, t: moments.append(t) or torch.zeros(1, 9, 9)
    )
    _, node = played(graph, lyrics="la la la la")
    graph.change(node, steps=50)
    run_graph(graph)
    graph.change(node, steps=0)
    run_graph(graph)
    assert moments == [0.02, 0.125]


@pytest.mark.parametrize(
    ("lyrics", "problem"),
    [("", "no lyrics"), ("[Instrumental]", "nobody sings"), ("[Verse]\n[Chorus]", "nobody sings")],
)
def test_songs_without_words_are_refused(trial, graph, lyrics, problem):
    _, node = played(graph, lyrics=lyrics)
    assert "structure tags" in trial.refuses(graph, node, problem)


@pytest.mark.parametrize(
    ("wrong", "problem"),
    [
        ({"heads": ""}, "no published lyric heads"),
        ({"heads": "nonsense"}, "'nonsense' are none of this checkpoint"),
        (
            {"source": {"samples": torch.randn(1, 64, 149), "type": "audio"}},
            "source is for 1 songs of 149 frames",
        ),
        ({"mask": torch.ones(1, 1, 149)}, "149 frames"),
    ],
)
def test_what_cannot_be_listened_to_is_said(trial, graph, wrong, problem):
    _, node = played(graph)
    more = {key: value if isinstance(value, str) else given(graph, value) for key, value in wrong.items()}
    graph.change(node, **more)
    trial.refuses(graph, node, problem)


def test_conditions_of_other_songs_are_refused(trial, graph):
    _, node = played(graph, songs=2)
    three = graph.add(
        "AceGraphBatchConditions",
        **dict.fromkeys(("first", "second", "third"), graph.prompt[node.id]["inputs"]["conditions"]),
    )
    graph.change(node, conditions=three["conditions"])
    trial.refuses(graph, node, "3 conditions for 2 songs")
