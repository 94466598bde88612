"""The built book in headless Chromium: every page, at phone and desktop width, light and dark."""

import os
import re
from urllib.parse import unquote, urldefrag, urljoin

import pytest

from sqa_core.pipeline import build, chapters, execute
from tests.browser import CHROMIUM, chromium, served
from tests.conftest import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("book")]
LOOKS = [(390, "dark"), (1440, "light")]  # each width and each scheme once: what is wrong with one is wrong whatever the other


@pytest.fixture(scope="module")
def html(request):
    """The whole book, executed where it is stale and built; in one worker, not in each."""
    if "PYTEST_XDIST_WORKER" in os.environ:
        assert any(item.nodeid.endswith("@book") for item in request.session.items), "pytest-xdist keeps tests of one group together"
    outcomes = execute.run(list(chapters.CHAPTERS), {"profile": "demo", "engine": "local"})
    assert [o.problem for o in outcomes if o.state == "failed"] == []
    return build.build().index.parent


@pytest.fixture(scope="module")
def site(html):
    with served(html) as address:
        yield address


@pytest.fixture(scope="module")
def browser():
    if CHROMIUM is None:
        pytest.skip("Chromium is not installed")
    with chromium() as opened:
        yield opened


def pages(html):
    return sorted(str(p.relative_to(html)) for p in html.rglob("*.html") if "_static" not in p.parts)


def test_every_page_of_the_contents_is_there(html):
    assert {
        "book/index.html",
        "notebooks/score.html",
        "notebooks/labels.html",
        "notebooks/nisqa_explained.html",
        "notebooks/nisqa_explained_details.html",
        "notebooks/language_barriers.html",
        "notebooks/language_barriers_details.html",
        "notebooks/jsqa.html",
        "notebooks/jsqa_details.html",
        "notebooks/humpcat.html",
        "notebooks/speech_models.html",
        "notebooks/speech_models_details.html",
        "book/bibliography.html",
        "search.html",
    } <= set(pages(html))


@pytest.mark.parametrize(("width", "scheme"), LOOKS)
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


def test_mathjax_is_where_mathematics_is(html, site, browser):
    page = browser.new_page()
    page.goto(site + "notebooks/nisqa_explained_details.html")
    page.wait_for_selector("mjx-container", state="attached", timeout=10_000)
    assert page.locator("mjx-container").count() >= 5
    page.close()
    assert "tex-chtml.js" not in (html / "book" / "index.html").read_text()


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
    shown = page.evaluate(
        """() => {
          const box = document.querySelector("#stepper_demo"), data = JSON.parse(box.querySelector("script").textContent);
          const sizes = data.groups[box.querySelector("select").value].map((one) => Math.abs(one[4] - data.score));
          return [sizes[box.querySelector("input").value], Math.max(...sizes)];
        }"""
    )
    assert shown[0] == shown[1], "starts at the largest effect"
    stepper.locator("input[type=range]").focus()
    at_start = stepper.locator("input[type=range]").input_value() == "0"
    page.keyboard.press("ArrowRight" if at_start else "ArrowLeft")
    second = readout.inner_text()
    assert second != first
    stepper.locator("select").select_option("13 frames")
    stepper.locator("input[type=range]").fill("0")
    assert "0.00 to 0.13 s" in readout.inner_text()
    page.close()


def test_maps_are_chosen_by_keyboard(site, browser):
    page = browser.new_page()
    page.goto(site + "notebooks/nisqa_explained_details.html")
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
    page.goto(site + "notebooks/speech_models_details.html")
    gallery = page.locator(".sqa-gallery").first
    before = gallery.locator("img").get_attribute("src")
    gallery.get_by_role("button", name="next").focus()
    page.keyboard.press("Enter")
    assert gallery.locator("img").get_attribute("src") != before
    assert ":" in gallery.locator("img").get_attribute("alt")
    gallery.get_by_role("button", name="previous").focus()
    page.keyboard.press("Enter")
    assert gallery.locator("img").get_attribute("src") == before
    answer = page.locator(".sqa-guess details").first
    assert not answer.locator("p").is_visible()
    answer.locator("summary").focus()
    page.keyboard.press("Enter")
    assert answer.locator("p").is_visible()
    page.close()


