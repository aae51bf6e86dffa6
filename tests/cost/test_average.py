"""Mean and spread over samples."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sdt_ref.cost.average import Spread


@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=20))
def test_spread_is_that_of_the_sample(values: list[float]) -> None:
    spread = Spread()
    for value in values:
        spread.add(value)
    assert spread.mean == pytest.approx(np.mean(values), rel=1e-9, abs=1e-6)
    assert spread.deviation == pytest.approx(np.std(values, ddof=1), rel=1e-6, abs=1e-6)
