"""Where the benchmarks keep what they build; nothing of it is in the repository but the log."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BUILT = ROOT / "var" / "bench"
LOG = ROOT / "benchmarks" / "LOG.md"
