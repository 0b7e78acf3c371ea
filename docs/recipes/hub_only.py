from shop import hub, settle_once

from payhub_core.web import asgi


class HubOnly:
    def receive(self, account, callback, handler):
        notification = hub.parse_callback(account, callback)  # raises CallbackError: answered "refused"
        handler(notification.payment)  # yours: compare the sum, settle each order once, commit; raise to be asked again
        return notification.reply

    def view(self, account, callback, reference=None):
        return hub.parse_callback(account, callback).payment


app = asgi(HubOnly(), handler=settle_once)
