from django.db.transaction import non_atomic_requests
from django.http import HttpResponse
from django.urls import path
from django.views.decorators.csrf import csrf_exempt
from shop import checkout

from payhub_core.web import asgi

pay = asgi(checkout)


@csrf_exempt
@non_atomic_requests
async def callbacks(request, address):
    answer = await pay.answer(request.method, address, request.headers, request.META["QUERY_STRING"], request.body)
    return HttpResponse(answer.body, status=answer.status_code, headers=answer.headers)


urlpatterns = [path("pay/<path:address>", callbacks)]
