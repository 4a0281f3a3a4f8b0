"""Takes that tell who they are: tags of every song of a batch, and a workflow that plays it alone."""

import copy
import json

import pytest

from support.comfyui.task_graphs import BASE, encode, finished, heard, opened, silence


def tags_in(path):
    import av

    with av.open(path) as file:
        return {name.lower(): text for name, text in {**file.metadata, **file.streams[0].metadata}.items()}


@pytest.fixture(scope="module")
def batch(host, trial):
    """The tags of four songs of one batch."""
    graph = host.graph()
    load = opened(graph)
    song = finished(graph, load, encode(graph, load), silence(graph, load, 4, 1.0), seed=7)
    done = trial.plays(graph)
    return [tags_in(path) for path in done.files(song.save)]


def test_a_take_knows_its_seed_its_place_its_checkpoint_its_steps_and_its_length(batch):
    assert [tags["seed"] for tags in batch] == ["7", "8", "9", "10"]
    assert [tags["take"] for tags in batch] == ["1/4", "2/4", "3/4", "4/4"]
    assert {(tags["checkpoint"], tags["steps"], tags["length"]) for tags in batch} == {
        ("acestep-v15-turbo", "2", "1.00 s")
    }


def test_a_take_carries_the_prompt_that_plays_it_alone(batch, run_graph):
    prompt = json.loads(batch[2]["prompt"])
    kinds = {node["class_type"]: node["inputs"] for node in prompt.values()}
    assert kinds["AceGraphSampler"]["seed"] == 9
    assert kinds["AceGraphSilenceLatent"]["batch_size"] == 1
    done = run_graph(prompt)
    assert done.success, done.error


def own_workflow(pack, *given):
    return pack.nodes.host.takes.own_workflow(*given)


PROMPT = {
    "5:101": {"class_type": "AceGraphSampler", "inputs": {"seed": 3, "source": ["5:102", 0]}},
    "5:102": {"class_type": "AceGraphSilenceLatent", "inputs": {"seconds": 30.0, "batch_size": 2}},
}
SAMPLER = {"id": 101, "type": "AceGraphSampler", "inputs": [{"widget": {"name": "seed"}}]}
WORKFLOW = {
    "nodes": [
        {
            "id": 5,
            "type": "box",
            "inputs": [{"name": "seed", "widget": {"name": "seed"}}],
            "widgets_values": [3],
        }
    ],
    "definitions": {
        "subgraphs": [
            {
                "id": "box",
                "inputs": [{"name": "seed", "linkIds": [9]}],
                "links": [{"id": 9, "target_id": 101, "target_slot": 0}],
                "nodes": [
                    {**SAMPLER, "widgets_values": [3, "randomize", 0]},
                    {"id": 102, "type": "AceGraphSilenceLatent", "widgets_values": [30.0, 2]},
                ],
            }
        ]
    },
}


def test_a_take_of_a_box_opens_with_its_seed_in_the_box_and_at_the_box(pack):
    prompt, extra = own_workflow(pack, PROMPT, {"workflow": WORKFLOW}, [3, 4], 1)
    assert prompt["5:101"]["inputs"]["seed"] == 4
    assert prompt["5:102"]["inputs"]["batch_size"] == 1
    (box,), ((sampler, silent),) = (
        extra["workflow"]["nodes"],
        [graph["nodes"] for graph in extra["workflow"]["definitions"]["subgraphs"]],
    )
    assert box["widgets_values"] == [4]
    assert sampler["widgets_values"] == [4, "fixed", 0]
    assert silent["widgets_values"] == [30.0, 1]
    assert PROMPT["5:101"]["inputs"]["seed"] == 3  # what runs stays as it is
    assert WORKFLOW["nodes"][0]["widgets_values"] == [3]


@pytest.mark.parametrize(
    ("seeds", "change"),
    [
        ([3], {}),
        ([3, 9], {}),
        ([5, 6], {}),
        ([3, 4], {"noise": ["8", 0]}),
        ([3, 4], {"source": ["9", 0]}),
    ],
)
def test_what_cannot_be_told_apart_is_left_as_it_is(pack, seeds, change):
    prompt = copy.deepcopy(PROMPT)
    prompt["5:101"]["inputs"].update(change)
    same, extra = own_workflow(pack, prompt, {"workflow": WORKFLOW}, seeds, 0)
    assert (same, extra) == (prompt, {"workflow": WORKFLOW})


# --------------------------------------------------------------------------------------------- several tracks
def test_several_tracks_to_extract_are_a_song_each(graph, trial):
    load = opened(graph, BASE)
    _, latent = heard(graph, load)
    song = finished(graph, load, encode(graph, load, "extract", tracks="vocals, drums, bass"), latent, seed=2)
    done = trial.plays(graph)
    found = [tags_in(path) for path in done.files(song.save)]
    assert [tags["tracks"] for tags in found] == ["vocals", "drums", "bass"]
    assert [tags["seed"] for tags in found] == ["2", "3", "4"]
