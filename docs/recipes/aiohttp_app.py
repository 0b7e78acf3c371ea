from aiohttp import web
from shop import checkout

from payhub_core.web import asgi

pay = asgi(checkout)


async def callbacks(request):
    query, body = request.rel_url.raw_query_string, await request.read()
    answer = await pay.answer(request.method, request.path, request.headers, query, body)
    return web.Response(body=answer.body, status=answer.status_code, headers=answer.headers)


app = web.Application()
app.router.add_route("*", "/pay/{address:.*}", callbacks)
