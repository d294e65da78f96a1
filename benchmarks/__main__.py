"""`python -m benchmarks`: runs the benchmarks, prints the results, and appends them to benchmarks/LOG.md."""

import datetime
import os
import signal
import sys

from benchmarks.measuring import hardware
from benchmarks.options import DATABASE_SECTIONS, MODEL_SECTIONS, parse_options
from benchmarks.report import Report
from benchmarks.sections import run_database_sections, run_model_sections


def main() -> None:
    options = parse_options()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    stamp = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC")
    report = Report(f"{stamp}, commit {hardware.commit()}")
    command = " ".join(["python -m benchmarks", *sys.argv[1:]])
    report.say(
        f"`{command}`\n\n- processor: {hardware.processor()}\n- GPU: {hardware.accelerators()}\n"
        f"- {hardware.versions()}\n- before: {hardware.load()}"
    )
    try:
        if options.selects(*MODEL_SECTIONS):
            for shape in options.shape:
                for dtype in options.dtype:
                    run_model_sections(report, options, shape, dtype)
        if options.selects(*DATABASE_SECTIONS):
            run_database_sections(report, options)
    finally:  # an error in a later section must not lose the results of earlier ones
        report.say(f"After: {hardware.load()}.")
        if not options.no_log:
            report.append_to(options.log)


if __name__ == "__main__":
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    main()
