"""Pages in a real browser: headless Chromium, at the width of a desk and of a telephone, in light and in dark."""

import http.server
import json
import os
import shutil
import threading
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List

import pytest
from conftest import Lab, RunCli
from handmade import ANALYSIS, COMMANDS, FACTS, LOG
from markup import HOSTILE, poisoned

from kdumpwrap.cli import pages
from kdumpwrap.model.crash import Crash
from kdumpwrap.model.verdict import Signature
from kdumpwrap.render import html

DESK, TELEPHONE = 1280, 390

# what keeps the browser to itself: no network, no first-run page, nothing fetched behind our back
FLAGS = (
    "--headless=new --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --disable-default-apps --disable-extensions --hide-scrollbars"
).split()

# every text on the page with its contrast: (ratio, size, weight, the text's beginning)
CONTRAST = """
const parse = (c) => (c.match(/[\\d.]+/g) || [0, 0, 0, 0]).map(Number);
const linear = (v) => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
const light = ([r, g, b]) => 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
const ground = (node) => {
  for (; node; node = node.parentElement) {
    const colour = parse(getComputedStyle(node).backgroundColor);
    if (colour.length < 4 || colour[3] === 1) return colour;
    if (colour[3] > 0) throw new Error("half transparent: " + node.className);
  }
  return [255, 255, 255];
};
const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
const found = [];
while (walker.nextNode()) {
  const node = walker.currentNode.parentElement;
  const text = walker.currentNode.textContent.trim();
  if (!text || !node.checkVisibility() || node.closest("script, style, title")) continue;
  const style = getComputedStyle(node);
  const [a, b] = [light(parse(style.color)), light(ground(node))].sort((x, y) => y - x);
  found.push([(a + 0.05) / (b + 0.05), parseFloat(style.fontSize), Number(style.fontWeight), text.slice(0, 40)]);
}
return found;
"""


