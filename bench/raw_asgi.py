"""A raw ASGI answer of a given size on the server that Addonry uses: the floor that the gateway is measured from."""

import sys

import uvicorn

BODY = b"x" * int(sys.argv[1])
HEADERS = [(b"content-type", b"application/json"), (b"content-length", str(len(BODY)).encode())]


async def app(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
    await send({"type": "http.response.body", "body": BODY})


config = uvicorn.Config(
    app, port=int(sys.argv[2]), lifespan="off", log_config=None, access_log=False, server_header=False
)
uvicorn.Server(config).run()
