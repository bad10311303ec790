"""What a person sees who opens the dashboard's links: every variant by name, what differs, and the run folders' numbers."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from itertools import takewhile
from pathlib import Path

import pytest

import fabricated
import translab.tracking
from screenshots import browser, linked, metric_row, open_page
from translab.tracking.dashboard import links, server
from translab.tracking.publish import publish

pytestmark = pytest.mark.browser

VARIANTS = ["base", "heads-1", "heads-8", "positions-none"]
SEEDS = [1, 2, 3]
PORT = 5058


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with a published store."""
    root = tmp_path_factory.mktemp("dashboard")
    fabricated.project(root, VARIANTS, SEEDS)
    publish(root, VARIANTS, SEEDS, None)
    return root


@pytest.fixture(scope="module")
def lines(project: Path) -> Iterator[list[str]]:
    """The links that the dashboard prints, while its server runs."""
    with server(project, PORT) as (address, _):
        yield list(links(project, address))


def test_the_command_prints_links_and_ends_at_ctrl_c_without_a_word(lines: list[str], project: Path) -> None:
    command = [sys.executable, "-m", "translab.tracking", "dashboard", "--port", str(PORT + 1)]
    environment = os.environ | {"PYTHONPATH": str(Path(translab.tracking.__file__).parents[2])}
    with subprocess.Popen(
        command, cwd=project, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        printed = [line.rstrip() for line in takewhile(lambda line: line != "Ctrl-C ends it.\n", process.stdout)]
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=30) == 0
        assert process.stderr.read() == ""
    assert printed == "\n".join(lines).replace(str(PORT), str(PORT + 1)).splitlines()


def test_charts_show_the_mean_over_seeds_of_every_variant(lines: list[str]) -> None:
    with browser(1700, 1200) as page:
        open_page(page, linked(lines, "charts, mean over seeds"), "Group: positions-none")

        for variant in VARIANTS:
            assert page.get_by_text(f"Group: {variant}").first.is_visible()
            mean = sum(fabricated.bleu(variant, seed) for seed in SEEDS) / len(SEEDS)
            page.get_by_text(f"{mean:.2f}", exact=True).first.wait_for(timeout=30_000)
        assert page.get_by_text("test/bleu", exact=True).first.is_visible()


def test_the_compare_page_shows_what_differs_and_the_scores(lines: list[str]) -> None:
    names = [f"{variant}-{seed}" for variant in VARIANTS[:3] for seed in SEEDS]
    with browser(4000, 3000) as page:  # MLflow draws only the metrics of runs that fit on the screen
        open_page(page, linked(lines, "compare model.heads"), "Comparing 9 Runs from 1 Experiment")
        page.get_by_text("model.positions", exact=True).first.wait_for(timeout=30_000)

        table = [row.inner_text().split("\t") for row in page.locator("table.mlflow-compare-table tr").all()]
        rows = {cells[0].strip(): [cell.strip() for cell in cells[1:]] for cells in table}
        assert rows["Run Name:"] == names
        assert rows["model.heads"] == ["4"] * 3 + ["1"] * 3 + ["8"] * 3
        assert rows["variant"] == [variant for variant in VARIANTS[:3] for _ in SEEDS]

        page.get_by_text("Show diff only").first.click()
        page.get_by_text("model.positions", exact=True).first.wait_for(state="hidden", timeout=30_000)
        assert page.get_by_text("model.heads", exact=True).first.is_visible()

        scores = [f"{fabricated.bleu(variant, seed):.4g}" for variant in VARIANTS[:3] for seed in SEEDS]
        assert metric_row(page, "test/bleu") == scores


def test_the_claims_show_their_verdicts_and_lead_to_their_runs(lines: list[str]) -> None:
    with browser(2400, 1300) as page:
        open_page(page, linked(lines, "all, by verdict"), "four-heads-beat-one")
        for text in ("verdict", "family", "effect", "interval/low", "supported", "inconclusive", "not run", "heads", "4.2"):
            assert page.get_by_text(text, exact=True).first.is_visible(), text

        open_page(page, linked(lines, "supported (1)"), "four-heads-beat-one")
        assert not page.get_by_text("eight-heads-are-better").count()

        page.get_by_text("four-heads-beat-one").first.click()
        page.get_by_text("Show more").first.click(timeout=60_000)
        with page.context.expect_page() as opened:  # MLflow opens a description's links in a new tab
            page.get_by_text("All side by side").first.click()
        opened.value.get_by_text("Comparing 6 Runs from 1 Experiment").first.wait_for(timeout=60_000)


def test_the_report_is_a_link_away(lines: list[str]) -> None:
    with browser(1700, 1200) as page:
        open_page(page, linked(lines, "the report"), "index.html")
        page.frame_locator("iframe").get_by_text("heads-8 beats base.").wait_for(timeout=60_000)
