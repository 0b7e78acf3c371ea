"""Cases about secrets: shown nowhere."""

from __future__ import annotations

import itertools
import pickle
import re
import traceback
from base64 import b64decode
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote, unquote_plus

from payhub_core.errors import ConfigError
from payhub_core.flow import Request
from payhub_core.models import Callback, CallbackKind
from payhub_core.testing.bench import Bench, Message
from payhub_core.testing.case import Mismatch, NotApplicable, case
from payhub_core.testing.cases.faults import calls, flows
from payhub_core.testing.cases.forgeries import written_with
from payhub_core.testing.cases.notifies import carriers, refused, signed
from payhub_core.testing.faults import FAULTS, NOES, Answer, in_doubt, saying
from payhub_core.testing.messages import carries, differing, fields_of, parts, reply_parts, unpacked
from payhub_core.testing.outcome import Call, Outcome, about, expect
from payhub_core.testing.words import TOMORROW

PAGE = "writing-a-provider.md#before-you-publish"
#: JSON Web Token: head, claims and signature (RFC 7519, RFC 7515).
_JWT = re.compile(rb"\b(eyJ[\w-]+)\.([\w-]+)\.([\w-]+)$")
KIT = str(Path(__file__).parents[1])
SHORTEST = 8
#: The hex digits of an MD5, or as many characters of anything longer.
SIGNATURE = 32
#: Of an answer that is longer, so much tells that it is quoted: an error shows no more than some hundred characters.
WHOLE = 60


def found(bench: Bench, text: str) -> str:
    """The setting whose secret ``text`` shows, or ""."""
    texts = unpacked(text)
    return next((name for name, secret in bench.secrets() if any(secret in one for one in texts)), "")


def no_token(bench: Bench, text: str, where: str) -> None:
    """Raises Mismatch where ``text`` shows an access token that the gateway has handed out."""
    expect(not any(token in text for token in bench.tokens), f"no access token in {where}", "the token in it")


def secretive(bench: Bench) -> None:
    """Raises NotApplicable where no setting is a secret."""
    if not any(bench.secrets()):
        raise NotApplicable("no secret setting")


def hidden(bench: Bench, text: str, where: str) -> None:
    """Raises Mismatch where ``text`` shows a secret, without showing it again."""
    name = found(bench, text)
    expect(not name, f"no secret in {where}", f"the setting {name!r} in it; where it is no secret, name it in `public`")


def everything(bench: Bench) -> Iterator[Outcome]:
    """Every flow as it should be and as it goes wrong; a create that sends nothing, too."""
    for outcome in _everything(bench):
        bench.learn(outcome)
        yield outcome


def _everything(bench: Bench) -> Iterator[Outcome]:
    if "create_payment" not in bench.without:
        yield bench.create()
    for call, fine in calls(bench):
        yield fine
        faults = [FAULTS["html"], FAULTS["read"], _another(bench), saying("missing", TOMORROW)]
        faults += [in_doubt(word) for word in bench.words("unknown")]
        faults += [saying(no, word) for no in (*NOES, "duplicate") for word in bench.words(no)]
        for at, fault in itertools.product(range(len(fine.tried)), faults):
            with suppress(NotApplicable):
                yield bench.play(replace(call, fault=fault, at=at))[0]
    for told in _messages(bench):
        yield bench.hear(told.genuine, told.sale)
        yield bench.hear(told.write(bench.foreign(told.sale)), told.sale)
        for part in carriers(bench, told):
            yield bench.hear(part.written(None), told.sale)


def _messages(bench: Bench) -> list[Message]:
    """What is heard, where that is not excused."""
    return [] if "parse_callback" in bench.without else bench.messages()


def _another(bench: Bench) -> Answer:
    """An answer about another order."""
    other = {"reference": bench.another().reference, "gateway_id": bench.contract.gateway_ids[1]}
    return lambda _, honest: honest(**other)


@case(
    "secret.repr",
    "an account shows no secret, however it is printed",
    "Accounts end up in logs, in error reports and on screens.",
    PAGE,
)
def _repr(bench: Bench) -> None:
    secretive(bench)
    account = bench.account()
    for how in (repr, str, format):
        hidden(bench, how(account), f"{how.__name__}() of an account")
    dump = getattr(account, "model_dump_json", None)
    if dump is not None:
        hidden(bench, dump(), "an account as JSON")


