from celery import Celery
from shop import checkout

app = Celery("shop")


@app.task(ignore_result=True)
def reconcile():
    if errors := checkout.reconcile().errors:
        raise RuntimeError(errors)


app.conf.beat_schedule = {"reconcile": {"task": reconcile.name, "schedule": 60.0, "options": {"expires": 60.0}}}
