"""Batches of rows of similar length under a cap on tokens, padded to one length."""

from collections.abc import Sequence

import torch


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
    lengths = torch.tensor([len(ids) for ids in prompts])
    input_ids = torch.full((len(prompts), int(lengths.max())), pad, dtype=torch.int64)
    for row, ids in enumerate(prompts):
        input_ids[row, : len(ids)] = torch.tensor(ids)
    # Right padding and a mask from lengths: exact for causal attention, whatever the pad token is.
    return input_ids, (torch.arange(input_ids.shape[1]) < lengths.unsqueeze(1)).long()
