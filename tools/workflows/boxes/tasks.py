"""What is inside of the boxes: whole tasks, which blueprints and example workflows show as one node each.

Every function adds nodes to a page and says which widgets are shown, in the order in which a musician asks for them.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from tools.workflows.page import Item, Page, Wire
from tools.workflows.parts import BASE_FILE, FIXED, decoded, loader

Shown = list[tuple[Item, str]]
PLACED = ("lego", "complete")  # tasks for tracks that may play in a part of the song alone
WORDS = ("caption", "lyrics", "instrumental")
FILES = ("model", "text_encoder", "vae")
FIGURES = ("bpm", "key", "time_signature")
ANEW = {"control_after_generate": "randomize"}


@dataclass
class Task:
    """What a box gives, and what it shows."""

    audio: Wire
    conditions: Item
    report: Wire
    words: Shown  # of these an app asks as well
    files: Shown
    more: dict[str, Wire] = field(default_factory=dict)

    @property
    def shown(self) -> Shown:
        return [*self.words, *self.files]


def of(item: Item, *widgets: str) -> Shown:
    """Widgets of a node."""
    return [(item, widget) for widget in widgets]


def encoded(page: Page, load: Item, **fields: Any) -> Item:
    """Encode Conditions."""
    return page.add("AceGraphEncodeConditions", text_encoder=load["text_encoder"], **fields)


def sampler(page: Page, load: Item, conditions: Item, source: Wire, **settings: Any) -> Item:
    """The Sampler; every run has another seed unless asked for otherwise."""
    wires = {"model": load["model"], "conditions": conditions["conditions"], "source": source}
    return page.add("AceGraphSampler", **{**ANEW, **wires, **settings})


def listened(page: Page, load: Item, file: Wire) -> Wire:
    """A recording as a latent."""
    return page.add("AceGraphOobleckEncode", vae=load["vae"], audio=file)["latent"]


def text_to_music(
    page: Page, seconds: float = 45.0, figures: bool = False, timbre: Wire | None = None, **fields: Any
) -> Task:
    """Caption and lyrics to a song. figures: also tempo, key and time signature; timbre: a recording, see `timbre_of`."""
    load = loader(page)
    page.column()
    heard = {"timbre": timbre_of(page, load, timbre)} if timbre else {}
    return sung(page, load, load["model"], seconds, figures, **heard, **fields)


def sung(page: Page, load: Item, model: Wire, seconds: float, figures: bool = False, **fields: Any) -> Task:
    """The same behind any model, an adapted one too."""
    wires = {name: fields.pop(name) for name in ("sigmas", "extras", "noise") if name in fields}
    settings = {name: fields.pop(name) for name in ("seed", "solver", "shift", *ANEW) if name in fields}
    silence = page.add("AceGraphSilenceLatent", model=load["model"], seconds=seconds)
    page.column()
    conditions = encoded(page, load, source=silence["latent"], **fields)
    page.column()
    wires |= {"model": model, "preview_vae": load["vae"]}
    played = sampler(page, load, conditions, silence["latent"], **settings, **wires)
    page.column()
    song = decoded(page, load, played)
    asked = [
        *of(conditions, *WORDS, *(FIGURES if figures else ())),
        *of(silence, "seconds", "batch_size"),
        *([] if isinstance(settings.get("seed"), Wire) else of(played, "seed")),
    ]
    return Task(song["audio"], conditions, played["report"], asked, of(load, *FILES))


def side_by_side(page: Page, seconds: float, captions: Sequence[str], **fields: Any) -> Task:
    """A song for each caption, played in one batch."""
    load = loader(page)
    silence = page.add("AceGraphSilenceLatent", model=load["model"], seconds=seconds)
    page.column()
    same = {"source": silence["latent"], **fields}
    every = [encoded(page, load, caption=caption, **same) for caption in captions]
    page.column()
    wires = dict(
        zip(("first", "second", "third", "fourth"), (each["conditions"] for each in every), strict=False)
    )
    both = page.add("AceGraphBatchConditions", **wires)
    page.column()
    played = sampler(page, load, both, silence["latent"])
    page.column()
    song = decoded(page, load, played)
    captions_shown = [(each, "caption") for each in every]
    asked = [*captions_shown, *of(silence, "seconds"), *of(played, "seed")]
    return Task(song["audio"], both, played["report"], asked, of(load, *FILES))


def timbre_of(page: Page, load: Item, recording: Wire) -> Wire:
    """The sound of a recording, without its notes."""
    return page.add("AceGraphReferenceTimbre", vae=load["vae"], audio=recording)["timbre"]


def cover(page: Page, recording: Wire, **fields: Any) -> Task:
    """A recording in another style."""
    load = loader(page)
    page.column()
    latent = listened(page, load, recording)
    hints = melody(page, load, latent)
    page.column()
    conditions = encoded(page, load, source=latent, task="cover", **fields)
    page.column()
    played = sampler(page, load, conditions, hints, start_from=latent)
    page.column()
    song = decoded(page, load, played)
    asked = [*of(conditions, *WORDS), *of(played, "noise_strength", "seed")]
    return Task(song["audio"], conditions, played["report"], asked, of(load, *FILES))


def melody(page: Page, load: Item, latent: Wire) -> Wire:
    """Melody and rhythm of a recording as a source."""
    codes = page.add("AceGraphAudioToCodes", model=load["model"], latent=latent)
    return page.add("AceGraphCodesToLatent", model=load["model"], codes=codes["codes"])["latent"]


def cover_strengths(page: Page, recording: Wire, strengths: tuple[float, ...], **fields: Any) -> Task:
    """One cover, bound to the recording ever more loosely, as the songs of a batch."""
    load = loader(page)
    page.column()
    latent = listened(page, load, recording)
    hints = melody(page, load, latent)
    caption = page.add("PrimitiveStringMultiline", {"title": "Caption"}, value=fields.pop("caption"))
    seed = page.add("PrimitiveInt", {"title": "Seed"}, value=7, **FIXED)
    page.column()
    same = {"source": latent, "caption": caption["STRING"], **fields}
    conditions = encoded(page, load, task="cover", **same)
    free = encoded(page, load, **same)
    page.column()
    songs, shares = [], []
    for strength in strengths:
        wires = {"second_conditions": free["conditions"], "seed": seed["INT"]}
        look = {"cover_strength": strength, **FIXED, **wires}
        songs.append(sampler(page, load, conditions, hints, **look))
        shares += of(songs[-1], "cover_strength")
    page.column()
    batch = songs[0]["latent"]
    for song in songs[1:]:
        batch = page.add("LatentBatch", samples1=batch, samples2=song["latent"])["LATENT"]
    audio = page.add("AceGraphOobleckDecode", vae=load["vae"], latent=batch)
    asked = [*of(caption, "value"), *shares, *of(seed, "value")]
    return Task(audio["audio"], conditions, songs[0]["report"], asked, of(load, *FILES))


def repaint(page: Page, recording: Wire, part: Item | tuple[float, float], **fields: Any) -> Task:
    """Some seconds of a recording anew. part: Region outside of the box, or start and end of a mask that is made inside."""
    load = loader(page)
    page.column()
    latent = listened(page, load, recording)
    mask, asked = marked(page, latent, part)
    page.column()
    conditions = encoded(page, load, source=latent, task="repaint", **fields)
    page.column()
    played = sampler(page, load, conditions, latent, mask=mask["mask"])
    asked += [*of(conditions, *WORDS), *of(played, "repaint_strength", "seed")]
    task = spliced(page, load, conditions, played, recording, mask["mask"], asked)
    if (
        mask is not part
    ):  # what Region says stands beside the box: as an input it would be an empty text field
        task.report = joined(page, mask["report"], task.report)
    return task


def marked(page: Page, latent: Wire, part: Item | tuple[float, float]) -> tuple[Item, Shown]:
    """The node that marks a part, and what is asked for it."""
    if isinstance(part, Item):
        return part, []
    mask = page.add("AceGraphChunkMask", latent=latent, start=part[0], end=part[1])
    return mask, [*of(mask, "start", "end")]


def joined(page: Page, first: Wire, second: Wire) -> Wire:
    """Two reports, one after the other."""
    texts = {"string_a": first, "string_b": second, "delimiter": "\n\n"}
    return page.add("StringConcatenate", {"title": "Both reports"}, **texts)["STRING"]


def extend(page: Page, recording: Wire, after: float, **fields: Any) -> Task:
    """New music after a recording."""
    load = loader(page)
    page.column()
    latent = listened(page, load, recording)
    room = page.add("AceGraphExtend", model=load["model"], latent=latent, before=0.0, after=after)
    page.column()
    conditions = encoded(page, load, source=room["latent"], task="extend", **fields)
    page.column()
    played = sampler(page, load, conditions, room["latent"], mask=room["mask"])
    asked = [*of(room, "after"), *of(conditions, *WORDS), *of(played, "repaint_strength", "seed")]
    return spliced(page, load, conditions, played, recording, room["mask"], asked)


def edit(page: Page, recording: Wire, **fields: Any) -> Task:
    """Other words or another style for a recording."""
    load = loader(page)
    page.column()
    latent = listened(page, load, recording)
    page.column()
    was = encoded(page, load, source=latent, **fields)
    shall = encoded(page, load, source=latent, **fields)
    was.look["title"], shall.look["title"] = "As it is", "As it shall be"
    page.column()
    sides = {"source_conditions": was["conditions"], "target_conditions": shall["conditions"]}
    played = page.add("AceGraphEdit", model=load["model"], source=latent, **sides)
    page.column()
    song = decoded(page, load, played)
    asked = [
        *of(was, "caption", "lyrics"),
        *of(shall, "caption", "lyrics"),
        *of(played, "what_changes", "seed"),
    ]
    return Task(song["audio"], shall, played["report"], asked, of(load, *FILES))


def spliced(
    page: Page, load: Item, conditions: Item, played: Item, recording: Wire, mask: Wire, asked: Shown
) -> Task:
    """The new part between the recording's own samples."""
    page.column()
    new = decoded(page, load, played)["audio"]
    splice = page.add("AceGraphSplice", new=new, original=recording, mask=mask)
    return Task(splice["audio"], conditions, splice["report"], asked, of(load, *FILES))


