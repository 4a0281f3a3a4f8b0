"""The example workflows that need no recording, and the one that needs it for its sound."""

from typing import Any

from tools.workflows.boxes import tasks as boxes
from tools.workflows.page import GOLD, GREEN, Page
from tools.workflows.parts import (
    CAPTION,
    FIXED,
    LYRICS,
    NARROW,
    OWN,
    TALL,
    WIDE,
    begin,
    end,
    finish,
    length_of,
    opening,
    recorded,
    room_for,
    sampler,
    words,
)

SEED = 20
CHINESE_CAPTION = "温暖的独立流行, 女声主唱, 指弹木吉他, 轻柔的鼓刷, 低音提琴, 副歌有和声, 亲密而充满希望"
CHINESE_LYRICS = """[Verse]
天还没亮水壶先唱
外套上还留着雨的香
我数着一扇扇窗
坐在清晨慢慢的车上

[Chorus]
带我越过那条河
带我穿过那场雪
如果家是你留的灯火
那么家就是我走的路

[Outro]
我走的路"""


def song() -> Page:
    steps = [
        "*caption*: style, instruments, mood, voice.",
        "*lyrics*: with [Verse], [Chorus], [Bridge] on lines of their own.",
        "*length (s)*: up to ten minutes. *songs*: several at once.",
        "Press Run. Run again: another seed, another song.",
    ]
    page = begin("song", "Song", "A song from a description and its lyrics.", steps, note=400)
    page.column()
    page.open("Song", WIDE, TALL)
    task = boxes.text_to_music(page, caption=CAPTION, lyrics=LYRICS)
    page.close(task.shown)
    end(page, task, "song", form=task.words)
    return page


def song_chinese() -> Page:
    steps = [
        "**描述 (caption)**：风格、乐器、情绪、嗓音。",
        "**歌词 (lyrics)**：[Verse]、[Chorus]、[Bridge] 各占一行。",
        "**时长 (秒)**：最长十分钟；**歌曲数**：一次做几首。",
        "按“运行”。再按一次：换一个种子，就是另一首歌。",
    ]
    page = begin(
        "song_chinese", "歌曲", "用一段描述和歌词写一首歌。", steps, words=("请先读我", "文件"), note=400
    )
    page.column()
    page.open("歌曲", WIDE, TALL)
    task = boxes.text_to_music(page, caption=CHINESE_CAPTION, lyrics=CHINESE_LYRICS, language="zh")
    page.close(task.shown)
    end(page, task, "song", form=task.words, titles=("保存", "做了什么"))
    return page


def instrumental() -> Page:
    steps = [
        "*caption*: what plays, and what happens.",
        "*bpm*, *key*, *time signature*: set what matters to you, leave the rest on auto.",
        "*length (s)*, and *songs* for several at once.",
    ]
    page = begin(
        "instrumental",
        "Instrumental",
        "Music without singing, in a tempo and key of your choice.",
        steps,
        note=400,
    )
    page.column()
    page.open("Instrumental", WIDE, TALL)
    caption = (
        "slow lo-fi hip hop instrumental, dusty vinyl drums, warm Rhodes chords, mellow upright bass, "
        "distant muted trumpet, rain outside, relaxed and nostalgic"
    )
    fields = {"caption": caption, "instrumental": True, "bpm": 82, "key": "D minor", "time_signature": "4"}
    task = boxes.text_to_music(page, seconds=40.0, figures=True, **fields)
    unsung = [shown for shown in task.words if shown[1] not in ("lyrics", "instrumental")]
    page.close([*unsung, *task.files])
    end(page, task, "instrumental", form=unsung)
    return page


def reference_timbre() -> Page:
    steps = [
        OWN,
        "*caption*: of the new song.",
        "Sung: *lyrics*, *instrumental* off.",
    ]
    what = "A new song with the sound of a recording; its notes are not used."
    page = begin("reference_timbre", "In the sound of a recording", what, steps)
    audio = recorded(page, NARROW)
    page.column()
    page.open("Song in this sound", WIDE, TALL)
    caption = "melodic synth pop, driving bass, bright lead, four-on-the-floor drums"
    fields = {"caption": caption, "instrumental": True, "timbre": audio["AUDIO"]}
    task = boxes.text_to_music(page, seconds=30.0, **fields)
    page.close(task.shown)
    end(page, task, "reference_timbre", form=[*boxes.of(audio, "audio"), *task.words])
    return page


