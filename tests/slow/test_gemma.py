"""Gemma 3 270M, the second named model: what was built for Llamas, against transformers' own forward."""

import numpy as np
import pytest
import torch

from sempa.embedding.encoder import Encoder
from sempa.files import COMPLETE, cache_folder
from sempa.models.named import NAMED
from sempa.models.pair import BASE, ModelPair
from sempa.models.score import continuation_scores
from sempa.templates import SentenceTemplate

pytestmark = pytest.mark.slow
NAME = "gemma3-270m"
SENTENCES = ["Eine Katze schläft.", "Il pleut à Bergen.", "一只猫在睡觉。", "He sold the boat."]


@pytest.fixture(scope="module")
def pair() -> ModelPair:
    """Return the model if it was fetched before: downloading and converting it takes minutes."""
    if not (cache_folder() / NAME / COMPLETE).is_file():
        pytest.skip(f"{NAME} is not in the cache: fetch it with `python -m sempa embed Hello --base {NAME}`")
    return ModelPair.open(NAME, precision="float32", device="cpu").for_inference()


def test_vectors_are_the_last_states_of_the_prompt(pair: ModelPair) -> None:
    rows = Encoder(pair).encode(SENTENCES)
    template = SentenceTemplate.embedding("prompteol")
    for row, sentence in zip(rows, SENTENCES, strict=True):
        text = template.render(sentence if sentence.endswith(".") else f"{sentence}.")
        ids = torch.tensor([pair.tokenizer(text).input_ids])
        assert ids[0, 0] == pair.tokenizer.bos_token_id
        with torch.no_grad(), pair.using(BASE) as model:
            state = model(ids, output_hidden_states=True).hidden_states[-1][0, -1]
        np.testing.assert_allclose(row, torch.nn.functional.normalize(state, dim=0).numpy(), atol=1e-4)


def test_a_text_beyond_the_sliding_window_is_scored_as_the_model_reads_it(pair: ModelPair) -> None:
    ids = pair.tokenizer("The boats left the harbour one after another. " * 80).input_ids
    assert pair.sliding_window is not None
    assert len(ids) > pair.sliding_window + 100
    context, continuation = tuple(ids[:-5]), tuple(ids[-5:])
    ((found, _),) = continuation_scores(pair, BASE, [(context, continuation)])
    with torch.no_grad(), pair.using(BASE) as model:
        logits = model(torch.tensor([ids]), logits_to_keep=6).logits[0, :-1]
    expected = torch.log_softmax(logits, dim=-1).gather(-1, torch.tensor([continuation]).T).sum()
    assert found == pytest.approx(expected.item(), abs=1e-2)


def test_its_terms_are_kept_beside_its_weights(pair: ModelPair) -> None:
    assert b"Gemma Terms of Use" in (cache_folder() / NAME / NAMED[NAME].terms_file).read_bytes()
