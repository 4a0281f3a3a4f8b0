"""Silence Latent, Chunk Mask, Extend and Retake, and ComfyUI's own nodes around them."""

import pytest
import torch

from support.comfyui.handles import core, tiny_handles

NAN = float("nan")


@pytest.fixture(scope="module")
def handles(pack, models):
    return tiny_handles(pack, models)


@pytest.fixture
def latents(pack):
    return pack.nodes.latents


def latent(frames=100, songs=1, seed=0, **more):
    samples = torch.randn(songs, 64, frames, generator=torch.Generator().manual_seed(seed))
    return {"samples": samples, "type": "audio", **more}


def untouched(given, before):
    return given.keys() == before.keys() and torch.equal(given["samples"], before["samples"])


def test_silence_is_the_checkpoint_s_own_for_every_song(latents, handles):
    out = latents.SilenceLatent.execute(handles.model, 2.0, 3)[0]
    assert out["type"] == "audio"
    assert out["samples"].shape == (3, 64, 50)
    for song in out["samples"]:
        assert torch.equal(song.mT, handles.model.silence.frames(50)[0])


@pytest.mark.parametrize("seconds", [0.04, 0.08, 5.12, 10.2, 16.4, 599.96, 600.0])
def test_the_length_is_the_nearest_frame(latents, handles, seconds):
    assert latents.SilenceLatent.execute(handles.model, seconds, 1)[0]["samples"].shape[-1] == round(
        seconds * 25
    )


@pytest.mark.parametrize(
    ("seconds", "songs"), [(0.0, 1), (-1.0, 1), (660.0, 1), (NAN, 1), (10.0, 0), (10.0, 65)]
)
def test_an_impossible_size_that_arrives_by_wire_is_refused(pack, latents, handles, seconds, songs):
    with pytest.raises(core(pack, "errors").InvalidInputError, match="Set it from"):
        latents.SilenceLatent.execute(handles.model, seconds, songs)


@pytest.mark.parametrize(
    ("start", "end", "inside"),
    [(0, -1, (0, 100)), (1, 2, (25, 50)), (0.04, 0.08, (1, 2)), (3, 600, (75, 100))],
)
def test_the_mask_marks_the_span(latents, start, end, inside):
    mask = latents.ChunkMask.execute(latent(), start, end, 0.0)[0]
    assert mask.shape == (1, 1, 100)
    assert mask[0, 0].nonzero().flatten().tolist() == list(range(*inside))


def test_a_faded_mask_is_the_core_s(pack, latents):
    span = core(pack, "timebase").FrameSpan(25, 50)
    wanted = core(pack, "sampling.masks").chunk_mask((span,), 100, 0.4)
    assert torch.equal(latents.ChunkMask.execute(latent(), 1, 2, 0.4)[0][:, 0], wanted)


def test_a_drawn_mask_is_stretched_over_the_song_and_limited_by_start_and_end(latents):
    picture = torch.zeros(1, 64, 200)
    picture[0, 10, 50:150] = 1
    whole = latents.ChunkMask.execute(latent(), 0, -1, 0.0, picture)[0]
    assert whole[0, 0].nonzero().flatten().tolist() == list(range(25, 75))
    part = latents.ChunkMask.execute(latent(), 2, -1, 0.0, picture)[0]
    assert part[0, 0].nonzero().flatten().tolist() == list(range(50, 75))


def test_regions_are_marked_together_and_go_before_start_and_end(latents):
    mask = latents.ChunkMask.execute(latent(), 0, 0.4, 0.0, regions="2.00-3.00, 0.40-1.00")[0]
    assert mask[0, 0].nonzero().flatten().tolist() == [*range(10, 25), *range(50, 75)]


def test_without_regions_every_mask_is_that_of_before(latents):
    for given in ({}, {"regions": ""}, {"regions": " "}):
        mask = latents.ChunkMask.execute(latent(), 1, 2, 0.0, **given)[0]
        assert mask[0, 0].nonzero().flatten().tolist() == list(range(25, 50))


@pytest.mark.parametrize(
    ("given", "verdict"),
    [
        ({"start": 0.0, "end": -1.0}, True),  # a prompt of before, without regions
        ({"start": 3.0, "end": 1.0, "regions": ""}, "from 3 to 1 s is empty"),
        ({"start": 3.0, "end": 1.0, "regions": "1-2"}, True),
        ({"start": 0.0, "end": -1.0, "regions": "the verse"}, "'the verse' is no region"),
        ({"start": 0.0, "end": -1.0, "regions": None}, True),  # comes by wire
    ],
)
def test_regions_are_judged_before_anything_runs(latents, given, verdict):
    said = latents.ChunkMask.validate_inputs(**given)
    assert said is True if verdict is True else verdict in said


