"""Errors meant for people: each message names the thing, the value, the limit and what to do next."""


class SempaError(Exception):
    """Report a mistake or a missing thing in one sentence a person can act on."""


class InputError(SempaError, ValueError):
    """Report text, rows or options that cannot be used as they are."""


class ModelUnavailable(SempaError):
    """Report a base model that could not be found, fetched or opened."""


class AdapterMismatch(SempaError):
    """Report an adapter that does not fit the base model, naming both sides."""


class RecipeMismatch(SempaError):
    """Report two artefacts made with different recipes, naming the fields that differ."""


class StorageError(SempaError):
    """Report a folder or file that could not be read or written completely."""
