// The peer `ws`: plays the case that its JSON argument tells, and prints one JSON line of what it saw.
"use strict";

const { once } = require("node:events");
const { readFileSync } = require("node:fs");
const http = require("node:http");
const https = require("node:https");
const { WebSocket, WebSocketServer } = require("ws");

const kase = JSON.parse(process.argv[2]);
const text = kase.kind === "text";
const options = { perMessageDeflate: kase.deflate, maxPayload: 32 << 20 };

const print = (value) => console.log(JSON.stringify(value));

function message(size) {
  if (text) return Buffer.from("aé€😀".repeat(size / 10) + "x".repeat(size % 10));
  return Buffer.from(Array.from({ length: 251 }, (_, i) => i)).toString("latin1");
}
