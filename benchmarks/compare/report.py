"""Results beside their bars: rows, and a table of them."""
import statistics
from dataclasses import dataclass
from typing import Optional

from measures import ENOUGH
from measuring import median, spread
from work import share


@dataclass(frozen=True)
class Row:
    """A bar and what was measured. Ratios are yiti's over the peer's."""
    title: str
    unit: str
    peer: str
    yiti_value: float
    peer_value: float
    yiti_spread: tuple
    peer_spread: tuple
    times: float
    more_is_better: bool
    bound: Optional[str] = None    # which limit `share` is of
    share: Optional[float] = None

    @property
    def ratio(self):
        return self.yiti_value / self.peer_value

    @property
    def advantage(self):
        """How many times better yiti is; what it has to be is `wanted`."""
        return self.ratio if self.more_is_better else 1 / self.ratio

    @property
    def wanted(self):
        return self.times if self.more_is_better else 1 / self.times

    @property
    def met(self):
        return self.advantage >= self.wanted or self.near_limit

    @property
    def near_limit(self):
        return self.share is not None and self.share >= ENOUGH[self.bound]


def rows_of(measures, results, shapes):
    """A row for each bar whose two sides were measured. `shapes`: model -> Shape."""
    rows = []
    for measure in measures:
        samples = results.samples.get(measure.name, {})
        for bar in measure.bars:
            if "yiti" in samples and bar.peer in samples:
                rows.append(row_of(measure, bar, samples, shapes))
    return rows


def row_of(measure, bar, samples, shapes):
    memory = bar.quantity == "peak_rss_bytes"
    scale = 1e-6 if memory else 1
    ours, theirs = samples["yiti"], samples[bar.peer]
    value = median(ours, bar.quantity) * scale
    bound, reached = None, None
    if measure.work and not memory:
        work = measure.work(shapes[measure.model])
        bound = work.bound
        reached = statistics.median(share(work, s.value, s.limits) for s in ours)
    return Row(measure.title + (", memory" if memory else ""), "MB" if memory else measure.unit,
               bar.peer, value, median(theirs, bar.quantity) * scale,
               tuple(x * scale for x in spread(ours, bar.quantity)),
               tuple(x * scale for x in spread(theirs, bar.quantity)),
               bar.times, not memory and measure.unit in ("tok/s", "TFLOP/s"), bound, reached)


def limits_words(results):
    """The limits measured beside the runs: median, lowest and highest."""
    measured = [sample.limits for sides in results.samples.values()
                for sample in sides.get("yiti", []) if sample.limits]
    names = [name for name in measured[0] if name != "threads"] if measured else []
    values = {name: [limits[name] for limits in measured] for name in names}
    return ", ".join(f"{name.replace('_', ' ')} "
                     f"{with_spread(statistics.median(some), (min(some), max(some)))}"
                     for name, some in values.items()) or "not measured"


def number(value):
    """Three digits that count, or all of the whole part."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}" if value < 10 else f"{value:.1f}"


def table(rows):
    """Markdown."""
    lines = ["| work | yiti | peer | | yiti / peer | bar | share of the limit | met |",
             "|---|---|---|---|---|---|---|---|"]
    for row in rows:
        reached = "" if row.share is None else f"{row.share:.0%} of " + (
            "bandwidth" if row.bound == "read" else "arithmetic")
        lines.append(
            f"| {row.title} | {with_spread(row.yiti_value, row.yiti_spread)} {row.unit} | "
            f"{with_spread(row.peer_value, row.peer_spread)} {row.unit} | {row.peer} | "
            f"{number(row.ratio)} | {'≥' if row.more_is_better else '≤'} {row.times:g} | {reached} | "
            f"{'yes' if row.met else '**no**'} |")
    return "\n".join(lines)


def with_spread(value, extremes):
    low, high = extremes
    return number(value) if low == high else f"{number(value)} ({number(low)}–{number(high)})"
