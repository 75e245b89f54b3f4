// Echoes with `ws`, told by JSON how to compress, until nobody holds its standard input.
"use strict";

const { WebSocketServer } = require("ws");

const perMessageDeflate = JSON.parse(process.argv[2]);
const server = new WebSocketServer({ host: "127.0.0.1", port: 0, perMessageDeflate });
server.on("connection", (ws) => ws.on("message", (message, binary) => ws.send(message, { binary })));
server.on("listening", () => console.log(`listening on ws://127.0.0.1:${server.address().port}`));
process.stdin.on("end", () => process.exit()).resume();
