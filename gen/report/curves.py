"""Line charts as inline SVG text. Colors come from the CSS of the page (classes line0, ...) and follow its theme."""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from typing import NamedTuple

WIDTH, HEIGHT = 440, 230
_LEFT, _RIGHT, _TOP, _BOTTOM = 66, 14, 10, 42
_LOG_RATIO = 300.0  # positive values that span more than this are drawn on a logarithmic axis
_LOG_DECADES = 8  # at most; smaller values are drawn at the bottom
NUM_COLORS = 6


class Series(NamedTuple):
    """One line: its name, x [n] ascending, y [n]; a y of None or that is not finite leaves a gap."""

    name: str
    x: Sequence[float]
    y: Sequence[float | None]


def compact(value: float) -> str:
    """A short number for an axis or a legend: 0, 0.002, 1.25, 20k, 1.5M, 3e-7."""
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
    """Round numbers (1, 2 or 5 times a power of ten apart) that lie in [low, high], about `count` of them."""
    raw = (high - low) / max(count, 1)
    if not raw > 0:
        return [low]
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= raw * 0.999)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [index * step for index in range(first, last + 1)]


def thin(series: Series, *, limit: int = 500) -> Series:
    """At most `limit` points of a line, which keep its peaks: of each stretch, the lowest and the highest point."""
    if len(series.x) <= limit:
        return series
    kept: set[int] = set()
    stretches = limit // 2
    for stretch in range(stretches):
        indices = range(stretch * len(series.x) // stretches, (stretch + 1) * len(series.x) // stretches)
        drawn = [index for index in indices if _drawable(series.y[index])] or list(indices)[:1]
        kept.add(min(drawn, key=lambda index: series.y[index] or 0))
        kept.add(max(drawn, key=lambda index: series.y[index] or 0))
    order = sorted(kept)
    return Series(series.name, [series.x[index] for index in order], [series.y[index] for index in order])


def chart(title: str, series: Sequence[Series], *, x_label: str, y_label: str) -> str:
    """A titled figure of one or more lines over the same x, with both axes labeled and the last values in a legend."""
    lines = [thin(line) for line in series]
    values = [value for line in lines for value in line.y if value is not None and math.isfinite(value)]
    if not values:
        return ""
    x_axis = _Axis.fit([0.0, *(x for line in lines for x in line.x)], _LEFT, WIDTH - _RIGHT, log=False)
    log = min(values) > 0 and max(values) / min(values) > _LOG_RATIO
    y_axis = _Axis.fit(values, HEIGHT - _BOTTOM, _TOP, log=log)
    marks = [_x_tick(x_axis, tick) for tick in x_axis.ticks()] + [_y_tick(y_axis, tick) for tick in y_axis.ticks()]
    marks += [_line(line, index, x_axis, y_axis) for index, line in enumerate(lines)]
    middle = (_TOP + HEIGHT - _BOTTOM) / 2
    y_text = html.escape(y_label + (" (log scale)" if log else ""))
    return (
        f'<figure class="chart"><figcaption><h3>{html.escape(title)}</h3>{_legend(lines)}</figcaption>'
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{html.escape(title)} over {html.escape(x_label)}">'
        f"{''.join(marks)}"
        f'<text class="label" x="{(_LEFT + WIDTH - _RIGHT) // 2}" y="{HEIGHT - 6}">{html.escape(x_label)}</text>'
        f'<text class="label" transform="translate(12 {middle:g}) rotate(-90)">{y_text}</text></svg></figure>'
    )


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


def _x_tick(axis: _Axis, tick: float) -> str:
    x, bottom = axis.place(tick), HEIGHT - _BOTTOM
    return (
        f'<line class="tick" x1="{x:.1f}" x2="{x:.1f}" y1="{bottom}" y2="{bottom + 4}"/>'
        f'<text class="number middle" x="{x:.1f}" y="{bottom + 16}">{compact(tick)}</text>'
    )


def _y_tick(axis: _Axis, tick: float) -> str:
    y = axis.place(tick)
    return (
        f'<line class="rule" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
        f'<text class="number end" x="{_LEFT - 6}" y="{y + 4:.1f}">{compact(tick)}</text>'
    )


def _line(line: Series, index: int, x_axis: _Axis, y_axis: _Axis) -> str:
    """One path for each stretch without a gap; a lone point becomes a dot."""
    color, parts, stretch = f"line{index % NUM_COLORS}", [], []
    for x, y in [*zip(line.x, line.y, strict=True), (0.0, None)]:
        if y is not None and math.isfinite(y):
            stretch.append(f"{x_axis.place(x):.1f} {y_axis.place(y):.1f}")
            continue
        if len(stretch) == 1:
            cx, cy = stretch[0].split()
            parts.append(f'<circle class="dot {color}" cx="{cx}" cy="{cy}" r="2.5"/>')
        elif stretch:
            parts.append(f'<path class="line {color}" d="M{"L".join(stretch)}"/>')
        stretch = []
    return "".join(parts)


def _legend(lines: Sequence[Series]) -> str:
    items = []
    for index, line in enumerate(lines):
        last = next((value for value in reversed(line.y) if _drawable(value)), None)
        value = "" if last is None else f" <b>{compact(last)}</b>"
        name = html.escape(line.name)
        items.append(f'<li><i class="swatch line{index % NUM_COLORS}"></i>{name}{value}</li>')
    return f"<ul>{''.join(items)}</ul>"