def tracks(page: Page, recording: Wire, task: str, part: Item | None = None, **fields: Any) -> Task:
    """One of the tasks for single tracks; lego and complete also have a caption to ask for, and play in a part, which is
    made inside where there is no mask of it."""
    load = loader(page, BASE_FILE)
    page.column()
    latent = listened(page, load, recording)
    mask, where = marked(page, latent, part or (0.0, -1.0)) if task in PLACED else (None, [])
    page.column()
    conditions = encoded(page, load, source=latent, task=task, **fields)
    page.column()
    played = sampler(page, load, conditions, latent, **({"mask": mask["mask"]} if mask else {}))
    page.column()
    song = decoded(page, load, played)
    asked = [*of(conditions, "tracks", "caption"), *where, *of(played, "seed")]
    found = Task(song["audio"], conditions, played["report"], asked, of(load, *FILES))
    if task == "lego":
        both = page.add("AudioMerge", audio1=recording, audio2=song["audio"], merge_method="mean")
        found.more["both"] = both["AUDIO"]
    return found


def retakes(page: Page, seconds: float, takes: int, seed: int, **fields: Any) -> Task:
    """The song of a seed, and takes of it that differ a little, as the songs of a batch; seed and length are set once."""
    load = loader(page)
    page.column()
    once = page.add("PrimitiveInt", {"title": "Seed"}, value=seed, **FIXED)
    silence = page.add("AceGraphSilenceLatent", model=load["model"], seconds=seconds)
    several = page.add("RepeatLatentBatch", samples=silence["latent"], amount=takes)
    chosen = {"latent": several["LATENT"], "seed": once["INT"], "retake_seed": 1, **FIXED, "variation": 0.25}
    noise = page.add("AceGraphRetake", **chosen)
    page.column()
    conditions = encoded(page, load, source=silence["latent"], **fields)
    page.column()
    own = sampler(page, load, conditions, silence["latent"], seed=once["INT"], **FIXED)
    more = {"seed": once["INT"], "noise": noise["noise"], **FIXED}
    varied = sampler(page, load, conditions, several["LATENT"], **more)
    page.column()
    batch = page.add("LatentBatch", samples1=own["latent"], samples2=varied["latent"])
    song = page.add("AceGraphOobleckDecode", vae=load["vae"], latent=batch["LATENT"])
    asked = [
        *of(conditions, *WORDS),
        *of(silence, "seconds"),
        *of(once, "value"),
        *of(noise, "variation", "retake_seed"),
        *of(several, "amount"),
    ]
    return Task(song["audio"], conditions, varied["report"], asked, of(load, *FILES))


def on_codes(page: Page, codes: Wire, load: Item, conditions: Item, **settings: Any) -> Item:
    """What is played on audio codes."""
    hints = page.add("AceGraphCodesToLatent", model=load["model"], codes=codes)
    page.column()
    return sampler(page, load, conditions, hints["latent"], **settings)
