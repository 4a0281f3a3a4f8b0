"""Stop takes effect at the next step, tile or song of any node, and leaves nothing wrong behind."""

import pytest
import soundfile
import torch

from support.comfyui import task_graphs
from support.comfyui.host import Runner
from support.comfyui.task_graphs import encode, finished, heard, opened

LENGTH, TILES, SONGS = 4.0, 4, 2  # seconds, how many tiles of 32 frames they take, and songs
MOMENTS = [  # a node, what its bar shows when Stop is pressed (0: before it starts), and where the bar ends
    *(("AceGraphLoad", done, 5) for done in (0, 1, 4)),
    ("AceGraphEncodeConditions", 0, 0),
    *(("AceGraphOobleckEncode", done, TILES) for done in (0, 1, TILES)),
    *(("AceGraphAudioToCodes", done, SONGS) for done in (0, 1)),
    *(("AceGraphCodesToLatent", done, SONGS) for done in (0, 1)),
    *(("AceGraphSampler", done, 6) for done in (0, 1, 5, 6)),
    *(("AceGraphOobleckDecode", done, SONGS * TILES) for done in (0, 1, TILES, SONGS * TILES)),
    *(("AceGraphSaveAudio", done, SONGS) for done in (0, 1)),
    *(("AceGraphPreviewAudio", done, SONGS) for done in (0, 1)),
]


def built(graph):
    """A cover of several songs, cut into small tiles."""
    load = opened(graph)
    _, latent = heard(graph, load, "short.flac", "32")
    batch = graph.add("RepeatLatentBatch", samples=latent, amount=SONGS)
    codes = graph.add("AceGraphAudioToCodes", model=load["model"], latent=batch[0])
    hints = graph.add("AceGraphCodesToLatent", model=load["model"], codes=codes["codes"])
    conditions = encode(graph, load, "cover", source=latent)
    song = finished(graph, load, conditions, hints["latent"], tile="32", steps=6)
    graph.add("AceGraphPreviewAudio", audio=song.decode["audio"])
    return song, task_graphs.nodes_of(graph)


def files_of(host):
    return {path for kind in ("output", "temp") for path in (host.base / kind).rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def undisturbed(host, pack):
    """The songs when nobody stops the graph, and where each node's bar ended."""
    task_graphs.record(host.base / "input", LENGTH, "short.flac")
    graph = host.graph()
    song, nodes = built(graph)
    done = Runner(host)(graph)
    assert done.success, done.error
    ends = {move.node: move.total for move in done.progress}
    return done[song.decode["audio"]]["waveform"], {kind: ends.get(nodes[kind].id, 0) for kind in nodes}


@pytest.mark.parametrize(("kind", "moment", "end"), MOMENTS)
def test_the_run_after_a_stop_is_as_if_it_never_happened(
    host, graph, run_graph, undisturbed, kind, moment, end
):
    waveform, ends = undisturbed
    song, nodes = built(graph)
    before = files_of(host)

    stopped = run_graph(graph, stop_at=(nodes[kind], moment))

    assert stopped.interrupted
    assert stopped.ran[-1] == nodes[kind].id
    moves = [move.value for move in stopped.progress if move.node == nodes[kind].id]
    assert moves[-1:] == ([moment] if moment else [])
    assert ends[kind] == end
    assert all(soundfile.info(path).duration == LENGTH for path in files_of(host) - before)

    done = run_graph(graph)
    assert done.success, done.error
    assert torch.equal(done[song.decode["audio"]]["waveform"], waveform)
    assert len(done.files(song.save)) == SONGS
    assert not [path for path in files_of(host) if path.suffix == ".part"]
