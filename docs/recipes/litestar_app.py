from litestar import Litestar
from litestar.handlers import asgi as mount
from shop import checkout

from payhub_core.web import asgi

app = Litestar([mount("/pay", is_mount=True, copy_scope=True)(asgi(checkout))])
