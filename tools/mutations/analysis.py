"""Deliberate breakages of what listens to songs that have been played."""

from tools.mutations.core import Mutation

# fmt: off
ANALYSIS_MUTATIONS = [
    # -------------------------------------------------------------------------------------------- attention of the heads
    Mutation("a head is asked about the keys of another", "networks/attention.py", "attention singing",
             "keys[head // self.queries_per_key]", "keys[head % len(keys)]"),
    Mutation("padding takes its share of the attention", "networks/attention.py", "attention singing",
             "scores if context.bias is None else scores + context.bias.float()", "scores"),
    Mutation("attention is not scaled", "networks/attention.py", "attention singing", "scores * self.head_dim**-0.5",
             "scores * 1.0"),
    Mutation("the heads look before the audio has heard itself", "analysis/singing.py", "singing",
             "        (x,) = block.heard((x,), modulation.blocks[index], positions.for_layer(transformer.slides[index]))\n", ""),
    Mutation("all layers are evaluated", "analysis/singing.py", "singing", "transformer.blocks()[: max(heads) + 1]",
             "transformer.blocks()"),
    Mutation("the words' columns are one too early", "analysis/singing.py", "singing", "slice(tokens.start,", "slice(tokens.start - 1,"),
    Mutation("a song is heard with other noise", "analysis/singing.py", "singing", "SEED = 42", "SEED = 43"),
    Mutation("signal and noise are swapped", "analysis/singing.py", "singing",
             "t * noise + (1 - t) * latents", "(1 - t) * noise + t * latents"),
    Mutation("attention to tags counts as singing", "analysis/singing.py", "singing",
             "if not (found.survives & words).any():", "if not found.survives.any():"),
    Mutation("blanks count as words", "analysis/singing.py", "singing", "bool(piece.strip()) for piece", "True for piece"),
    # ----------------------------------------------------------------------------------------------------- heads
    Mutation("a published head is another one", "analysis/heads.py", "heads", "2: (6,), 3:", "2: (7,), 3:"),
    Mutation("a published head of the XL is another one", "analysis/heads.py", "heads", "4: (22,), 5:", "4: (23,), 5:"),
    Mutation("a size comes before a config", "analysis/heads.py", "heads", "if found is not None:", "if False:"),
    Mutation("heads beyond the last are accepted", "analysis/heads.py", "heads", "0 <= head < count for", "0 <= head <= count for"),
    Mutation("layers beyond the last are accepted", "analysis/heads.py", "heads", "0 <= number < config", "0 <= number <= config"),
    # ------------------------------------------------------------------------------------------------- alignment
    Mutation("one median is taken away instead of two", "analysis/alignment.py", "alignment", "VIOLENCE = 2.0", "VIOLENCE = 1.0"),
    Mutation("what stands out is not squared", "analysis/alignment.py", "alignment", "weights = weights.square()", "weights = weights"),
    Mutation("the median is the upper middle value", "analysis/alignment.py", "alignment", "(size - 1) // 2,", "size // 2,"),
    Mutation("of equal ways the one from above is taken", "analysis/alignment.py", "alignment",
             "(down < across) & (down < right)", "(down < across) & (down <= right)"),
    Mutation("a tie is walked across", "analysis/alignment.py", "alignment",
             "(across < down) & (across < right)", "(across <= down) & (across < right)"),
    Mutation("a token ends where it begins", "analysis/alignment.py", "alignment", "places[-1] * row_seconds", "places[0] * row_seconds"),
    # ---------------------------------------------------------------------------------------------- lyric score
    Mutation("coverage is not squared", "analysis/lyric_score.py", "lyric_score", "self.coverage**2", "self.coverage"),
    Mutation("order is not squared", "analysis/lyric_score.py", "lyric_score", "self.monotonicity**2", "self.monotonicity"),
    Mutation("a centre may not lie back at all", "analysis/lyric_score.py", "lyric_score", "SLACK = 9", "SLACK = 0"),
    Mutation("faint attention moves a centre", "analysis/lyric_score.py", "lyric_score", "COUNTED = 0.01", "COUNTED = 0.0"),
    Mutation("tags count as words", "analysis/lyric_score.py", "lyric_score singing", "not inside and b\"]\" not in piece", "True"),
    # ------------------------------------------------------------------------------------------------------ takes
    Mutation("fewer points are better", "analysis/ranking.py", "ranking", "other > value", "other < value"),
    Mutation("of equal takes the last comes first", "analysis/ranking.py", "ranking", "for place in places), take)", "for place in places), -take)"),
    Mutation("the first measure alone counts", "analysis/ranking.py", "ranking", "for place in places), take)", "for place in places[:1]), take)"),
    Mutation("the eleventh place counts", "planner/scoring.py", "scoring", "BEST = 10", "BEST = 11"),
    Mutation("the codes are judged without and with", "planner/scoring.py", "scoring",
             "told.with_codes - told.without", "told.without - told.with_codes"),
    Mutation("the figures are not weighed", "planner/scoring.py", "scoring", "fields: float = 0.2", "fields: float = 0.3"),
    Mutation("missing parts count as 0", "planner/scoring.py", "scoring", "total = sum(weight for _, weight in there)", "total = 1.0"),
    Mutation("a target goes on from the one before", "planner/scoring.py", "scoring",
             "    hidden = torch.cat((last, read), 1)\n", "    decoder.cache.advance(rows.shape[1])\n    hidden = torch.cat((last, read), 1)\n"),
    Mutation("the first token of a target is not judged", "planner/scoring.py", "scoring",
             "torch.cat((last, read), 1)", "torch.cat((read, read[:, -1:]), 1)"),
    # -------------------------------------------------------------------------------------------- words and files
    Mutation("seconds are rounded after the minutes were taken away", "text/lrc.py", "lrc",
             "divmod(round(seconds * 100), 6000)", "divmod(int(seconds * 100), 6000)"),
    Mutation("tags are written unasked", "text/lrc.py", "lrc", "if tags or not line.is_tag", "if True"),
    Mutation("a subtitle may outlast the next", "text/lrc.py", "lrc", "end = min(end, max(", "end = max(end, max("),
    Mutation("the heading counts as words", "text/conditions.py", "conditions", "LyricTokens(start, pieces[start:])", "LyricTokens(0, pieces)"),
    Mutation("words go on behind the end of the text", "text/conditions.py", "conditions",
             "tokens.ids[: tokens.ids.index(self.tokenizer.end)]", "tokens.ids"),
    Mutation("unprintable bytes are numbered from another place", "text/tokenizer.py", "tokenizer", "chr(0x100 + n): byte", "chr(0x101 + n): byte"),
]
# fmt: on
