"""Line charts: the places of lines and marks, which templates/chart.html draws as SVG in the colors of the theme."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

_LOG_RATIO = 300.0  # positive values that span more than this are drawn on a logarithmic axis
_LOG_DECADES = 8  # at most; smaller values are drawn at the bottom
NUM_COLORS = 6


class Series(NamedTuple):
    """One line: its name, x [n] ascending, y [n]; a y of None or that is not finite leaves a gap."""

    name: str
    x: Sequence[float]
    y: Sequence[float | None]
    css: str = ""  # its classes; "": the color of its place in the chart


def compact(value: float) -> str:
    """Formats a number for an axis or a legend: 0, 0.002, 1.25, 20k, 1.5M, 3e-7."""
    size = abs(value)
    for limit, suffix in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if limit <= size < 1e12:
            return f"{value / (1e3 if suffix == 'k' else limit):.3g}{suffix}"
    text = f"{value:.0f}" if size >= 100 else f"{value:.3g}"
    if 0 < size < 1e-3:
        mantissa, exponent = f"{value:.2e}".split("e")
        text = f"{float(mantissa):g}e{exponent}"
    return text.replace("e-0", "e-").replace("e+0", "e+").replace("e+", "e")


def ticks(low: float, high: float, *, count: int = 5) -> list[float]:
    """Returns round numbers (1, 2 or 5 times a power of ten apart) that lie in [low, high], about `count` of them."""
    raw = (high - low) / max(count, 1)
    if not raw > 0:
        return [low]
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= raw * 0.999)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [index * step for index in range(first, last + 1)]


def thin(series: Series, *, limit: int = 500) -> Series:
    """Reduces a line to at most `limit` >= 3 points, of each stretch the lowest and the highest, so that peaks stay.

    The last one stays, too: a legend shows its value.
    """
    if len(series.x) <= limit:
        return series
    kept: set[int] = {len(series.x) - 1}
    stretches = (limit - 1) // 2
    for stretch in range(stretches):
        indices = range(stretch * len(series.x) // stretches, (stretch + 1) * len(series.x) // stretches)
        drawn = [index for index in indices if _drawable(series.y[index])] or list(indices)[:1]
        kept.add(min(drawn, key=lambda index: series.y[index] or 0))
        kept.add(max(drawn, key=lambda index: series.y[index] or 0))
    order = sorted(kept)
    return series._replace(x=[series.x[index] for index in order], y=[series.y[index] for index in order])


class Line(NamedTuple):
    """A line of a chart: its CSS class, its last value, and a list of points "x y" for each stretch without a gap."""

    name: str
    css: str
    last: str
    stretches: list[list[str]]


@dataclass(frozen=True)
class Chart:
    """One figure of lines over the same x. Ticks: (place in the picture, number)."""

    title: str
    x_label: str
    y_label: str
    x_ticks: list[tuple[str, str]]
    y_ticks: list[tuple[str, str]]
    lines: list[Line]
    width: ClassVar = 440
    height: ClassVar = 230
    left: ClassVar = 66
    right: ClassVar = 426
    top: ClassVar = 10
    bottom: ClassVar = 188


def chart(title: str, series: Sequence[Series], *, x_label: str, y_label: str, limit: int = 500) -> Chart | None:
    """Lays out lines over the same x, with the last values in a legend; None where there is nothing to draw.

    limit: points of a line, see `thin`.
    """
    lines = [thin(line, limit=limit) for line in series]
    values = [value for line in lines for value in line.y if value is not None and math.isfinite(value)]
    if not values:
        return None
    x_axis = _Axis.fit([0.0, *(x for line in lines for x in line.x)], Chart.left, Chart.right, log=False)
    log = min(values) > 0 and max(values) / min(values) > _LOG_RATIO
    y_axis = _Axis.fit(values, Chart.bottom, Chart.top, log=log)
    x_ticks, y_ticks = ([(f"{axis.place(x):.1f}", compact(x)) for x in axis.ticks()] for axis in (x_axis, y_axis))
    colors = [line.css or f"line{index % NUM_COLORS}" for index, line in enumerate(lines)]
    drawn = [_line(line, css, x_axis, y_axis) for line, css in zip(lines, colors, strict=True)]
    return Chart(title, x_label, y_label + (" (log scale)" if log else ""), x_ticks, y_ticks, drawn)


class _Axis(NamedTuple):
    """Maps values in [low, high] (logarithms of them when `log`) to places in the picture from `start` to `end`."""

    low: float
    high: float
    start: float
    end: float
    log: bool

    @classmethod
    def fit(cls, values: Sequence[float], start: float, end: float, *, log: bool) -> _Axis:
        low, high = min(values), max(values)
        if log:
            high = math.log10(high)
            return cls(max(math.log10(low), high - _LOG_DECADES), high, start, end, log)
        if low == high:
            margin = abs(low) * 0.1 or 1.0
            low, high = (low - margin, high + margin)
        return cls(low, high, start, end, log)

    def place(self, value: float) -> float:
        position = max(math.log10(value), self.low) if self.log else value
        return self.start + (position - self.low) / (self.high - self.low) * (self.end - self.start)

    def ticks(self) -> list[float]:
        if not self.log:
            return ticks(self.low, self.high)
        whole = range(math.ceil(self.low), math.floor(self.high) + 1)
        return [10.0**power for power in whole[:: max(1, len(whole) // 5)]]


def _drawable(value: float | None) -> bool:
    return value is not None and math.isfinite(value)


def _line(line: Series, css: str, x_axis: _Axis, y_axis: _Axis) -> Line:
    stretches: list[list[str]] = [[]]
    for x, y in zip(line.x, line.y, strict=True):
        if y is not None and math.isfinite(y):
            stretches[-1].append(f"{x_axis.place(x):.1f} {y_axis.place(y):.1f}")
        elif stretches[-1]:
            stretches.append([])
    last = next((compact(y) for y in reversed(line.y) if y is not None and math.isfinite(y)), "")
    return Line(line.name, css, last, [stretch for stretch in stretches if stretch])
