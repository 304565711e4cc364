"""The five dashboards as JSON, by the names of their files.

Owns what they have in common: variables, links, time range, numbered panels. Refuses to know what is on them.
"""

from collections.abc import Callable, Mapping

from grafana_foundation_sdk.builders.dashboard import Dashboard, DashboardLink, DatasourceVariable, QueryVariable, Row
from grafana_foundation_sdk.builders.dashboard import TextBoxVariable as TextBox
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import (
    DashboardCursorSync,
    DashboardLinkType,
    VariableOption,
    VariableRefresh,
    VariableSort,
)
from grafana_foundation_sdk.models.dashboard import Panel as Built

from deploy.grafana import capacity, deliveries, dependencies, overview, tenant
from deploy.grafana.panels import SOURCE, Rows

TAG = "poplar"
RUNBOOKS = "https://runbooks.example/poplar"
PAGES: Mapping[str, tuple[str, str, Callable[[], Rows]]] = {
    "overview": ("Overview", overview.MEANING, overview.rows),
    "tenant": ("Tenant", tenant.MEANING, tenant.rows),
    "dependencies": ("Dependencies", dependencies.MEANING, dependencies.rows),
    "capacity": ("Capacity and drain", capacity.MEANING, capacity.rows),
    "deliveries": ("Deliveries and sweep", deliveries.MEANING, deliveries.rows),
}


def dashboards() -> Mapping[str, str]:
    """Each dashboard's JSON."""
    return {name: _json(_dashboard(name, *page)) for name, page in PAGES.items()}


def _dashboard(name: str, title: str, meaning: str, rows: Callable[[], Rows]) -> Dashboard:
    made = (
        Dashboard(f"Poplar / {title}")
        .uid(f"poplar-{name}")
        .description(meaning)
        .tags([TAG])
        .readonly()
        .tooltip(DashboardCursorSync.CROSSHAIR)
        .time("now-3h", "now")
        .refresh("30s")
        .link(DashboardLink("Poplar").type(DashboardLinkType.DASHBOARDS).tags([TAG]).keep_time(True).include_vars(True))
        .variables([_source(), _instances(), _runbooks()])
    )
    for heading, panels in rows():
        made = made.with_row(Row(heading))
        for panel in panels:
            made = made.with_panel(panel)
    return made


def _source() -> DatasourceVariable:
    return DatasourceVariable("datasource").label("Prometheus").type("prometheus")


def _instances() -> QueryVariable:
    return (
        QueryVariable("instance")
        .label("Processes")
        .description("Narrows every panel but those of the service levels.")
        .datasource(SOURCE)
        .query("label_values(poplar_build_info, instance)")
        .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(VariableSort.ALPHABETICAL_ASC)
        .multi(True)
        .include_all(True)
        .all_value(".*")
        .current(VariableOption(text="All", value="$__all"))
    )


def _runbooks() -> TextBox:
    said = "Where your copy of deploy/runbooks is to be read; links to runbooks begin with it."
    return TextBox("runbooks").label("Runbooks at").description(said).default_value(RUNBOOKS)


def _json(made: Dashboard) -> str:
    built = made.build()
    for number, panel in enumerate(built.panels or (), 1):
        panel.id_val = number
        if isinstance(panel, Built) and panel.type_val != "text":
            panel.datasource = SOURCE
    return JSONEncoder(sort_keys=True, indent=1, ensure_ascii=False).encode(built) + "\n"
