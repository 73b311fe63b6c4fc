"""Batches of rows of similar length under a cap on tokens, padded to one length."""

from collections.abc import Sequence

import torch
from torch.nn.utils.rnn import pad_sequence


def length_batches(lengths: Sequence[int], cap: int) -> list[list[int]]:
    """Group row numbers so that rows times the longest row stays within `cap` tokens; a longer row is alone.

    Rows are sorted by falling length. With a cap of 0 every row is alone.
    """
    groups: list[list[int]] = []
    for row in sorted(range(len(lengths)), key=lambda i: (-lengths[i], i)):
        if groups and lengths[groups[-1][0]] * (len(groups[-1]) + 1) <= cap:
            groups[-1].append(row)
        else:
            groups.append([row])
    return groups


def right_padded(prompts: Sequence[Sequence[int]], pad: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return rows of ids as (B, T) ids padded with `pad` on the right, and their (B, T) mask of ones and zeros."""
    # A mask from lengths, not from ids: exact for causal attention, whatever the pad token is.
    rows = [torch.tensor(ids) for ids in prompts]
    mask = pad_sequence([torch.ones_like(row) for row in rows], batch_first=True)
    return pad_sequence(rows, batch_first=True, padding_value=pad), mask
