"""Cassettes: what a gateway really answered, recorded once and replayed byte for byte, by vcrpy without its traps."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from payhub_core.errors import ConfigError

__all__ = ["Format", "cassette"]

#: What is no part of a protocol: the versions of a client, and what opens the gateway's door.
UNSAID = ("user-agent", "accept", "authorization")
#: All that a request is, so that one with a wrong signature is another request. vcrpy itself leaves the body out.
MATCH_ON = ("method", "scheme", "host", "port", "path", "query", "raw_body")


@contextmanager
def cassette(
    path: str | os.PathLike[str],
    *,
    record: bool = False,
    secrets: Iterable[str] = (),
    ignore_hosts: Iterable[str] = (),
) -> Iterator[Any]:
    """Replays the cassette at ``path``, or records it anew where ``record`` is true.

    Replaying, a request that was not recorded fails, a missing or empty cassette fails, and so does one of which
    something was not asked for. Recording, a cassette that would hold one of ``secrets`` is not written, and the header
    Authorization never is. Signatures are kept, so that a replay proves them: record with throw-away keys. Errors are
    never recorded; for those there is `FakeGateway`. Needs vcrpy 9.4 or later, of the extra ``payhub-core[testing]``.
    """
    try:
        import vcr  # noqa: PLC0415  an extra
    except ImportError:
        raise ConfigError("cassettes need an extra", hint="pip install 'payhub-core[testing]'") from None
    file = Path(path)
    if record:
        file.unlink(missing_ok=True)
    recorder = vcr.VCR(
        record_mode="once" if record else "none",
        match_on=MATCH_ON,
        filter_headers=UNSAID,
        serializer="readable",
        ignore_hosts=tuple(ignore_hosts),
    )
    recorder.register_serializer("readable", Format)
    refused: list[str] = []
    recorder.register_persister(_keeper(tuple(secrets), refused))
    with recorder.use_cassette(file) as played:
        if not record and not len(played):
            raise AssertionError(f"there is nothing in {file.name}: record it with record=True")
        yield played
    if refused:
        raise AssertionError(f"{file.name} would hold a secret, and was not written")
    if not record and not played.all_played:
        raise AssertionError(f"{file.name}: not everything recorded was asked for, byte for byte")


class Format:
    """How a cassette is written: UTF-8 and LF whatever the locale, text as text; its reader makes plain values only."""

    @staticmethod
    def serialize(content: dict[str, Any]) -> str:
        """The cassette as YAML."""
        import yaml  # noqa: PLC0415  of vcrpy

        class Readable(yaml.SafeDumper):  # type: ignore[misc]
            pass

        def text(dumper: Any, value: str) -> Any:
            style = "|" if "\n" in value.strip() else None
            return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)

        Readable.add_representer(str, text)
        written: str = yaml.dump(content, Dumper=Readable, allow_unicode=True, sort_keys=False, width=10**6)
        return written

    @staticmethod
    def deserialize(text: str) -> Any:
        """What was written."""
        import yaml  # noqa: PLC0415  of vcrpy

        return yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506  both are safe


def _keeper(secrets: tuple[str, ...], refused: list[str]) -> type[Any]:
    """Where cassettes are kept; one with a secret is ``refused``: an error raised here would leave vcrpy in place."""
    from vcr.persisters.filesystem import CassetteNotFoundError  # noqa: PLC0415
    from vcr.serialize import deserialize, serialize  # noqa: PLC0415

    class Keeper:
        @staticmethod
        def save_cassette(path: str, content: dict[str, Any], serializer: Any) -> None:
            text = serialize(content, serializer)
            if any(secret in text for secret in secrets):
                refused.append(path)
                return
            Path(path).parent.mkdir(parents=True, exist_ok=True)
            Path(path).write_text(text, "utf-8", newline="\n")

        @staticmethod
        def load_cassette(path: str, serializer: Any) -> Any:
            if not Path(path).exists():
                raise CassetteNotFoundError
            return deserialize(Path(path).read_text("utf-8"), serializer)

    return Keeper
