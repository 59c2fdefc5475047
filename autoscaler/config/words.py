"""What is wrong with a value, in an administrator's words instead of a validator's."""

import re
from datetime import date

from pydantic_core import ErrorDetails

# Longer values say more about themselves than about the mistake.
_MAX_QUOTED_CHARACTERS = 40

_PREDICATES = {
    "int_type": "is not a whole number",
    "int_parsing": "is not a whole number",
    "int_from_float": "is not a whole number",
    "float_type": "is not a number",
    "float_parsing": "is not a number",
    "finite_number": "is not a finite number",
    "bool_type": "is neither true nor false",
    "bool_parsing": "is neither true nor false",
    "string_type": "is not a text",
    "path_type": "is not a path",
    "list_type": "is not a list",
    "dict_type": "is not a mapping",
    "model_type": "is not a mapping",
    "model_attributes_type": "is not a mapping",
    "invalid_key": "is a key that is not a text",
    "missing": "is missing",
    "union_tag_not_found": "is missing",
}
_DEMANDS = {
    "greater_than": "must be more than {gt}",
    "greater_than_equal": "must be {ge} or more",
    "less_than": "must be less than {lt}",
    "less_than_equal": "must be {le} or less",
    "too_short": "must have {min_length} or more entries",
    "string_too_short": "must have {min_length} or more characters",
    "extra_forbidden": "unknown key",
}


def in_words(detail: ErrorDetails) -> str:
    """The reason of one validation error, to be read after the key; pydantic's own for an error of a rare type."""
    kind, context = detail["type"], detail.get("ctx", {})
    if kind == "union_tag_invalid":
        return f"{context['tag']!r} is not one of {context['expected_tags'].replace(chr(39), '')}"
    if kind == "literal_error":
        return f"{detail['input']!r} is not one of {_names(context['expected'])}"
    if kind == "string_type" and isinstance(detail["input"], date):
        # YAML takes what looks like one for a date.
        return f"{detail['input']} is not a text: put it in quotes"
    if kind in _PREDICATES:
        return f"{_quoted(detail['input'])}{_PREDICATES[kind]}"
    if kind in _DEMANDS:
        # Limits are floats for pydantic, whatever they were written as.
        plain = {key: f"{each:g}" if isinstance(each, float) else each for key, each in context.items()}
        return _DEMANDS[kind].format(**plain)
    return detail["msg"].removeprefix("Value error, ")


def _names(expected: str) -> str:
    """Pydantic shows the members of an enumeration as Python does."""
    return re.sub(r"<\w+\.\w+: '(\w+)'>", r"\1", expected)


def _quoted(value: object) -> str:
    """A value as the file has it, where it says something: a quoted number shows its quotes."""
    quoted = repr(value)
    plain = isinstance(value, str | int | float) and not isinstance(value, bool)
    return f"{quoted} " if plain and len(quoted) <= _MAX_QUOTED_CHARACTERS else ""
