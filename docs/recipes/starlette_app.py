from shop import checkout
from starlette.applications import Starlette
from starlette.routing import Mount

from payhub_core.web import asgi

app = Starlette(routes=[Mount("/pay", app=asgi(checkout))])
