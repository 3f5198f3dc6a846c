"""Takes the screenshots of docs/img anew: a real service, real (small) jobs, every view.

    .venv/bin/python -m tests.support.screenshots [--url URL] [--only NAME] [--out docs/img]

Without `--url` it starts a service of its own, whose jobs take some minutes. A running service gets them once, however
often this is called. The login page comes from a service with keys, which is started for it.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import Browser, Page
from rich.console import Console
from rich.text import Text

from api.schemas.jobs import JobOut
from client.errors import DartboardError
from client.local.stack import LocalStack
from client.screen import Screen
from client.sdk import Dartboard
from tests.support.archives import pets, tar_of
from tests.support.browser import go, launched, opened
from tests.support.small_search import SEARCH

TRAINING = {"channels": 4, "layers": 3, "batch_size": 128}
RNN = {"family": "rnn", "dataset": "python-docs", "epochs": 6, "hidden_size": 16, "nodes": 4, "batch_size": 256}
STUDY = {
    "seeds": [0, 1],
    "search": {**SEARCH, "epochs": 2},
    "short_retrain": {**TRAINING, "epochs": 1},
    "final": {**TRAINING, "epochs": 2},
    "final_runs": 2,
}
COMMITTEE = {
    "spaces": ["space1", "space2"],
    "search": {**SEARCH, "epochs": 1},
    "evaluation": {**TRAINING, "epochs": 2},
    "ensemble": {"combine": "mean"},
}
HOURS = {**SEARCH, "epochs": 200, "channels": 16, "layers": 8, "nodes": 4}
Jobs = dict[str, JobOut]


def earlier(page: Page) -> None:
    """Back to the fourth epoch."""
    slider = page.get_by_role("slider")
    slider.press("Home")
    for _ in range(3):
        slider.press("ArrowRight")
    page.wait_for_selector(".pictures[data-epoch='4']")


def refused(page: Page) -> None:
    """A batch that is too large for the data set."""
    page.get_by_label("name", exact=True).fill("too much at once")
    page.get_by_label("dataset", exact=True).fill("digits")
    page.get_by_text("All settings").click()
    page.get_by_label("batch_size", exact=True).fill("5000")
    page.get_by_role("button", name="Search a cell").click()
    page.wait_for_selector("[aria-invalid]")


def wrong_part(page: Page) -> None:
    """A study whose search has no epochs."""
    search = page.get_by_role("group", name="search")
    search.get_by_label("dataset", exact=True).fill("digits")
    search.get_by_label("epochs", exact=True).fill("0")
    page.get_by_role("button", name="Start the study").click()
    page.wait_for_selector("[aria-invalid]")
    page.evaluate("scrollTo(0, 0)")


@dataclass(frozen=True)
class Shot:
    """One picture: where (jobs by their names in braces), what has to be there, and how it is looked at."""

    name: str
    place: str
    seen: str
    height: int = 900
    width: int = 1280
    scheme: str = "light"
    act: Callable[[Page], None] | None = None


SHOTS = (
    Shot("jobs", "jobs", "table.jobs .status.running", 760),
    Shot("job", "jobs/{digits-cell}", ".pictures[data-epoch]", 1400),
    Shot("job-dark", "jobs/{digits-cell}", ".pictures[data-epoch]", 2300, scheme="dark"),
    Shot("job-phone", "jobs/{digits-cell}", ".pictures[data-epoch]", 1500, width=390),
    Shot("job-epoch", "jobs/{digits-cell}", ".pictures[data-epoch]", 1240, act=earlier),
    Shot("job-recurrent", "jobs/{docs-cell}", ".pictures[data-epoch]", 1100),
    Shot("new", "new", "form", 1500, act=refused),
    Shot("new-study", "new?kind=study", ".part", 1500, act=wrong_part),
    Shot("compare", "compare?ids={digits-cell},{second-order}", ".chart", 1700),
    Shot("leaderboard", "leaderboard?quality=search_validation", "svg.plot a", 1100),
    Shot("study", "jobs/{first-and-second-order}", ".children tbody tr", 1700),
    Shot("committee", "jobs/{two-spaces}", ".children tbody tr", 1100),
    Shot("ensemble", "jobs/{three-together}", "[aria-label=Members]", 760),
    Shot("workers", "workers", "tbody tr", 300),
    Shot("datasets", "datasets", "tbody tr", 900),
)


def jobs_of(dartboard: Dartboard) -> Jobs:
    """All that the pictures show, made where it is not there yet, and ended but for one."""
    made: Jobs = {}

    def make(kind: str, name: str, **body: Any) -> None:
        made[name] = dartboard.submit(kind, {"name": name, **body}, idempotency_key=f"gallery-{name}")

    make("search", "digits-cell", **{**SEARCH, "nodes": 4, "epochs": 12}, labels={"team": "vision"}, priority=8)
    make("search", "second-order", **{**SEARCH, "nodes": 4, "epochs": 12, "order": 2})
    make("search", "docs-cell", **RNN, priority=7)
    for seed in range(3):
        make("evaluation", f"darts-v2-{seed}", dataset="digits", genotype="DARTS_V2", **TRAINING, epochs=3, seed=seed)
    make("study", "first-and-second-order", **STUDY, grid={"order": [1, 2]})
    make("committee", "two-spaces", **COMMITTEE)
    for name in list(made):
        made[name] = dartboard.wait(made[name])
    members = [{"evaluation_id": str(made[f"darts-v2-{seed}"].id)} for seed in range(3)]
    make("ensemble", "three-together", members=members, combine="fitted", select={"best": 2})
    made["three-together"] = dartboard.wait(made["three-together"])
    make("search", "still-running", **HOURS, labels={"team": "vision"})
    with tempfile.TemporaryDirectory() as folder, contextlib.suppress(DartboardError):  # refused where it is there
        archive = Path(folder) / "pets.tar"
        archive.write_bytes(tar_of(pets()))
        dartboard.add_dataset("pets", archive)
    return made


def take(browser: Browser, url: str, shot: Shot, jobs: Jobs, out: Path) -> None:
    """Take one."""
    with opened(browser, url, color_scheme=shot.scheme) as page:
        page.set_viewport_size({"width": shot.width, "height": shot.height})
        go(page, shot.place.format(**{name: job.id for name, job in jobs.items()}), shot.seen)
        page.wait_for_load_state("networkidle" if "new" in shot.place else "load")
        for chart in page.locator(".chart:visible").all():
            box = chart.bounding_box()
            if box is not None and box["y"] < shot.height:
                chart.locator(".main-svg").first.wait_for()
        if shot.act is not None:
            shot.act(page)
        kept(page.screenshot(animations="disabled"), out / f"dashboard-{shot.name}.png")
        page.troubles.clear()  # type: ignore[attr-defined]


def take_login(browser: Browser, out: Path) -> None:
    """The page of a service that wants a key."""
    with tempfile.TemporaryDirectory() as folder:
        environment = {"DARTBOARD_REQUIRE_KEYS": "true"}
        with LocalStack(Path(folder), port=0, workers=0, environment=environment) as stack:
            take(browser, stack.url, Shot("login", "jobs", "input[type=password]", 480), {}, out)


def take_terminal(browser: Browser, dartboard: Dartboard, job: JobOut, path: Path) -> None:
    """What `dartboard watch` leaves on the screen."""
    console = Console(file=io.StringIO(), force_terminal=True, width=96, color_system="truecolor")
    with Screen(job, console) as screen:
        for event in dartboard.follow(job):
            if event.kind in ("status", "step", "epoch"):
                getattr(screen, event.kind)(event.data)
    assert isinstance(console.file, io.StringIO)
    # What was drawn before is wiped by cursor moves: the last drawing is what stays.
    title = f"{job.kind} {job.id}"
    left = Text.from_ansi(title + console.file.getvalue().rpartition(title)[2])
    paper = Console(file=io.StringIO(), record=True, width=96)
    paper.print(f"$ dartboard watch {job.id}", highlight=False)
    paper.print(left)
    page = browser.new_page(viewport={"width": 880, "height": 100})
    page.set_content(paper.export_html())
    kept(page.screenshot(full_page=True), path)
    page.close()


def kept(png: bytes, path: Path) -> None:
    """Save with a palette of 256 colours: a fifth of the bytes, without a visible difference."""
    picture = Image.open(io.BytesIO(png)).convert("RGB").quantize(256, dither=Image.Dither.NONE)
    picture.save(path, optimize=True)
    print(path, f"{path.stat().st_size:,} bytes", flush=True)


def main() -> None:
    """All of them, or one."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url")
    parser.add_argument("--only", help="one of " + ", ".join([*(shot.name for shot in SHOTS), "login", "watch"]))
    parser.add_argument("--out", type=Path, default=Path("docs/img"))
    told = parser.parse_args()
    with contextlib.ExitStack() as stack:
        url = told.url
        if url is None:
            folder = stack.enter_context(tempfile.TemporaryDirectory())
            url = stack.enter_context(LocalStack(Path(folder), port=0, workers=1)).url
        dartboard = stack.enter_context(Dartboard(url))
        browser = stack.enter_context(launched())
        jobs = jobs_of(dartboard)
        for shot in SHOTS:
            if told.only in (None, shot.name):
                take(browser, url, shot, jobs, told.out)
        if told.only in (None, "login"):
            take_login(browser, told.out)
        if told.only in (None, "watch"):
            take_terminal(browser, dartboard, jobs["digits-cell"], told.out / "watch.png")


if __name__ == "__main__":
    main()
