"""The built book in headless Chromium: every page, at phone and desktop width, light and dark."""

import functools
import http.server
import os
import re
import shutil
import threading
from urllib.parse import unquote, urldefrag, urljoin

import pytest

from sqa_core.pipeline import build, chapters, execute
from tests.conftest import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("book")]
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
QUIET = ["--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"]


@pytest.fixture(scope="module")
def html():
    """The whole book, executed where it is stale and built."""
    outcomes = execute.run(list(chapters.CHAPTERS), {"profile": "demo", "engine": "local"})
    assert [o.problem for o in outcomes if o.state == "failed"] == []
    return build.build().index.parent


@pytest.fixture(scope="module")
def site(html):
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(html)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()


@pytest.fixture(scope="module")
def browser():
    if CHROMIUM is None:
        pytest.skip("Chromium is not installed")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET + sandbox)
        yield browser
        browser.close()


def pages(html):
    return sorted(str(p.relative_to(html)) for p in html.rglob("*.html") if "_static" not in p.parts)


def test_every_page_of_the_contents_is_there(html):
    assert {
        "book/index.html",
        "notebooks/score.html",
        "notebooks/labels.html",
        "notebooks/nisqa_explained.html",
        "notebooks/speech_models.html",
        "search.html",
    } <= set(pages(html))


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1440])
def test_pages_load_clean(html, site, browser, width, scheme):
    """No console errors, nothing from another host, no picture that is missing, no page wider than the window."""
    problems = [(name, p) for name in pages(html) for p in problems_of(site, browser, name, width, scheme)]
    assert problems == []


def problems_of(site, browser, name, width, scheme) -> list[str]:
    """What is wrong with one page at one width and in one scheme."""
    found: list[str] = []
    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    page.on("console", lambda m: found.append(m.text) if m.type == "error" else None)
    page.on("pageerror", lambda e: found.append(str(e)))
    page.on("request", lambda r: None if r.url.startswith((site, "data:", "blob:")) else found.append(r.url))
    page.on("response", lambda r: found.append(r.url) if r.status >= 400 else None)
    page.goto(site + name)
    page.wait_for_timeout(400)
    overflow = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    broken = page.evaluate("[...document.images].filter(i => i.complete && !i.naturalWidth).map(i => i.src.slice(0, 80))")
    theme = page.evaluate("document.documentElement.dataset.theme")
    page.close()
    if overflow > 0:
        found.append(f"{overflow} px too wide")
    if theme != scheme and name != "index.html":  # which only leads on
        found.append(f"shown {theme}")
    return found + broken


def test_links_and_anchors_resolve(html):
    ids: dict[str, set[str]] = {}
    for name in pages(html):
        ids[name] = set(re.findall(r'\bid="([^"]+)"', (html / name).read_text()))
    problems = []
    for name in pages(html):
        for href in re.findall(r'<a\b[^>]*\bhref="([^"]+)"', (html / name).read_text()):
            if re.match(r"(https?:|mailto:|data:|javascript:)", href):
                continue
            target, anchor = urldefrag(urljoin("/" + name, href))
            path = unquote(target.lstrip("/")) or name
            if not (html / path).exists() or (anchor and path in ids and unquote(anchor) not in ids[path]):
                problems.append((name, href))
    assert problems == []


def test_no_page_names_a_script_or_style_of_another_host(html):
    for name in pages(html):
        text = (html / name).read_text()
        loads = re.findall(r'<(?:script|link|img|audio|iframe)\b[^>]*\b(?:src|href)="(https?://[^"]+)"', text)
        assert [u for u in loads if not u.startswith("https://sqa-book.github.io/")] == [], name
        assert "unpkg" not in text
        assert "jsdelivr" not in text


def test_mathjax_is_here(site, browser):
    page = browser.new_page()
    page.goto(site + "notebooks/nisqa_explained.html")
    page.wait_for_selector("mjx-container", state="attached", timeout=10_000)
    assert page.locator("mjx-container").count() >= 5
    page.close()


def test_search_finds_occlusion(site, browser):
    page = browser.new_page()
    page.goto(site + "search.html?q=occlusion")
    page.wait_for_selector("#search-results li", timeout=15_000)
    assert "What has NISQA learnt?" in page.locator("#search-results").inner_text()
    page.close()


def test_the_mask_steps_by_keyboard(site, browser):
    page = browser.new_page()
    page.goto(site + "notebooks/nisqa_explained.html")
    stepper = page.locator("#stepper_demo")
    readout = stepper.locator(".sqa-readout")
    first = readout.inner_text()
    assert "predicted MOS" in first
    stepper.locator("input[type=range]").focus()
    page.keyboard.press("ArrowRight")
    second = readout.inner_text()
    assert second != first
    stepper.locator("select").select_option("13 frames")
    assert "0.00 to 0.13 s" in readout.inner_text()
    page.close()


