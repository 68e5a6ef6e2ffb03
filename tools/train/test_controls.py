"""Checks of the comparison's table: `python -m pytest` in this folder."""

from controls import ratio, table


def test_ratios_are_of_the_same_windows() -> None:
    assert ratio([2.0, 4.0], [1.0, 3.0]) == "1.5000 ± 0.0000"
    assert ratio([1.0, 3.0], [3.0, 1.0]) == "1.0000 ± 1.0000"
    rows = [
        {"variant": "drdiff", "length": 128, "nats": 2.0, "error": 1.0, "windows": [1.0, 3.0]},
        {"variant": "dense", "length": 128, "nats": 3.0, "error": 1.0, "windows": [2.0, 4.0]},
        {"variant": "dense", "length": 1024, "nats": 3.0, "error": 0.5, "windows": [3.0]},
    ]
    assert table(rows).splitlines()[2:] == [
        "| drdiff | 2.000 ± 1.000 | 1.0000 ± 0.0000 |  |  |",
        "| dense | 3.000 ± 1.000 | 1.5000 ± 0.0000 | 3.000 ± 0.500 |  |",
    ]
