"""The folders and files of the benchmarks. Only the log is in the repository."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BUILT = ROOT / "var" / "bench"
LOG = ROOT / "benchmarks" / "LOG.md"
