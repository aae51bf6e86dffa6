"""How numbers enter registers, by hand: what is shifted, what is added for rounding, how much wider a sum is."""

import numpy as np
import pytest

from sdt_ref import kernels
from sdt_ref.fixed.formats import Format, leak_terms
from sdt_ref.fixed.registers import Fraction, Register, leak_steps, wider_by

INT32 = np.dtype(np.int32)


def test_a_sum_over_tokens_is_wider_by_the_logarithm_of_their_number() -> None:
    assert [wider_by(tokens) for tokens in (1, 2, 3, 4, 5, 64, 65)] == [0, 1, 2, 2, 3, 6, 7]


@pytest.mark.parametrize(
    ("rounding", "add", "even", "negative"),
    [("floor", 0, 0, 0), ("half up", 2, 0, 0), ("half even", 1, 1, 0), ("toward zero", 0, 0, 3)],
)
def test_two_bits_fewer_are_a_shift_to_the_right_with_constants_for_the_rounding(
    rounding: str, add: int, even: int, negative: int
) -> None:
    register = Register(Format(8, 1, rounding), INT32)
    rescaling = register.rescaling(Fraction.uniform(3, 1), INT32)
    assert rescaling.shifts[0, :, 0].tolist() == [0, 2, add, even, negative]
    assert rescaling.limits == (-128, 127, False)
    assert rescaling.plain == (rounding in ("floor", "half up"))


def test_more_bits_are_a_shift_to_the_left_and_wrapping_is_not_plain() -> None:
    rescaling = Register(Format(8, 5, overflow="wrap"), INT32).rescaling(Fraction.uniform(3, 1), INT32, wider=2)
    assert rescaling.shifts[0, :2, 0].tolist() == [2, 0]
    assert (rescaling.limits, rescaling.plain) == ((-512, 511, True), False)


def test_only_channels_of_other_fraction_bits_are_moved() -> None:
    bits = np.full((1, kernels.PANEL), 3)
    bits[0, 1] = 4
    register = Register(Format(8, 3), INT32)
    assert [register.moved(Fraction(bits), n) for n in (1, 2, 5)] == [0, 1, 1]


def test_a_leak_of_three_eighths_is_the_difference_shifted_twice() -> None:
    """1/2 - 1/8 = (2^2 - 2^0) / 2^3."""
    terms, shifts, plain = leak_steps(leak_terms("2^-1 - 2^-3"), "floor", INT32)
    assert terms.tolist() == [[1, 2], [-1, 0]]
    assert shifts[0, :, 0].tolist() == [0, 3, 0, 0, 0]
    assert not plain
    assert leak_steps(leak_terms("2^-1"), "floor", INT32)[2]
