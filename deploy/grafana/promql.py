"""The few forms of PromQL that the panels are written in.

Owns the window of rates and the choice of processes, which every form keeps to. Refuses to know any panel.
"""

FAULTS = "unavailable|overloaded|draining|lost|unknown_outcome|broken|invalid|other"
"""The service's own faults, as the rules of the service levels count them; else the client is to blame."""


def of(series: str, where: str = "") -> str:
    """A series of the chosen processes."""
    return f'{series}{{instance=~"$instance"{", " if where else ""}{where}}}'


def rate(series: str, by: str = "", where: str = "") -> str:
    """How much a counter grows in a second, summed by some labels."""
    return f"{_sum(by)}(rate({of(series, where)}[$__rate_interval]))"


def grown(series: str, by: str = "", where: str = "") -> str:
    """How much a counter grew within the time that the dashboard shows, summed by some labels."""
    return f"{_sum(by)}(increase({of(series, where)}[$__range]))"


def total(series: str, by: str = "", where: str = "") -> str:
    """A gauge, summed by some labels."""
    return f"{_sum(by)}({of(series, where)})"


def most(series: str, by: str, where: str = "") -> str:
    """The greatest of a gauge's values, by some labels."""
    return f"max by ({by}) ({of(series, where)})"


def quantile(part: float, histogram: str, by: str = "", where: str = "") -> str:
    """What this part of a histogram's observations stays under."""
    labels = f"{by}, le" if by else "le"
    return f"histogram_quantile({part}, {rate(f'{histogram}_bucket', labels, where)})"


def percentiles(histogram: str, where: str = "") -> tuple[tuple[str, str], ...]:
    """The usual ones, each with its legend."""
    return tuple((quantile(part, histogram, where=where), f"p{part * 100:g}") for part in (0.5, 0.95, 0.99))


def share(part: str, whole: str) -> str:
    """A part of what there was; nothing where there was nothing."""
    return f"{part} / ({whole} > 0)"


def at_least_none(expression: str) -> str:
    """0 where a sum has nothing to add up, as for a counter that has never counted."""
    return f"{expression} or vector(0)"


def _sum(by: str) -> str:
    return f"sum by ({by}) " if by else "sum"
