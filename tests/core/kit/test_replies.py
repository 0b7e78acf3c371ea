"""What a reply is: the fields, a refusal, or an outcome that nobody knows."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from payhub_core import AccountRefused, GatewayError, NotFound, Refused
from payhub_core.kit import Fields, check_code, read_reply


def told(fields: Fields) -> tuple[str, str] | None:
    """A gateway that states its reasons, and calls a request that it is still busy with a conflict."""
    code = fields.text("code")
    return None if code == "BUSY" else (code, fields.text("message", default=""))


def answer(status: int, body: Any = None) -> httpx.Response:
    if isinstance(body, str):
        return httpx.Response(status, text=body)
    return httpx.Response(status, json={"code": "NO", "message": "not today"} if body is None else body)


def test_a_reply_is_its_object() -> None:
    """Of the one status that means success."""
    assert read_reply(answer(200, {"id": "A1"})) == {"id": "A1"}
    assert read_reply(answer(201, {"id": "A1"}), ok=(200, 201)) == {"id": "A1"}


def test_a_reply_without_content_has_no_fields() -> None:
    """RFC 9110, 15.3.5, where the author expects one."""
    assert read_reply(httpx.Response(204), ok=(200, 204)) == {}
    with pytest.raises(GatewayError, match="expected HTTP 200, the gateway answered 204"):
        read_reply(httpx.Response(204))


@pytest.mark.parametrize("body", ["", "<html>", "[1]", '{"a": 1, "a": 1}', '{"a": NaN}', "SUCCESS"])
def test_a_reply_that_cannot_be_read_is_no_answer(body: str) -> None:
    """Neither a success nor a refusal."""
    with pytest.raises(GatewayError, match="expected a JSON object") as caught:
        read_reply(answer(200, body), refusal=told)
    assert type(caught.value) is GatewayError


@pytest.mark.parametrize("status", [*range(201, 209), *range(300, 309), *range(400, 452), 499, 500, 502, 503, 504])
@pytest.mark.parametrize("body", [None, "<html>", "", {"id": "A1"}])
def test_any_other_status_is_an_unknown_outcome_unless_the_gateway_refuses_by_it(status: int, body: Any) -> None:
    """Where refusals come with HTTP 200, another status is not the gateway's word."""
    with pytest.raises(GatewayError, match=f"expected HTTP 200, the gateway answered {status}") as caught:
        read_reply(answer(status, body))
    assert type(caught.value) is GatewayError


@pytest.mark.parametrize("status", [400, 402, 409, 422])
def test_an_order_is_refused_with_the_gateways_own_words(status: int) -> None:
    """Its code and reason, bounded and clean."""
    with pytest.raises(Refused, match="the gateway refused: not today") as caught:
        read_reply(answer(status), refusal=told)
    assert (type(caught.value), caught.value.code, caught.value.reason) == (Refused, "NO", "not today")
    with pytest.raises(Refused) as caught:
        read_reply(answer(status, {"code": "x\n", "message": "y\x01" * 9999}), refusal=told)
    assert caught.value.code.isprintable()
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize("status", [401, 403, 429])
@pytest.mark.parametrize(
    ("body", "code"), [(None, "NO"), ("<html>", ""), ("", ""), ({"x": 1}, ""), ({"code": "BUSY"}, "")]
)
def test_an_account_is_refused_readable_or_not(status: int, body: Any, code: str) -> None:
    """A wrong key, a merchant who may not, too many requests: nothing was done."""
    with pytest.raises(AccountRefused, match=f"refused the account by HTTP {status}") as caught:
        read_reply(answer(status, body), refusal=told)
    assert caught.value.code == code


@pytest.mark.parametrize("status", [400, 402, 409, 422])
@pytest.mark.parametrize(
    "body", ["<html>", "", "[]", {"x": 1}, {"code": True}, {"code": "BUSY"}, '{"code": 1, "code": 2}']
)
def test_an_order_is_not_refused_by_a_body_that_does_not_say_so(status: int, body: Any) -> None:
    """A proxy's page, another shape, or a request that is still under way: calling that refused loses a payment."""
    with pytest.raises(GatewayError, match=f"answered {status}") as caught:
        read_reply(answer(status, body), refusal=told)
    assert type(caught.value) is GatewayError


@pytest.mark.parametrize("status", [404, 405, 406, 408, 410, 413, 415, 418, 423, 425, 451, 300, 302, 500, 502, 503])
def test_any_other_status_is_an_unknown_outcome(status: int) -> None:
    """However well it is worded."""
    with pytest.raises(GatewayError, match=f"answered {status}") as caught:
        read_reply(answer(status), refusal=told)
    assert type(caught.value) is GatewayError


def test_404_is_an_unknown_order_where_the_author_says_so() -> None:
    """And the gateway itself does: a wrong path answers 404 as well."""
    with pytest.raises(NotFound, match="does not know the order"):
        read_reply(answer(404), refusal=told, missing=True)
    for body in ("<html>", "", {"x": 1}, {"code": "BUSY"}):
        with pytest.raises(GatewayError) as caught:
            read_reply(answer(404, body), refusal=told, missing=True)
        assert type(caught.value) is GatewayError


def test_the_author_may_know_better_than_the_status() -> None:
    """A code that is about the account, under a status that is about the order."""

    def refusal(fields: Fields) -> tuple[str, str]:
        raise AccountRefused("the merchant is suspended", code=fields.text("code"))

    with pytest.raises(AccountRefused, match="suspended"):
        read_reply(answer(400), refusal=refusal)


def test_a_bug_in_reading_a_refusal_is_no_refusal() -> None:
    """The core makes an unknown outcome of it."""
    with pytest.raises(KeyError):
        read_reply(answer(400), refusal=lambda fields: (fields["missing"], ""))


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("1", Refused),
        ("2", AccountRefused),
        ("3", NotFound),
        ("4", GatewayError),
        ("", GatewayError),
        ("OK ", GatewayError),
    ],
)
def test_a_code_is_what_the_tables_say_and_any_other_proves_nothing(code: str, error: type[GatewayError]) -> None:
    """An unknown outcome is asked about; a refusal that is none is paid twice."""
    tables = {"ok": {"OK"}, "refused": {"1"}, "account": {"2"}, "missing": {"3"}}
    check_code("OK", **tables)
    with pytest.raises(GatewayError) as raised:
        check_code(code, "why\n" * 99, **tables)
    assert type(raised.value) is error
    assert "\n" not in str(raised.value)
    assert len(str(raised.value)) < 400
