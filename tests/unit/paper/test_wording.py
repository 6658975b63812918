import math

import pytest

from dimofs.paper.wording import decimals


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([66.3, 50.1], 1),
        ([2.0, 1.5], 1),
        ([-55.7, 0.01], 1),
        ([1.99, 0.4], 2),
        ([0.104, math.nan], 2),
        ([3, 5], 0),
        ([864.0, math.nan], 0),
        ([1238480.5], 0),
        ([math.nan], 0),
        ([], 0),
    ],
)
def test_numbers_have_the_decimals_that_the_largest_of_them_needs(values, expected):
    assert decimals(values) == expected
