from flask import Flask
from shop import checkout
from werkzeug.middleware.dispatcher import DispatcherMiddleware

from payhub_core.web import wsgi

app = Flask(__name__)
app.wsgi_app = DispatcherMiddleware(app.wsgi_app, {"/pay": wsgi(checkout)})
