"""Whether an epoch's report is one of its job: what a search shows and others build on is there, and of its family."""

from __future__ import annotations

from api.db.models import Job
from api.http.problems import invalid
from api.jobs.early_stopping import last_epoch
from api.schemas.jobs import JobKind
from api.schemas.worker import EpochReport
from darts_core.genotypes import family_of


def check_fits(job: Job, report: EpochReport) -> None:
    """Raises ProblemError 422 for an epoch behind the job's last one, and for a search's epoch without its cell or its
    alphas, or with those of another family.
    """
    check_epoch(job, report.epoch)
    if job.kind != JobKind.SEARCH:
        return
    family = family_of(job.spec)
    for field, value, found in (
        ("genotype", report.genotype, report.genotype and family_of(report.genotype)),
        ("alphas", report.alphas, report.alphas and ("rnn" if "recurrent" in report.alphas else "cnn")),
    ):
        if value is None:
            raise invalid(field, "an epoch of a search has it")
        if found != family:
            raise invalid(field, f"is of the family {found!r}, the search of {family!r}")


def check_epoch(job: Job, epoch: int) -> None:
    """Raise ProblemError 422 for an epoch past the job's last."""
    if epoch > (last := last_epoch(job)):
        raise invalid("epoch", f"{epoch} is behind the job's last epoch, {last}")
