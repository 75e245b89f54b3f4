// The peer `undici`: plays the case that its JSON argument tells, and prints one JSON line of what it saw.
"use strict";

globalThis.WebSocket = require("undici").WebSocket;
const play = require("./whatwg_peer.js");

play(JSON.parse(process.argv[2]), (saw) => console.log(JSON.stringify(saw)));
