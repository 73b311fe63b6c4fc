"""Tiny random models by architecture, an in-memory byte tokenizer, and pairs of both; no network needed."""

import os

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"

import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedModel, PreTrainedTokenizerFast

from sempa.config import TrainConfig
from sempa.models.pair import BaseInfo, ModelPair
from sempa.models.precision import Precision
from sempa.training.policy import PolicyModel

ROOT = Path(__file__).parents[1]
STARTS = 240
"""Seconds allowed for the app to start; it takes ten on two free cores."""
CORES = torch.get_num_threads()
torch.set_num_threads(1)  # 30 steps of a tiny model take 0.14 s on one thread and 28 s on two

BOS, EOS = 256, 257
"""Ids after the 256 bytes."""

CHATML = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)

_WIDTHS = {
    "vocab_size": 258,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "max_position_embeddings": 1024,
    "initializer_range": 0.2,  # the default 0.02 gives almost equal logits, which hide mistakes
    "bos_token_id": BOS,
    "eos_token_id": EOS,
    "pad_token_id": None,
}
_ARCHITECTURES: dict[str, dict[str, Any]] = {
    "llama": {"intermediate_size": 48, "num_key_value_heads": 2},
    "qwen2": {"intermediate_size": 48, "num_key_value_heads": 2},
    "gpt2": {},
    "gpt_neox": {"intermediate_size": 64},
    "opt": {"ffn_dim": 48, "word_embed_proj_dim": 32},
    "gemma3_text": {
        "intermediate_size": 48,
        "num_key_value_heads": 1,
        "head_dim": 8,
        "query_pre_attn_scalar": 8,
        "layer_types": ["sliding_attention", "full_attention"],
    },
}
"""Extra configuration by architecture; GPT-2 and OPT keep their dropout, as in the real models."""

MakeModel = Callable[..., PreTrainedModel]
MakeTokenizer = Callable[..., PreTrainedTokenizerFast]
MakePair = Callable[..., ModelPair]
MakeTuning = Callable[..., PolicyModel]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let campaigns be smaller or larger: `--size 1` is all of what a release needs, an hour or more."""
    parser.addoption("--size", type=float, default=0.01, help="share of a campaign's full size (default: 0.01)")
    parser.addoption("--campaign-seed", type=int, default=0, help="seed of a campaign (default: 0)")


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Run fast tests on one process per core, at most four; tests that measure time run alone."""
    alone = any(mark in config.option.markexpr.replace(f"not {mark}", "") for mark in ("slow", "browser", "campaign"))
    return 0 if alone else min(4, CORES)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test with the argument `architecture` once per architecture."""
    if "architecture" in metafunc.fixturenames:
        metafunc.parametrize("architecture", list(_ARCHITECTURES))


@pytest.fixture(autouse=True)
def _threads(request: pytest.FixtureRequest) -> Iterator[None]:
    """Give slow tests every core."""
    slow = request.node.get_closest_marker("slow") is not None
    torch.set_num_threads(CORES if slow else 1)
    yield
    torch.set_num_threads(1)


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the test its own cache folder, not yet created, and return it."""
    monkeypatch.setenv("SEMPA_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def full_disk() -> Callable[[int], AbstractContextManager[None]]:
    """Return a context manager that limits file sizes, to simulate a nearly full disk."""

    resource = pytest.importorskip("resource", reason="limits on file size are a Unix thing")

    @contextmanager
    def limited(most: int) -> Iterator[None]:
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, before[1]))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)

    return limited


@dataclass(frozen=True)
class Served:
    """Hold a running app: its address, its process, and its log file."""

    url: str
    process: "subprocess.Popen[bytes]"
    said: Path


@pytest.fixture(scope="session")
def serve(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., AbstractContextManager[Served]]:
    """Return a context manager that runs app.py with given options; fail if it logs a traceback."""

    @contextmanager
    def served(*options: str, cwd: Path = ROOT) -> Iterator[Served]:
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        command = [sys.executable, str(ROOT / "app.py"), "--server-port", str(port), *options]
        said = tmp_path_factory.mktemp("app") / "said"
        with said.open("w") as stream:
            patient = {
                **os.environ,
                "OMP_WAIT_POLICY": "PASSIVE",
            }  # spinning threads took 106 s per step on a busy machine
            process = subprocess.Popen(command, cwd=cwd, stdout=stream, stderr=stream, env=patient)
            try:
                until = time.monotonic() + STARTS
                while not _answers(port):
                    assert process.poll() is None, said.read_text()[-2000:]
                    assert time.monotonic() < until, said.read_text()[-2000:]
                    time.sleep(0.2)
                yield Served(f"http://127.0.0.1:{port}/", process, said)
            finally:
                process.terminate()
                process.wait(60)
        assert "Traceback" not in said.read_text()

    return served


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture(scope="session")
def make_tokenizer() -> MakeTokenizer:
    """Return a maker of byte-level tokenizers: `bos` puts <s> first, `pad` names a pad token, `chat` gives ChatML."""

    def make(*, bos: bool = False, pad: str | None = None, chat: bool = False) -> PreTrainedTokenizerFast:
        alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
        core = Tokenizer(models.BPE(vocab={symbol: i for i, symbol in enumerate(alphabet)}, merges=[]))
        core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
        core.decoder = decoders.ByteLevel()
        core.add_special_tokens(["<s>", "</s>"])
        if bos:
            core.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", BOS)])
        made = PreTrainedTokenizerFast(tokenizer_object=core, bos_token="<s>", eos_token="</s>", pad_token=pad)
        made.chat_template = CHATML if chat else None
        return made

    return make


