"""The page in a real Chromium."""

import base64
import io
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import sdt_ref
from sdt_ref.cost.account import Accountant
from sdt_ref.cost.technology import TECHNOLOGIES, energy
from sdt_ref.errors import spelled
from sdt_ref.network.model import SpikeDrivenTransformer
from sdt_ref.page.gather import Photo, gather
from sdt_ref.page.write import render, write
from sdt_ref.terminal import answer
from tests import browser
from tests.networks import Network, model_of
from tests.page.embedded import HOSTILE, Page, hostile_page, noise

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with browser.chromium(tmp_path_factory.mktemp("profile")) as made:
        yield made


@pytest.fixture
def page(driver: Any, cat: Path) -> Any:
    """The sample photo's report, just opened."""
    browser.look_at(driver)
    browser.open_page(driver, cat.as_uri())
    driver.execute_script("localStorage.clear()")
    return driver


@pytest.fixture
def shown(page: Any) -> Iterator[Callable[[str], str]]:
    """Text of the first element that a selector finds."""
    yield lambda selector: page.execute_script("return document.querySelector(arguments[0]).textContent", selector)
    assert browser.said(page) == []


def go_to(page: Any, step: int) -> None:
    """Move the slider with the keyboard, as a person does."""
    from selenium.webdriver.common.keys import Keys

    slider = page.find_element("id", "step")
    slider.send_keys(Keys.HOME)
    for _ in range(step):
        slider.send_keys(Keys.ARROW_RIGHT)


def picture(page: Any, selector: str) -> str:
    return page.execute_script("return document.querySelector(arguments[0]).toDataURL()", selector)


def test_it_loads_from_a_file_in_silence(driver: Any, cat: Path) -> None:
    browser.look_at(driver)
    start = time.perf_counter()
    browser.open_page(driver, cat.as_uri())
    print(f"loaded and drawn in {time.perf_counter() - start:.2f} s")
    assert browser.said(driver) == []
    assert browser.asked(driver) == [cat.as_uri()]
    assert driver.title.startswith("cat.jpg: cat")
    assert driver.execute_script("return performance.getEntriesByType('resource').map(e => e.name)") == []


def test_it_asks_a_server_for_one_file(driver: Any, cat: Path) -> None:
    paths: list[str] = []

    class Handler(SimpleHTTPRequestHandler):
        def log_message(self, form: str, *arguments: Any) -> None:
            paths.append(self.path)

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=cat.parent)) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            address = f"http://127.0.0.1:{server.server_port}/{cat.name}"
            browser.open_page(driver, address)
            go_to(driver, 1)
            assert browser.asked(driver) == [address]
        finally:
            server.shutdown()
            thread.join()
    assert paths == [f"/{cat.name}"]
    assert browser.said(driver) == []


