"""The loss of sparse codes against a naive reference, and the fit against data whose dictionary is known."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from sempa.errors import InputError, SempaError
from sempa.sparse.autoencoder import SparseCoder, largest
from sempa.sparse.loss import DEAD_AFTER, CodeLoss, fit_coder
from sempa.sparse.settings import CodingConfig

CONFIG = CodingConfig(k=2, tau=0.5, preference_weight=0.3, batch_size=4, epochs=3)


def _rows(count: int, width: int, seed: int = 0) -> Tensor:
    drawn = torch.randn(count, 3, width, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.normalize(drawn, dim=-1)


def _code(coder: SparseCoder, row: Tensor, k: int) -> list[float]:
    """Code one row with plain numbers: the k largest activations, if they are above 0."""
    seen = (row - coder.centre) / coder.scale
    found = [float(seen @ feature + bias) for feature, bias in zip(coder.encoder, coder.bias, strict=True)]
    least = sorted(found, reverse=True)[k - 1]
    return [value if value >= least and value > 0 else 0.0 for value in found]


def _lost(coder: SparseCoder, rows: list[Tensor], k: int) -> float:
    """Sum the squared errors of restoring the rows over their squared distances from their mean."""
    mean = torch.stack(rows).mean(dim=0)
    wrong = spread = 0.0
    for row in rows:
        reconstructed = coder.centre.clone()
        for value, direction in zip(_code(coder, row, k), coder.decoder, strict=True):
            reconstructed = reconstructed + coder.scale * value * direction
        wrong += float(((row - reconstructed) ** 2).sum())
        spread += float(((row - mean) ** 2).sum())
    return wrong / spread


def _unit(code: list[float]) -> Tensor:
    values = torch.tensor(code)
    return values / values.norm().clamp_min(1e-12)


def test_the_loss_is_that_of_a_naive_reference() -> None:
    """Triplets 0 and 2 share their anchor: the positive of one is no negative of the other."""
    rows, anchors = _rows(4, 5), ["a", "b", "a", "c"]
    coder = SparseCoder(5, 12, seed=3)
    coder.begin_at(rows.flatten(0, 1))
    loss, metrics = CodeLoss(coder, CONFIG)(3 * rows, anchors)  # of any length: they are brought to unit length
    every = list(rows.flatten(0, 1))
    with torch.no_grad():
        codes = [[_unit(_code(coder, row, 2)) for row in triplet] for triplet in rows]
        preference = 0.0
        for i, (anchor, positive, _) in enumerate(codes):
            others = [codes[j][1] for j in range(4) if anchors[j] != anchors[i]] + [triplet[2] for triplet in codes]
            scores = torch.stack([anchor @ other for other in (positive, *others)]) / CONFIG.tau
            preference -= float(torch.log_softmax(scores, dim=0)[0]) / 4
        expected = _lost(coder, every, 2) + _lost(coder, every, 8) / 8 + 0.3 * preference
    assert loss.item() == metrics["coding/loss"] == pytest.approx(expected, rel=1e-5)
    assert metrics["coding/preference"] == pytest.approx(preference, rel=1e-5)
    assert metrics["features/dead"] == 0


def test_dead_features_learn_to_reconstruct_what_is_left() -> None:
    rows = _rows(8, 6)
    coder = SparseCoder(6, 24, seed=1)
    coder.begin_at(rows.flatten(0, 1))
    with torch.no_grad():
        coder.bias[5] = -50.0  # never among the largest
    loss_of = CodeLoss(coder, CONFIG)
    for _ in range(DEAD_AFTER):
        _, metrics = loss_of(rows, range(8))
    assert metrics["features/dead"] == 0
    assert coder.idle[5] == DEAD_AFTER
    alive = largest(coder.activations(rows.flatten(0, 1)), 2)[:, coder.idle == 0].sum(dim=0)
    assert (alive > 0).all()
    before = loss_of.__call__
    with torch.no_grad():
        coder.bias[5] = 0.0  # an active feature that yet is not among the two largest
    loss, metrics = before(rows, range(8))
    assert metrics["features/dead"] >= 1
    loss.backward()
    dead = torch.arange(24)[coder.idle >= DEAD_AFTER]
    assert coder.decoder.grad is not None
    assert (coder.decoder.grad[dead].norm(dim=1) > 0).any()


def test_a_known_dictionary_is_found() -> None:
    """Rows are sums of two of ten orthogonal directions: two features reconstruct them only after a fit."""
    atoms = torch.eye(10)
    generator = torch.Generator().manual_seed(0)
    picks = torch.stack([torch.randperm(10, generator=generator)[:2] for _ in range(600)])
    rows = torch.nn.functional.normalize(atoms[picks].sum(dim=1), dim=-1).view(200, 3, 10)
    config = replace(CONFIG, preference_weight=0.0, batch_size=20, epochs=60, lr=0.01)
    coder = SparseCoder(10, 40, seed=0)
    coder.begin_at(rows.flatten(0, 1))
    steps = list(fit_coder(rows, [str(i) for i in range(200)], config, coder))
    assert [step.step for step in steps] == list(range(600))
    assert steps[0].metrics["coding/explained_variance"] < 0.6
    assert steps[-1].metrics["coding/explained_variance"] > 0.95


def test_preference_brings_the_entailments_code_nearer() -> None:
    rows = _rows(64, 8, seed=2)
    rows[:, 1] = torch.nn.functional.normalize(rows[:, 0] + 0.9 * rows[:, 1], dim=-1)
    nearer = []
    for weight in (0.0, 1.0):
        config = replace(CONFIG, k=4, preference_weight=weight, batch_size=32, epochs=60)
        coder = SparseCoder(8, 32)
        coder.begin_at(rows.flatten(0, 1))
        *_, last = fit_coder(rows, [str(i) for i in range(64)], config, coder)
        nearer.append(last.metrics["coding/accuracies"])
    assert nearer[1] > nearer[0]


def test_the_same_seed_ends_the_same() -> None:
    ends = []
    for seed in (1, 1, 2):
        coder = SparseCoder(5, 20, seed=0)
        list(fit_coder(_rows(16, 5), [str(i) for i in range(16)], replace(CONFIG, seed=seed), coder))
        ends.append(coder.encoder.detach())
    assert torch.equal(ends[0], ends[1])
    assert not torch.equal(ends[0], ends[2])


def test_too_few_triplets_and_a_rate_beyond_reason_say_so() -> None:
    with pytest.raises(InputError, match="at least 4 triplets, but there are 3"):
        next(fit_coder(_rows(3, 5), ["a", "b", "c"], CONFIG, SparseCoder(5, 20)))
    with pytest.raises(SempaError, match="learning rate below"):
        list(fit_coder(_rows(16, 5), [str(i) for i in range(16)], replace(CONFIG, lr=1e30), SparseCoder(5, 20)))
