//! A server whose log goes nowhere.

#![cfg(target_os = "linux")]

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use sansocket_std::{CloseCode, Message, connect};

#[test]
fn a_log_that_cannot_be_written_keeps_nobody_from_being_served() {
    for (backend, trace) in [("mio", Some("--trace")), ("std", Some("--trace")), ("tokio", None)] {
        let mut child = Command::new("sh")
            .args(["-c", "exec \"$0\" \"$@\" 2>/dev/full", env!("CARGO_BIN_EXE_sansocket")])
            .args(["serve", "--bind", "127.0.0.1:0", "--max-connections", "2", "--backend", backend])
            .args(trace)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let url = line.trim_end().strip_prefix("listening on ").expect(&line);
        // More of them than there may be at once: who has gone has left its place.
        for _ in 0..4 {
            let mut ws = connect(url).unwrap();
            ws.send("hello").unwrap();
            assert_eq!(ws.read().unwrap(), Some(Message::Text("hello")), "{backend}");
            ws.close(CloseCode::NORMAL, "").unwrap();
        }
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
