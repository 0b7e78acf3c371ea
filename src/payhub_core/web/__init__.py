"""The callback endpoint, for any web framework: one ASGI and one WSGI application."""

from payhub_core.web.answers import Answer
from payhub_core.web.endpoint import LIMIT, AsyncReceiver, Receiver
from payhub_core.web.interfaces import AsgiEndpoint, WsgiEndpoint, asgi, wsgi

__all__ = ["LIMIT", "Answer", "AsgiEndpoint", "AsyncReceiver", "Receiver", "WsgiEndpoint", "asgi", "wsgi"]
