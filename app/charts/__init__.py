"""The interactive charts of the job page. Each is computed from the statistics of a finished job."""

from sqlalchemy.orm import Session

from app.charts.analyses import analysis_charts
from app.charts.chart import Chart as Chart
from app.charts.differences import difference_charts
from app.charts.layers import layer_charts
from app.charts.massive_norms import massive_charts
from app.charts.selection import Selection as Selection
from app.tables import Job


def charts_of(session: Session, job: Job, selection: Selection) -> list[Chart]:
    """The charts that the job has, in the order of the page; none without a value."""
    make = (layer_charts, difference_charts, analysis_charts, massive_charts)
    return [chart for charts in make for chart in charts(session, job, selection) if chart.has_values]
