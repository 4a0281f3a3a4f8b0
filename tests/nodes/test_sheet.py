"""Sheet in a real ComfyUI: everything behind it runs once for each pair, and the player gets them as one table."""

from support.comfyui.task_graphs import encode, opened, silence


def test_a_song_for_every_pair_each_with_its_seed_value_and_label(host, trial):
    graph = host.graph()
    load = opened(graph)
    sheet = graph.add("AceGraphSheet", seeds="3, 5", values="0.5, 1")
    sampler = graph.add(
        "AceGraphSampler",
        model=load["model"],
        conditions=encode(graph, load),
        source=silence(graph, load, 1, 1.0),
        steps=2,
        seed=sheet["seed"],
        guidance_end=sheet["value"],
    )
    decode = graph.add("AceGraphOobleckDecode", vae=load["vae"], latent=sampler["latent"])
    save = graph.add("AceGraphSaveAudio", audio=decode["audio"], filename_prefix="test/sheet")
    graph.add("PreviewAny", source=sheet["label"])
    done = trial.plays(graph)
    shown = done.ui[save.id]
    assert [song["sheet"] for song in shown["acegraph_songs"]] == [[["3", "5"], ["0.5", "1"]]] * 4
    assert [song["seed"] for song in shown["acegraph_songs"]] == ["3", "3", "5", "5"]
    assert len({file["filename"] for file in shown["audio"]}) == 4


def test_what_is_no_sheet_is_said_before_anything_runs(pack):
    node = pack.nodes.variations.sheet.Sheet
    assert node.validate_inputs(seeds="3", values="x").startswith("'x' among the values is no number.")
    assert node.validate_inputs(seeds="3", values="1") is True
    assert node.validate_inputs(seeds="3", values=None) is True  # it comes by wire
