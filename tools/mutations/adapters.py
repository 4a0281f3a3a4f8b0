"""Deliberate breakages of the adapters; see core.py."""

from tools.mutations.core import Mutation

FORMULAS, TURNS, SCALES = "adapters/formulas.py", "adapters/rotations.py", "adapters/scales.py"
KEYS, SETTINGS, CHANGES = (f"adapters/{part}.py" for part in ("keys", "training_settings", "changes"))
FILES, REFUSALS, ADAPTED = (
    "adapters/adapter_file.py",
    "adapters/refusals.py",
    "adapters/adapted.py",
)

# fmt: off
ADAPTER_MUTATIONS = [
    # ------------------------------------------------------------------------------------------- formulas
    Mutation("the factors of a LoRA are transposed", FORMULAS, "formulas adapted",
             "addmm_(up, down, alpha", "addmm_(down.T, up.T, alpha"),
    Mutation("a LoRA's scale counts twice", FORMULAS, "formulas", "alpha=strength * change.scale)", "alpha=strength * change.scale**2)"),
    Mutation("a LoRA's scale is lost", FORMULAS, "formulas adapted", "alpha=strength * change.scale)", "alpha=strength)"),
    Mutation("strength counts twice", FORMULAS, "formulas", "change.difference(weight), alpha=strength)", "change.difference(weight), alpha=strength**2)"),
    Mutation("without strength a weight is a copy", FORMULAS, "formulas", "if strength == 0:", "if False:"),
    Mutation("the weight that came in is written to", FORMULAS, "formulas", "torch.float32, copy=True,", "torch.float32,"),
    Mutation("factors are multiplied in their own precision", FORMULAS, "formulas", "return tensor.to(weight.device, torch.float32)", "return tensor.to(weight.device).bfloat16().float()"),
    Mutation("the core of a LoCon is turned around", FORMULAS, "formulas", '"m n ..., o m, n i -> o i ..."', '"n m ..., o m, n i -> o i ..."'),
    Mutation("the two products of a LoHa are added", FORMULAS, "changes", ".mul_(self.second.whole(weight))", ".add_(self.second.whole(weight))"),
    Mutation("LoKr's factors are swapped", FORMULAS, "formulas changes", "torch.kron(first, second)", "torch.kron(second, first)"),
    Mutation("a kernel meets the columns of LoKr's first factor", FORMULAS, "formulas", "if self.aligned:", "if False:"),
    Mutation("PEFT's kernels are aligned", FORMULAS, "changes", "if self.aligned:", "if True:"),
    Mutation("GLoRA mixes rows", FORMULAS, "changes", '"o i ..., i j -> o j ..."', '"o i ..., j i -> o j ..."'),
    Mutation("DoRA measures the other axis", FORMULAS, "formulas", "kept = 1 if self.by_columns else 0", "kept = 0 if self.by_columns else 1"),
    Mutation("DoRA divides by the length of the old weight", FORMULAS, "formulas", "vector_norm(moved, dim", "vector_norm(weight, dim"),
    Mutation("a row without length becomes NaN", FORMULAS, "formulas", "length.clamp_(min=tiny)", "length"),
    Mutation("every extent fits", FORMULAS, "formulas adapted", "return all(a is None", "return True or all(a is None"),
    Mutation("OFT turns the other way", TURNS, "changes", '"o k i, k j i -> o k j"', '"o k i, k i j -> o k j"'),
    Mutation("OFT's series ends with a whole term", TURNS, "changes", "(1 if term == last >= 3 else 2)", "2"),
    Mutation("exact OFT turns the other way", TURNS, "changes", "torch.linalg.solve(one + skew, one - skew, left=False)", "torch.linalg.solve(one - skew, one + skew, left=False)"),
    Mutation("diag-OFT turns the other way", TURNS, "changes", '"k n m, k n i -> k m i"', '"k m n, k n i -> k m i"'),
    Mutation("diag-OFT's constraint counts once for all rows", TURNS, "changes", "self.constraint * len(weight)", "self.constraint"),
    Mutation("diag-OFT's rescaling is lost", TURNS, "changes", "if self.rescale is not None:", "if False:"),
    # --------------------------------------------------------------------------------------------- scales
    Mutation("the last layer of a span is left out", SCALES, "scales", "span.first <= index <= span.last", "span.first <= index < span.last"),
    Mutation("layers of encoders are those of the transformer", SCALES, "scales", "re.match(LAYER", "re.search(LAYER"),
    Mutation("norms beside an attention are attention", SCALES, "scales", 'f".{group}." in weight', 'f".{group}" in weight'),
    # ---------------------------------------------------------------------------------------------- names
    Mutation("the prefix of the planner is stripped", KEYS, "keys adapted",
             '    "base_model.model.",\n', '    "base_model.model.",\n    "model.",\n'),
    Mutation("a bare base_model is stripped", KEYS, "keys", '    "base_model.model.",\n', '    "base_model.model.",\n    "base_model.",\n'),
    Mutation("doubled prefixes stay", KEYS, "keys adapted", "while wrapper := next(", "if wrapper := next("),
    Mutation("names of the diffusers are not known", KEYS, "keys adapted", 'return official_name(f".{module}.")[1:-1]', "return module"),
    Mutation("underscores are taken for dots", KEYS, "keys", "self._flat.get(name) or place_of(guessed(name))", "place_of(name.replace('_', '.'))"),
    Mutation("the name of a run stays in a name", KEYS, "keys", r'''RUN_NAME = r"(?:\.(?!weight$)\w+)?"''', '''RUN_NAME = ""'''),
    # ---------------------------------------------------------------------------------------------- alpha
    Mutation("the json comes before the file's own alpha", CHANGES, "training_settings",
             '        if (tensor := self.get("alpha")) is not None:\n', '        if (tensor := self.get("alpha")) is not None and rule is None:\n'),
    Mutation("alpha is not divided by the rank", CHANGES, "training_settings", "self.single(tensor) / rank if rank", "self.single(tensor) if rank"),
    Mutation("an alpha set by hand is not asked", CHANGES, "training_settings", "if self.alpha > 0 and rank:", "if False:"),
    Mutation("the root of the rank is forgotten", SETTINGS, "training_settings changes",
             "(math.sqrt(divisor) if self.rooted else divisor)", "divisor"),
    Mutation("the last pattern counts", SETTINGS, "training_settings", "in by_pattern.items():", "in reversed(by_pattern.items()):"),
    Mutation("a pattern may be any end of a name", SETTINGS, "training_settings", r'''rf"(?:.*\.)?(?:{pattern})$"''', r'''rf".*(?:{pattern})$"'''),
    Mutation("repeats of groups may take for ever", SETTINGS, "refusals", "or groups > 1", "or groups > 9"),
    Mutation("an escaped dot is a backslash", SETTINGS, "training_settings", 'pattern.replace("\\\\.", ".")', "pattern"),
    Mutation("a json beside any file is read", SETTINGS, "training_settings", "if path.name == PEFT_FILE and beside.is_file():", "if beside.is_file():"),
    Mutation("the header comes before the json", SETTINGS, "training_settings", "if path.name == PEFT_FILE and", "if DIFFUSERS_HEADER not in header and path.name == PEFT_FILE and"),
    # -------------------------------------------------------------------------------------------- refusals
    Mutation("shapes are not checked", FILES, "refusals", "if made_for is not None and not made_for.fits(wanted):", "if False:"),
    Mutation("pieces that do not fit each other are kept", FILES, "refusals", "elif made_for is None or not is_whole(change, shapes[key]):", "elif False:"),
    Mutation("NaN goes into the weights", FILES, "refusals", "if not largest <= (MOST_NUMBER", "if False and not largest <= (MOST_NUMBER"),
    Mutation("a scale of any size is taken", CHANGES, "refusals", "if abs(found.scale) > MOST_SCALE:", "if False:"),
    Mutation("a series of any length is begun", SETTINGS, "refusals", "if not 1 <= terms <= MOST_TERMS:", "if False:"),
    Mutation("the second of two changes counts", FILES, "refusals", "if key in changes:", "if False:"),
    Mutation("loose parameters count as layers", FILES, "adapter_file", "if last in LOOSE:", "if False:"),
    Mutation("the planner's tables are changed", FILES, "adapter_file", "if place.part is Part.PLANNER and last in TABLES:", "if False:"),
    Mutation("a file stays mapped", FILES, "adapted", "self.weights.read(key).clone()", "self.weights.read(key)"),
    Mutation("keys that are not known are not told", FILES, "adapter_file", 'for key in file.strange]', 'for key in ()]'),
    Mutation("a header's length is taken for a pickle", REFUSALS, "refusals", "if path.suffix in PICKLES:\n        refuse_pickle(path)", "refuse_pickle(path)"),
    Mutation("other kinds of adapters are read", REFUSALS, "refusals", 'if key.endswith(ending) or f"{ending}." in key:', "if False:"),
    Mutation("the given network is changed", ADAPTED, "adapted", "adapted = copy.deepcopy(network, shared)", "adapted = network"),
    Mutation("weights that stay are copied", ADAPTED, "adapted", "copy.deepcopy(network, shared)", "copy.deepcopy(network)"),
]
# fmt: on