@case(
    "secret.pickle",
    "an account is not pickled with its secrets",
    "Task queues keep what they are given, often for weeks and in the clear.",
    PAGE,
)
def _pickle(bench: Bench) -> None:
    secretive(bench)
    try:
        data = pickle.dumps(bench.account())
    except Exception:
        return
    hidden(bench, data.decode("latin-1"), "a pickled account")


@case(
    "secret.settings",
    "an error about a setting does not quote it",
    "A secret with a slip of the editor is still the secret, and the error is in the log of the deployment.",
    PAGE,
)
def _settings(bench: Bench) -> None:
    secretive(bench)
    for name in sorted({name for name, _ in bench.secrets()}):
        whole = bench.settings[name]
        # One that is cut off, or has too much, is what a provider's own check of a key refuses.
        for value in (str(whole)[: SHORTEST + 2], f"{whole}\x00", f"~{whole}", f"{whole}{whole}", {"a": whole}, "", 7):
            try:
                bench.account({**bench.settings, name: value})
            except Exception as error:
                text = _trace(error)
                piece = str(whole)[: SHORTEST + 2]
                expect(piece not in text, f"no value in the error about the setting {name!r}", "the value in it")


@case(
    "secret.empty",
    "an account whose key is empty is not loaded, and one without it believes nothing that an empty key signed",
    "A deployment that lost its key would take every message for genuine, since anyone signs with an empty one.",
    "kit.md#address-secrets-secret",
)
def _empty(bench: Bench) -> None:
    secretive(bench)
    for name in sorted({name for name, _ in bench.secrets()}):
        for value in ("", " "):
            loaded = _loads(bench, {**bench.settings, name: value})
            expect(not loaded, f"ConfigError for an account whose {name!r} is {value!r}", "an account")
        rest = {key: value for key, value in bench.settings.items() if key != name}
        if not _loads(bench, rest):
            continue
        told = bench.payment_told()
        callback = written_with(told, told.sale.but(settings={**bench.settings, name: ""}))
        if callback is not None:
            outcome = bench.play(bench.hear_call(callback), settings=rest)[0]
            refused(outcome, f"a message that an empty {name!r} signed, heard by an account without one")


def _loads(bench: Bench, settings: dict[str, Any]) -> bool:
    try:
        bench.account(settings)
    except ConfigError:
        return False
    return True


@case(
    "secret.plain_http",
    "an account whose address is plain http is not loaded, unless its settings say allow_http",
    "Keys and answers would pass through every network on the way, to be read and to be changed.",
    "kit.md#address-secrets-secret",
)
def _plain_http(bench: Bench) -> None:
    settings = {key: value for key, value in bench.settings.items() if key != "allow_http"}
    defaults = {name: field.default for name, field in getattr(bench.provider, "model_fields", {}).items()}
    known = {**defaults, **settings}
    secure = {key: str(value) for key, value in known.items() if str(value).startswith("https://")}
    if not secure:
        raise NotApplicable("no setting is an address")
    for name, value in secure.items():
        loaded = _loads(bench, {**settings, name: "http://" + value.removeprefix("https://")})
        expect(not loaded, f"ConfigError for plain http in {name!r}: declare it as an Address", "an account")


@case(
    "secret.switches",
    "no setting turns the check of a signature off",
    "What is set for a test is still set on the day of the launch.",
    PAGE,
)
def _switches(bench: Bench) -> None:
    if not signed(bench):
        raise NotApplicable("the callback is not signed")
    fields = getattr(bench.provider, "model_fields", {})
    switches = {name: field.default for name, field in fields.items() if isinstance(field.default, bool)}
    forged = bench.notify(bench.foreign(bench.paid()))
    for name, value in switches.items():
        settings = {**bench.settings, name: not bench.settings.get(name, value)}
        if _loads(bench, settings):
            outcome = bench.play(bench.hear_call(forged), settings=settings)[0]
            refused(outcome, f"a message that another key signed, with {name} = {settings[name]}")


@case(
    "secret.logs",
    "no log line shows a secret or a whole message, at any level, and nothing is printed",
    "Logs are kept longer than keys and read by more people; a message in them can be sent again, and names the payer.",
    PAGE,
)
def _logs(bench: Bench) -> None:
    secretive(bench)
    for outcome in everything(bench):
        hidden(bench, outcome.log, "the log")
        no_token(bench, outcome.log, "the log")
        for answer in outcome.answers:
            _unlogged(outcome, answer, "an answer")
        for request in outcome.tried:
            _unlogged(outcome, request.content, "a request")
        expect(
            not outcome.printed,
            "nothing printed",
            f"{len(outcome.printed)} characters, by the provider or its contract",
        )
    for told in _messages(bench):
        outcome = bench.hear(told.genuine, told.sale)
        for part in carriers(bench, told):
            _unlogged(outcome, part.value, f"{part.name}, part of the signature,")
        for data in (told.genuine.body, told.genuine.query):
            _unlogged(outcome, data, "a message")


