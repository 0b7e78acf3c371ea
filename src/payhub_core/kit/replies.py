"""A gateway's replies: the status checked, the object read, a refusal told from an outcome that is unknown."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import TypeAlias

from payhub_core.errors import AccountRefused, GatewayError, NotFound, Refused, plain
from payhub_core.flow import Response
from payhub_core.kit.fields import Fields
from payhub_core.kit.objects import read_object

__all__ = ["Refusal", "check_code", "read_reply"]

#: Reads the gateway's own code and reason out of the body of an error; None where that is no refusal. It may raise
#: AccountRefused itself, where the code says so and the status does not.
Refusal: TypeAlias = Callable[[Fields], tuple[str, str] | None]

_NO_CONTENT = 204
_NOT_FOUND = 404
_ACCOUNT = {401, 403, 429}
_ORDER = {400, 402, 409, 422}


def read_reply(
    response: Response,
    *,
    ok: tuple[int, ...] = (200,),
    refusal: Refusal | None = None,
    missing: bool = False,
    body: Callable[[bytes, type[Fields]], Fields] = read_object,
) -> Fields:
    """The fields of a reply whose HTTP status is one of ``ok``; a 204 has no fields (RFC 9110, 15.3.5).

    ``body`` reads them: a JSON object, unless it is ``partial(read_xml, root="Reply")`` or the author's own.

    Other statuses are sorted where the gateway states refusals by them and ``refusal`` reads them: 401, 403 and 429
    raise AccountRefused, readable or not; 400, 402, 409 and 422 Refused; 404 NotFound where it means a ``missing``
    order. All else raises GatewayError, which after a create is an unknown outcome: so does a page instead of JSON,
    whose writer is not the gateway, and a body of which ``refusal`` says None, as for "already under way".
    """
    status = response.status_code
    if status in ok:
        try:
            return Fields() if status == _NO_CONTENT else body(response.content, Fields)
        except GatewayError as error:
            error.unreadable = True
            raise
    if refusal is not None and status in _ACCOUNT | _ORDER | ({_NOT_FOUND} if missing else set()):
        try:
            told = refusal(body(response.content, Fields))
        except GatewayError as error:
            if type(error) is not GatewayError:
                raise
            told = None
        code, reason = told or ("", "")
        if status in _ACCOUNT:
            raise AccountRefused(f"the gateway refused the account by HTTP {status}", code=code, reason=reason)
        if told is not None and status == _NOT_FOUND:
            raise NotFound("the gateway does not know the order")
        if told is not None:
            raise Refused("the gateway refused", code=code, reason=reason)
    expected = " or ".join(map(str, ok))
    failed = GatewayError(f"expected HTTP {expected}, the gateway answered {status}")
    failed.unreadable = True
    raise failed


def check_code(
    code: str,
    reason: str = "",
    /,
    *,
    ok: Collection[str],
    refused: Collection[str] = (),
    account: Collection[str] = (),
    missing: Collection[str] = (),
) -> None:
    """Returns where a gateway's own ``code``, in an answer that is read and verified, is one of ``ok``.

    Raises Refused for one of ``refused``, AccountRefused for one of ``account``, NotFound for one of ``missing``, and
    GatewayError for every other: "system error", "in progress", "this number is taken", and what is yet to come prove
    nothing. ``reason`` are the gateway's words.
    """
    if code in ok:
        return
    if code in account:
        raise AccountRefused("the gateway refused the account", code=code, reason=reason)
    if code in missing:
        raise NotFound("the gateway does not know the order")
    if code in refused:
        raise Refused("the gateway refused", code=code, reason=reason)
    raise GatewayError(f"the gateway answered {plain(code, 40)!r}, which proves nothing: {plain(reason, 160)}")
