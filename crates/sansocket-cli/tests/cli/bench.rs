//! `sansocket bench`.

use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::process::Output;
use std::thread::{self, JoinHandle};

use sansocket_std::{AcceptOptions, CloseCode, EndedBy, OwnedMessage, Reject, WebSocket};
use serde_json::Value;

use super::{Server, sansocket, text};

pub(crate) fn run(arguments: &[&str]) -> Output {
    sansocket().arg("bench").args(arguments).output().unwrap()
}

/// A server for so many connections, each on a thread of its own; its URL, and how they have ended.
pub(crate) fn server<T: Send + 'static>(
    connections: usize,
    serve: impl Fn(usize, TcpStream) -> T + Copy + Send + 'static,
) -> (String, JoinHandle<Vec<T>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ws://{}/", listener.local_addr().unwrap());
    let accepting = thread::spawn(move || {
        let threads: Vec<_> = (0..connections)
            .map(|number| {
                let stream = listener.accept().unwrap().0;
                thread::spawn(move || serve(number, stream))
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    (url, accepting)
}

/// A run of one connection against a server that does with each message whatever `answer` does; what it says of its one error, which is of
/// that kind.
fn errors_with(
    in_flight: &str,
    kind: &str,
    answer: impl Fn(&mut WebSocket<TcpStream>, usize, OwnedMessage) + Copy + Send + 'static,
) -> String {
    let (url, server) = server(1, move |_, stream| {
        let mut ws = AcceptOptions::new().accept(stream).unwrap();
        let mut count = 0;
        // Until it is closed, or lost, by either side.
        while let Ok(Some(message)) = ws.read_owned() {
            answer(&mut ws, count, message);
            count += 1;
        }
    });
    let output = run(&[&url, "--connections", "1", "--in-flight", in_flight, "--duration", "5", "--json"]);
    server.join().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["errors"], 1, "{report}");
    assert_eq!(report["errors_by_kind"][kind], 1, "{report}");
    text(&output.stderr).to_owned()
}

/// Sends, if the client has not closed meanwhile.
fn send(ws: &mut WebSocket<TcpStream>, message: &OwnedMessage) {
    let _ = ws.send(message);
}

#[test]
fn messages_of_both_kinds_and_all_sizes_go_around_with_each_backend() {
    for backend in ["mio", "std", "tokio"] {
        let server = Server::start(&["--backend", backend]);
        for kind in ["", "--text"] {
            for size in ["0", "125", "100000"] {
                let mut arguments = vec![&server.url[..], "--size", size, "--in-flight", "16", "--connections", "5"];
                arguments.extend(["--duration", "0.2", "--json"]);
                arguments.extend((!kind.is_empty()).then_some(kind));
                let output = run(&arguments);
                assert_eq!((text(&output.stderr), output.status.code()), ("", Some(0)), "{arguments:?}");
                let report: Value = serde_json::from_slice(&output.stdout).unwrap();
                for (name, expected) in [("connections", 5), ("connections_opened", 5), ("messages_in_flight", 16)] {
                    assert_eq!(report[name], expected, "{report}");
                }
                assert_eq!(report["message_bytes"].to_string(), size);
                assert_eq!(report["is_text"], !kind.is_empty());
                assert_eq!(report["errors"], 0, "{report}");
                assert_eq!(report["duration_s"], 0.2, "{report}");
                let number = |name: &str| report[name].as_f64().unwrap_or_else(|| panic!("{name}: {report}"));
                // On a machine that is busy, all echoes may come too late; so much the longer are their latencies.
                assert!(number("messages_sent") >= 1.0 && number("opening_s") > 0.0, "{report}");
                let rate = number("messages") / 0.2;
                assert!((number("messages_per_s") - rate).abs() <= rate * 1e-9, "{report}");
                let volume = rate * size.parse::<f64>().unwrap();
                assert!((number("bytes_per_s_each_way") - volume).abs() <= volume * 1e-9, "{report}");
                let latencies = ["p50", "p90", "p99", "p99_9", "max"].map(|name| number(&format!("latency_{name}_ns")));
                assert!(latencies[0] > 0.0 && latencies.is_sorted(), "{report}");
            }
        }
    }
}

#[test]
fn people_get_lines() {
    let server = Server::start(&[]);
    let output = run(&[&server.url, "--connections", "2", "--duration", "0.1"]);
    assert_eq!((text(&output.stderr), output.status.code()), ("", Some(0)));
    let lines: Vec<_> = text(&output.stdout).lines().collect();
    assert!(lines[0].starts_with("2 of 2 connections, opened in "), "{lines:?}");
    assert_eq!(lines[1], "1 in flight on each, binary, 125 B, for 0.100 s");
    assert!(lines[2].starts_with("throughput  ") && lines[2].ends_with(" MiB/s each way"), "{lines:?}");
    assert!(lines[3].starts_with("latency     p50 ") && lines[3].contains("  p99.9 "), "{lines:?}");
    assert!(lines[4].starts_with("messages    "), "{lines:?}");
    assert_eq!(lines[5..], ["errors      0"]);
}

#[test]
fn every_connection_sends_something_else_and_is_closed_with_1000() {
    let (url, server) = server(3, |_, stream| {
        let mut ws = AcceptOptions::new().accept(stream).unwrap();
        let mut first = None;
        while let Some(message) = ws.read_owned().unwrap() {
            ws.send(&message).unwrap();
            first.get_or_insert(message);
        }
        assert_eq!(ws.ending().unwrap().by(), EndedBy::Peer);
        assert_eq!(ws.peer_close().unwrap().code(), Some(CloseCode::NORMAL));
        first.unwrap()
    });
    let output = run(&[&url, "--connections", "3", "--duration", "0.1"]);
    assert_eq!((text(&output.stderr), output.status.code()), ("", Some(0)));
    let messages = server.join().unwrap();
    assert!(messages[0] != messages[1] && messages[1] != messages[2] && messages[2] != messages[0], "{messages:?}");
}

#[test]
fn an_echo_may_come_in_several_frames() {
    let (url, server) = server(2, |_, stream| {
        let mut ws = AcceptOptions::new().accept(stream).unwrap();
        while let Some(message) = ws.read_owned().unwrap() {
            let message = message.as_message();
            for part in message.as_bytes().chunks(999) {
                ws.send_part(message.kind(), part, false).unwrap();
            }
            ws.send_part(message.kind(), &[], true).unwrap();
        }
    });
    let arguments = [&url, "--connections", "1", "--duration", "0.1", "--size", "200000"];
    for kind in [&[][..], &["--text"]] {
        let output = run(&[&arguments, kind].concat());
        assert_eq!((text(&output.stderr), output.status.code()), ("", Some(0)), "{kind:?}");
    }
    server.join().unwrap();
}

#[test]
fn an_echo_that_is_none_is_an_error() {
    // Another byte, which is looked for in the first message.
    let stderr = errors_with("1", "wrong_echo", |ws, _, message| {
        let mut bytes = message.as_message().as_bytes().to_vec();
        bytes[124] ^= 0xff;
        send(ws, &OwnedMessage::Binary(bytes));
    });
    assert!(stderr.starts_with("sansocket: connection 1: byte 124 of a message came back as 0x"), "{stderr}");

    // Another kind, and another length, behind some that were right.
    let stderr = errors_with("4", "wrong_echo", |ws, count, message| match count {
        5 => send(ws, &OwnedMessage::Text("x".repeat(125))),
        _ => send(ws, &message),
    });
    let sent = "sansocket: connection 1: a binary message of 125 bytes was sent, and a";
    assert_eq!(stderr, format!("{sent} text message of 125 bytes came back\n"));
    let stderr = errors_with("4", "wrong_echo", |ws, count, message| match count {
        5 => send(ws, &OwnedMessage::Binary(vec![0; 124])),
        _ => send(ws, &message),
    });
    assert_eq!(stderr, format!("{sent} binary message of 124 bytes came back\n"));

    // More of them than were sent.
    let stderr = errors_with("1", "unasked_message", |ws, _, message| {
        send(ws, &message);
        send(ws, &message);
    });
    assert!(stderr.contains("connection 1: a message has come that is no echo"), "{stderr}");
}

#[test]
fn a_message_without_an_echo_is_an_error() {
    let stderr = errors_with("3", "no_echo", |ws, count, message| {
        if count != 7 {
            send(ws, &message);
        }
    });
    assert_eq!(stderr, "sansocket: connection 1: messages without an echo: 1\n");
}

#[test]
fn a_connection_that_ends_early_is_an_error() {
    let stderr = errors_with("1", "closed_by_server", |ws, count, message| {
        send(ws, &message);
        if count == 2 {
            let _ = ws.close(CloseCode::INTERNAL_ERROR, "broken\x1b");
        }
    });
    assert_eq!(stderr, "sansocket: connection 1: the server has closed it: 1011 \"broken\\u{1b}\"\n");

    let stderr = errors_with("1", "protocol_violation", |ws, _, _| {
        ws.stream_mut().write_all(&[0x81, 0x80, 0, 0, 0, 0]).unwrap();
    });
    assert!(stderr.starts_with("sansocket: connection 1: the server violated the protocol: "), "{stderr}");

    let stderr = errors_with("1", "connection_lost", |ws, _, message| {
        let message = message.as_message();
        ws.send_part(message.kind(), message.as_bytes(), false).unwrap();
        ws.stream_mut().shutdown(std::net::Shutdown::Both).unwrap();
    });
    assert!(stderr.starts_with("sansocket: connection 1: connection lost between the fragments"), "{stderr}");
}

#[test]
fn the_others_go_on_without_a_connection_that_is_refused() {
    let (url, server) = server(3, |number, stream| {
        let pending = AcceptOptions::new().receive(stream).unwrap();
        if number == 1 {
            return pending.reject(&Reject::new(403)).unwrap();
        }
        let mut ws = pending.accept(&sansocket_std::Accept::new()).unwrap();
        while let Some(message) = ws.read_owned().unwrap() {
            ws.send(&message).unwrap();
        }
    });
    let output = run(&[&url, "--connections", "3", "--duration", "0.1", "--json"]);
    server.join().unwrap();
    let stderr = text(&output.stderr);
    assert!(stderr.ends_with(": the server refused with status 403\n") && stderr.lines().count() == 1, "{stderr}");
    assert_eq!(output.status.code(), Some(1));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&report["connections_opened"], &report["errors"]), (&Value::from(2), &Value::from(1)));
    assert!(report["messages_sent"].as_u64().unwrap() > 0, "{report}");
}

#[test]
fn where_no_connection_can_be_opened_that_is_all_that_is_said() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let url = format!("ws://{address}/");
    let refusing = thread::spawn(move || {
        for stream in listener.incoming() {
            // The last one is not a client, and says nothing.
            let Ok(pending) = AcceptOptions::new().receive(stream.unwrap()) else { return };
            pending.reject(&Reject::new(503)).unwrap();
        }
    });
    let output = run(&[&url, "--connections", "1000"]);
    let stderr = text(&output.stderr);
    assert_eq!((text(&output.stdout), output.status.code()), ("", Some(1)), "{stderr}");
    let lines: Vec<_> = stderr.lines().collect();
    assert!(lines[..10].iter().all(|line| line.ends_with(": the server refused with status 503")), "{stderr}");
    let end = ["sansocket: and 990 more errors", "sansocket: there is no connection to be measured"];
    assert_eq!(lines[10..], end, "after 64 failures the rest is not tried");
    drop(TcpStream::connect(&address).unwrap());
    refusing.join().unwrap();

    let output = run(&[&url]);
    assert_eq!((text(&output.stdout), output.status.code()), ("", Some(1)));
    assert!(text(&output.stderr).starts_with(&format!("sansocket: cannot connect to {address}: ")));
}