def _unlogged(outcome: Outcome, data: bytes, what: str) -> None:
    text = data.decode("utf-8", "replace")
    shown = len(text) > SHORTEST and any(form in outcome.log for form in (text, repr(text)[1:-1], repr(data)[2:-1]))
    expect(not shown, f"no {what} in the log", "the whole of it")


@case(
    "secret.errors",
    "no error, and no variable in its traceback, shows a secret; no error shows the signature that would be right",
    "Error reports carry the local variables of every frame to another company's server.",
    PAGE,
)
def _errors(bench: Bench) -> None:
    secretive(bench)
    for outcome in everything(bench):
        if outcome.error is not None:
            hidden(bench, str(outcome.error), "an error")
            no_token(bench, str(outcome.error), "an error")
            trace = _trace(outcome.error)
            hidden(bench, trace, "the variables of a traceback")
            no_token(bench, trace, "the variables of a traceback: kit.bearer(token) hides it there")
            for request in outcome.tried:
                shown = len(request.content) > SHORTEST and repr(request.content)[2:-1] in str(outcome.error)
                expect(not shown, "no error with the whole of a request", "one that quotes it")
            for answer in outcome.answers:
                shown = len(answer) > 3 * SHORTEST and repr(answer)[2:-1][:WHOLE] in str(outcome.error)
                expect(not shown, "no error with the whole of an answer", "one that quotes it")
    for told in _messages(bench):
        for callback in _garbled(told.genuine):
            outcome = bench.hear(callback, told.sale)
            if outcome.error is not None:
                hidden(bench, str(outcome.error), "an error about a message that is garbled")
                hidden(bench, _trace(outcome.error), "the variables of a traceback")
        refusals = [told.write(bench.misnamed(told.sale))]
        for part in carriers(bench, told):
            refusals.append(altered := part.written(part.other))
            error = str(bench.hear(altered, told.sale).error).lower()  # hex is taken in either case
            shown = len(part.value) > SHORTEST and any(form.lower() in error for form in _forms(part.value))
            expect(
                not shown, f"no error with the {part.name} that would be right", "one: whoever sees it signs with it"
            )
        for callback in refusals:
            begun = repr(callback.body or callback.query)[2:40]
            shown = len(begun) > SHORTEST and begun in str(bench.hear(callback, told.sale).error)
            expect(not shown, "no error with the whole of a message", "one that quotes it")


def _garbled(genuine: Callback) -> Iterator[Callback]:
    """The message with each of its parts missing, or such as no gateway writes it; and with none of them."""
    for part in parts(genuine):
        yield from (part.written(value) for value in (None, b"", b"../1", b"%FF", part.other))
    yield replace(genuine, query=b"", body=b"")
    yield replace(genuine, method="PUT")
    yield replace(genuine, kind=CallbackKind.RETURN)


def _forms(signature: bytes) -> set[str]:
    """How a signature may be shown: as it is written, without percents, and in hex where it is Base64."""
    text = unquote(signature.decode("latin-1"))
    found = {signature.decode("latin-1"), text}
    with suppress(ValueError):
        found.add(b64decode(text, validate=True).hex())
    return found


@case(
    "secret.raw",
    "no result shows a secret or a signature, in raw or elsewhere",
    "Raw is stored and shown to support; a signature in it is a message that can be sent again.",
    "hooks.md#parse_callback",
)
def _raw(bench: Bench) -> None:
    secretive(bench)
    public = {str(bench.settings.get(name)).encode() for name in bench.contract.public}
    carrying = [part for told in bench.messages() for part in carriers(bench, told) if part.value not in public]
    for call, fine in calls(bench):
        signatures = _of_answers(bench, call, fine) | _of_requests(bench, call, fine)
        raw = repr(getattr(about(fine.result), "raw", ""))
        for value, what in signatures.items():
            expect(value not in raw, f"no {what} in raw, since it is part of a signature", fine)
    for outcome in everything(bench):
        result = about(outcome.result)
        if result is None:
            continue
        try:
            text = result.model_dump_json() + repr(result) + repr(result.raw)
        except Exception as error:
            raise Mismatch("a result that can be written", f"{type(error).__name__} in {outcome}") from None
        hidden(bench, text, "a result")
        no_token(bench, text, "a result")
        for part in carrying:
            written = part.value.decode("latin-1")  # a plus is one in Base64, and a blank in a form
            shown = any(len(value) > SHORTEST and value in text for value in (written, unquote_plus(written)))
            expect(not shown, f"no {part.name} in raw, since it is part of the signature", outcome)