def test_the_listening_test_runs_by_keyboard(site, browser):
    """Twenty pairs: an answer needs all three sounds played; in the end right answers are counted by gap."""
    page = browser.new_page()
    problems = []
    page.on("pageerror", lambda e: problems.append(str(e)))
    page.goto(site + "notebooks/jsqa.html")
    test = page.locator("#abx")

    def press(name):
        test.get_by_role("button", name=name).focus()
        page.keyboard.press("Enter")

    for k in range(20):
        assert f"Pair {k + 1} of 20" in test.locator(".sqa-progress").inner_text()
        assert test.get_by_role("button", name="X is A").is_disabled()
        for which in "ABX":
            press(f"play {which}")
        press("X is A")
    assert "last pair" in test.locator(".sqa-progress").inner_text()
    result = test.locator(".sqa-result")
    right = int(re.search(r"(\d+) of 20 right in all", result.inner_text())[1])
    assert 2 <= right <= 18, "X is A in about half of the pairs"
    assert "2 dB:" in result.inner_text()
    assert result.locator("svg polyline").count() == 3, "two to compare with, and the reader"
    assert page.evaluate("document.activeElement.className") == "sqa-again", "the focus is not lost with the answer's button"
    press("start again")
    assert "Pair 1 of 20" in test.locator(".sqa-progress").inner_text()
    assert problems == []
    page.close()


def test_targets_shares_and_streams_are_chosen_by_keyboard(site, browser):
    """Bars follow the list; confusion matrices too."""
    page = browser.new_page()
    page.goto(site + "notebooks/humpcat.html")
    bars = page.locator("#chooser")
    first = bars.locator(".sqa-rows").inner_text()
    matrix = bars.get_by_role("region").inner_text()
    assert matrix.split()[:2] == ["true", "\\"]
    bars.get_by_role("button", name="next").focus()
    page.keyboard.press("Enter")
    assert bars.locator(".sqa-rows").inner_text() != first
    assert "accuracy" in bars.locator(".sqa-rows").inner_text()
    assert "the most frequent emotion" in bars.locator(".sqa-rows").inner_text()
    assert bars.locator(".sqa-line").count() == 1, "the most frequent emotion says something about accuracy only"
    assert bars.get_by_role("region").inner_text() != matrix
    assert bars.get_by_role("region").get_by_role("columnheader").count() == 4
    page.close()


def test_the_cursor_follows_the_sound(html, browser):
    """Opened as files: the server of these tests sends no parts of files, which seeking needs."""
    page = browser.new_page()
    for name, box in (("nisqa_explained", "#stepper_demo"), ("nisqa_explained_details", "#chooser_demo")):
        page.goto((html / "notebooks" / f"{name}.html").as_uri())
        places = page.evaluate(
            """async (box) => {
              const audio = document.querySelector(box + " audio");
              if (audio.readyState < 1) await new Promise((done) => audio.addEventListener("loadedmetadata", done, { once: true }));
              const moved = new Promise((done) => audio.addEventListener("seeked", done, { once: true }));
              audio.currentTime = audio.duration / 2;
              await moved;
              await new Promise((done) => setTimeout(done, 300)); // the next "timeupdate"
              return [...document.querySelectorAll(box + " .sqa-cursor")].map((c) => parseFloat(c.style.left));
            }""",
            box,
        )
        assert places
        assert all(abs(place - 50) < 5 for place in places), "MP3 ends with up to 0.1 s of padding"
    page.close()


