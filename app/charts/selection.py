"""What a reader of the job page wants to see: it is kept in the address of the page."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from app.files.rows import Row
from app.schemas import JobOut
from app.tables import Job
from layerscope.names import Component, Metric, Scope

SHOWN_FIRST = Metric.RELATIVE_NORM
UNITS = {
    Metric.DELTA_MEAN: "activation",
    Metric.DELTA_ABS_MEAN: "activation",
    Metric.DELTA_RMS: "activation",
    Metric.RESIDUAL_RMS: "activation",
}


@dataclass(frozen=True)
class Selection:
    """One metric of one component in one scope, of some domains in a range of layers.

    `last_layer` None: up to the last one. No `domains`: all.
    """

    metric: Metric = SHOWN_FIRST
    scope: Scope = Scope.TYPICAL
    component: Component = Component.BLOCK
    domains: tuple[str, ...] = ()
    first_layer: int = 0
    last_layer: int | None = None

    @property
    def is_of_plots(self) -> bool:
        """Whether the plots for papers show the same metric."""
        return (self.metric, self.scope, self.component) == (SHOWN_FIRST, Scope.TYPICAL, Component.BLOCK)

    @property
    def unit(self) -> str:
        return UNITS.get(self.metric, "")

    def within(self, job: Job, state: JobOut) -> "Selection":
        """The same, as far as the job has it: its components, scopes, and domains in their order."""
        components = [Component(name) for name in state.options.components]
        scopes = [Scope(name) for name in job.scopes]
        wanted = [name for name in state.domains if name in self.domains]
        return replace(
            self,
            component=self.component if self.component in components else components[0],
            scope=self.scope if self.scope in scopes else Scope.REST,
            domains=tuple(wanted or state.domains),
        )

    def includes(self, row: Row) -> bool:
        """Whether the layer of a row and its domain, or both of its domains, are selected."""
        domains = (row["domain"],) if "domain" in row else (row["domain_a"], row["domain_b"])
        last = row["layer"] if self.last_layer is None else self.last_layer
        return self.first_layer <= row["layer"] <= last and set(domains) <= set(self.domains)

    def by_domain(self, rows: Iterable[Row]) -> dict[str, list[Row]]:
        """The selected rows of each domain that has some, in the order of the selection."""
        found: dict[str, list[Row]] = {name: [] for name in self.domains}
        for row in filter(self.includes, rows):
            found[row["domain"]].append(row)
        return {name: of_domain for name, of_domain in found.items() if of_domain}
