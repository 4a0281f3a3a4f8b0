"""What several example workflows have in common: the model files, the loader, a song made on the spot, the way out."""

from collections.abc import Sequence
from typing import Any

from tools.workflows import recording
from tools.workflows.page import BLUE, SMALL_WINDOW, VIOLET, Form, Item, Page, Wire

FILES = "https://huggingface.co/Comfy-Org/ace_step_1.5_ComfyUI_files/resolve/main/split_files"
TURBO_FILE, BASE_FILE = "acestep_v1.5_turbo.safetensors", "acestep_v1.5_base.safetensors"
TEXT_FILE, VAE_FILE = "qwen_0.6b_ace15.safetensors", "ace_1.5_vae.safetensors"
FIXED = {"control_after_generate": "fixed"}
PLANNER_FILE = "qwen_1.7b_ace15.safetensors"
NARROW, WIDE, TALL = 290, 400, 470  # pixels of nodes on pages for a small screen
DRAWN, BESIDE = 315, 270  # of a wave to draw on, and of the box beside it
PLANNER_LINE = f"\n- [{PLANNER_FILE}]({FILES}/text_encoders/{PLANNER_FILE}) in models/text_encoders"
OWN = "*Your recording*: upload it there."
SAMPLER_HEIGHT = 660  # with its picture
HEARD_HEIGHT = 60  # more, of one that is heard
CAPTION = (
    "warm indie pop, female lead vocal, fingerpicked acoustic guitar, brushed drums, upright bass, "
    "soft backing vocals in the chorus, intimate and hopeful"
)
LYRICS = """[Verse]
The kettle sings before the sun
My coat still smells of rain
I count the windows one by one
From this slow morning train

[Chorus]
Carry me over the river
Carry me over the snow
If home is the light you leave burning
Then home is the way that I go

[Outro]
The way that I go"""


def model(name: str, folder: str) -> dict[str, str]:
    """What the editor needs to offer a missing file for download."""
    return {"name": name, "url": f"{FILES}/{folder}/{name}", "directory": folder}


def model_lines(file: str) -> str:
    """Where to get the files, for a note."""
    parts = (
        model(file, "diffusion_models"),
        model(TEXT_FILE, "text_encoders"),
        model(VAE_FILE, "vae"),
    )
    return "\n".join(f"- [{part['name']}]({part['url']}) in models/{part['directory']}" for part in parts)


def opening(
    page: Page, what: str, first: list[str], file: str = TURBO_FILE, height: int = 0, more: str = ""
) -> Item:
    """The left end of every page: a note, and the loader. more: further files."""
    page.group("Start here", BLUE)
    steps = "\n".join(f"{place}. {step}" for place, step in enumerate(first, start=1))
    text = f"# {page.title}\n{what}\n\n## Change first\n{steps}\n\n## Files\n{model_lines(file)}{more}"
    page.note("Read me", text, height=height)
    return loader(page, file)


def begin(
    name: str,
    title: str,
    what: str,
    first: list[str],
    file: str = TURBO_FILE,
    more: Sequence[dict[str, str]] = (),
    words: tuple[str, str] = ("Read me", "Files"),
    note: int = 250,
) -> Page:
    """A page that fits on a small screen, with its note; nodes stand in columns without frames. words: the note's headings; note: its height."""
    page = Page(name, title)
    page.window = SMALL_WINDOW
    page.group("", BLUE)
    steps = "\n".join(f"{place}. {step}" for place, step in enumerate(first, start=1))
    parts = (
        model(file, "diffusion_models"),
        model(TEXT_FILE, "text_encoders"),
        model(VAE_FILE, "vae"),
        *more,
    )
    names = ("model", "text encoder", "VAE", "planner")
    links = ", ".join(f"[{name}]({part['url']})" for name, part in zip(names, parts, strict=False))
    page.note(words[0], f"**{title}.** {what}\n\n{steps}\n\n{words[1]}: {links}", NARROW, note)
    return page


def end(
    page: Page,
    task: Any,
    name: str,
    form: Sequence[tuple[Item, str]] = (),
    titles: tuple[str, str] = ("Save", "What was done"),
    also: tuple[dict[str, Any], Wire] | None = None,
    text: Wire | None = None,
) -> Item:
    """The last column: the songs, and what was done. form: what app mode asks for; also: look and audio of another player;
    text: what is to be read in place of the report."""
    page.column()
    save = saved(page, task.audio, task.conditions, name, titles[0], NARROW)
    outputs = [save]
    if also:
        outputs.append(page.add("AceGraphPreviewAudio", also[0], audio=also[1]))
    else:
        page.add(
            "PreviewAny", {"title": titles[1], "width": NARROW, "height": 110}, source=text or task.report
        )
    if form:
        page.form = Form(list(form), outputs)
    return save