def retake() -> Page:
    steps = [
        "*Seed*: that of the song you like.",
        "*variation*: 0.1 is nearly the same song, 1 a new one. *amount*: how many takes.",
        "In the player, song 1 is the song itself. X: another one at the same moment.",
    ]
    page = begin(
        "retake", "Retakes of a song", "A song, and takes of it that differ a little.", steps, note=400
    )
    page.column()
    page.open("Song and its takes", WIDE, TALL)
    task = boxes.retakes(page, seconds=30.0, takes=3, seed=SEED, caption=CAPTION, lyrics=LYRICS)
    page.close(task.shown)
    room_for(end(page, task, "retake"), 3)
    return page


def two_styles() -> Page:
    steps = [
        "The two *caption* fields: a style each.",
        "*seed*: song 1 has it, song 2 the next one.",
        "In the player, Shift+click song 2; X switches at the same moment.",
        "More: Batch Conditions inside of the box.",
    ]
    page = begin(
        "two_styles", "Two styles, one batch", "Two captions, heard one against the other.", steps, note=400
    )
    page.column()
    page.open("Two songs", WIDE, TALL)
    captions = ("bossa nova, nylon guitar, brushed drums", "big band swing, brass section, walking bass")
    task = boxes.side_by_side(page, 30.0, captions, instrumental=True)
    page.close(task.shown)
    room_for(end(page, task, "two_styles"), 2)
    return page


def custom_schedule() -> Page:
    steps = [
        "*Karras Scheduler*: any scheduler of ComfyUI with times from 1 down to 0. More steps are slower.",
        "*Sampling Extras*: all off but for a clamp, which counts where guidance is loud.",
    ]
    what = "Times and filters of your own, for those who like to experiment."
    page = begin("custom_schedule", "Your own schedule", what, steps)
    times = {"steps": 12, "sigma_max": 1.0, "sigma_min": 0.1, "rho": 3.0}
    page.column()
    sigmas = page.add("KarrasScheduler", {"width": 250}, **times)
    extras = page.add("AceGraphSamplingExtras", {"width": 250}, norm_clamp=2.0)
    page.column()
    page.open("Song", 300, TALL)
    wires = {"sigmas": sigmas["SIGMAS"], "extras": extras["extras"]}
    fields = {"caption": CAPTION, "lyrics": LYRICS, "seed": SEED, "solver": "heun"}
    task = boxes.text_to_music(page, seconds=30.0, **fields, **wires)
    page.close([*task.words[:3], *task.words[3:4], *task.words[-1:], *task.files])
    end(page, task, "custom_schedule")
    return page


def sheet() -> Page:
    steps = [
        "*seeds* are the rows, *values* the columns.",
        "A value is the *shift* here; inside of the box it can be any other number.",
        "In the player: click, Shift+click, then X.",
    ]
    what = "Every seed with every value, in one table to listen to."
    page = begin("sheet", "Sheet of variations", what, steps)
    pairs = page.add("AceGraphSheet", {"width": NARROW}, seeds="3, 5, 7", values="1, 3")
    page.column()
    page.open("Song", WIDE, TALL)
    wires: dict[str, Any] = {"seed": pairs["seed"], "shift": pairs["value"], **FIXED}
    task = boxes.text_to_music(page, seconds=15.0, caption=CAPTION, lyrics=LYRICS, **wires)
    page.close(task.shown)
    room_for(end(page, task, "sheet"), 3)
    return page


def text2music() -> Page:
    """The graph that the box of `song` holds, with every node in sight."""
    page = Page("text2music", "Song, node by node")
    steps = [
        "*Caption*: style, instruments, mood, voice.",
        "*Lyrics*: with [Verse], [Chorus], [Bridge] on lines of their own.",
        "*Length* in Silence Latent.",
        "Run again: the seed changes by itself, and so does the song.",
    ]
    load = opening(page, "What happens inside of Song: every part as a node of its own.", steps)
    page.group("Song", GREEN)
    conditions = words(page, load, caption=CAPTION, lyrics=LYRICS)
    page.group("Play", GOLD)
    silence = length_of(page, load, conditions, 45.0)
    settings = {"control_after_generate": "randomize", "preview_vae": load["vae"]}
    played = sampler(page, load, conditions, silence["latent"], **settings)
    finish(page, load, conditions, played, "text2music")
    return page