def test_masks_of_several_songs_stay_apart(latents):
    pictures = torch.zeros(2, 4, 100)
    pictures[0, :, :10] = pictures[1, :, 90:] = 1
    mask = latents.ChunkMask.execute(latent(songs=2), 0, -1, 0.0, pictures)[0]
    assert mask.shape == (2, 1, 100)
    assert mask.sum(-1).flatten().tolist() == [10, 10]
    assert mask[1, 0, 90:].all()


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        ({"start": 4.0}, "begins at 4 s, and the song ends at 4 s"),
        ({"start": 5.0, "end": 6.0}, "begins at 5 s, and the song ends at 4 s"),
        ({"start": 2.0, "end": 2.0}, "from 2 to 2 s is empty"),
        ({"start": 3.0, "end": 1.0}, "from 3 to 1 s is empty"),
        ({"start": -1.0}, "start is -1 s"),
        ({"end": 700.0}, "end is 700 s"),
        ({"fade": NAN}, "fade is nan s"),
        ({"regions": "5-6"}, "regions begin at 5 s, and the song ends at 4 s"),
        ({"regions": 5}, "regions is 5, which is no text"),
        ({"mask": torch.zeros(1, 8, 8)}, "marks nothing"),
        ({"mask": torch.zeros(0, 8, 8)}, r"mask has the shape \[0, 8, 8\]"),
        ({"latent": {"samples": torch.zeros(1, 4, 64, 64)}}, r"shape \[1, 4, 64, 64\]"),
        ({"latent": {"samples": torch.zeros(1, 64, 0)}}, "is empty"),
        ({"latent": {}}, "no plain latent"),
    ],
)
def test_chunk_mask_says_what_is_wrong(pack, latents, words, problem):
    given = {"latent": latent(), "start": 0.0, "end": -1.0, "fade": 0.0} | words
    with pytest.raises(core(pack, "errors").AceStepError, match=problem):
        latents.ChunkMask.execute(**given)


def test_invert_mask_of_comfyui_swaps_what_is_kept(pack, latents):
    from comfy_extras.nodes_mask import InvertMask

    mask = latents.ChunkMask.execute(latent(), 1, 2, 0.0)[0]
    kept = InvertMask().invert(mask)[0]
    assert torch.equal(pack.nodes.wires.tensors.mask_of_wire(kept, 100), 1 - mask[:, 0])


def test_mask_composite_of_comfyui_joins_two_spans(pack, latents):
    from comfy_extras.nodes_mask import MaskComposite

    first, second = (latents.ChunkMask.execute(latent(), start, start + 1, 0.0)[0] for start in (0, 2))
    both = MaskComposite().combine(first, second, 0, 0, "or")[0]
    assert pack.nodes.wires.tensors.mask_of_wire(both, 100)[0].nonzero().flatten().tolist() == [
        *range(25),
        *range(50, 75),
    ]


def test_solid_mask_of_comfyui_marks_everything(latents):
    from comfy_extras.nodes_mask import SolidMask

    assert latents.ChunkMask.execute(latent(), 0, -1, 0.0, SolidMask().solid(1.0, 512, 512)[0])[0].eq(1).all()


def test_extend_is_the_core_s_and_changes_nothing_that_it_was_given(pack, latents, handles):
    given = latent(songs=2, batch_index=[3, 4])
    before = {**given, "samples": given["samples"].clone()}
    longer, mask = latents.Extend.execute(handles.model, given, 1.0, 2.0).result
    wanted, marked = core(pack, "sampling.context").extended(
        given["samples"].mT, 25, 50, handles.model.silence
    )
    assert torch.equal(longer["samples"].mT, wanted)
    assert torch.equal(mask[:, 0], marked[:1])  # one for all songs, as Chunk Mask makes it
    assert longer["batch_index"] == [3, 4]
    assert untouched(given, before)


def test_extending_an_empty_latent_of_comfyui_extends_silence(latents, handles):
    from comfy_extras.nodes_audio import EmptyLatentAudio

    empty = EmptyLatentAudio().generate(10.0, 1)[0]
    frames = empty["samples"].shape[-1]
    longer = latents.Extend.execute(handles.model, empty, 0.0, 1.0)[0]["samples"]
    assert torch.equal(
        longer.mT, handles.model.silence.frames(frames + 25).where(torch.tensor(True), longer.mT)
    )
    assert torch.equal(longer[..., :frames].mT, handles.model.silence.frames(frames))


@pytest.mark.parametrize(
    ("before", "after", "problem"),
    [
        (0.0, 0.0, "0.04 s or more"),
        (0.01, 0.01, "0.04 s or more"),
        (-1.0, 5.0, "The before is -1 s"),
        (0.0, NAN, "The after is nan s"),
        (300.0, 297.0, "lasts 601 s, and the model plays up to 600 s"),
    ],
)
def test_extend_says_what_is_wrong(pack, latents, handles, before, after, problem):
    with pytest.raises(core(pack, "errors").InvalidInputError, match=problem):
        latents.Extend.execute(handles.model, latent(), before, after)


def noise_of(output, frames=16):
    return output[0].plan.start(frames, 64).initial


def test_no_variation_is_the_song_of_the_seed(pack, latents):
    plain = core(pack, "sampling.noise").NoisePlan.counting(7, 2).start(16, 64).initial
    assert torch.equal(noise_of(latents.Retake.execute(7, 100, 0.0, 2, True)), plain)


