"""The peer libcurl, by PycURL: plays the case that its JSON argument tells, and prints one JSON line of what it saw."""

import json
import select
import sys

import pycurl
from messages import all_messages, pieces

case = json.loads(sys.argv[1])
curl = pycurl.Curl()
curl.setopt(pycurl.URL, case["url"])
curl.setopt(pycurl.NOPROXY, "*")
# The handshake, and then the frames are ours.
curl.setopt(pycurl.CONNECT_ONLY, 2)
curl.perform()
stream = curl.getinfo(pycurl.ACTIVESOCKET)


def send(data, flags):
    left = memoryview(data)
    while True:
        try:
            left = left[curl.ws_send(left, flags) :]
        except BlockingIOError:
            select.select([], [stream], [])
        else:
            if not left:
                return


def send_message(message):
    flags = pycurl.WS_TEXT if isinstance(message, str) else pycurl.WS_BINARY
    *most, last = pieces(message.encode() if isinstance(message, str) else message, case["fragments"])
    for piece in most:
        send(piece, flags | pycurl.WS_CONT)
    send(last, flags)


def receive():
    """The next message, or a Close, and the flags of its last frame."""
    parts = []
    while True:
        try:
            data, frame = curl.ws_recv(1 << 16)
        except BlockingIOError:
            select.select([stream], [], [])
            continue
        parts.append(data)
        if not frame.bytesleft and not frame.flags & pycurl.WS_CONT:
            whole = b"".join(parts)
            return whole.decode() if frame.flags & pycurl.WS_TEXT else whole, frame.flags


messages = all_messages(case)
for message in messages:
    send_message(message)
    received, flags = receive()
    assert received == message and not flags & pycurl.WS_CLOSE, f"{len(message)} came back as another message"
if case["closes"]:
    curl.ws_close(case["code"], case["reason"])
else:
    print(json.dumps(dict(echoed=len(messages))), flush=True)
close, flags = receive()
assert flags & pycurl.WS_CLOSE, "a message came instead of a Close"
code = int.from_bytes(close[:2], "big")
if not case["closes"]:
    curl.ws_close(code)
print(json.dumps(dict(code=code, reason=close[2:].decode(), clean=True, error=None)), flush=True)
