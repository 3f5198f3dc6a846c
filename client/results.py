"""Shows people what a job that succeeded has found: a cell, a table, or the file to fetch."""

from __future__ import annotations

from api.schemas.jobs import JobKind, JobOut
from client.output import console, print_listing, print_text
from client.sdk import Dartboard
from client.tables import Listing


def show_result(dartboard: Dartboard, job: JobOut) -> None:
    """On standard output."""
    match job.kind:
        case JobKind.SEARCH:
            print_text(dartboard.genotype(job.id).text)
        case JobKind.EVALUATION:
            console.print(f"curl -OJ {dartboard.url}{dartboard.checkpoint_path(job.id)}")
        case JobKind.SCORE:
            console.print(f"curl -OJ {dartboard.url}/scores/{job.id}/logits")
        case JobKind.ENSEMBLE:
            from client.ensemble_text import table

            print_listing(table(job))
            console.print(f"curl -OJ {dartboard.url}{job.links['checkpoint']}")
        case JobKind.STUDY | JobKind.COMMITTEE:
            from client.study_text import tables

            for shown in tables(job, dartboard.url):
                print_listing(shown) if isinstance(shown, Listing) else console.print(shown)
