"""Memory does not grow with the number of images, but for their labels, places and hashes."""

from pathlib import Path

import pytest

from tests.processes import module

pytest.importorskip("resource", reason="POSIX")
ROOT = Path(__file__).parents[2]


@pytest.mark.campaign
@pytest.mark.slow
def test_ten_times_as_many_images_take_no_more_memory() -> None:
    mib = {}
    for images in (10_000, 100_000):
        ran = module("tests.jobs.many", str(images), cwd=ROOT)
        assert ran.returncode == 0, ran.stderr
        mib[images] = int(ran.stdout.split()[0])
    print(mib)
    assert mib[100_000] < mib[10_000] + 30  # of which 5 are labels, places and hashes
