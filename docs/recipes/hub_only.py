from shop import hub, settle_once

from payhub_core.web import asgi


class HubOnly:
    def receive(self, account, callback):
        notification = hub.parse_callback(account, callback)  # raises CallbackError: answered "refused"
        settle_once(notification.payment)  # yours: compare the sum, settle once, commit; raise to be asked again
        return notification.reply

    def view(self, account, callback, reference=None):
        return hub.parse_callback(account, callback).payment


app = asgi(HubOnly())
