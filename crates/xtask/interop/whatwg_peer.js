// The WebSocket object of a platform, undici's or a browser's: plays the case that it is told, and prints what it saw.
"use strict";

function message(kind, size) {
  const times = Math.floor(Math.min(size, 1 << 20) / 10);
  if (kind === "text") return "aé€😀".repeat(times) + "x".repeat(size - 10 * times);
  return Uint8Array.from({ length: size }, (_, at) => (at % 251) & 63);
}

function same(sent, received) {
  if (typeof sent === "string") return received === sent;
  if (!(received instanceof ArrayBuffer) || received.byteLength !== sent.length) return false;
  return new Uint8Array(received).every((byte, at) => byte === sent[at]);
}

function play(told, print) {
  const ws = new WebSocket(told.url);
  ws.binaryType = "arraybuffer";
  const messages = told.kinds.flatMap((kind) => told.sizes.map((size) => message(kind, size)));
  let echoed = 0;
  let error = "closed too early";

  function goOn() {
    if (echoed < messages.length) return ws.send(messages[echoed]);
    error = null;
    if (told.closes) ws.close(told.code, told.reason);
    else print({ echoed });
  }

  ws.onopen = goOn;
  ws.onmessage = ({ data }) => {
    if (same(messages[echoed], data)) {
      echoed += 1;
      goOn();
    } else {
      error = `message ${echoed} came back as another`;
      ws.close();
    }
  };
  ws.onerror = () => (error = `an error event behind ${echoed} messages`);
  ws.onclose = ({ code, reason, wasClean: clean }) => {
    const isAgreed = ws.extensions.startsWith("permessage-deflate");
    const agreed = isAgreed ? (ws.extensions.match(/\w+_no_context_takeover/g) ?? []).sort() : null;
    print({ code, reason, clean, error, agreed });
  };
}

if (typeof module !== "undefined") module.exports = play;