def _of_answers(bench: Bench, call: Call, fine: Outcome) -> dict[str, str]:
    """What only this account's keys make of the answers to a call."""
    found: dict[str, str] = {}
    for request, body in zip(fine.tried, fine.answers, strict=True):
        mine = bench.answer(request, call.sale, call.hook)
        theirs = reply_parts(bench.answer(request, bench.foreign(call.sale), call.hook))
        if mine.content == body:
            found |= {
                f"{name} of an answer": value.decode("latin-1")
                for name, value in reply_parts(mine).items()
                if theirs.get(name) != value
            }
    return _signatures(bench, found)


def _of_requests(bench: Bench, call: Call, fine: Outcome) -> dict[str, str]:
    """What only this account's keys make of the requests of a call; what is another each time is none of it."""
    try:
        again, theirs = (
            fields_of(
                *bench.sent(bench.play(replace(call, sale=call.sale.but(settings=settings)), settings=settings)[0])
            )
            for settings in (bench.settings, bench.foreign(call.sale).settings)
        )
    except Mismatch:  # the contract knows one key, whatever its settings are
        return {}
    steady = (fields_of(*bench.sent(fine)) & again) - theirs
    return _signatures(bench, {f"{name} of a request": value.decode("latin-1") for name, value in steady})


def _signatures(bench: Bench, values: dict[str, str]) -> dict[str, str]:
    """The names by the texts of those that are long enough for one, and are no setting, such as a key's number."""
    settings = {str(value) for value in (*bench.settings.values(), *bench.other.values())}
    return {
        text: name
        for name, value in values.items()
        for text in (value, unquote_plus(value))
        if len(text) >= SIGNATURE and text not in settings
    }


@case(
    "secret.address",
    "no secret is in the address of a request",
    "Addresses are in the access logs of every proxy on the way.",
    PAGE,
)
def _address(bench: Bench) -> None:
    secretive(bench)
    for outcome in everything(bench):
        for request in outcome.tried:
            hidden(bench, str(request.url), "the address of a request")
            no_token(bench, str(request.url), "the address of a request")
        action = getattr(outcome.result, "next_action", None)
        hidden(bench, repr(action and action.model_dump()), "what the payer's browser is given")


@case(
    "secret.sent",
    "a request that a key signs does not carry the key as well",
    "Whoever reads one such request signs the next: the signature then proves nothing.",
    PAGE,
)
def _sent(bench: Bench) -> None:
    secretive(bench)
    create = bench.create_call()
    page = [] if "create_payment" in bench.without else [(create, bench.play(create, fresh=True)[0])]
    for call, fine in [*(it for it in page if not it[1].tried), *calls(bench)]:
        for name, secret in bench.secrets():
            carrying = [at for at, request in enumerate(bench.sent(fine)) if carries(request, [secret])]
            made = _made_with(bench, call, name) if carrying else {}
            for at in carrying:
                signed_by = sorted(
                    field
                    for field, value in made.get(at, ())
                    if not any(secret in text for text in unpacked(value.decode("latin-1")))
                )
                came = f"the setting {name!r} in it, beside {', '.join(signed_by)}"
                expect(not signed_by, f"no key in a request of {call.hook} that it signs", came)


def _made_with(bench: Bench, call: Call, name: str) -> dict[int, set[tuple[str, bytes]]]:
    """What is otherwise in each of a call's requests where one secret is another merchant's."""

    def sent(settings: dict[str, Any]) -> list[Request]:
        told = replace(call, sale=call.sale.but(settings=bench.sending(settings)))
        return bench.sent(bench.play(told, settings=settings)[0])

    try:
        one, two, other = (sent({**bench.settings, **change}) for change in ({}, {}, {name: bench.other.get(name)}))
    except Mismatch:  # the contract knows one key, whatever its settings are
        return {}
    return {
        at: (_parted(mine) & _parted(again)) - _parted(theirs)  # a nonce is another every time
        for at, (mine, again, theirs) in enumerate(zip(one, two, other, strict=False))
    }


