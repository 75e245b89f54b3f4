// The peer `ws`: plays the case that its JSON argument tells, and prints one JSON line of what it saw.
"use strict";

const { once } = require("node:events");
const { readFileSync } = require("node:fs");
const http = require("node:http");
const https = require("node:https");
const { PerMessageDeflate, WebSocket, WebSocketServer } = require("ws");

const told = JSON.parse(process.argv[2]);
const noTakeover = told.takeover ? {} : { clientNoContextTakeover: true, serverNoContextTakeover: true };
const options = { perMessageDeflate: told.deflate && { threshold: 0, ...noTakeover }, maxPayload: 32 << 20 };

// The library decompresses messages, and tells nobody.
const compressed = { received: 0, sent: 0 };
const { compress, decompress } = PerMessageDeflate.prototype;
PerMessageDeflate.prototype.decompress = function (data, fin, done) {
  if (fin) compressed.received += 1;
  decompress.call(this, data, fin, done);
};
PerMessageDeflate.prototype.compress = function (data, fin, done) {
  if (fin) compressed.sent += 1;
  compress.call(this, data, fin, done);
};

function message(kind, size) {
  const times = Math.floor(Math.min(size, 1 << 20) / 10);
  if (kind === "text") return Buffer.from("aé€😀".repeat(times) + "x".repeat(size - 10 * times));
  return Buffer.alloc(size, Uint8Array.from({ length: 251 }, (_, at) => at & 63));
}

const messages = told.kinds?.flatMap((kind) => told.sizes.map((size) => ({ kind, sent: message(kind, size) })));
let left = messages?.length;
let onEchoed = () => {};

function send(ws, message, binary) {
  const step = told.fragments ? Math.max(Math.ceil(message.length / told.fragments), 1) : message.length;
  let at = 0;
  // In two fragments at least.
  if (told.fragments && message.length < 2) ws.send(message.subarray(0, 0), { binary, fin: false });
  do {
    ws.send(message.subarray(at, at + step), { binary, fin: at + step >= message.length });
    at += step;
  } while (at < message.length);
}

async function act(ws) {
  if (told.act === "send") {
    for (const { kind, sent } of messages) {
      const back = once(ws, "message");
      send(ws, sent, kind === "binary");
      const [received, binary] = await back;
      if (binary !== (kind === "binary") || !received.equals(sent)) {
        throw Error(`${sent.length} bytes came back as another message`);
      }
    }
    if (!told.closes) print({ echoed: messages.length });
  } else if (told.act === "echo" && told.closes) {
    await new Promise((done) => (onEchoed = () => (left -= 1) || done()));
  } else if (told.act === "ping") {
    const pong = once(ws, "pong");
    ws.ping("from the peer");
    const [payload] = await pong;
    if (payload.toString() !== "from the peer") throw Error(`the pong has ${payload}`);
  } else if (told.act === "await pings") {
    for (let count = 0; count < 3; count += 1) await once(ws, "ping");
  }
  if (told.closes) ws.close(told.code, told.reason);
}

function play(ws, extensions) {
  const pings = [];
  let error = "closed too early";
  ws.on("ping", (payload) => pings.push(payload.toString()));
  ws.on("error", (caught) => (error = caught.message));
  ws.addEventListener("close", ({ code, reason, wasClean: clean }) => {
    const { offer, answer } = extensions();
    const agreed = answer === undefined ? null : (answer.match(/\w+_no_context_takeover/g) ?? []).sort();
    print({ code, reason, clean, pings: pings.slice(0, 3), error, offered: offer !== undefined, agreed, compressed });
  });
  if (told.act === "echo") ws.on("message", (received, binary) => (send(ws, received, binary), onEchoed()));
  const acted = ws.readyState === WebSocket.OPEN ? act(ws) : once(ws, "open").then(() => act(ws));
  acted.then(() => (error = null)).catch((caught) => ((error = caught.message), ws.close()));
}

function print(value) {
  console.log(JSON.stringify(value));
}

if (told.role === "client") {
  let offer, answer;
  const finishRequest = (request) => {
    offer = request.getHeader("sec-websocket-extensions");
    request.end();
  };
  const ws = new WebSocket(told.url, { ...options, finishRequest, ca: told.ca && readFileSync(told.ca) });
  ws.on("upgrade", ({ headers }) => (answer = headers["sec-websocket-extensions"]));
  play(ws, () => ({ offer, answer }));
} else {
  const files = told.key && { cert: readFileSync(told.certificate), key: readFileSync(told.key) };
  const server = files ? https.createServer(files) : http.createServer();
  let answer;
  const wss = new WebSocketServer({ ...options, server });
  wss.on("headers", (lines) => (answer = lines.find((line) => line.startsWith("Sec-WebSocket-Extensions:"))));
  wss.on("connection", (ws, { headers }) => {
    server.close();
    play(ws, () => ({ offer: headers["sec-websocket-extensions"], answer }));
  });
  server.listen(0, "127.0.0.1", () => print({ port: server.address().port }));
}
