from fastapi import FastAPI
from shop import checkout

from payhub_core.web import asgi

app = FastAPI()
app.mount("/pay", asgi(checkout))
