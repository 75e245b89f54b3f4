"""The peer `wsproto` over a socket: plays the case that its JSON argument tells, and prints one JSON line of what it saw."""

import json
import re
import socket
import sys
from urllib.parse import urlsplit

from messages import all_messages, pieces
from wsproto import ConnectionType, WSConnection
from wsproto.events import AcceptConnection, BytesMessage, CloseConnection, Message, Ping, Request, TextMessage
from wsproto.extensions import PerMessageDeflate

case = json.loads(sys.argv[1])
is_client = case["role"] == "client"
compressed = dict(received=0, sent=0)


class Deflate(PerMessageDeflate):
    """The extension, which compresses and tells nobody."""

    def frame_inbound_header(self, proto, opcode, rsv, payload_length):
        compressed["received"] += rsv.rsv1
        return super().frame_inbound_header(proto, opcode, rsv, payload_length)

    def frame_outbound(self, proto, opcode, rsv, data, fin):
        rsv, data = super().frame_outbound(proto, opcode, rsv, data, fin)
        compressed["sent"] += rsv.rsv1
        return rsv, data


class Peer:
    def __init__(self, stream):
        self.stream = stream
        self.ws = WSConnection(ConnectionType.CLIENT if is_client else ConnectionType.SERVER)
        self.events = self.all_events()
        # The heads of the opening handshake.
        self.sent = self.received = b""
        limits = {} if case["takeover"] else dict(client_no_context_takeover=True, server_no_context_takeover=True)
        extensions = [Deflate(**limits)] if case["deflate"] else []
        if is_client:
            url = urlsplit(case["url"])
            self.send(Request(host=url.netloc, target=url.path or "/", extensions=extensions))
            assert isinstance(next(self.events), AcceptConnection)
        else:
            assert isinstance(next(self.events), Request)
            self.send(AcceptConnection(extensions=extensions))

    def send(self, event):
        data = self.ws.send(event)
        self.sent = self.sent or data
        self.stream.sendall(data)

    def all_events(self):
        while data := self.stream.recv(65536):
            self.received = self.received or data
            self.ws.receive_data(data)
            yield from self.ws.events()
        raise ConnectionError("the stream ended")

    def next(self):
        """The next message, or the peer's Close."""
        parts = []
        for event in self.events:
            if isinstance(event, Ping):
                self.send(event.response())
            elif isinstance(event, Message):
                parts.append(event.data)
                if event.message_finished:
                    return parts[0][:0].join(parts)
            else:
                assert isinstance(event, CloseConnection), f"a {event} came"
                return event

    def send_message(self, message):
        of_kind = TextMessage if isinstance(message, str) else BytesMessage
        *most, last = pieces(message, case["fragments"])
        for piece in most:
            self.send(of_kind(data=piece, message_finished=False))
        self.send(of_kind(data=last))

    def play(self):
        messages = all_messages(case)
        if case["act"] == "send":
            for message in messages:
                self.send_message(message)
                assert self.next() == message, f"{len(message)} came back as another message"
            if not case["closes"]:
                print(json.dumps(dict(echoed=len(messages))), flush=True)
        elif case["closes"]:
            for _ in messages:
                self.send_message(self.next())
        else:
            while not isinstance(close := self.next(), CloseConnection):
                self.send_message(close)
            self.send(close.response())
            return close
        if case["closes"]:
            self.send(CloseConnection(code=case["code"], reason=case["reason"]))
            return self.next()
        close = self.next()
        self.send(close.response())
        return close


def accept():
    with socket.create_server(("127.0.0.1", 0)) as server:
        print(json.dumps(dict(port=server.getsockname()[1])), flush=True)
        return server.accept()[0]


def extensions(head):
    """The value of the header, if the head has it."""
    found = re.search(rb"(?mi)^Sec-WebSocket-Extensions: *(.*)\r$", head.partition(b"\r\n\r\n")[0] + b"\r\n")
    return found and found[1].decode()


url = urlsplit(case["url"])
with socket.create_connection((url.hostname, url.port)) if is_client else accept() as stream:
    stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    peer = Peer(stream)
    close = peer.play()
    offer, answer = map(extensions, (peer.sent, peer.received) if is_client else (peer.received, peer.sent))
    agreed = None if answer is None else sorted(re.findall(r"\w+_no_context_takeover", answer))
    saw = dict(code=close.code, reason=close.reason or "", clean=True, pings=[], error=None)
    print(json.dumps(saw | dict(offered=offer is not None, agreed=agreed, compressed=compressed)), flush=True)
    # A server ends the stream, its client waits for that.
    if is_client:
        stream.recv(1)