def test_long_tables_sort_by_value_and_search(html, browser):
    """Opened as a file, too: nothing that tables need is a module or comes from elsewhere."""
    page = browser.new_page()
    page.goto((html / "notebooks" / "speech_models_details.html").as_uri())
    page.locator("#table3").scroll_into_view_if_needed()  # a table starts when it comes into view
    page.wait_for_selector("#table3_wrapper .dt-search input", timeout=10_000)
    heads = page.locator("#table3 thead th")
    column = next(i for i in range(heads.count()) if heads.nth(i).inner_text().startswith("F1"))
    cells = page.locator(f"#table3 tbody tr td:nth-child({column + 1})")
    for descending in (False, True):
        # By keyboard: a click is lost where tables that start above move the heading between press and release.
        heads.nth(column).locator("[role=button]").press("Enter")
        order = "descending" if descending else "ascending"
        page.wait_for_selector(f'#table3 thead th:nth-child({column + 1})[aria-sort="{order}"]', timeout=10_000)
        values = [float(cells.nth(i).get_attribute("data-order")) for i in range(cells.count())]
        assert values == sorted(values, reverse=descending)
    page.locator("#table3_wrapper .dt-search input").fill("EmoDB")
    assert {page.locator("#table3 tbody tr").nth(i).locator("td").first.inner_text() for i in range(3)} == {"EmoDB"}
    page.close()


def test_ids_are_unique(html):
    for name in pages(html):
        ids = re.findall(r'<[a-zA-Z][^>]*?\sid="([^"]+)"', (html / name).read_text())
        assert sorted(i for i in set(ids) if ids.count(i) > 1) == [], name


def test_figures_have_alt_texts_captions_and_white_ground(html):
    for name in pages(html):
        text = (html / name).read_text()
        for tag in re.findall(r"<img\b[^>]*>", text):
            assert re.search(r'\balt="[^"]+"', tag), (name, tag[:200])
    drawn = list((html / "notebooks").glob("*_files/*.svg"))
    assert len(drawn) > 20
    for path in drawn:
        assert "fill: #ffffff" in path.read_text()[:4000], path.name


PAPERS = [slug for slug in chapters.CHAPTERS if (ROOT / "book" / "published" / slug).is_dir()]


@pytest.mark.parametrize("slug", PAPERS)
def test_a_chapters_page(site, browser, slug):
    """What every chapter on a paper passes: its first screen, its claims, folded sources, width, length."""
    from sqa_core.results import published

    page = browser.new_page(viewport={"width": 1440, "height": 900})
    page.goto(f"{site}notebooks/{slug}.html")
    page.wait_for_timeout(500)
    first = page.locator(".sqa-answer")
    assert first.count() == 1
    assert first.bounding_box()["y"] < 450
    assert first.locator(".sqa-question, .sqa-reply").count() == 2
    assert first.locator(".sqa-found li").count() == 3
    assert first.locator(".sqa-badge").count() >= 2
    assert first.locator("a.sqa-button").count() >= 3
    claims = page.locator(".sqa-forest details.sqa-claim")
    assert claims.count() == len(published.claims(slug))
    row = claims.first
    assert not row.locator("dl").is_visible()
    row.locator("summary").focus()
    page.keyboard.press("Enter")
    assert row.locator("dl").is_visible()
    page.keyboard.press("Enter")
    assert page.locator(".sqa-provenance:visible").count() == 0, "sources are folded"
    assert "NaN" not in page.locator("article").first.inner_text()
    assert page.evaluate("document.body.scrollHeight") < 15_000
    assert page.evaluate(WORDS) < 2_500
    assert page.evaluate(HIDDEN) == [], "no column is hidden"
    page.set_viewport_size({"width": 390, "height": 844})
    page.wait_for_timeout(300)
    assert page.evaluate("[...document.querySelectorAll('.sqa-figure img')].every((i) => i.currentSrc === i.parentNode.querySelector('source').srcset "
                         "|| i.currentSrc.endsWith(i.parentNode.querySelector('source').getAttribute('srcset')) || !i.complete)")  # fmt: skip
    page.close()


@pytest.mark.parametrize("slug", [slug for slug in build.in_toc(ROOT) if slug.endswith("_details")])
def test_no_column_of_a_second_page_is_hidden(site, browser, slug):
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    page.goto(f"{site}notebooks/{slug}.html")
    page.evaluate("document.querySelectorAll('details').forEach((d) => (d.open = true))")
    page.wait_for_timeout(1000)
    assert page.locator(".sqa-table:visible").count() > 5
    long = page.locator(".sqa-interactive").first.get_attribute("data-table")
    page.locator(f"#{long}").scroll_into_view_if_needed()
    page.wait_for_selector(f"table#{long}.dataTable")
    assert page.evaluate(HIDDEN) == []
    page.close()