def test_each_time_step_shows_the_engines_numbers(
    page: Any, shown: Callable[[str], str], cat_run: tuple[SpikeDrivenTransformer, np.ndarray, sdt_ref.Result]
) -> None:
    model, x, result = cat_run
    account = Accountant(model).of(x, result)
    spent = energy(account, TECHNOLOGIES["45nm-float32"])
    total = sum(pj.sum() for pj in spent.values())
    assert f"{total / 1e9:.3f} mJ for this photo" in shown(".sums")
    assert f"{account.total('ac'):,}" in shown(".sums")
    assert shown(".label") == model.rank(result.logits[0])[0][0]
    maps = sdt_ref.measuring.attention_map.attention_maps(result.spikes)
    for t in range(4):
        go_to(page, t)
        assert shown("#time") == f"time step {t}"
        rates = page.execute_script("return [...document.querySelectorAll('.stage .rate')].map(e => e.textContent)")
        assert rates == [
            f"{spikes.events_per_step()[t] * 4 / (spikes.n_rows * spikes.n_channels):.3f}"
            for spikes in result.spikes.values()
        ]
        mean = result.logits_per_step[: t + 1, 0].mean(axis=0)
        label, score = model.rank(mean)[0]
        assert shown("#sofar") == f"so far: {label}, {100 * score:.1f} %"
        ranking = page.execute_script("return [...document.querySelectorAll('#ranking b')].map(e => e.textContent)")
        assert ranking[:3] == [label for label, _ in model.rank(mean)[:3]]
        first = account.stages["patch_embed.proj_lif"]
        assert shown("#rate") == f"{account.fired(first.name)[t]:.3f}"
        assert shown("#spikes") == f"{result.spikes[first.hook].events_per_step()[t]:,}"
        assert f"fire: {result.spikes[first.hook].events_per_step()[t]:,}" in shown("#histogram")
        seen = maps[0]
        for part, n in (("q", seen.q[t]), ("k", seen.k[t]), ("v", seen.v[t]), ("kv", seen.kv[t])):
            assert shown(f".part.{part} figcaption") == f"{n:,} spike{'' if n == 1 else 's'}"
        assert shown(".part.mask figcaption") == f"{seen.mask[t].sum()} of 256 channels open"
        share = f"{100 * seen.passed[t] / seen.q[t]:.1f} % of Q"
        assert share in shown(".part.passing figcaption")
        assert f"in {seen.tokens[t]} of 64 patches" in shown(".part.passing figcaption")
        cells = page.execute_script(
            "return [...document.querySelectorAll('#layers tbody tr')].map(r => [...r.children].map(c => c.textContent))"
        )
        layers = answer.stages(model, result)
        for name, rate, operations, _, _, whole in cells:
            if name in layers:
                count = layers[name]
                if count.neurons.any():
                    assert rate == f"{count.events[t] * 4 / count.neurons.sum():.3f}"
                    assert operations == f"{count.ac[t]:,}"
                assert float(whole) == pytest.approx((count.ac.sum() * 0.9 + count.mac.sum() * 4.6) / 1e6, abs=0.006)


def test_the_slider_changes_every_picture(page: Any, shown: Callable[[str], str]) -> None:
    selectors = ["#map", "#tiles", ".stage[data-stage='9'] canvas", *(f".part.{p} canvas" for p in ("q", "k", "mask"))]
    go_to(page, 0)
    before = {selector: picture(page, selector) for selector in selectors}
    charts = {chart: page.find_element("id", chart).get_attribute("innerHTML") for chart in ("chart", "histogram")}
    go_to(page, 3)
    for selector, was in before.items():
        assert picture(page, selector) != was, selector
    for chart, drawn in charts.items():
        assert page.find_element("id", chart).get_attribute("innerHTML") != drawn
    go_to(page, 0)
    assert {selector: picture(page, selector) for selector in selectors} == before


