from django.db.transaction import non_atomic_requests
from django.http import HttpResponse
from django.urls import path
from django.views.decorators.csrf import csrf_exempt
from shop import checkout

from payhub_core.web import wsgi

pay = wsgi(checkout)


@csrf_exempt  # the gateway has no token of yours: its signature is what counts
@non_atomic_requests  # under ATOMIC_REQUESTS Django would commit only after the answer
def callbacks(request, address):
    answer = pay.answer(request.method, address, request.headers, request.META["QUERY_STRING"], request.body)
    return HttpResponse(answer.body, status=answer.status_code, headers=answer.headers)


urlpatterns = [path("pay/<path:address>", callbacks)]