def test_full_variation_is_the_song_of_the_retake_seed(pack, latents):
    other = core(pack, "sampling.noise").NoisePlan.counting(100, 2).start(16, 64).initial
    for each_song in (False, True):
        assert torch.equal(noise_of(latents.Retake.execute(7, 100, 1.0, 2, each_song)), other)


def test_takes_of_one_song_share_the_seed_and_takes_of_each_do_not(latents):
    assert latents.Retake.execute(7, 100, 0.2, 3, False)[0].plan.seeds == (7, 7, 7)
    each = latents.Retake.execute(7, 100, 0.2, 3, True)[0].plan
    assert each.seeds == (7, 8, 9)
    assert each.retake_seeds == (100, 101, 102)


@pytest.mark.parametrize("each_song", [False, True])
def test_a_song_taken_from_a_batch_by_comfyui_is_retaken_as_it_was_in_the_batch(pack, latents, each_song):
    import nodes

    batch = latent(songs=4)
    picked = nodes.LatentFromBatch().frombatch(batch, 2, 1)[0]
    alone = noise_of(latents.Retake.execute(7, 100, 0.3, 9, each_song, picked))
    assert torch.equal(alone, noise_of(latents.Retake.execute(7, 100, 0.3, 9, each_song, batch))[2:3])


def test_the_largest_seed_can_count_on(latents):
    most = 2**64 - 1
    assert noise_of(latents.Retake.execute(most, most, 0.5, 2, True)).isfinite().all()


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        ({"songs": 0}, "The songs is 0"),
        ({"variation": 1.5}, "variation is 1.5"),
        ({"variation": NAN}, "variation is nan"),
        ({"latent": {"samples": torch.zeros(1, 4, 8, 8)}}, "shape"),
        ({"latent": latent(songs=2, batch_index=[1])}, "2 songs and says 1 places"),
    ],
)
def test_retake_says_what_is_wrong(pack, latents, words, problem):
    given = {"seed": 0, "retake_seed": 1, "variation": 0.5, "songs": 1, "each_song": False} | words
    with pytest.raises(core(pack, "errors").InvalidInputError, match=problem):
        latents.Retake.execute(**given)


def test_save_latent_of_comfyui_brings_a_latent_back(latents, handles, tmp_path):
    import folder_paths

    import nodes

    out = latents.SilenceLatent.execute(handles.model, 1.0, 2)[0]
    saver = nodes.SaveLatent()
    saver.output_dir = str(tmp_path)
    saver.save(out, "song")
    (path,) = tmp_path.glob("song*.latent")
    target = path.rename(f"{folder_paths.get_input_directory()}/{tmp_path.name}.latent")
    back = nodes.LoadLatent().load(target.name)[0]
    target.unlink()
    assert torch.equal(back["samples"], out["samples"])
    assert latents.ChunkMask.execute(back, 0, -1, 0.0)[0].shape == (1, 1, 25)


def test_a_graph_of_comfyui_s_own_nodes_around_ours_runs(graph, run_graph):
    loaded = graph.add("AceGraphLoad", model="acestep-v15-turbo")
    silence = graph.add("AceGraphSilenceLatent", model=loaded[0], seconds=8.0, batch_size=2)
    longer = graph.add("AceGraphExtend", model=loaded[0], latent=silence[0], before=2.0, after=0.0)
    span = graph.add("AceGraphChunkMask", latent=longer[0], start=4.0, end=6.0)
    kept = graph.add("InvertMask", mask=span[0])
    both = graph.add("MaskComposite", destination=kept[0], source=longer[1], operation="multiply")
    graph.add("MaskPreview", mask=both[0])
    graph.add("SaveLatent", samples=longer[0])
    run = run_graph(graph)
    assert run.success, run.error or run.refused
    assert run[longer[0]]["samples"].shape == (2, 64, 250)
    assert run[both[0]].shape[-1] == 250
    assert torch.equal(run[both[0]][0], run[longer[1]][0])


def test_a_span_that_ends_after_the_song_is_told_in_seconds(latents):
    song = latent(100)
    told = latents.ChunkMask.execute(song, 1.0, 6.0, 0.0)[1]
    assert told.splitlines() == [
        "Marked: 1.00-4.00 s, 3.00 of 4.00 s.",
        "The part was to end at 6 s, but the song ends at 4 s: it is made anew up to there.",
    ]
    assert latents.ChunkMask.execute(song, 1.0, -1.0, 0.0)[1] == "Marked: 1.00-4.00 s, 3.00 of 4.00 s."


def test_a_span_outside_of_the_song_is_one_clear_sentence_in_the_node(graph, run_graph):
    loaded = graph.add("AceGraphLoad", model="acestep-v15-turbo")
    silence = graph.add("AceGraphSilenceLatent", model=loaded[0], seconds=8.0)
    span = graph.add("AceGraphChunkMask", latent=silence[0], start=9.0, end=12.0)
    graph.add("MaskPreview", mask=span[0])
    run = run_graph(graph)
    assert run.error.startswith("The part begins at 9 s, and the song ends at 8 s.")
    assert run.failure["node_id"] == span.id
