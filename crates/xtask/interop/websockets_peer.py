"""The peer `websockets`: plays the case that its JSON argument tells, and prints one JSON line of what it saw."""

import asyncio
import json
import re
import ssl
import sys

from messages import all_messages, pieces
from websockets.asyncio.client import connect
from websockets.asyncio.connection import Connection
from websockets.asyncio.server import serve
from websockets.extensions.permessage_deflate import PerMessageDeflate, ServerPerMessageDeflateFactory
from websockets.frames import Opcode

case = json.loads(sys.argv[1])
options = dict(compression="deflate" if case["deflate"] else None, max_size=32 << 20, ping_interval=None)
if not case["takeover"]:
    options["extensions"] = [ServerPerMessageDeflateFactory(True, True)]
pings = []
compressed = dict(received=0, sent=0)
played = asyncio.Event()
process_event, decode, encode = Connection.process_event, PerMessageDeflate.decode, PerMessageDeflate.encode


def record(ws, event):
    if event.opcode is Opcode.PING:
        pings.append(bytes(event.data).decode())
    process_event(ws, event)


def count_received(deflate, frame, **limits):
    compressed["received"] += frame.rsv1
    return decode(deflate, frame, **limits)


def count_sent(deflate, frame):
    encoded = encode(deflate, frame)
    compressed["sent"] += encoded.rsv1
    return encoded


# The library answers pings and decompresses messages, and tells nobody.
Connection.process_event, PerMessageDeflate.decode, PerMessageDeflate.encode = record, count_received, count_sent


async def send(ws, message):
    whole = message.encode() if isinstance(message, str) else message
    await ws.send(pieces(whole, case["fragments"]) if case["fragments"] else whole, text=isinstance(message, str))


async def act(ws):
    messages = all_messages(case)
    if case["act"] == "echo" and case["closes"]:
        for _ in messages:
            await send(ws, await ws.recv())
    elif case["act"] == "echo":
        async for received in ws:
            await send(ws, received)
    elif case["act"] == "send":
        for sent in messages:
            await send(ws, sent)
            assert await ws.recv() == sent, f"{len(sent)} came back as another message"
        if not case["closes"]:
            print(json.dumps(dict(echoed=len(messages))), flush=True)
            await ws.wait_closed()
    elif case["act"] == "ping":
        await (await ws.ping(b"from the peer"))
    elif case["act"] == "await pings":
        while len(pings) < 3 and ws.close_code is None:
            await asyncio.sleep(0.02)


async def play(ws):
    error = None
    try:
        await act(ws)
    except Exception as caught:
        # That the other side closes is what is waited for if this does not.
        error = None if not case["closes"] and ws.protocol.close_rcvd else repr(caught)
    await ws.close(case["code"], case["reason"])
    clean = bool(ws.protocol.close_rcvd and ws.protocol.close_sent)
    saw = dict(code=ws.close_code, reason=ws.close_reason, clean=clean, pings=pings[:3], error=error)
    offer, answer = (head.headers.get("Sec-WebSocket-Extensions") for head in (ws.request, ws.response))
    agreed = None if answer is None else sorted(re.findall(r"\w+_no_context_takeover", answer))
    print(json.dumps(saw | dict(offered=offer is not None, agreed=agreed, compressed=compressed)))
    played.set()


async def main():
    if case["role"] == "client":
        tls = ssl.create_default_context(cafile=case["ca"]) if case["ca"] else None
        return await play(await connect(case["url"], ssl=tls, proxy=None, **options))
    if tls := ssl.create_default_context(ssl.Purpose.CLIENT_AUTH) if case["key"] else None:
        tls.load_cert_chain(case["certificate"], case["key"])
    async with serve(play, "127.0.0.1", 0, ssl=tls, **options) as server:
        print(json.dumps(dict(port=server.sockets[0].getsockname()[1])), flush=True)
        await played.wait()


try:
    asyncio.run(main())
except OSError as error:
    print(json.dumps(dict(error=str(error))))
