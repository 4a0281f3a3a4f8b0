"""Columns of a table and the widgets that they set; cells and the values that widgets take."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from acestep_core.errors import InvalidInputError

from .graphs import Change, Graph, Widget

NAME, SEED = "name", "seed"
TRUE, FALSE = ("true", "yes", "1", "on"), ("false", "no", "0", "off")
SHOWN_OPTIONS = 12
SHOWN_VALUE = 60


class Columns:
    """Which widgets every column of a table sets, looked up once."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._named: dict[str, list[Widget]] = {}
        for widget in graph.widgets:
            for label in widget.labels:
                self._named.setdefault(label.casefold(), []).append(widget)
        self._found: dict[str, Sequence[Widget]] = {}

    def changes(self, row: Iterable[tuple[str, Any]]) -> list[Change]:
        """What the row sets; a cell that says nothing leaves the graph's value."""
        return [
            Change(widget.node, widget.name, value_of(widget, column, cell), widget.place)
            for column, cell in row
            if column != NAME
            for widget in self.widgets(column)
            if cell is not None
        ]

    def widgets(self, column: str) -> Sequence[Widget]:
        """The widgets of a column; it is refused when they are none, or several."""
        if column not in self._found:
            self._found[column] = self._look_up(column)
        return self._found[column]

    def _look_up(self, column: str) -> Sequence[Widget]:
        if column == SEED and (seeds := [w for w in self._graph.widgets if w.is_seed]):
            return seeds
        found = self._named.get(column.casefold(), [])
        if not found:
            raise InvalidInputError(f"No widget of the graph is called {column!r}.", self._choices(column))
        if len(found) > 1:
            raise InvalidInputError(
                f"The column {column!r} fits {len(found)} widgets.",
                f"Name one of them: {', '.join(widget.labels[-1] for widget in found)}.",
            )
        return found

    def _choices(self, column: str) -> str:
        """Those that look like it, or all."""
        wanted = column.rpartition(".")[2].casefold()
        like = [w for w in self._graph.widgets if w.name.casefold() == wanted] or self._graph.widgets
        seed = [SEED] if any(w.is_seed for w in self._graph.widgets) else []
        return f"There are {', '.join([NAME, *seed, *(widget.labels[0] for widget in like)])}."


def value_of(widget: Widget, column: str, cell: Any) -> Any:
    """A cell as the widget takes it."""
    convert = {
        "INT": whole,
        "FLOAT": number,
        "NUMBER": whole_or_not,
        "BOOLEAN": truth,
        "STRING": text,
        "COMBO": option,
    }.get(widget.kind)
    try:
        value = convert(widget, cell) if convert else cell
    except ValueError as fault:
        raise InvalidInputError(f"{column} cannot be {short(cell)!r}.", f"{fault}") from fault
    if type(value) in (int, float):
        if widget.low is not None and value < widget.low:
            raise InvalidInputError(f"{column} cannot be {value}.", f"The lowest value is {widget.low}.")
        if widget.high is not None and value > widget.high:
            raise InvalidInputError(f"{column} cannot be {value}.", f"The highest value is {widget.high}.")
    return value


def short(cell: Any) -> Any:
    """Enough of a cell for a message."""
    return cell[:SHOWN_VALUE] if isinstance(cell, str) else cell


def whole(_: Widget, cell: Any) -> int:
    """A whole number, exactly: seeds have 64 bits."""
    try:
        if isinstance(cell, bool):
            raise ValueError
        if isinstance(cell, str) and cell.strip().lstrip("+-").isdecimal():
            return int(cell)
        found = float(cell) if isinstance(cell, str) else cell
        if found != int(found):
            raise ValueError
        return int(found)
    except (ValueError, OverflowError):
        raise ValueError("It takes a whole number.") from None


def number(_: Widget, cell: Any) -> float:
    """A number that is one."""
    try:
        found = float(cell)
    except (ValueError, OverflowError):
        found = float("nan")
    if isinstance(cell, bool) or not abs(found) < float("inf"):
        raise ValueError("It takes a number.")
    return found


def whole_or_not(widget: Widget, cell: Any) -> int | float:
    """The simplest number that says the same: of a value whose graph does not tell its kind."""
    found = number(widget, cell)
    return whole(widget, cell) if found == int(found) else found


def truth(_: Widget, cell: Any) -> bool:
    """Yes or no, as spreadsheets and people write it."""
    said = str(cell).strip().casefold()
    if said in TRUE or said in FALSE:
        return said in TRUE
    raise ValueError("It takes true or false.")


def text(_: Widget, cell: Any) -> str:
    """Any text."""
    return cell if isinstance(cell, str) else str(cell)


def option(widget: Widget, cell: Any) -> Any:
    """One of a list; a list of files differs from machine to machine, and is checked by the worker."""
    named = {str(choice): choice for choice in widget.options}
    if str(cell) in named or not named or holds_files(widget):
        return named.get(str(cell), str(cell))
    shown = ", ".join(list(named)[:SHOWN_OPTIONS]) + (", ..." if len(named) > SHOWN_OPTIONS else "")
    raise ValueError(f"The choices are {shown}.")


def holds_files(widget: Widget) -> bool:
    """Whether the choices are names of files, by their endings."""
    return any("." in str(choice)[-12:] and " " not in str(choice)[-6:] for choice in widget.options)


def described(graph: Graph) -> Iterator[str]:
    """Every column that a graph offers, a line each."""
    yield f"{NAME}: the name of the file"
    if seeds := [widget.labels[0] for widget in graph.widgets if widget.is_seed]:
        yield f"{SEED}: {', '.join(seeds)}"
    counts: dict[str, int] = {}
    for widget in graph.widgets:
        for label in widget.labels:
            counts[label.casefold()] = counts.get(label.casefold(), 0) + 1
    for widget in graph.widgets:
        own = next((one for one in widget.labels if counts[one.casefold()] == 1), widget.labels[-1])
        limits = "".join(
            f", {word} {limit}"
            for word, limit in (("from", widget.low), ("to", widget.high))
            if limit is not None
        )
        options = f", one of {', '.join(map(str, widget.options[:SHOWN_OPTIONS]))}" if widget.options else ""
        yield f"{own}: {widget.kind or 'anything'}{limits}{options}; now {short(widget.value)!r}"
