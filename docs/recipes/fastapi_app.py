from fastapi import FastAPI
from shop import checkout, fulfil

from payhub_core.web import asgi

app = FastAPI()
app.mount("/pay", asgi(checkout, handler=fulfil))
