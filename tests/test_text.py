"""Numbers, fractions and names as they are printed."""

import numpy as np
import pytest

from l0np._text import number, percent, shorten


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1234567.8, "1,234,568"),
        (1e45, "1e+45"),
        (12.3456, "12.35"),
        (-1000.0, "-1,000"),
        (0.0, "0"),
        (np.nan, "-"),
    ],
)
def test_numbers_in_words(value, text):
    assert number(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.1234, "12.34%"),
        (0.0, "0.00%"),
        (1e-14, "1e-12%"),
        (-2.0, "-200.00%"),
        (99.99, "9999.00%"),
        (99.999, "100x"),
        (-5730.2, "-5730x"),
        (99_999.7, "1e+05x"),
        (1e200, "1e+200x"),
        (np.nan, "-"),
    ],
)
def test_fractions_in_words(value, text):
    assert percent(value) == text
    assert shorten("abcdef", 5) == "ab..."
