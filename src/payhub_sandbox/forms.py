"""Form fields as they arrive: read strictly, since whatever is ambiguous cannot be signed."""

from __future__ import annotations

from urllib.parse import parse_qsl

from starlette.requests import Request

__all__ = ["read_form", "read_query"]

_FORM = "application/x-www-form-urlencoded"
_LONGEST_FORM = 64 * 1024
_MOST_FIELDS = 64


async def read_form(request: Request) -> dict[str, str]:
    """The fields of a POSTed form, empty ones too; none where it cannot be read, so that required ones are missing."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != _FORM:
        return {}
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > _LONGEST_FORM:
            return {}
    return _fields(bytes(body))


def read_query(request: Request) -> dict[str, str]:
    """The fields of the query string; none where it cannot be read."""
    return _fields(request.scope["query_string"])


def _fields(form: bytes) -> dict[str, str]:
    try:
        pairs = parse_qsl(
            form.decode(), keep_blank_values=True, strict_parsing=True, errors="strict", max_num_fields=_MOST_FIELDS
        )
    except ValueError:
        return {}
    fields = dict(pairs)
    return fields if len(fields) == len(pairs) else {}