def test_pictures_show_the_engines_spikes(
    page: Any, shown: Callable[[str], str], cat_run: tuple[SpikeDrivenTransformer, np.ndarray, sdt_ref.Result]
) -> None:
    """One channel over the photo: orange at the patches where it spikes, grey elsewhere."""
    result = cat_run[2]
    page.find_element("id", "single").click()
    channel = int(shown("#picked").split(":")[0])
    opened = np.flatnonzero(result.spikes["MS_SSA_Conv0_kv"].to_dense()[3].ravel())
    assert channel == opened[0]
    for part, hook in (("q", "q_lif"), ("k", "k_lif"), ("v", "v_lif")):
        spikes = result.spikes[f"MS_SSA_Conv0_{hook}"].to_dense()[3, 0, channel]
        png = base64.b64decode(picture(page, f".part.{part} canvas").partition(",")[2])
        pixels = np.asarray(Image.open(io.BytesIO(png)).convert("RGB")).astype(int)
        size = len(pixels) / 8
        middle = ((np.arange(8) + 0.5) * size).astype(int)
        colours = pixels[middle][:, middle]
        assert np.array_equal(colours[..., 0] - colours[..., 2] > 60, spikes == 1)
    page.find_element("id", "open").click()
    assert int(shown("#picked").split(":")[0]) == opened[1]
    assert shown(".part.mask figcaption") == f"channel {opened[1]} is open"
    png = base64.b64decode(picture(page, ".part.mask canvas").partition(",")[2])
    pixels = np.asarray(Image.open(io.BytesIO(png)).convert("RGB")).astype(int)
    middle = ((np.arange(16) + 0.5) * len(pixels) / 16).astype(int)
    colours = pixels[middle][:, middle]
    assert np.array_equal(np.flatnonzero(colours[..., 0] - colours[..., 2] > 60), opened)


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_photo_shows_around_the_spikes(
    width: int, scheme: str, driver: Any, cat: Path, cat_run: tuple[SpikeDrivenTransformer, np.ndarray, sdt_ref.Result]
) -> None:
    """Coloured in the middle of each patch with spikes; most of every picture is the grey photo, with its contrast."""
    browser.look_at(driver, width, scheme=scheme)
    browser.open_page(driver, cat.as_uri())
    for part, hook in (("q", "q_lif"), ("k", "k_lif"), ("v", "v_lif")):
        counts = cat_run[2].spikes[f"MS_SSA_Conv0_{hook}"].to_dense()[3, 0].sum(axis=0)
        png = base64.b64decode(picture(driver, f".part.{part} canvas").partition(",")[2])
        pixels = np.asarray(Image.open(io.BytesIO(png)).convert("RGB")).astype(int)
        grey = np.ptp(pixels, axis=2) <= 2
        middle = ((np.arange(8) + 0.5) * len(pixels) / 8).astype(int)
        assert np.array_equal(~grey[middle][:, middle], counts > 0)
        assert 0.5 < grey.mean() < 0.9
        assert np.ptp(np.percentile(pixels[grey], (2, 98))) > 80


def test_a_click_on_the_mask_chooses_its_channel(page: Any, shown: Callable[[str], str]) -> None:
    from selenium.webdriver.common.action_chains import ActionChains

    mask = page.find_element("css selector", ".part.mask canvas")
    side = mask.size["width"] / 16
    page.execute_script("arguments[0].scrollIntoView({block: 'center'})", mask)
    ActionChains(page).move_to_element_with_offset(mask, round(2.5 * side), round(-1.5 * side)).click().perform()
    assert shown("#picked").startswith(f"{6 * 16 + 10}: ")  # the offset is from the middle


def test_all_is_reached_with_the_keyboard(
    page: Any, shown: Callable[[str], str], cat_run: tuple[SpikeDrivenTransformer, np.ndarray, sdt_ref.Result]
) -> None:
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.keys import Keys

    def press(*keys: str) -> None:
        ActionChains(page).send_keys(*keys).perform()

    def focused() -> Any:
        return page.switch_to.active_element

    result = cat_run[2]
    press(Keys.TAB)
    assert focused().get_attribute("class") == "skip"
    press(Keys.TAB)
    assert focused().get_attribute("id") == "theme"
    press(Keys.TAB)
    assert focused().get_attribute("id") == "play"
    press(Keys.ARROW_LEFT)  # from anywhere
    assert shown("#time") == "time step 2"
    press(Keys.TAB, Keys.HOME)
    assert shown("#time") == "time step 0"
    press(Keys.END)
    assert shown("#time") == "time step 3"
    for _ in range(40):  # to the first stage
        press(Keys.TAB)
        if focused().get_attribute("data-stage") == "0":
            break
    press(Keys.TAB, Keys.ENTER)
    assert shown("#detail-title") == "patch embedding: conv 1"
    assert focused().get_attribute("aria-pressed") == "true"
    page.find_element("id", "next").send_keys(Keys.ENTER)
    assert shown("#detail-title") == "patch embedding: conv 2"
    assert focused().get_attribute("id") == "next"
    page.find_element("id", "next").send_keys(Keys.ENTER, Keys.ENTER)
    assert shown("#detail-title") == "block 0: input"  # the card has moved below the next row, the focus with it
    assert focused().get_attribute("id") == "next"

    spikes = result.spikes["MS_SSA_Conv0_first_lif"].to_dense()[3, 0].astype(int)
    page.find_element("id", "map").send_keys(Keys.ARROW_DOWN, Keys.ARROW_DOWN, Keys.ARROW_RIGHT)
    assert shown("#map-note") == f"row 1, column 1: {spikes.sum(axis=0)[1, 1]} spikes"
    page.find_element("id", "tiles").send_keys(Keys.ARROW_DOWN, Keys.ARROW_DOWN, Keys.ARROW_RIGHT)
    assert shown("#map-title") == "Channel 9"
    assert shown("#map-note").startswith(f"{spikes[9].sum()} spike")
    page.find_element("id", "more").send_keys(Keys.ENTER)
    assert shown("#tiles-title") == "Channels 64 to 127"

    page.find_element("css selector", ".part.v canvas").send_keys(*[Keys.ARROW_RIGHT] * 4)
    q, k, v, kv, z = (
        result.spikes[f"MS_SSA_Conv0_{hook}"].to_dense()[3, 0].astype(int)
        for hook in ("q_lif", "k_lif", "v_lif", "kv_before", "x_after_qkv")
    )
    assert shown("#patch") == (
        f"Patch in row 0, column 3: K {k[:, 0, 3].sum()}, V {v[:, 0, 3].sum()}, both {kv[:, 3].sum()}; "
        f"Q {q[:, 0, 3].sum()}, of which {z[:, 3].sum()} pass"
    )
    page.find_element("css selector", "[data-block='1']").send_keys(Keys.ENTER)
    assert shown(".part.q figcaption") == f"{result.spikes['MS_SSA_Conv1_q_lif'].events_per_step()[3]:,} spikes"