class Browser:
    """Chromium through its driver: what it showed, what it complained of, what it asked for."""

    def __init__(self, profile: Path) -> None:
        from selenium import webdriver

        options = webdriver.ChromeOptions()
        for flag in (*FLAGS, f"--user-data-dir={profile}"):
            options.add_argument(flag)
        options.binary_location = str(shutil.which("chromium"))
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        service = webdriver.ChromeService(str(shutil.which("chromedriver")))
        self.driver = webdriver.Chrome(options=options, service=service)

    def open(self, page: Path, width: int = DESK, dark: bool = False) -> None:
        """Show ``page``; what was logged before is forgotten."""
        self.complaints()
        self.requests()
        self._do("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=width < 500)
        self._features = [
            {"name": "prefers-color-scheme", "value": "dark" if dark else "light"},
            {"name": "prefers-reduced-motion", "value": "reduce"},  # a page that still scrolls cannot be clicked
        ]
        self._do("Emulation.setEmulatedMedia", media="", features=self._features)
        self.driver.get(page.as_uri())

    def paper(self) -> None:
        """Show the page as it is printed."""
        self.run("dispatchEvent(new Event('beforeprint'))")
        self._do("Emulation.setEmulatedMedia", media="print", features=self._features)

    def run(self, script: str, *values: Any) -> Any:
        """What ``script`` returns."""
        return self.driver.execute_script(script, *values)

    def click(self, selector: str) -> None:
        self.driver.find_element("css selector", selector).click()

    def text(self, selector: str = "body") -> str:
        """The visible text."""
        return str(self.run("return document.querySelector(arguments[0]).innerText", selector))

    def count(self, selector: str) -> int:
        """How many elements are to be seen."""
        script = "return [...document.querySelectorAll(arguments[0])].filter((one) => one.checkVisibility()).length"
        return int(self.run(script, selector))

    def complaints(self) -> List[str]:
        """What the console said since the last time."""
        return [str(entry["message"]) for entry in self.driver.get_log("browser")]  # type: ignore[no-untyped-call]

    def requests(self) -> List[str]:
        """Every address that our pages asked for since the last time (the browser's own first page has some, too)."""
        events = [json.loads(one["message"])["message"] for one in self.driver.get_log("performance")]  # type: ignore[no-untyped-call]
        asked = [one["params"] for one in events if one["method"] == "Network.requestWillBeSent"]
        return [one["request"]["url"] for one in asked if one["documentURL"].startswith("file:")]

    def _do(self, command: str, **arguments: Any) -> None:
        self.driver.execute_cdp_cmd(command, arguments)


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    for tool in ("chromium", "chromedriver"):
        if shutil.which(tool) is None:
            if os.environ.get("CI") == "true":
                pytest.fail(f"{tool} is not installed (scripts/packages install tests)", pytrace=False)
            pytest.skip(f"needs {tool}")
    started = Browser(tmp_path_factory.mktemp("profile"))
    yield started
    started.driver.quit()


Show = Callable[..., Path]


@pytest.fixture
def page(tmp_path: Path) -> Path:
    file = tmp_path / "page.html"
    file.write_text(html.page(ANALYSIS, LOG, COMMANDS, [html.Case("2024-02-05T10:51:09", "h", "r", "/p")] * 3))
    return file


@pytest.fixture
def vmcore(tmp_path: Path) -> Path:
    """With what only the vmcore knows."""
    file = tmp_path / "vmcore.html"
    file.write_text(html.page(ANALYSIS, LOG, COMMANDS, facts=FACTS))
    return file


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """Two bugs: ten crashes on two hosts and two kernels, and three on one."""
    made = pages.Site(str(tmp_path), "/var/crash")
    for number in range(13):
        name = "often" if number < 10 else "rare"
        crash = Crash(
            f"/var/crash/{number}",
            host=f"h{number % 2 if number < 10 else 0}",
            time=f"2024-01-{number + 1:02}T03:00:00",
        )
        kernel = ANALYSIS.kernel._replace(release="5.14.0-1" if number % 5 else "5.14.0-2")
        made.add(ANALYSIS._replace(crash=crash, kernel=kernel, signature=Signature(name, name)))
    made.write()
    return tmp_path / "index.html"


# ---------------------------------------------------------------- every page


@pytest.mark.parametrize("kind", ["page", "site", "vmcore"])
def test_nothing_is_asked_for_and_nothing_is_complained_of(
    browser: Browser, kind: str, request: pytest.FixtureRequest
) -> None:
    file: Path = request.getfixturevalue(kind)
    browser.open(file)
    browser.run("for (const one of document.querySelectorAll('button')) one.click()")
    assert browser.requests() == [file.as_uri()]
    assert browser.complaints() == []


@pytest.mark.parametrize("width", [DESK, TELEPHONE])
@pytest.mark.parametrize("kind", ["page", "site", "vmcore"])
def test_the_page_is_as_wide_as_the_screen(
    browser: Browser, kind: str, width: int, request: pytest.FixtureRequest
) -> None:
    browser.open(request.getfixturevalue(kind), width)
    browser.run("for (const one of document.querySelectorAll('details')) one.open = true")
    assert browser.run("return document.documentElement.scrollWidth") == width
    small = browser.run(
        "return [...document.querySelectorAll('body *')].filter((one) => one.checkVisibility() && one.innerText &&"
        " parseFloat(getComputedStyle(one).fontSize) < 11).map((one) => one.innerText)"
    )
    assert [text for text in small if text != "▶"] == []


@pytest.mark.parametrize("paper", [False, True], ids=["screen", "paper"])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("kind", ["page", "site", "vmcore"])
def test_every_text_can_be_read(
    browser: Browser, kind: str, dark: bool, paper: bool, request: pytest.FixtureRequest
) -> None:
    browser.open(request.getfixturevalue(kind), dark=dark)
    browser.run("for (const one of document.querySelectorAll('details')) one.open = true")
    browser.run("for (const one of document.querySelectorAll('.line.tied')) one.classList.add('hot')")
    if paper:
        browser.paper()
    found = browser.run(CONTRAST)
    assert len(found) > 30
    large = [one for one in found if one[1] >= 24 or (one[1] >= 18.66 and one[2] >= 700)]
    assert [one for one in found if one[0] < (3 if one in large else 4.5)] == []


def test_light_and_dark_differ(browser: Browser, page: Path) -> None:
    grounds = []
    for dark in (False, True):
        browser.open(page, dark=dark)
        grounds.append(browser.run("return getComputedStyle(document.body).backgroundColor"))
    assert grounds == ["rgb(244, 245, 247)", "rgb(15, 18, 22)"]


def test_hostile_text_is_shown_as_text(browser: Browser, tmp_path: Path) -> None:
    file = tmp_path / "hostile.html"
    file.write_text(html.page(poisoned(ANALYSIS), [(1, HOSTILE)], [HOSTILE], facts=poisoned(FACTS)))
    browser.open(file)
    browser.run("for (const one of document.querySelectorAll('details')) one.open = true")
    assert browser.requests() == [file.as_uri()]
    assert browser.complaints() == []
    text = browser.text()
    assert text.count("<script>alert(1)</script>\"onload='x' \\x1b[31mred\\x07 \\u202eevil\\u2066") > 60
    assert browser.run("return document.querySelectorAll('script').length") == 1
    names = browser.run("return [...document.querySelectorAll('*')].flatMap((one) => one.getAttributeNames())")
    assert not [name for name in names if name.startswith("on")]


def test_the_policy_holds_when_something_got_in_after_all(browser: Browser, page: Path) -> None:
    asked: List[str] = []

    class Listener(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_error(404)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = http.server.HTTPServer(("127.0.0.1", 0), Listener)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    there = f"http://127.0.0.1:{server.server_port}"
    evil = (
        f"<script>document.title = 'owned'</script><img src='{there}/img' onerror='document.title=`owned`'>"
        f"<style>body {{ background: url({there}/css) red }}</style><link rel=stylesheet href='{there}/link'>"
    )
    page.write_text(page.read_text().replace("<main>", f"<main>{evil}"))
    browser.open(page)
    server.shutdown()
    server.server_close()
    assert asked == []
    assert browser.run("return document.title") == "Page fault in iptunnel_xmit"
    assert browser.run("return getComputedStyle(document.body).backgroundColor") == "rgb(244, 245, 247)"
    assert any("Content Security Policy" in complaint for complaint in browser.complaints())


# ---------------------------------------------------------------- the page of a crash


def test_folding_and_hiding(browser: Browser, page: Path) -> None:
    browser.open(page)
    assert browser.count(".chain li") == 2
    browser.click("#unfold")
    assert browser.count(".chain li") == 3
    browser.click("#unfold")
    assert browser.count(".chain li") == 0
    browser.click(".frame summary")
    assert browser.count(".chain li") == 2
    assert browser.count(".frame.unsure") == 1
    browser.click("#unsure")
    assert browser.count(".frame.unsure") == 0
    assert browser.count(".frame") == 8
    assert browser.count(".bytes") == 0
    browser.click("#bytes")
    assert browser.count(".bytes") == 6


def test_what_the_vmcore_knows_is_folded_too(browser: Browser, vmcore: Path) -> None:
    browser.open(vmcore)
    assert browser.count("#vmcore .chain li") == 2  # those of the instruction pointer
    assert browser.count("#vmcore .frame") == 5
    browser.click("#unfold-vmcore")
    assert browser.count("#vmcore .chain li") == 3
    assert browser.count(".cpu .frame") == 0
    browser.click(".cpu summary")
    assert browser.count(".cpu .frame") == 2
    assert browser.count("#vmcore .memory") == 0
    browser.paper()
    assert browser.count("#vmcore .memory tbody tr") == 2
    fault = "return getComputedStyle(document.querySelector(arguments[0])).backgroundColor"
    assert browser.run(fault, "#vmcore .pointer") != browser.run(fault, "#vmcore .frame:not(.pointer)")


def test_source_and_instructions_stand_side_by_side_and_one_under_the_other_on_a_telephone(
    browser: Browser, page: Path
) -> None:
    boxes: Dict[int, Any] = {}
    for width in (DESK, TELEPHONE):
        browser.open(page, width)
        boxes[width] = [
            browser.run(
                "const r = document.querySelector(arguments[0]).getBoundingClientRect(); return [r.x, r.y]", css
            )
            for css in (".source", ".disassembly")
        ]
    (left, right), (upper, lower) = boxes[DESK], boxes[TELEPHONE]
    assert left[1] == right[1] and left[0] < right[0]
    assert upper[0] == lower[0] and upper[1] < lower[1]


def test_a_line_and_its_instructions_light_up_together(browser: Browser, page: Path) -> None:
    from selenium.webdriver import ActionChains

    browser.open(page)
    line = browser.driver.find_element("css selector", '.source [data-n="526"]')
    ActionChains(browser.driver).move_to_element(line).perform()
    hot = browser.run("return [...document.querySelectorAll('.hot')].map((one) => one.innerText.trim())")
    assert len(hot) == 3
    assert any("add %rdx,0x18(%rax)" in text for text in hot)


def test_uncertain_frames_are_grey_and_vendors_are_not(browser: Browser, page: Path) -> None:
    browser.open(page)
    colour = "return getComputedStyle(document.querySelector(arguments[0])).color"
    grey, plain, vendor = (
        browser.run(colour, css)
        for css in (".frame.unsure code", ".frame:not(.unsure):not(.vendor) .fn code", ".frame.vendor .fn code")
    )
    assert len({grey, plain, vendor}) == 3


def test_contexts_are_bands_of_their_own_colour(browser: Browser, page: Path) -> None:
    browser.open(page)
    colours = browser.run(
        "return [...document.querySelectorAll('.band')].map((one) => getComputedStyle(one).borderLeftColor)"
    )
    assert len(colours) == len(set(colours)) == 3  # the instruction pointer, IRQ, TASK


def test_on_paper_everything_is_unfolded(browser: Browser, page: Path) -> None:
    browser.open(page)
    browser.paper()
    assert browser.count(".chain li") == 3
    assert browser.count(".log .line") == len(LOG)
    assert browser.count("button, nav") == 0


# ---------------------------------------------------------------- the index


def test_bugs_are_filtered_by_kernel_and_host(browser: Browser, site: Path) -> None:
    browser.open(site)
    bars = "return [...document.querySelectorAll('rect')].filter((one) => +one.getAttribute('height') > 0).length"

    def pick(which: str, choice: str) -> None:
        script = """
            const list = document.getElementById(arguments[0]);
            list.value = [...list.options].find((one) => one.text === arguments[1]).value;
            list.dispatchEvent(new Event("change"));
        """
        browser.run(script, which, choice)

    def table() -> List[List[str]]:
        script = """
            const rows = [...document.querySelectorAll(".bugs tbody tr")].filter((one) => one.checkVisibility());
            return rows.map((one) => [...one.cells].slice(1).map((cell) => cell.innerText));
        """
        return [list(row) for row in browser.run(script)]

    assert table() == [
        ["10", "2024-01-01 03:00", "2024-01-10 03:00", "2", "2"],
        ["3", "2024-01-11 03:00", "2024-01-13 03:00", "1", "2"],
    ]
    assert browser.run(bars) == 13
    pick("host", "h1")
    assert table() == [["5", "2024-01-02 03:00", "2024-01-10 03:00", "1", "2"]]
    assert browser.run(bars) == 5
    assert browser.text("#shown") == "5 of 13 crashes"
    pick("kernel", "5.14.0-2")
    assert table() == [["1", "2024-01-06 03:00", "2024-01-06 03:00", "1", "1"]]
    pick("host", "h0")
    pick("kernel", "All kernels")
    assert [row[0] for row in table()] == ["5", "3"]
    assert browser.complaints() == []


def test_bugs_are_sorted_by_count_and_date(browser: Browser, site: Path) -> None:
    browser.open(site)
    order = "return [...document.querySelectorAll('.bugs .bug a')].map((one) => one.getAttribute('href'))"
    assert browser.run(order) == ["often.html", "rare.html"]
    browser.click("[data-key=last]")
    assert browser.run(order) == ["rare.html", "often.html"]
    browser.click("[data-key=last]")
    assert browser.run(order) == ["often.html", "rare.html"]
    browser.click("[data-key=count]")
    browser.click("[data-key=count]")
    assert browser.run(order) == ["rare.html", "often.html"]
    assert browser.run("return document.querySelector('th:nth-child(2)').getAttribute('aria-sort')") == "ascending"


def test_the_timeline_is_coloured_by_bug(browser: Browser, site: Path) -> None:
    browser.open(site)
    fills = browser.run("return [...document.querySelectorAll('rect')].map((one) => getComputedStyle(one).fill)")
    assert len(fills) == 13
    assert len(set(fills)) == 2
    swatches = browser.run(
        "return [...document.querySelectorAll('.swatch')].map((one) => getComputedStyle(one).backgroundColor)"
    )
    assert swatches == list(dict.fromkeys(fills))


@pytest.mark.parametrize("width", [DESK, TELEPHONE])
def test_the_dates_stand_under_the_ends_of_the_timeline(browser: Browser, site: Path, width: int) -> None:
    browser.open(site, width)
    ends = browser.run(
        "return ['.lane svg', '.dates'].map((css) => document.querySelector(css).getBoundingClientRect())"
        ".map((box) => [Math.round(box.left), Math.round(box.right)])"
    )
    assert ends[0] == ends[1]


def test_from_the_index_to_a_bug_and_back(browser: Browser, site: Path) -> None:
    browser.open(site)
    browser.click(".bugs .bug a")
    assert browser.run("return document.title") == "Page fault in iptunnel_xmit"
    assert "10 crashes are this bug" in browser.text("#same")
    browser.click("#same a")
    assert browser.run("return document.title") == "13 kernel crashes"


# ---------------------------------------------------------------- real crashes


@pytest.fixture(scope="module")
def real(lab: Lab, run_cli: RunCli, tmp_path_factory: pytest.TempPathFactory) -> Dict[str, Path]:
    """The page of each of the lab's crashes."""
    directory = tmp_path_factory.mktemp("real")
    made = {}
    for case, crash in lab.crashes.items():
        made[case] = directory / f"{case}.html"
        options = ("--root", lab.root, "--module-dir", lab.module_dir, "--source-dir", lab.source.parent)
        done = run_cli("analyze", crash, *options, "--html", made[case])
        assert done.status in (0, 3), done.stderr
    return made


@pytest.mark.lab
def test_each_real_crash_is_shown_with_its_marked_line(browser: Browser, lab: Lab, real: Dict[str, Path]) -> None:
    for case, file in real.items():
        browser.open(file)
        assert browser.requests() == [file.as_uri()]
        assert browser.complaints() == []
        assert browser.count("h1") == 1
        assert browser.count("#trace .frame") > 3
        assert browser.count("#commands li") >= 4
        line = lab.marks.get(f"FAULT:{case}")
        if line is not None and browser.count(".source"):
            marked = browser.text(".source .fault")
            assert str(line) in marked.split()[1], case
            assert f"FAULT:{case}" in marked
            assert browser.count(".disassembly .fault") == 1


@pytest.mark.lab
def test_what_crash_said_of_a_real_crash_is_shown(browser: Browser, lab: Lab, run_cli: RunCli, tmp_path: Path) -> None:
    file = tmp_path / "page.html"
    options = ("--root", lab.root, "--module-dir", lab.module_dir, "--source-dir", lab.source.parent, "--with-crash")
    done = run_cli("analyze", lab.crashes["null_deref"], *options, "--html", file, env={"CRASH": lab.crash})
    assert done.status in (0, 3), done.stderr
    line = lab.marks["FAULT:null_deref"]
    for width, dark in ((DESK, False), (DESK, True), (TELEPHONE, False)):
        browser.open(file, width, dark)
        assert browser.count("#vmcore .pointer") == 1
        assert f"xxxwan.c:{line}" in browser.text("#vmcore .pointer")
        assert "wan_next_seq" in browser.text("#vmcore .pointer")
        assert browser.count("#vmcore .frame.vendor") >= 3
        assert browser.count(".cpu .frame") == 0
        browser.run("for (const one of document.querySelectorAll('details')) one.open = true")
        assert browser.count(".cpu .frame") > 3
        assert "wan-gw1" in browser.text("#vmcore")
        assert browser.run("return document.documentElement.scrollWidth") == width
        assert [one for one in browser.run(CONTRAST) if one[0] < 4.5 and one[1] < 24] == []
        assert browser.requests() == [file.as_uri()]
        assert browser.complaints() == []


@pytest.mark.lab
def test_the_marked_lines_of_real_crashes_are_seen_at_all(browser: Browser, lab: Lab, real: Dict[str, Path]) -> None:
    seen = set()
    for case, file in real.items():
        browser.open(file, TELEPHONE)
        assert browser.run("return document.documentElement.scrollWidth") == TELEPHONE
        if browser.count(".source .fault"):
            seen.add(case)
    assert {"null_deref", "bug_on", "divide"} & set(lab.crashes) <= seen
    assert seen


@pytest.mark.lab
def test_real_crashes_can_be_read(browser: Browser, real: Dict[str, Path]) -> None:
    for file in list(real.values())[:3]:
        for dark in (False, True):
            browser.open(file, dark=dark)
            browser.run("for (const one of document.querySelectorAll('details')) one.open = true")
            assert [one for one in browser.run(CONTRAST) if one[0] < 4.5 and one[1] < 24] == []
