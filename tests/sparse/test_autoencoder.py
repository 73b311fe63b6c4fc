"""The coder against numbers worked out by hand."""

import pytest
import torch

from sempa.sparse.autoencoder import SparseCoder, largest


def test_largest_keeps_the_k_largest_where_positive() -> None:
    activations = torch.tensor([[3.0, -1.0, 2.0, 1.0], [-1.0, -2.0, 0.5, -3.0]])
    assert largest(activations, 2).tolist() == [[3.0, 0.0, 2.0, 0.0], [0.0, 0.0, 0.5, 0.0]]
    assert largest(activations, 9).tolist() == [[3.0, 0.0, 2.0, 1.0], [0.0, 0.0, 0.5, 0.0]]


def test_a_row_is_coded_and_restored_by_hand() -> None:
    """(f - b) / s = ((3, 1) - (1, 1)) / 2 = (1, 0); W (1, 0) + bias; f' = s * z D + b."""
    coder = SparseCoder.of(
        {
            "centre": torch.tensor([1.0, 1.0]),
            "scale": torch.tensor(2.0),
            "encoder": torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]]),
            "bias": torch.tensor([0.5, 0.25, 0.0]),
            "decoder": torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]]),
        }
    )
    activations = coder.activations(torch.tensor([[3.0, 1.0]]))
    assert activations.tolist() == [[1.5, 0.25, -1.0]]
    assert coder.decode(largest(activations, 1)).tolist() == [[4.0, 1.0]]
    assert coder.decode(largest(activations, 2)).tolist() == [[4.0, 1.5]]


def test_it_begins_at_the_rows_centre_and_size() -> None:
    coder = SparseCoder(2, 4)
    coder.begin_at(torch.tensor([[4.0, 1.0], [0.0, 1.0]]))
    assert coder.centre.tolist() == [2.0, 1.0]
    assert coder.scale.item() == 2.0


def test_it_is_stored_in_half_precision() -> None:
    coder = SparseCoder(3, 5, seed=1)
    coder.begin_at(torch.randn(20, 3, generator=torch.Generator().manual_seed(0)))
    again = SparseCoder.of(coder.tensors())
    rows = torch.randn(4, 3, generator=torch.Generator().manual_seed(1))
    assert torch.allclose(again.activations(rows), coder.activations(rows), atol=5e-3)
    assert not any(parameter.requires_grad for parameter in again.parameters())


def test_one_seed_one_beginning() -> None:
    first, second, other = (SparseCoder(3, 5, seed).encoder for seed in (1, 1, 2))
    assert torch.equal(first, second)
    assert not torch.equal(first, other)
    assert first.norm(dim=1).tolist() == pytest.approx([1] * 5)