def test_it_plays(page: Any, shown: Callable[[str], str]) -> None:
    from selenium.webdriver.support.ui import WebDriverWait

    play = page.find_element("id", "play")
    play.click()
    assert shown("#time") == "time step 0"
    assert play.get_attribute("aria-pressed") == "true"
    WebDriverWait(page, 10, 0.05).until(lambda _: play.get_attribute("aria-pressed") == "false")
    assert shown("#time") == "time step 3"


def test_it_follows_the_persons_colours_and_the_button(driver: Any, cat: Path) -> None:
    def ground() -> int:
        rgb = driver.execute_script("return getComputedStyle(document.body).backgroundColor")
        return sum(map(int, rgb[4:-1].split(",")))

    for scheme, dark in (("light", False), ("dark", True)):
        browser.look_at(driver, scheme=scheme)
        browser.open_page(driver, cat.as_uri())
        driver.execute_script("localStorage.clear()")
        browser.open_page(driver, cat.as_uri())
        assert (ground() < 200) == dark
        before = picture(driver, "#tiles")
        driver.find_element("id", "theme").click()
        assert (ground() < 200) != dark
        assert picture(driver, "#tiles") != before
        browser.open_page(driver, cat.as_uri())  # it remembers
        assert (ground() < 200) != dark
        driver.execute_script("localStorage.clear()")
    assert browser.said(driver) == []


@pytest.mark.parametrize("width", [320, 390, 820])
def test_a_phone_shows_it_without_scrolling_sideways(width: int, driver: Any, cat: Path, wide: Any) -> None:
    browser.look_at(driver, width, 844)
    for path in (cat, wide[0]):
        browser.open_page(driver, path.as_uri())
        driver.execute_script("for (const more of document.querySelectorAll('details')) more.open = true")
        for chosen in ("[data-stage='9']", "#single", "[data-stage='1']"):
            driver.execute_script("document.querySelector(arguments[0]).click()", chosen)
            beyond = driver.execute_script(
                """
                return [...document.querySelectorAll("main *")].filter((e) => e.getBoundingClientRect().right > arguments[0]
                    && !e.closest(".scroll, .row")).map((e) => e.outerHTML.slice(0, 200));
            """,
                width,
            )
            assert beyond == []
            assert driver.execute_script("return document.documentElement.scrollWidth") <= width
        small = driver.execute_script(
            "return [...document.querySelectorAll('button')].filter(b => b.offsetParent && b.offsetHeight < 32).length"
        )
        assert small == 0


