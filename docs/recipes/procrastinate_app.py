from procrastinate import App, PsycopgConnector
from shop import DATABASE, checkout

app = App(connector=PsycopgConnector(conninfo=DATABASE))


@app.periodic(cron="* * * * *")
@app.task(queueing_lock="reconcile")
def reconcile(timestamp):
    if errors := checkout.reconcile().errors:
        raise RuntimeError(errors)
