"""The preference loss against TRL's DPOTrainer: same model, same tokenizer, same LoRA weights, same batch."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import PreTrainedTokenizerFast

from sempa.config import TrainConfig
from sempa.data.triplets import Triplet
from sempa.models.pair import ModelPair
from sempa.models.prompts import request_text
from sempa.training.examples import tokenize
from sempa.training.objectives import PreferencePass
from sempa.training.policy import PolicyModel
from sempa.training.preferences import preferences

pytest.importorskip("trl", reason="TRL is not installed: pip install trl")
pytest.importorskip("datasets", reason="datasets is not installed: pip install datasets")

TRIPLETS = [
    Triplet("A cat sat on the mat.", "A cat was sitting.", "The mat was empty."),
    Triplet("Two men are talking.", "People talk.", "Nobody says a single word to anybody."),
    Triplet('She said "no".', "She refused.", "She agreed at once, gladly."),
]
CONFIG = TrainConfig(beta=0.1)


def _trl_loss(
    model: torch.nn.Module,
    tokenizer: PreTrainedTokenizerFast,
    rows: list[dict[str, str]],
    tuning: PolicyModel,
    to: Path,
) -> float:
    """Return the loss TRL computes for `rows` as one batch, with the adapter weights of `tuning`."""
    from datasets import Dataset
    from peft import LoraConfig
    from trl import DPOConfig, DPOTrainer

    settings: dict[str, Any] = {"report_to": [], "use_cpu": True, "bf16": False, "gradient_checkpointing": False}
    lora = LoraConfig(r=CONFIG.lora_r, lora_alpha=CONFIG.lora_alpha, target_modules="all-linear", task_type="CAUSAL_LM")
    trainer = DPOTrainer(
        model=model,
        args=DPOConfig(output_dir=str(to), beta=CONFIG.beta, max_length=None, disable_tqdm=True, **settings),
        train_dataset=Dataset.from_list(rows),
        processing_class=tokenizer,
        peft_config=lora,
    )
    weights = {name.replace(".sempa.", ".default."): p for name, p in tuning.trainable.items()}
    held = dict(trainer.model.named_parameters())
    for name, weight in weights.items():
        held[name].data.copy_(weight.data)
    batch = trainer.data_collator([trainer.train_dataset[i] for i in range(len(rows))])
    trainer.model.train()
    return float(trainer.compute_loss(trainer.model, batch))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("spread", [0.0, 0.1], ids=["step 0", "trained"])
@pytest.mark.parametrize("chat", [False, True], ids=["no chat template", "ChatML"])
def test_loss_agrees_with_trl(
    make_model: Callable[..., torch.nn.Module],
    make_tokenizer: Callable[..., PreTrainedTokenizerFast],
    make_pair: Callable[..., ModelPair],
    make_tuning: Callable[..., PolicyModel],
    tmp_path: Path,
    spread: float,
    chat: bool,
) -> None:
    tokenizer = make_tokenizer(chat=chat)
    shown = preferences(TRIPLETS, CONFIG)
    tuning = make_tuning(make_pair("llama", tokenizer), CONFIG, spread=spread)
    examples, _ = tokenize(tokenizer, shown, CONFIG.max_length)
    pairs = [example.pair for example in examples if example.pair]
    ours = PreferencePass(tuning, pairs, CONFIG).backward(pairs)["preference/loss"]

    rows = [
        {"prompt": request_text(tokenizer, pair.request), "chosen": pair.responses[0], "rejected": pair.responses[1]}
        for pair in shown
    ]
    theirs = _trl_loss(make_model("llama"), make_tokenizer(), rows, tuning, tmp_path)
    assert ours == pytest.approx(theirs, abs=1e-4)
    if spread == 0.0:
        assert ours == pytest.approx(0.693147, abs=1e-6)
    else:
        assert abs(ours - 0.693147) > 1e-3