#[cfg(unix)]
#[test]
fn the_limit_of_descriptors_is_named_and_who_is_open_is_closed_in_order() {
    let server = Server::start(&[]);
    let script = "ulimit -n 200 && exec \"$0\" bench \"$1\" --connections 1000";
    let output = std::process::Command::new("sh")
        .args(["-c", script, env!("CARGO_BIN_EXE_sansocket"), &server.url])
        .output()
        .unwrap();
    let stderr = text(&output.stderr);
    assert_eq!((text(&output.stdout), output.status.code()), ("", Some(1)), "{stderr}");
    assert!(stderr.starts_with("sansocket: cannot open connection 1"), "{stderr}");
    assert!(stderr.contains(" of 1000: ") && stderr.contains("RLIMIT_NOFILE"), "{stderr}");
    assert!(stderr.contains("may have 200 open") || !cfg!(target_os = "linux"), "{stderr}");
    let (_, log) = server.interrupt();
    let count = |what: &str| log.lines().filter(|line| line.contains(what)).count();
    assert!(count(" closed by the client: 1000") > 100, "{log}");
}

#[test]
fn wrong_arguments_are_told_with_2() {
    let url = "ws://127.0.0.1:1/";
    let wrong: [(&[&str], &str); 17] = [
        (&[], "<URL>"),
        (&["http://127.0.0.1/"], "http://127.0.0.1/"),
        (&[url, "--connections", "0"], "0 is not in 1..="),
        (&[url, "--in-flight", "0"], "0 is not in 1..="),
        (&[url, "--rate", "0"], "'--rate <MESSAGES_PER_SECOND>': 0 is not in 1..="),
        (&[url, "--rate", "0.5"], "invalid digit"),
        (&[url, "--rate", "10000001"], "is not in 1..=10000000"),
        (&[url, "--threads", "0"], "0 is not in 1..=1024"),
        (&[url, "--threads", "1025"], "1025 is not in 1..=1024"),
        (&[url, "--threads", "3", "--connections", "2"], "3 threads cannot share 2 connections"),
        (&[url, "--progress", "often"], "[possible values: auto, always, never]"),
        (&[url, "--size", "-1"], "-1"),
        (&[url, "--size", "many"], "--size <BYTES>"),
        (&[url, "--duration", "0"], "nothing can be measured in no time"),
        (&[url, "--duration", "-1"], "-1"),
        (&[url, "--ca", "file", "--insecure"], "cannot be used with"),
        (&[url, url], "unexpected argument"),
    ];
    for (arguments, told) in wrong {
        let output = run(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(text(&output.stderr).contains(told), "{arguments:?}: {}", text(&output.stderr));
    }
}
