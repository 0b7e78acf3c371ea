"""What is answered: the gateway's acknowledgement, a redirect for the payer, and a line for everyone else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote

from payhub_core.models import Reply

__all__ = ["PRIVATE", "Answer", "acknowledgement", "make_answer", "plain_text", "redirect"]


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP response, in the words of no framework; ``headers`` has lower-case names, Content-Length among them."""

    status_code: int
    headers: Mapping[str, str]
    body: bytes


# The address of a GET return holds a signature, which no cache and no next site shall see.
PRIVATE = {"cache-control": "no-store", "referrer-policy": "no-referrer", "x-content-type-options": "nosniff"}


def acknowledgement(reply: Reply) -> Answer:
    """``reply``, byte for byte."""
    return make_answer(reply.status_code, reply.content_type, reply.body)


def plain_text(status_code: int, text: str, **headers: str) -> Answer:
    """A line of plain text."""
    return make_answer(status_code, "text/plain; charset=utf-8", text.encode(), headers)


def redirect(url: str) -> Answer:
    """303, so that the browser goes there with a GET. Raises TypeError where ``url`` is no text."""
    # Neither a line break nor a letter that a header cannot hold gets through.
    location = quote(url, safe="!#$%&'()*+,/:;=?@[]~")
    return make_answer(303, "text/plain; charset=utf-8", location.encode(), {**PRIVATE, "location": location})


def make_answer(status_code: int, content_type: str, body: bytes, headers: Mapping[str, str] | None = None) -> Answer:
    """An answer whose length is stated."""
    own = {"content-type": content_type, "content-length": str(len(body))}
    return Answer(status_code, {**own, **(headers or {})}, body)
