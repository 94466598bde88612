"""The built book in a browser: what a page weighs before anyone touches it, and how long a processor of a quarter of the speed is blocked."""

import statistics
from pathlib import Path

from sqa_core.pipeline import chapters
from tests.browser import CHROMIUM, chromium, served

from .common import Report

HTML = Path("_build/html")
SLOWER = 4
LOADED_MS = 4000
OBSERVED = """window.blocked = 0;
new PerformanceObserver((list) => list.getEntries().forEach((task) => (window.blocked += Math.max(0, task.duration - 50))))
  .observe({ type: "longtask", buffered: true });"""


def bench_pages(report: Report, repeat: int) -> None:
    """Each chapter's page at 1440 px, loaded anew three times: total blocking time (of each task what exceeds 50 ms) and bytes that arrived,
    not compressed."""
    if CHROMIUM is None or not (HTML / "index.html").is_file():
        report.say("pages: needs Chromium and a built book (make book); left out")
        return
    with served(HTML) as address, chromium() as browser:
        for slug in chapters.CHAPTERS:
            measured = [_load(browser, f"{address}notebooks/{slug}.html") for _ in range(3)]
            blocked, weight = (statistics.median(column) for column in zip(*measured, strict=True))
            report.check(f"{slug}: blocked at a quarter of the speed, s", blocked, at_most=1)
            report.check(f"{slug}: weight before interaction, MB", weight, at_most=2)


def _load(browser, address: str) -> tuple[float, float]:
    """Seconds blocked, and MB that arrived, of a page that is loaded without a cache."""
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    page = context.new_page()
    session = context.new_cdp_session(page)
    session.send("Emulation.setCPUThrottlingRate", {"rate": SLOWER})
    session.send("Network.enable")
    arrived = []
    session.on("Network.loadingFinished", lambda event: arrived.append(event["encodedDataLength"]))
    page.add_init_script(OBSERVED)
    page.goto(address)
    page.wait_for_timeout(LOADED_MS)
    blocked = page.evaluate("window.blocked") / 1000
    context.close()
    return blocked, sum(arrived) / 1e6
