"""The built book in a browser: what a page weighs before anyone touches it, and how long a processor of a quarter of the speed is blocked."""

import functools
import http.server
import os
import shutil
import statistics
import threading
from pathlib import Path

from sqa_core.pipeline import chapters

from .common import Report

HTML = Path("_build/html")
SLOWER = 4
LOADED_MS = 4000
OBSERVED = """window.blocked = 0;
new PerformanceObserver((list) => list.getEntries().forEach((task) => (window.blocked += Math.max(0, task.duration - 50))))
  .observe({ type: "longtask", buffered: true });"""


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


def bench_pages(report: Report, repeat: int) -> None:
    """Each chapter's page at 1440 px, loaded anew three times: total blocking time (of each task what exceeds 50 ms) and bytes that arrived,
    not compressed."""
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None or not (HTML / "index.html").is_file():
        report.say("pages: needs Chromium and a built book (make book); left out")
        return
    from playwright.sync_api import sync_playwright

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(HTML)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"] if os.geteuid() == 0 else [])
        for slug in chapters.CHAPTERS:
            address = f"http://127.0.0.1:{server.server_port}/notebooks/{slug}.html"
            measured = [_load(browser, address) for _ in range(3)]
            blocked, weight = (statistics.median(column) for column in zip(*measured, strict=True))
            report.check(f"{slug}: blocked at a quarter of the speed, s", blocked, at_most=1)
            report.check(f"{slug}: weight before interaction, MB", weight, at_most=2)
        browser.close()
    server.shutdown()


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
