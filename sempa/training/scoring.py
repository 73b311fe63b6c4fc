"""The score that selects a checkpoint: Spearman on scored pairs, or accuracy on held-out triplets."""

from collections.abc import Callable, Sequence
from functools import partial
from statistics import fmean

from sempa.data.scored_pairs import ScoredPairs
from sempa.data.triplets import Triplet
from sempa.embedding.encoder import Encoder
from sempa.errors import InputError
from sempa.evaluation.metrics import nearer_share
from sempa.evaluation.sts import sts_spearman


def checkpoint_score(
    encoder: Encoder, dev: Sequence[ScoredPairs], held: Sequence[Triplet]
) -> tuple[str, Callable[[str], float]]:
    """Return the score's name and a function that scores a variant; higher is better.

    Raises: InputError if there are neither scored pairs nor held-out triplets.
    """
    if dev:
        sets = " and ".join(f"{pairs.name} ({len(pairs.scores):,} pairs)" for pairs in dev)
        template = "PromptEOL" if encoder.config.template == "prompteol" else encoder.config.template
        name = f"{'mean ' if len(dev) > 1 else ''}Spearman x100 on {sets}, {template}, last layer, as the files give it"

        def spearman(variant: str) -> float:
            return fmean(sts_spearman(partial(encoder.encode, variant=variant), pairs) for pairs in dev)

        return name, spearman
    if not held:
        raise InputError("Choosing a checkpoint needs a --dev file or held-out triplets, and there are neither.")
    columns = [[getattr(t, part) for t in held] for part in ("anchor", "entailment", "contradiction")]

    def share(variant: str) -> float:
        return 100 * nearer_share(*(encoder.encode(column, variant) for column in columns))

    return f"the share (%) of {len(held)} held-out triplets whose entailment is nearer than the contradiction", share
