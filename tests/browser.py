"""A real Chromium without a window, for the tests of the report; what it logs and what it asks the network for."""

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
ARGUMENTS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--hide-scrollbars", "--disable-dev-shm-usage",
)  # fmt: skip


@contextmanager
def chromium(profile: Path) -> Iterator[Any]:
    """A selenium driver; skips the test where there is no Chromium to drive."""
    program = next((path for path in map(shutil.which, CHROMIUM) if path), None)
    service = shutil.which("chromedriver")
    if program is None or service is None:
        pytest.skip("NO BROWSER: the report was not opened in Chromium; apt install chromium chromium-driver")
    pytest.importorskip("selenium", reason="NO BROWSER: selenium is not installed; pip install '.[test]'")
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = program
    for argument in (*ARGUMENTS, f"--user-data-dir={profile}"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(service, log_output=os.devnull))
    driver.set_page_load_timeout(60)
    try:
        yield driver
    finally:
        driver.quit()


def look_at(driver: Any, width: int = 1280, height: int = 900, scheme: str = "light") -> None:
    """Give the window this size, and the person this preference of colours."""
    size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    feature = {"name": "prefers-color-scheme", "value": scheme}
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})


def open_page(driver: Any, address: str) -> None:
    """Load a page and wait until it is drawn."""
    from selenium.webdriver.support.ui import WebDriverWait

    said(driver)
    asked(driver)
    driver.get(address)
    WebDriverWait(driver, 60, 0.05).until(
        lambda d: d.execute_script("return document.documentElement.dataset.ready === 'yes'")
    )


def said(driver: Any) -> list[str]:
    """What the console says since the last call, of any level."""
    return [entry["message"] for entry in driver.get_log("browser")]


def asked(driver: Any) -> list[str]:
    """Addresses that were asked for since the last call, but for data: that a page holds, and the browser's own pages."""
    messages = [json.loads(entry["message"])["message"] for entry in driver.get_log("performance")]
    addresses = [m["params"]["request"]["url"] for m in messages if m["method"] == "Network.requestWillBeSent"]
    return [
        address for address in addresses if not address.startswith(("data:", "chrome://", "chrome-untrusted://"))
    ]  # no page may ask for the last two
