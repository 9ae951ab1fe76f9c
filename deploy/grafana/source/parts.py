"""What the dashboards are put together from: panels in the house's look, variables, annotations.

The builders of Grafana's SDK know the schema of a dashboard; mypy checks that they are used as it says.
"""

from typing import Literal

from grafana_foundation_sdk.builders import bargauge, common, dashboard, prometheus, stat, statetimeline, timeseries
from grafana_foundation_sdk.models import units
from grafana_foundation_sdk.models.common import (
    BigValueGraphMode,
    DataSourceRef,
    LegendDisplayMode,
    LegendPlacement,
    LineInterpolation,
    SortOrder,
    TooltipDisplayMode,
    VisibilityMode,
    VizOrientation,
)
from grafana_foundation_sdk.models.dashboard import (
    DashboardCursorSync,
    DashboardLinkType,
    VariableRefresh,
    VariableSort,
)

PROMETHEUS = DataSourceRef(type_val="prometheus", uid="${datasource}")

AnyPanel = timeseries.Panel | stat.Panel | statetimeline.Panel | bargauge.Panel

# One query: PromQL and the name of its series.
Query = tuple[str, str]


def of_pipeline(metric: str, *matchers: str) -> str:
    """A metric of the agent or of Flink, of the pipeline that is chosen."""
    return metric + "{" + ", ".join(['namespace="$namespace"', 'job="$job"', *matchers]) + "}"


def of_stream(metric: str, *matchers: str) -> str:
    """A metric that names the stream, such as Pravega's own: they do not know the pipeline."""
    return metric + "{" + ", ".join(['scope="$scope"', 'stream="$stream"', *matchers]) + "}"


def _targets(queries: list[Query], instant: bool = False) -> list[prometheus.Dataquery]:
    targets = []
    for letter, (expression, legend) in zip("ABCDEFGH", queries, strict=False):
        query = prometheus.Dataquery().expr(expression).legend_format(legend).ref_id(letter).datasource(PROMETHEUS)
        targets.append(query.instant() if instant else query.range())
    return targets


def lines(
    title: str,
    description: str,
    *queries: Query,
    unit: str = units.Short,
    steps: bool = False,
    span: int = 12,
) -> timeseries.Panel:
    """Values over time; counts of things are drawn as steps."""
    panel = (
        timeseries.Panel()
        .title(title)
        .description(description)
        .datasource(PROMETHEUS)
        .targets(list(_targets(list(queries))))
        .unit(unit)
        .min(0)
        .line_width(2)
        .fill_opacity(0)
        .show_points(VisibilityMode.NEVER)
        .line_interpolation(LineInterpolation.STEP_AFTER if steps else LineInterpolation.LINEAR)
        .legend(
            common.VizLegendOptions()
            .display_mode(LegendDisplayMode.LIST)
            .placement(LegendPlacement.BOTTOM)
            .show_legend(True)
        )
        .tooltip(common.VizTooltipOptions().mode(TooltipDisplayMode.MULTI).sort(SortOrder.DESCENDING))
        .height(8)
        .span(span)
    )
    return panel.decimals(0) if steps else panel


def number(title: str, description: str, query: Query, unit: str = units.Short, span: int = 4) -> stat.Panel:
    """The newest value, large; with an empty unit the name of the series."""
    return (
        stat.Panel()
        .title(title)
        .description(description)
        .datasource(PROMETHEUS)
        .targets(list(_targets([query], instant=True)))
        .unit(unit)
        .graph_mode(BigValueGraphMode.NONE)
        .no_value("–")
        .height(4)
        .span(span)
    )


def bars(title: str, description: str, query: Query, unit: str = units.Short, span: int = 8) -> bargauge.Panel:
    """One bar for each series, over the whole time that is shown."""
    return (
        bargauge.Panel()
        .title(title)
        .description(description)
        .datasource(PROMETHEUS)
        .targets(list(_targets([query], instant=True)))
        .unit(unit)
        .min(0)
        .orientation(VizOrientation.HORIZONTAL)
        .no_value("none in this time")
        .height(7)
        .span(span)
    )


def states(title: str, description: str, query: Query) -> statetimeline.Panel:
    """When each of some states was on."""
    return (
        statetimeline.Panel()
        .title(title)
        .description(description)
        .datasource(PROMETHEUS)
        .targets(list(_targets([query])))
        .row_height(0.8)
        .height(6)
        .span(24)
    )


def _choice(name: str, label: str, query: str) -> dashboard.QueryVariable:
    return (
        dashboard.QueryVariable(name)
        .label(label)
        .datasource(PROMETHEUS)
        .query({"query": query, "refId": name, "qryType": 1})
        .definition(query)
        .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(VariableSort.ALPHABETICAL_ASC)
    )


def _mark(name: str, expression: str, title: str, color: Literal["blue", "orange"]) -> dashboard.AnnotationQuery:
    return (
        dashboard.AnnotationQuery()
        .name(name)
        .datasource(PROMETHEUS)
        .enable(True)
        .icon_color(color)
        .expr(expression)
        .title_format(title)
        .step("15s")
    )


def board(uid: str, title: str, description: str, rows: dict[str, list[AnyPanel]]) -> dashboard.Dashboard:
    """A dashboard with the variables, annotations and links that all of them have."""
    it = (
        dashboard.Dashboard(f"Sluice / {title}")
        .uid(uid)
        .description(description)
        .tags(["sluice", "pravega", "flink"])
        .readonly()
        .tooltip(DashboardCursorSync.CROSSHAIR)
        .time("now-1h", "now")
        .refresh("10s")
        .timezone("browser")
        .link(
            dashboard.DashboardLink("Sluice")
            .type(DashboardLinkType.DASHBOARDS)
            .tags(["sluice"])
            .include_vars(True)
            .keep_time(True)
        )
        .with_variable(dashboard.DatasourceVariable("datasource").label("Data source").type("prometheus"))
        .with_variable(_choice("namespace", "Namespace", "label_values(sluice_build_info, namespace)"))
        .with_variable(_choice("job", "Job", 'label_values(sluice_build_info{namespace="$namespace"}, job)'))
        .with_variable(_choice("scope", "Scope", f"label_values({of_pipeline('sluice_stream_segments')}, scope)"))
        .with_variable(
            _choice(
                "stream",
                "Stream",
                "label_values(" + of_pipeline("sluice_stream_segments", 'scope="$scope"') + ", stream)",
            )
        )
        .annotation(
            _mark("Changes", of_pipeline("sluice_change_in_flight") + " == 1", "a change is carried out", "blue")
        )
        .annotation(
            _mark(
                "Decisions",
                "sum by (decision, reason) (increase("
                + of_pipeline("sluice_decisions_total", 'decision!="hold"')
                + "[1m])) > 0",
                "{{decision}} {{reason}}",
                "orange",
            )
        )
    )
    for row, panels in rows.items():
        it = it.with_row(dashboard.Row(row))
        for panel in panels:
            it = it.with_panel(panel)
    return it
