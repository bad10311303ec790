"""MLflow's pages in a headless browser, for tests and for the pictures in docs/images.

python tests/screenshots.py     makes the pictures from the project's own store (after `make repro`)
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Locator, Page, sync_playwright

from translab.tracking.dashboard import links, server

CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
PORT = 5057
ROW_HEIGHT = 45


@contextmanager
def browser(width: int, height: int) -> Iterator[Page]:
    """A page of the Chromium that the machine has."""
    program = next(filter(None, map(shutil.which, CHROMIUM)), None)
    if program is None:
        raise RuntimeError(
            f"There is no Chromium on the PATH (looked for {', '.join(CHROMIUM)}); install it, on Debian with "
            "`apt install chromium`, or leave the browser tests out with `-m 'not browser'`."
        )
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield chromium.new_page(viewport={"width": width, "height": height})
        chromium.close()


def open_page(page: Page, address: str, text: str) -> None:
    """Open an address, close MLflow's assistant, and wait until `text` is to be seen."""
    page.goto("about:blank")  # addresses differ behind the # alone, which would not load the page anew
    page.goto(address)
    page.get_by_text(text).first.wait_for(timeout=60_000)
    assistant = page.locator("[data-component-id='mlflow.assistant.chat_panel.close']")
    if assistant.count():
        assistant.first.click()


def linked(lines: list[str], label: str) -> str:
    """The address of the first of the dashboard's links whose text holds `label`."""
    line = next(line for line in "\n".join(lines).splitlines() if label in line and "http" in line)
    return line[line.index("http") :]


def metric_row(page: Page, metric: str) -> list[str]:
    """Scroll the compare page to a metric (rows out of sight are not drawn); the values at the height of its name."""
    names, values = page.locator(".ReactVirtualized__Grid").all()
    values.hover(position={"x": 400, "y": 100})
    for _ in range(200):
        name = names.get_by_text(metric, exact=True)
        if name.count() and name.is_visible() and _inside(name, names):
            break
        page.mouse.wheel(0, 45)
        page.wait_for_timeout(50)
    for _ in range(3):
        page.mouse.wheel(0, 1)  # MLflow moves the names one step late
        page.wait_for_timeout(200)
    height = _middle(name)
    cells = values.locator("> div > div").all()
    return [cell.inner_text() for cell in cells if abs(_middle(cell) - height) < ROW_HEIGHT / 2]


def _middle(element: Locator) -> float:
    box = element.bounding_box()
    assert box is not None, "the element is not drawn"
    return box["y"] + box["height"] / 2


def _inside(element: Locator, frame: Locator) -> bool:
    box = frame.bounding_box()
    assert box is not None, "the frame is not drawn"
    return box["y"] + ROW_HEIGHT < _middle(element) < box["y"] + box["height"] - 2 * ROW_HEIGHT


def main() -> None:
    """Make the pictures of the charts and of the comparison of numbers of heads."""
    images = Path("docs/images")
    images.mkdir(parents=True, exist_ok=True)
    with server(Path.cwd(), PORT) as (address, _):
        lines = list(links(Path.cwd(), address))
        with browser(1500, 1700) as page:
            open_page(page, linked([line for line in lines if "ablations\n" in line], "charts"), "test/bleu")
            page.wait_for_timeout(4000)  # charts are drawn one after another
            page.screenshot(path=images / "mlflow-charts.png")
        with browser(2300, 1500) as page:
            open_page(page, linked(lines, "compare model.heads"), "Parameters:")
            page.get_by_text("Show diff only").first.click()
            metric_row(page, "test/bleu")
            page.wait_for_timeout(2000)
            page.screenshot(path=images / "mlflow-compare.png")


if __name__ == "__main__":
    main()
