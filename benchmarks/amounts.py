"""How many texts, rounds and points each section measures."""

from dataclasses import dataclass


@dataclass(frozen=True)
class ModelAmounts:
    """The amounts for one shape. The texts have 20 to 800 tokens."""

    comparison_texts: int
    comparison_rounds: int
    overhead_texts: int
    overhead_rounds: int
    counts: tuple[int, ...]  # of texts, for the memory by number
    lengths: tuple[int, ...]  # in tokens, for the memory by length
    service_texts: int
    service_rounds: int
    corpus_texts: int = 2_000
    corpus_counts: tuple[int, ...] = (1_000, 10_000)  # of very short texts, for the memory
    load_texts: int = 200_000  # of the job that runs during the sections `attacks` and `load`
    load_seconds: int = 10


@dataclass(frozen=True)
class DatabaseAmounts:
    """The amounts of the sections without a model."""

    intake_texts: int
    intake_wide_texts: int  # with values of 28 layers
    jobs: int
    texts_per_job: int
    size_texts: int  # whose size on disk is measured
    finalized_texts: int
    plot_rounds: int


_QUICK = {
    "d64": ModelAmounts(64, 3, 32, 7, (100, 1_000, 4_000), (128, 1_024, 8_192), 300, 3),
    "": ModelAmounts(12, 3, 12, 5, (100, 200), (128, 512, 2_048), 32, 1),
}
_FULL = {
    "d64": ModelAmounts(
        *(128, 9, 64, 25, (100, 1_000, 10_000, 100_000), (128, 512, 2_048, 8_192), 2_000, 5),
        *(20_000, (1_000, 10_000, 100_000, 1_000_000)),
    ),
    "smollm2-135m": ModelAmounts(24, 7, 24, 15, (100, 400, 1_600), (128, 512, 2_048, 8_192), 2_000, 1),
    "": ModelAmounts(24, 5, 24, 7, (100, 200), (128, 512, 2_048), 200, 1),
}
_CUDA = ModelAmounts(512, 5, 2_048, 7, (100, 1_000, 10_000), (128, 512, 2_048, 8_192), 2_000, 3)


def model_amounts(shape: str, device: str, quick: bool) -> ModelAmounts:
    if device != "cpu" and not quick:
        return _CUDA
    amounts = _QUICK if quick else _FULL
    return amounts.get(shape, amounts[""])


def database_amounts(quick: bool) -> DatabaseAmounts:
    if quick:
        return DatabaseAmounts(50_000, 1_000, 200, 1_000, 1_000, 5_000, 1)
    return DatabaseAmounts(1_000_000, 20_000, 1_000, 10_000, 20_000, 100_000, 5)
