"""Recipes: saved and loaded unchanged, rejected by version, compared field by field."""

import json
from dataclasses import asdict, fields, replace
from pathlib import Path

import pytest

from sempa.config import EncoderConfig, Recipe, TrainConfig
from sempa.errors import InputError, RecipeMismatch, StorageError

OTHER = EncoderConfig(
    base_model="owner/name",
    base_revision="v1",
    template="<{sentence}>",
    layer=-2,
    pooling="mean",
    max_length=64,
    adapter="a" * 64,
    postprocess="b" * 64,
    code="words-1a2b@8",
)


@pytest.mark.parametrize("recipe", [Recipe(OTHER), Recipe(OTHER, TrainConfig(max_samples=9, template="P3"))])
def test_a_recipe_is_read_back_as_it_was_written(tmp_path: Path, recipe: Recipe) -> None:
    recipe.save(tmp_path)
    assert Recipe.load(tmp_path) == recipe


def test_the_file_is_readable_json_with_its_version(tmp_path: Path) -> None:
    Recipe(OTHER).save(tmp_path)
    stored = json.loads((tmp_path / "sempa.json").read_text(encoding="utf-8"))
    assert stored == {"schema_version": 2, "encoder": asdict(OTHER)}


@pytest.mark.parametrize("version", [0, 1, "2", None])
def test_another_schema_version_is_refused_naming_both(tmp_path: Path, version: object) -> None:
    payload = {"schema_version": version, "encoder": asdict(OTHER)}
    (tmp_path / "sempa.json").write_text(json.dumps(payload), encoding="utf-8")
    with pytest.raises(StorageError, match=f"schema version {version!r}, but this SemPA Studio reads 2"):
        Recipe.load(tmp_path)


@pytest.mark.parametrize("part", ["encoder", "training"])
def test_unknown_fields_are_named(tmp_path: Path, part: str) -> None:
    payload = {"schema_version": 2, "encoder": {}, part: {"temperature": 1, "colour": 2}}
    (tmp_path / "sempa.json").write_text(json.dumps(payload), encoding="utf-8")
    with pytest.raises(StorageError, match="unknown fields colour, temperature"):
        Recipe.load(tmp_path)


def test_a_missing_recipe_is_a_storage_error(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="has no sempa.json"):
        Recipe.load(tmp_path)


@pytest.mark.parametrize("text", ["", "{", "\x80", "[]", "1", '{"schema_version": 2, "encoder": []}'])
def test_a_broken_recipe_is_a_storage_error(tmp_path: Path, text: str) -> None:
    (tmp_path / "sempa.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(StorageError):
        Recipe.load(tmp_path)


@pytest.mark.parametrize("field", [field.name for field in fields(EncoderConfig)])
def test_each_differing_field_is_named_with_both_values(field: str) -> None:
    changed = replace(EncoderConfig(), **{field: getattr(OTHER, field)})
    mine, theirs = getattr(EncoderConfig(), field), getattr(OTHER, field)
    assert EncoderConfig().differences(changed) == {field: (mine, theirs)}
    with pytest.raises(RecipeMismatch) as caught:
        EncoderConfig().require_same(changed, mine="The model", theirs="the index", cure="Build it anew.")
    assert f"{field}: The model {mine!r}, the index {theirs!r}" in str(caught.value)
    assert str(caught.value).endswith("Build it anew.")


def test_several_differing_fields_are_all_named() -> None:
    with pytest.raises(RecipeMismatch, match="layer: .*pooling: "):
        EncoderConfig().require_same(EncoderConfig(layer=-2, pooling="mean"), mine="a", theirs="b", cure="c")


def test_equal_recipes_pass() -> None:
    OTHER.require_same(replace(OTHER), mine="a", theirs="b", cure="c")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"template": "promteol"}, "Template 'promteol' is neither one of"),
        ({"pooling": "max"}, "Pooling 'max' is unknown"),
        ({"max_length": 0}, "max_length is 0 tokens"),
    ],
)
def test_a_reading_recipe_that_cannot_work_is_refused(values: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        EncoderConfig(**values)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("template", "P6"),
        ("beta", 0.0),
        ("lr", -1e-4),
        ("lr", 1e99),
        ("lr", float("nan")),
        ("batch_size", 0),
        ("max_samples", 0),
        ("stop_after", 0),
        ("evaluate_every", 0),
        ("token_cap", 0),
        ("lora_r", 0),
        ("max_length", 0),
        ("warmup_ratio", 1.0),
        ("warmup_ratio", -0.1),
        ("lora_dropout", 1.0),
        ("lora_alpha", 0),
        ("weight_decay", -0.1),
        ("adam_beta2", 1.0),
        ("max_grad_norm", 0.0),
    ],
)
def test_a_training_recipe_that_cannot_work_is_refused_naming_the_field(field: str, value: object) -> None:
    with pytest.raises(InputError, match="Template 'P6'" if field == "template" else field):
        TrainConfig(**{field: value})