@pytest.mark.parametrize("slug", PAPERS)
def test_a_page_loads_less_than_2_megabytes(site, browser, slug):
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    weights = {}
    page.on("requestfinished", lambda request: weights.update({request.url: request.sizes()["responseBodySize"]}))
    page.goto(f"{site}notebooks/{slug}.html")
    page.wait_for_timeout(1000)
    assert sum(weights.values()) < 2e6, sorted(weights.items(), key=lambda item: -item[1])[:5]
    icon = page.locator(".theme-switch-button .theme-switch:visible")
    assert "Font Awesome" in icon.evaluate("(one) => getComputedStyle(one, '::before').fontFamily"), "drawn by the web font alone"
    assert page.locator("table.dataTable").count() == 0
    page.close()


WORDS = """[...document.querySelectorAll("article p, article li")]
  .filter((e) => !e.closest("details, figure, .sqa-answer, .sqa-forest, .sqa-data")).map((e) => e.innerText).join(" ").split(/\\s+/).length"""
HIDDEN = """[...document.querySelectorAll(".sqa-table")].filter((t) => t.offsetParent && t.scrollWidth > t.closest(".sqa-scroll").clientWidth + 1)
  .map((t) => t.id)"""


@pytest.mark.parametrize(("width", "scheme"), LOOKS)
def test_pages_are_accessible(html, site, browser, width, scheme):
    """axe-core finds nothing critical or serious."""
    from axe_playwright_python.sync_playwright import Axe

    found = []
    for name in pages(html):
        if name in ("index.html", "search.html", "genindex.html"):  # the theme's own, which hold no text of ours
            continue
        page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
        page.goto(site + name)
        page.wait_for_timeout(700)
        for violation in Axe().run(page).response["violations"]:
            if violation["impact"] in ("critical", "serious"):
                found.append((name, violation["id"], [node["target"] for node in violation["nodes"]][:3]))
        page.close()
    assert found == []


def test_pages_describe_themselves(html):
    for name in pages(html):
        if name.startswith(("notebooks/", "book/")):
            text = (html / name).read_text()
            assert re.search(r'<meta name="description" content="[^"]{30,}">', text), name
            assert '<meta property="og:title"' in text, name


def test_the_start_page_has_a_card_for_each_paper(html):
    text = (html / "book" / "index.html").read_text()
    for slug in PAPERS:
        assert f'href="../notebooks/{slug}.html"' in text
    assert text.count('class="sqa-bar"') >= len(PAPERS)
    assert "<!-- card" not in text


def test_notebooks_are_downloaded_without_outputs(html):
    import json

    for slug in build.in_toc(ROOT):
        cells = json.loads((html / "_sources" / "notebooks" / f"{slug}.ipynb").read_text())["cells"]
        assert not any(cell.get("outputs") for cell in cells), slug


def test_players_have_a_label_with_the_data_status(html):
    text = (html / "notebooks" / "nisqa_explained_details.html").read_text()
    players = re.findall(r'<audio\b[^>]*aria-label="([^"]+)"', text)
    assert players
    assert all(re.search(r"\((synthetic speech|real recordings|the paper&#x27;s own data)\)", p) for p in players)


def test_numbers_in_prose_come_from_the_run(html):
    """What a page says in prose is what its record says, and each page ends with its run card."""
    from sqa_core.results import frame
    from sqa_core.studies.shared import published_run

    text = re.sub(r"<[^>]+>", "", (html / "notebooks" / "nisqa_explained_details.html").read_text())
    record = frame.only(published_run("nisqa_explained"), "listeners", network="nisqa")
    assert f"The correlation of nisqa with the listeners is {record.metrics['mos_pcc_file'][0]:.3f}" in " ".join(text.split())
    for slug in build.in_toc(ROOT):
        assert "Run card" in (html / "notebooks" / f"{slug}.html").read_text()


def test_colab_buttons_are_there(html):
    for slug in build.in_toc(ROOT):
        text = (html / "notebooks" / f"{slug}.html").read_text()
        assert f"colab.research.google.com/github/sqa-book/sqa-book/blob/v0.2.0/notebooks/{slug}.ipynb" in text