def loader(page: Page, file: str = TURBO_FILE) -> Item:
    """The loader, which also knows where its files come from."""
    parts = [(file, "diffusion_models"), (TEXT_FILE, "text_encoders"), (VAE_FILE, "vae")]
    look = {"width": 400, "models": [model(*part) for part in parts]}
    return page.add("AceGraphLoad", look, model=file, text_encoder=TEXT_FILE, vae=VAE_FILE)


def words(page: Page, load: Item, title: str = "Words", **fields: Any) -> Item:
    """Caption, lyrics and the rest."""
    look = {"title": title, "width": fields.pop("width", 400), "height": fields.pop("height", 560)}
    return page.add("AceGraphEncodeConditions", look, text_encoder=load["text_encoder"], **fields)


def text(page: Page, title: str, value: str, height: int) -> Wire:
    """A text that several nodes read."""
    look = {"title": title, "width": 340, "height": height}
    return page.add("PrimitiveStringMultiline", look, value=value)["STRING"]


def length_of(page: Page, load: Item, conditions: Item, seconds: float) -> Item:
    """A silence of so many seconds, of which the words are told as well."""
    silence = page.add("AceGraphSilenceLatent", {"width": 300}, model=load["model"], seconds=seconds)
    conditions.wires["source"] = silence["latent"]
    return silence


def sampler(page: Page, load: Item, conditions: Item, source: Wire, title: str = "", **settings: Any) -> Item:
    """The Sampler, with room for the picture it shows; the seed stays as it is unless asked for otherwise."""
    height = SAMPLER_HEIGHT + (HEARD_HEIGHT if "preview_vae" in settings else 0)
    look = {"height": height, **({"title": title} if title else {})}
    fields = {**FIXED, "conditions": conditions["conditions"], "source": source, **settings}
    return page.add("AceGraphSampler", {"width": 300, **look}, model=load["model"], **fields)


def decoded(page: Page, load: Item, played: Item) -> Item:
    return page.add("AceGraphOobleckDecode", {"width": 300}, vae=load["vae"], latent=played["latent"])


def drawn(page: Page, audio: Item, title: str, **fields: float) -> Item:
    """Region on a recording, in a column of its own."""
    page.column()
    region = page.add(
        "AceGraphRegion", {"title": title, "width": DRAWN, "height": TALL}, audio=audio["AUDIO"], **fields
    )
    page.column()
    return region


def saved(
    page: Page,
    audio: Wire,
    conditions: Item | None,
    name: str,
    title: str = "",
    width: int = 340,
    **settings: str,
) -> Item:
    """Save Audio, with the words as tags."""
    look = {"width": width, **({"title": title} if title else {})}
    tags = {"conditions": conditions["conditions"]} if conditions else {}
    return page.add(
        "AceGraphSaveAudio", look, audio=audio, filename_prefix=f"audio/{name}", **tags, **settings
    )


def room_for(save: Item, rows: int) -> None:
    """Leave room in a node for songs that its player will list; more of them scroll."""
    save.look["height"] = 254 + 32 * rows


def told(page: Page, report: Wire, title: str = "What was done", width: int = 340) -> Item:
    """A report, to be read after the run."""
    return page.add("PreviewAny", {"title": title, "width": width, "height": 170}, source=report)


def finish(page: Page, load: Item, conditions: Item, played: Item, name: str) -> Item:
    """The right end of a page: decoder, file, report."""
    return heard(page, load, conditions, played["latent"], played["report"], name)


def heard(page: Page, load: Item, conditions: Item, latent: Wire, report: Wire, name: str) -> Item:
    """The same behind any node that gives a latent."""
    page.group("Listen", VIOLET)
    song = page.add("AceGraphOobleckDecode", {"width": 300}, vae=load["vae"], latent=latent)
    save = saved(page, song["audio"], conditions, name)
    told(page, report)
    return save


def recorded(page: Page, width: int = 300) -> Item:
    """Load Audio with the demo recording."""
    return page.add("LoadAudio", {"title": "Your recording", "width": width}, audio=recording.NAME)


def listened(page: Page, load: Item, file: Wire) -> Item:
    """The recording as a latent."""
    return page.add("AceGraphOobleckEncode", {"width": 300}, vae=load["vae"], audio=file)
