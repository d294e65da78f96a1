"""The progress of a job: what is committed, and what workers report about the rest."""

from collections.abc import Sequence
from datetime import datetime

from app.jobs.counts import DomainProgress
from app.jobs.reports import Live
from app.schemas import DomainOut, Progress
from app.tables import Job
from layerscope.names import Phase


class JobProgress:
    """`domains`: the committed numbers. `live`: the reports about all jobs that are shown."""

    def __init__(self, job: Job, domains: Sequence[DomainProgress], live: Live) -> None:
        self._job, self._domains, self._live = job, domains, live
        leases = sorted({lease for domain in domains for lease in domain.leases})
        self._is_leased = bool(leases)
        known = {lease: live.reports.get(lease) for lease in leases} if job.outcome is None else {}
        self._reports = [report for report in known.values() if report is not None]

    def phase(self) -> Phase | None:
        """That of the first shard that a worker holds; None for a finished job, or if it is not known."""
        job = self._job
        if job.outcome is not None:
            return None
        if job.cancel_requested_at or job.error or self._settled() == job.texts:
            return Phase.FINALIZING
        if self._is_leased:
            return self._reports[0].phase if self._reports else None
        loads = job.model in self._live.loading and job.model not in (self._live.served or ())
        return Phase.LOADING if loads else Phase.WAITING

    def of_domains(self) -> dict[str, DomainOut]:
        return {
            of.domain: DomainOut(
                texts=of.texts,
                done=of.done,
                failed=of.failed,
                measured=self._measured(of.domain) if self._job.outcome is None else None,
            )
            for of in self._domains
        }

    def of_job(self, now: datetime | None) -> Progress:
        """Rates are averages since the start of the job. `now` may be None for a finished job."""
        job, settled = self._job, self._settled()
        measured = sum(self._measured(domain.domain) for domain in self._domains)
        tokens = sum(domain.tokens for domain in self._domains)
        work = settled + sum(report.share * report.texts for report in self._reports)
        seconds = self._seconds(now)
        stops = job.finished_at is not None or job.cancel_requested_at is not None or job.error is not None
        return Progress(
            texts=job.texts,
            done=sum(domain.done for domain in self._domains),
            failed=sum(domain.failed for domain in self._domains),
            measured=measured,
            tokens=tokens,
            phase=self.phase(),
            share=round(work / job.texts, 4),
            texts_per_second=_rate(settled + measured, seconds, 3),
            tokens_per_second=_rate(tokens + sum(report.tokens for report in self._reports), seconds, 1),
            eta_seconds=_eta(job.texts - work, work, seconds) if not stops else None,
        )

    def _settled(self) -> int:
        return sum(domain.done + domain.failed for domain in self._domains)

    def _measured(self, domain: str) -> int:
        return sum(report.measured.get(domain, 0) for report in self._reports)

    def _seconds(self, now: datetime | None) -> float | None:
        """Since the start; None if the job has not started."""
        job = self._job
        if job.started_at is None:
            return None
        end = job.finished_at or now
        assert end is not None
        return max((end - job.started_at).total_seconds(), 1e-3)


def _rate(count: int, seconds: float | None, digits: int) -> float | None:
    return round(count / seconds, digits) if count and seconds is not None else None


def _eta(left: float, work: float, seconds: float | None) -> float | None:
    return round(left * seconds / work, 1) if work and seconds is not None else None