@pytest.fixture(scope="session")
def make_model() -> MakeModel:
    """Return a maker of tiny random causal models in float32: `make(architecture, seed, **configuration)`."""

    def make(architecture: str = "llama", seed: int = 0, **changed: Any) -> PreTrainedModel:
        own = _ARCHITECTURES.get(architecture, {})
        config = AutoConfig.for_model(architecture, **{**_WIDTHS, **own, **changed})
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            model: PreTrainedModel = AutoModelForCausalLM.from_config(config)
        return model.eval()

    return make


@pytest.fixture(scope="session")
def make_pair(make_model: MakeModel, make_tokenizer: MakeTokenizer) -> MakePair:
    """Return a maker of pairs of a tiny model and the byte tokenizer, without an adapter."""

    def make(
        architecture: str = "llama",
        tokenizer: PreTrainedTokenizerFast | None = None,
        dtype: torch.dtype = torch.float32,
        **changed: Any,
    ) -> ModelPair:
        model = make_model(architecture, **changed).to(dtype)
        info = BaseInfo("tiny", None, Precision("cpu", dtype, "test"), model.num_parameters())
        return ModelPair(model, tokenizer or make_tokenizer(), info)

    return make


@pytest.fixture(scope="session")
def make_tuning(make_pair: MakePair) -> MakeTuning:
    """Return a maker of models in training whose LoRA-B weights are random, so that policy and reference differ."""

    def make(pair: ModelPair | None = None, config: TrainConfig | None = None, spread: float = 0.1) -> PolicyModel:
        tuning = PolicyModel(pair or make_pair(), config or TrainConfig())
        generator = torch.Generator().manual_seed(1)
        for name, weight in tuning.trainable.items():
            if "lora_B" in name:
                weight.data.copy_(torch.empty(weight.shape).normal_(0, spread, generator=generator))
        return tuning

    return make


@pytest.fixture
def tiny_pair(make_pair: MakePair) -> ModelPair:
    """Return a tiny Llama in float32 without an adapter."""
    return make_pair()


@pytest.fixture(scope="session")
def save_model(make_model: MakeModel, make_tokenizer: MakeTokenizer) -> Callable[..., Path]:
    """Return a function that saves a tiny model and the byte tokenizer to a folder."""

    def save(folder: Path, architecture: str = "llama", **changed: Any) -> Path:
        make_model(architecture, **changed).save_pretrained(folder)
        make_tokenizer(chat=True).save_pretrained(folder)
        return folder

    return save


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory: pytest.TempPathFactory, save_model: Callable[..., Path]) -> Path:
    """Return the folder of a tiny Llama that ModelPair.open loads; not to be written to."""
    return save_model(tmp_path_factory.mktemp("base"))


@pytest.fixture(scope="session")
def adapter_folder(tmp_path_factory: pytest.TempPathFactory, model_folder: Path, make_tuning: MakeTuning) -> Path:
    """Return the folder of a random adapter for `model_folder`; not to be written to."""
    folder = tmp_path_factory.mktemp("adapter")
    make_tuning(ModelPair.open(str(model_folder), precision="float32", device="cpu")).save(folder)
    return folder


@pytest.fixture(scope="session")
def other_adapter(tmp_path_factory: pytest.TempPathFactory, model_folder: Path, make_tuning: MakeTuning) -> Path:
    """Return the folder of another adapter for `model_folder`, of another rank; not to be written to."""
    folder = tmp_path_factory.mktemp("other") / "other"
    pair = ModelPair.open(str(model_folder), precision="float32", device="cpu")
    make_tuning(pair, TrainConfig(lora_r=4, seed=7), spread=0.3).save(folder)
    return folder


@pytest.fixture
def tuned_pair(model_folder: Path, adapter_folder: Path) -> ModelPair:
    """Return a tiny Llama with a random adapter on it, both loaded from disk."""
    return ModelPair.open(str(model_folder), str(adapter_folder), precision="float32", device="cpu")