def test_maps_are_chosen_by_keyboard(site, browser):
    page = browser.new_page()
    page.goto(site + "notebooks/nisqa_explained.html")
    chooser = page.locator("#chooser_demo")
    image, readout = chooser.locator(".sqa-map"), chooser.locator(".sqa-readout")
    assert readout.inner_text().startswith("Feature 0:")
    before = image.get_attribute("src")
    chooser.locator("select").focus()
    page.keyboard.press("ArrowDown")
    assert readout.inner_text().startswith("Feature 1:")
    assert image.get_attribute("src") != before
    assert "feature 1" in image.get_attribute("alt")
    page.close()


def test_a_gallery_goes_on_and_answers_open_by_keyboard(site, browser):
    page = browser.new_page()
    page.goto(site + "notebooks/speech_models.html")
    gallery = page.locator(".sqa-gallery").first
    before = gallery.locator("img").get_attribute("src")
    gallery.locator("button").focus()
    page.keyboard.press("Enter")
    assert gallery.locator("img").get_attribute("src") != before
    assert ":" in gallery.locator("img").get_attribute("alt")
    answer = page.locator(".sqa-guess details").first
    assert not answer.locator("p").is_visible()
    answer.locator("summary").focus()
    page.keyboard.press("Enter")
    assert answer.locator("p").is_visible()
    page.close()


def test_the_cursor_follows_the_sound(site, browser):
    page = browser.new_page()
    page.goto(site + "notebooks/nisqa_explained.html")
    for box in ("#stepper_demo", "#chooser_demo"):
        places = page.evaluate(
            """async (box) => {
              const audio = document.querySelector(box + " audio");
              if (audio.readyState < 1) await new Promise((done) => audio.addEventListener("loadedmetadata", done, { once: true }));
              const moved = new Promise((done) => audio.addEventListener("seeked", done, { once: true }));
              audio.currentTime = audio.duration / 2;
              await moved;
              return [...document.querySelectorAll(box + " .sqa-cursor")].map((c) => parseFloat(c.style.left));
            }""",
            box,
        )
        assert places
        assert all(abs(place - 50) < 3 for place in places)
    page.close()


def test_long_tables_sort_by_value_and_search(html, browser):
    """Opened as a file, too: nothing that tables need is a module or comes from elsewhere."""
    page = browser.new_page()
    page.goto((html / "notebooks" / "speech_models.html").as_uri())
    page.wait_for_selector("#table3_wrapper .dt-search input", timeout=10_000)
    heads = page.locator("#table3 thead th")
    column = next(i for i in range(heads.count()) if heads.nth(i).inner_text().startswith("F1"))
    cells = page.locator(f"#table3 tbody tr td:nth-child({column + 1})")
    for descending in (False, True):
        heads.nth(column).click()
        values = [float(cells.nth(i).get_attribute("data-order")) for i in range(cells.count())]
        assert values == sorted(values, reverse=descending)
    page.locator("#table3_wrapper .dt-search input").fill("EmoDB")
    assert {page.locator("#table3 tbody tr").nth(i).locator("td").first.inner_text() for i in range(3)} == {"EmoDB"}
    page.close()


def test_figures_have_alt_texts_captions_and_white_ground(html):
    from io import BytesIO

    from PIL import Image

    for name in pages(html):
        text = (html / name).read_text()
        for tag in re.findall(r"<img\b[^>]*>", text):
            assert re.search(r'\balt="[^"]+"', tag), (name, tag[:200])
    for path in (html / "_images").glob("*.png"):
        image = Image.open(BytesIO(path.read_bytes())).convert("RGBA")
        assert image.getpixel((0, 0)) == (255, 255, 255, 255), path.name


def test_players_have_a_label_with_the_data_status(html):
    text = (html / "notebooks" / "nisqa_explained.html").read_text()
    players = re.findall(r'<audio\b[^>]*aria-label="([^"]+)"', text)
    assert players
    assert all(re.search(r"\((synthetic speech|real recordings|the paper&#x27;s own data)\)", p) for p in players)


def test_numbers_in_prose_come_from_the_run(html):
    """What a page says in prose is what its record says, and each page ends with its run card."""
    from sqa_core.results import frame
    from sqa_core.studies.shared import published_run

    text = re.sub(r"<[^>]+>", "", (html / "notebooks" / "nisqa_explained.html").read_text())
    record = frame.only(published_run("nisqa_explained"), "listeners", network="nisqa")
    assert f"The correlation of nisqa with the listeners is {record.metrics['mos_pcc_file'][0]:.3f}" in " ".join(text.split())
    for slug in build.in_toc(ROOT):
        assert "Run card" in (html / "notebooks" / f"{slug}.html").read_text()


def test_colab_buttons_are_there(html):
    for slug in build.in_toc(ROOT):
        text = (html / "notebooks" / f"{slug}.html").read_text()
        assert f"colab.research.google.com/github/sqa-book/sqa-book/blob/v0.2.0/notebooks/{slug}.ipynb" in text