def test_every_picture_and_control_has_a_name(page: Any, shown: Callable[[str], str]) -> None:
    nameless = page.execute_script("""
        const name = (e) => [e.getAttribute("aria-label") || e.textContent, e.getAttribute("alt"), e.labels?.[0]?.textContent].join(" ");
        const named = (e) => /[a-z]{2}/i.test(name(e));  // an arrow alone tells nothing
        const pictures = [...document.querySelectorAll("canvas, img, svg")].filter((e) => !e.closest("[aria-hidden=true]") && !e.closest("[hidden]"));
        return [...pictures, ...document.querySelectorAll("button, input")].filter((e) => !named(e)).map((e) => e.outerHTML);
    """)
    assert nameless == []
    tree = page.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
    roles = {"button", "slider", "img", "application", "image"}
    unnamed = [
        n
        for n in tree
        if n.get("role", {}).get("value") in roles and not n.get("ignored") and not n.get("name", {}).get("value")
    ]
    assert unnamed == []
    assert page.execute_script("return document.documentElement.lang") == "en"
    assert page.execute_script("return document.querySelectorAll('h1').length") == 1


def test_a_large_network_loads_too(driver: Any, wide: tuple[Path, Page]) -> None:
    path, data = wide
    browser.look_at(driver)
    start = time.perf_counter()
    browser.open_page(driver, path.as_uri())
    print(f"loaded and drawn in {time.perf_counter() - start:.2f} s")
    go_to(driver, 1)
    rates = driver.execute_script("return [...document.querySelectorAll('.stage .rate')].map(e => e.textContent)")
    assert rates == [f"{stage['rate'][1]:.3f}" for stage in data["stages"]]
    kept = len(data["stages"][0]["sample"]["channels"])
    assert f"{kept} of 96 kept" in driver.find_element("id", "tiles-title").text
    assert browser.said(driver) == []
    assert browser.asked(driver) == [path.as_uri()]


@pytest.mark.parametrize(
    "n",
    [
        Network(drive=-100),
        Network(drive=1.5, time_steps=1, num_classes=1, pooling_stat="1111", height=16, width=16),
        Network(drive=1.5, time_steps=40, dvs_mode=True, spike_mode="plif"),
    ],
    ids=["silent", "one of everything", "long"],
)
def test_odd_networks_load_in_silence(n: Network, driver: Any, tmp_path: Path) -> None:
    data = gather(model_of(n), Photo("noise", noise(n)), "random", n.height, TECHNOLOGIES["45nm-float32"])
    write(tmp_path / "r.html", render(data))
    browser.look_at(driver)
    browser.open_page(driver, (tmp_path / "r.html").as_uri())
    driver.execute_script("for (const button of document.querySelectorAll('.stage, #single, #open')) button.click()")
    assert driver.find_element("id", "step").is_enabled() == (n.time_steps > 1)
    if n.time_steps > 1:
        go_to(driver, 1)
    assert browser.said(driver) == []


def test_hostile_names_do_nothing_in_a_browser(driver: Any, tmp_path: Path) -> None:
    path = hostile_page(tmp_path)
    browser.look_at(driver)
    browser.open_page(driver, path.as_uri())
    go_to(driver, 1)
    assert driver.execute_script("return window.hacked ?? 'safe'") == "safe"
    assert spelled(HOSTILE) in driver.execute_script("return document.querySelector('.label').textContent")
    assert driver.execute_script("return document.querySelector('#ranking b').textContent").endswith(spelled(HOSTILE))
    assert driver.execute_script("return document.querySelectorAll('img').length") == 2
    assert browser.said(driver) == []
    assert browser.asked(driver) == [path.as_uri()]


def test_no_other_script_can_run(page: Any) -> None:
    """The page's own policy stops what slipped through, and every request."""
    page.execute_script("""
        const script = document.createElement("script");
        script.textContent = "window.hacked = 4";
        document.body.append(script);
        const image = new Image();
        image.src = "https://example.invalid/x.png";
    """)
    assert page.execute_script("return window.hacked ?? 'safe'") == "safe"
    assert all("Content Security Policy" in message for message in browser.said(page))