def _parted(request: Request) -> set[tuple[str, bytes]]:
    """The fields of a request, and the parts of each that is a signed token: the key may stand beside its signature."""
    fields = fields_of(request)
    tokens = {(name, token) for name, value in fields if (token := _JWT.search(value))}
    return fields | {
        (f"part {at} of {name}", part) for name, token in tokens for at, part in enumerate(token.groups(), 1)
    }


def _trace(error: BaseException) -> str:
    """The error with its causes and every local variable, but for the kit's own frames."""
    lines: list[str] = []
    seen: BaseException | None = error
    while seen is not None:
        lines.append(f"{seen!r} {seen}")
        for frame, _ in traceback.walk_tb(seen.__traceback__):
            if not frame.f_code.co_filename.startswith(KIT):
                lines += [_shown(name, value) for name, value in frame.f_locals.items()]
        seen = seen.__cause__ or (None if seen.__suppress_context__ else seen.__context__)
    return "\n".join(lines)


def _shown(name: str, value: object) -> str:
    try:
        return f"{name} = {value!r}"
    except Exception:
        return name


@case(
    "secret.rotation",
    "while keys rotate, a message that any of them signed is believed, and the first signs all that is sent",
    "Messages of the old key are under way: refused, paid orders are not delivered. A request by it is refused soon.",
    "kit.md#address-secrets-secret",
)
def _rotation(bench: Bench) -> None:
    genuine = bench.notify(bench.paid())
    if not differing(genuine, bench.notify(bench.foreign(bench.paid()))):
        raise NotApplicable("the callback is not signed")
    named = [name for name in bench.contract.other if name not in bench.info.identity]
    texts = [name for name in named if isinstance(bench.settings.get(name), str | list | tuple)]
    rotating = [name for name in texts if _takes_several(bench, name)]
    if not rotating:
        raise NotApplicable("no setting takes several keys")
    sending = [call for call in flows(bench) if call.hook != "query"]
    for call in sending:
        _first_signs(bench, rotating, call)
    answered = bench.play(bench.query_call(bench.paid(), bench.order()))[0].error is None  # else query.paid tells
    for newest_first in (False, True):
        changed = {name: _several(bench, name, newest_first=newest_first) for name in rotating}
        settings = {**bench.settings, **changed}
        # The gateway knows the key that signs the account's own requests.
        sale = bench.paid(settings=bench.sending(settings))
        outcome = bench.play(bench.hear_call(genuine, sale), settings=settings)[0]
        place = "second" if newest_first else "first"
        expect(outcome.error is None, f"a message to be believed that the {place} of two keys signed", outcome)
        asked = bench.play(bench.query_call(bench.paid(settings=bench.settings), bench.order()), settings=settings)[0]
        believed = asked.error is None or not answered
        expect(believed, f"an answer to a query to be believed that the {place} of two keys signed", asked)
        for call in sending:
            told = replace(call, sale=call.sale.but(settings=bench.sending(settings)))
            made = bench.play(told, settings=settings)[0]
            expect(made.error is None, f"a {call.hook} that the first of two keys signs", made)


def _first_signs(bench: Bench, rotating: list[str], call: Call) -> None:
    """Raises Mismatch where a call with two keys is the one that the second makes."""
    old, new = ({name: values[name] for name in rotating} for values in (bench.settings, bench.other))
    both = {name: _several(bench, name, newest_first=True) for name in rotating}

    def sent(keys: dict[str, Any]) -> set[tuple[str, bytes]]:
        settings = {**bench.settings, **keys}
        told = replace(call, sale=call.sale.but(settings=bench.sending(settings)))
        return fields_of(*bench.sent(bench.play(told, settings=settings)[0]))

    by_second = sent(old) & sent(old)  # a nonce is another every time
    by_second -= sent(new)
    signed_by = "one that is signed with the second"
    expect(not by_second or not by_second <= sent(both), f"a {call.hook} that the first of two keys signs", signed_by)


def _several(bench: Bench, name: str, *, newest_first: bool) -> list[str]:
    """The account's own keys beside one that signs nothing yet."""
    values = bench.settings[name], bench.other[name]
    own, new = ([*value] if isinstance(value, list | tuple) else [value] for value in values)
    return [*new, *own] if newest_first else [*own, *new]


def _takes_several(bench: Bench, name: str) -> bool:
    return _loads(bench, {**bench.settings, name: _several(bench, name, newest_first=True)})
