// Echoes with `ws`, until it is killed.
"use strict";

const { WebSocketServer } = require("ws");

const server = new WebSocketServer({ host: "127.0.0.1", port: 0 });
server.on("connection", (ws) => ws.on("message", (message, binary) => ws.send(message, { binary })));
server.on("listening", () => console.log(`listening on ws://127.0.0.1:${server.address().port}`));
