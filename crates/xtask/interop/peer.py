"""The peer `websockets`: plays the case that its JSON argument tells, and prints one JSON line of what it saw."""

import asyncio
import json
import ssl
import sys

from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.frames import Opcode
from websockets.protocol import State

case = json.loads(sys.argv[1])
text = case["kind"] == "text"


def recording(base):
    """A connection that keeps the payloads of the pings that come."""

    class Recording(base):
        pings = ()

        def process_event(self, event):
            if getattr(event, "opcode", None) is Opcode.PING:
                self.pings += (bytes(event.data).decode(),)
            super().process_event(event)

    return Recording


def message(size):
    return "aé€😀" * (size // 10) + "x" * (size % 10) if text else (bytes(range(251)) * (size // 251 + 1))[:size]


async def act(ws):
    if case["act"] == "echo":
        async for received in ws:
            await ws.send(received)
    elif case["act"] == "send":
        for size in case["sizes"]:
            await ws.send(message(size))
            assert await ws.recv() == message(size), f"another message came back for {size} bytes"
    elif case["act"] == "fragments":
        whole = message(1000)
        octets = whole.encode() if text else whole
        await ws.send([octets[at : at + 7] for at in range(0, len(octets), 7)], text=text)
        assert await ws.recv() == whole, "another message came back"
    elif case["act"] == "ping":
        await (await ws.ping(b"from the peer"))
    elif case["act"] == "await pings":
        while len(ws.pings) < 3 and ws.state is State.OPEN:
            await asyncio.sleep(0.02)
    await ws.close(case["code"], case["reason"])


async def play(ws):
    error = None
    try:
        await act(ws)
    except Exception as caught:
        # That the other side closes is what an echo waits for.
        error = None if case["act"] == "echo" and ws.protocol.close_rcvd else repr(caught)
    await ws.wait_closed()
    offered, accepted = ("Sec-WebSocket-Extensions" in head.headers for head in (ws.request, ws.response))
    clean = bool(ws.protocol.close_rcvd and ws.protocol.close_sent)
    saw = dict(code=ws.close_code, reason=ws.close_reason, clean=clean, pings=ws.pings, error=error)
    print(json.dumps(saw | dict(offered=offered, accepted=accepted)), flush=True)


async def main():
    options = dict(compression="deflate" if case["deflate"] else None, max_size=32 << 20, ping_interval=None)
    if case["role"] == "client":
        tls = ssl.create_default_context(cafile=case["ca"]) if case["ca"] else None
        try:
            ws = await connect(case["url"], ssl=tls, proxy=None, create_connection=recording(ClientConnection), **options)
        except OSError as error:
            print(json.dumps(dict(error=str(error))))
        else:
            await play(ws)
        return
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH) if case["key"] else None
    if tls:
        tls.load_cert_chain(case["certificate"], case["key"])
    played = asyncio.Event()

    async def play_once(ws):
        await play(ws)
        played.set()

    async with serve(play_once, "127.0.0.1", 0, ssl=tls, create_connection=recording(ServerConnection), **options) as server:
        print(json.dumps(dict(port=server.sockets[0].getsockname()[1])), flush=True)
        await played.wait()


asyncio.run(main())
