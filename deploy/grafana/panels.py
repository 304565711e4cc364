"""How Poplar's panels look: lines, areas, numbers, bars and words, with units, legends and limits.

Owns the style, so that all dashboards read alike. Refuses to know any series. Units are Grafana's names for them.
"""

from collections.abc import Iterable, Sequence
from string import ascii_uppercase
from typing import TypeVar

from grafana_foundation_sdk.builders.bargauge import Panel as Bars
from grafana_foundation_sdk.builders.common import (
    GraphThresholdsStyleConfig,
    ReduceDataOptions,
    StackingConfig,
    VizLegendOptions,
    VizTooltipOptions,
)
from grafana_foundation_sdk.builders.dashboard import DashboardLink, FieldColor, ThresholdsConfig
from grafana_foundation_sdk.builders.prometheus import Dataquery
from grafana_foundation_sdk.builders.stat import Panel as Number
from grafana_foundation_sdk.builders.table import Panel as Table
from grafana_foundation_sdk.builders.text import Panel as Words
from grafana_foundation_sdk.builders.timeseries import Panel as Lines
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.cog.variants import Dataquery as AnyQuery
from grafana_foundation_sdk.models import common
from grafana_foundation_sdk.models.dashboard import (
    DashboardLinkType,
    DataSourceRef,
    DynamicConfigValue,
    FieldColorModeId,
    Panel,
    Threshold,
    ThresholdsMode,
)
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

SOURCE = DataSourceRef(type_val="prometheus", uid="${datasource}")
GREEN, YELLOW, ORANGE, RED, BLUE = "green", "yellow", "orange", "red", "blue"

PER_SECOND, OCTETS, OCTETS_PER_SECOND = "cps", "bytes", "Bps"
SECONDS, PARTS, COUNT, TIMES, A_YEAR = "s", "percentunit", "short", "none", "dtdurations"

Query = tuple[str, str]
"""An expression and the legend of its series."""
Rows = Sequence[tuple[str, Sequence[Builder[Panel]]]]
Linked = TypeVar("Linked", Lines, Number, Bars, Table)


def queries(asked: Iterable[Query], *, instant: bool = False) -> list[Builder[AnyQuery]]:
    """What a panel asks Prometheus: over its time range, or of this moment."""
    made: list[Builder[AnyQuery]] = []
    for letter, (expression, legend) in zip(ascii_uppercase, asked, strict=False):
        query = Dataquery().ref_id(letter).datasource(SOURCE).expr(expression).legend_format(legend)
        made.append(query.instant().format(PromQueryFormat.TABLE) if instant else query.range())
    return made


def lines(title: str, unit: str, *asked: Query) -> Lines:
    """Series over time, a third of the width."""
    return (
        Lines()
        .title(title)
        .unit(unit)
        .targets(queries(asked))
        .span(8)
        .height(8)
        .min(0)
        .line_width(1)
        .fill_opacity(8)
        .show_points(common.VisibilityMode.NEVER)
        .legend(VizLegendOptions().display_mode(common.LegendDisplayMode.LIST).placement(common.LegendPlacement.BOTTOM))
        .tooltip(VizTooltipOptions().mode(common.TooltipDisplayMode.MULTI).sort(common.SortOrder.DESCENDING))
    )


def areas(title: str, unit: str, *asked: Query) -> Lines:
    """Series over time that add up to something, one upon the other."""
    return lines(title, unit, *asked).fill_opacity(40).stacking(StackingConfig().mode(common.StackingMode.NORMAL))


def number(title: str, unit: str, expression: str) -> Number:
    """The last value, large, a sixth of the width, with what it was before behind it."""
    return (
        Number()
        .title(title)
        .unit(unit)
        .targets(queries([(expression, "")]))
        .span(4)
        .height(4)
        .graph_mode(common.BigValueGraphMode.AREA)
        .color_mode(common.BigValueColorMode.VALUE)
        .reduce_options(ReduceDataOptions().calcs(["lastNotNull"]))
    )


def bars(title: str, unit: str, *asked: Query) -> Bars:
    """The last value of each series as a bar, a third of the width."""
    return (
        Bars()
        .title(title)
        .unit(unit)
        .targets(queries(asked))
        .span(8)
        .height(8)
        .min(0)
        .display_mode(common.BarGaugeDisplayMode.BASIC)
        .orientation(common.VizOrientation.HORIZONTAL)
        .reduce_options(ReduceDataOptions().calcs(["lastNotNull"]))
    )


def words(title: str, text: str) -> Words:
    """Markdown, over half of the width."""
    return Words().title(title).content(text).span(12).height(8)


def marks(*steps: tuple[float, str], first: str = GREEN) -> ThresholdsConfig:
    """Colours from these values on."""
    made = [Threshold(color=first), *(Threshold(value, colour) for value, colour in steps)]
    return ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(made)


def limited(panel: Lines, *steps: tuple[float, str]) -> Lines:
    """The panel with dashed lines at these values: those at which alerts fire."""
    dashed = GraphThresholdsStyleConfig().mode(common.GraphThresholdsStyleMode.DASHED)
    return panel.thresholds(marks(*steps, first="transparent")).thresholds_style(dashed)


def coloured(panel: Lines, **colours: str) -> Lines:
    """The panel with these colours for the series of these legends."""
    for legend, colour in colours.items():
        fixed = FieldColor().mode(FieldColorModeId.FIXED).fixed_color(colour).build()
        panel = panel.override_by_name(legend, [DynamicConfigValue(id_val="color", value=fixed)])
    return panel


def told_by(panel: Linked, *alerts: str) -> Linked:
    """The panel with links to the runbooks of the alerts that are about what it shows."""
    return panel.links([runbook(alert) for alert in alerts])


def runbook(alert: str) -> DashboardLink:
    """A link to an alert's runbook."""
    link = DashboardLink(f"Runbook: {alert}").type(DashboardLinkType.LINK)
    return link.url(f"${{runbooks}}/{alert}.md").target_blank(True)
