"""Form fields as they arrive: read strictly, since whatever is ambiguous cannot be signed."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

if TYPE_CHECKING:
    from starlette.requests import Request

#: Bytes of a form; the largest honest request is a few hundred.
MAX_BODY = 64 * 1024
_MAX_FIELDS = 64


class BadFormError(ValueError):
    """The request carries no readable form."""


def parse_form(raw: bytes) -> dict[str, str]:
    """Return the fields of a form body or a query string, empty values kept."""
    try:
        pairs = parse_qsl(
            raw.decode(), keep_blank_values=True, strict_parsing=True, errors="strict", max_num_fields=_MAX_FIELDS
        )
    except ValueError as problem:
        raise BadFormError from problem
    fields = dict(pairs)
    if len(fields) < len(pairs):
        raise BadFormError
    return fields


async def read_form(request: Request) -> dict[str, str]:
    """Return the fields of a POSTed form."""
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/x-www-form-urlencoded":
        raise BadFormError
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY:
            raise BadFormError
    return parse_form(bytes(body))
