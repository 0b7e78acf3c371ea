from django.http import HttpResponse
from django.urls import path
from django.views.decorators.csrf import csrf_exempt
from shop import checkout

from payhub_core.web import LIMIT, wsgi

pay = wsgi(checkout)


@csrf_exempt  # the gateway has no token of yours: its signature is what counts
def callbacks(request, address):
    query, body = request.META["QUERY_STRING"], request.read(LIMIT + 1)  # raw, and never request.POST
    answer = pay.answer(request.method, address, request.headers, query, body)
    return HttpResponse(answer.body, status=answer.status_code, headers=answer.headers)


urlpatterns = [path("pay/<path:address>", callbacks)]
