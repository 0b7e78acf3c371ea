"""Mistakes: what pydantic finds wrong with settings and orders, in payhub's words and without the values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta
from decimal import Decimal
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

__all__ = ["flags_for_numbers", "missing", "mistakes", "named", "unknown"]

#: By pydantic's name of the mistake; ``came`` is the type of what came, the others are the limits that were passed.
_WORDS: Mapping[str, str] = {
    "missing": "is missing",
    "extra_forbidden": "there is no such field",
    "string_type": "expected text{quoted}, not {came}",
    "string_too_short": "expected text, of {min_length} or more characters{but}",
    "string_too_long": "expected text, of at most {max_length} characters",
    "string_pattern_mismatch": "expected text of the form {pattern}{but}",
    "too_short": "expected at least {min_length} of them",
    "too_long": "expected at most {max_length} of them",
    "int_type": "expected a whole number, not {came}",
    "int_parsing": "expected a whole number",
    "int_from_float": "expected a whole number, without a fraction",
    "float_type": "expected a number, not {came}",
    "float_parsing": "expected a number",
    "finite_number": "expected a finite number",
    "decimal_parsing": "expected a number",
    "greater_than": "expected more than {gt:g}",
    "greater_than_equal": "expected at least {ge:g}",
    "less_than": "expected less than {lt:g}",
    "less_than_equal": "expected at most {le:g}",
    "bool_type": "expected true or false, not {came}",
    "bool_parsing": "expected true or false",
    "literal_error": "expected {expected}",
    "enum": "expected {expected}",
    "dict_type": "expected a table of names and values, not {came}",
    "mapping_type": "expected a table of names and values, not {came}",
    "list_type": 'expected a list such as ["one", "two"], not {came}',
    "tuple_type": 'expected a list such as ["one", "two"], not {came}',
    "set_type": 'expected a list such as ["one", "two"], not {came}',
    "frozen_set_type": 'expected a list such as ["one", "two"], not {came}',
    "is_instance_of": "expected {class}, not {came}",
    "dataclass_type": "expected {class_name}, not {came}",
    "model_type": "expected {class_name}, not {came}",
    "timezone_aware": "expected a time with an offset",
    "datetime_type": "expected a time, not {came}",
    "datetime_parsing": "expected a time",
    "datetime_from_date_parsing": "expected a time",
}
_NUMBERS = (int, float, Decimal, timedelta)
#: Where the type alone does not say how it is written.
_WRITTEN = {"Money": "Money, such as Money.of('88.00', 'CNY')"}


def mistakes(error: ValidationError, whole: str = "settings", origins: Mapping[str, str] = {}) -> str:
    """What is wrong with which field, each once.

    ``whole`` names what they are fields of, ``origins`` the variable or secret file that set a field.
    """
    found = error.errors(include_url=False)
    return "; ".join(dict.fromkeys(f"{named(_place(it['loc']), origins) or whole}: {_said(it)}" for it in found))


def missing(error: ValidationError) -> list[str]:
    """The fields that are missing."""
    return [_place(it["loc"]) for it in error.errors(include_url=False) if it["type"] == "missing"]


def unknown(error: ValidationError) -> list[str]:
    """The fields that there are not."""
    return [_place(it["loc"]) for it in error.errors(include_url=False) if it["type"] == "extra_forbidden"]


def flags_for_numbers(cls: type, given: Mapping[str, object]) -> list[str]:
    """The fields of a model that want a number, and were given true or false: pydantic would read 1 or 0."""
    known = cls.model_fields if issubclass(cls, BaseModel) else {}
    flags = [key for key, value in given.items() if key in known and _has_flag(value)]
    return [key for key in flags if _wants_number(known[key].annotation)]


def _has_flag(value: object) -> bool:
    return isinstance(value, bool) or (isinstance(value, list | tuple) and any(map(_has_flag, value)))


def _wants_number(annotation: object) -> bool:
    kinds = list(_kinds(annotation))
    return any(it in _NUMBERS for it in kinds) and not any(it is bool or isinstance(it, bool) for it in kinds)


def _kinds(annotation: object) -> Iterator[object]:
    inner = get_args(annotation)
    for each in inner:
        yield from _kinds(each)
    if not inner:
        yield annotation


def _place(location: tuple[int | str, ...]) -> str:
    """The field, without pydantic's names for the branches of a type, and without places in a list."""
    return ".".join(part for part in location if isinstance(part, str) and "[" not in part and part != "str")


def named(place: str, origins: Mapping[str, str]) -> str:
    """``place``, and what set it, where a variable or a secret file did."""
    origin = next((origin for key, origin in origins.items() if f"{place}.".startswith(f"{key}.")), None)
    return place if origin is None else f"{place} (from {origin})"


def _said(item: Any) -> str:
    limits = dict(item.get("ctx", {}))
    if item["type"] in {"value_error", "assertion_error"}:
        return str(limits["error"])
    if "class_name" in limits:
        limits["class_name"] = _WRITTEN.get(limits["class_name"], limits["class_name"])
    words = _WORDS.get(item["type"], "expected another kind of value, not {came}")
    quoted = ", in quotes" if isinstance(item["input"], int | float) else ""
    return words.format(**limits, quoted=quoted, came=_a(type(item["input"]).__name__), but=_but(item["input"]))


def _but(text: object) -> str:
    """What is wrong with a text, where that can be said without showing it."""
    if text == "":
        return ", not an empty one"
    return ", without white space around it" if isinstance(text, str) and text != text.strip() else ""


def _a(name: str) -> str:
    return {"NoneType": "None", "bool": "true or false"}.get(name, f"{'an' if name[0] in 'aeiou' else 'a'} {name}")
