"""Rows of like length, grouped under a cap on tokens."""

from collections.abc import Sequence


def pack(lengths: Sequence[int], cap: int) -> list[list[int]]:
    """Group row numbers so that rows times the longest row stays within `cap` tokens; a longer row stands alone.

    Rows are taken by falling length, so that a group holds rows of like length. A cap of 0 leaves every row alone.
    """
    groups: list[list[int]] = []
    for row in sorted(range(len(lengths)), key=lambda i: (-lengths[i], i)):
        if groups and lengths[groups[-1][0]] * (len(groups[-1]) + 1) <= cap:
            groups[-1].append(row)
        else:
            groups.append([row])
    return groups
