//! `sansocket bench` with --rate, --threads, --progress, --histogram and --deflate.

use std::io::{BufRead, BufReader, Read};
use std::net::TcpStream;
use std::process::Stdio;
use std::sync::{Condvar, Mutex};

use sansocket_std::{AcceptOptions, CloseCode, WebSocket};
use serde_json::Value;

use super::bench::{run, server};
use super::{Server, sansocket, text};

/// A run without a word on the standard error, and its report.
fn report(arguments: &[&str]) -> Value {
    let output = run(&[arguments, &["--json"]].concat());
    assert_eq!((text(&output.stderr), output.status.code()), ("", Some(0)), "{arguments:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

fn count(report: &Value, name: &str) -> u64 {
    report[name].as_u64().unwrap_or_else(|| panic!("{name}: {report}"))
}

/// How many latencies there are in rows of the histogram that begin behind so many milliseconds.
fn longer_than(report: &Value, ms: u64) -> u64 {
    let rows = report["latency_histogram"].as_array().unwrap();
    let rows = rows.iter().filter(|row| count(row, "up_to_ns") > ms * 1_000_000);
    rows.map(|row| count(row, "messages")).sum()
}

#[test]
fn every_message_that_is_due_leaves_and_comes_back_with_any_number_of_threads() {
    let server = Server::start(&[]);
    for threads in ["1", "2", "3"] {
        for kind in [&[][..], &["--text"]] {
            let arguments = ["--connections", "7", "--threads", threads, "--rate", "1000", "--duration", "0.3"];
            let report = report(&[&[&server.url[..]], &arguments[..], kind].concat());
            assert_eq!(report["threads"].to_string(), threads);
            assert_eq!(report["connections_opened"], 7);
            assert_eq!((&report["target_messages_per_s"], &report["messages_in_flight"]), (&1000.into(), &Value::Null));
            assert_eq!(report["is_text"], !kind.is_empty());
            assert_eq!(count(&report, "messages_sent") + count(&report, "messages_never_sent"), 300, "{report}");
            // On a machine that is busy, the last ones may be late.
            assert!(count(&report, "messages_sent") > 200, "{report}");
            assert!(count(&report, "messages") <= count(&report, "messages_sent"), "{report}");
            assert_eq!(longer_than(&report, 0), count(&report, "messages_sent"), "each has come back, and is in a row");
        }
    }
}

#[test]
fn compressed_messages_go_around_where_the_server_agrees() {
    for (serve, compressed) in [(&["--deflate"][..], 3), (&[], 0)] {
        let server = Server::start(serve);
        for kind in [&[][..], &["--text"], &["--takeover", "--rate", "100"]] {
            let arguments = [&server.url, "--connections", "3", "--size", "100000", "--duration", "0.1", "--deflate"];
            let report = report(&[&arguments[..], kind].concat());
            assert_eq!(report["connections_compressed"], compressed, "{report}");
            assert!(longer_than(&report, 0) > 0, "{report}");
        }
    }
}

#[test]
fn threads_share_out_connections_that_answer_as_fast_as_they_can() {
    let server = Server::start(&[]);
    let output = run(&[&server.url, "--connections", "5", "--threads", "2", "--duration", "0.2", "--histogram"]);
    assert_eq!((text(&output.stderr), output.status.code()), ("", Some(0)));
    let stdout = text(&output.stdout);
    assert!(stdout.starts_with("5 of 5 connections on 2 threads, opened in "), "{stdout}");
    let (_, chart) = stdout.split_once("errors      0\n\n").unwrap();
    assert!(
        chart.lines().count() >= 1
            && chart.lines().all(|line| line.contains(" #") && line.ends_with('%') || line.contains("0.00%")),
        "{stdout}"
    );
    assert!(stdout.lines().skip(6).all(|line| line.chars().count() <= 80), "{stdout}");
}

#[test]
fn a_line_a_second_tells_how_it_goes_until_the_server_dies() {
    for pace in [&[][..], &["--rate", "1000", "--threads", "2"]] {
        let server = Server::start(&[]);
        let mut bench = sansocket()
            .args(["bench", &server.url, "--connections", "4", "--duration", "600", "--progress", "always", "--json"])
            .args(pace)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stderr = BufReader::new(bench.stderr.take().unwrap());
        let mut line = String::new();
        stderr.read_line(&mut line).unwrap();
        assert!(line.trim_start().starts_with("1.") && line.contains(" s  "), "{line}");
        assert!(line.contains(" messages/s  p50 ") && line.ends_with("  open 4  errors 0\n"), "{line}");
        drop(server);

        let output = bench.wait_with_output().unwrap();
        let mut rest = String::new();
        stderr.read_to_string(&mut rest).unwrap();
        assert_eq!(rest.lines().filter(|line| line.contains(": connection lost")).count(), 4, "{rest}");
        assert_eq!(output.status.code(), Some(1));
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(
            (&report["errors"], &report["errors_by_kind"]["connection_lost"]),
            (&4.into(), &4.into()),
            "{report}"
        );
        let seconds = report["duration_s"].as_f64().unwrap();
        assert!((1.0..600.0).contains(&seconds) && count(&report, "messages") > 0, "{report}");
    }
}

#[test]
fn what_was_due_on_a_connection_that_is_gone_is_never_sent_and_the_others_keep_their_pace() {
    let (url, server) = server(2, |number, stream| {
        echo(stream, |ws, _| {
            if number == 0 {
                let _ = ws.close(CloseCode::GOING_AWAY, "enough");
            }
        });
    });
    let output = run(&[&url, "--connections", "2", "--rate", "200", "--duration", "0.5", "--json"]);
    server.join().unwrap();
    let stderr = text(&output.stderr);
    assert!(
        stderr.ends_with(": the server has closed it: 1001 \"enough\"\n") && stderr.lines().count() == 1,
        "{stderr}"
    );
    assert_eq!(output.status.code(), Some(1));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["errors_by_kind"]["closed_by_server"], 1, "{report}");
    assert_eq!(count(&report, "messages_sent") + count(&report, "messages_never_sent"), 100, "{report}");
    assert!(count(&report, "messages_sent") > 1 && count(&report, "messages_never_sent") > 1, "{report}");
}

/// Lets whoever waits for it go on once so many have arrived.
#[derive(Default)]
struct Arrivals(Mutex<usize>, Condvar);

impl Arrivals {
    fn arrive(&self) {
        let mut arrived = self.0.lock().unwrap();
        *arrived = arrived.saturating_add(1);
        self.1.notify_all();
    }

    /// Lets everybody go on.
    fn end(&self) {
        *self.0.lock().unwrap() = usize::MAX;
        self.1.notify_all();
    }

    fn wait_for(&self, count: usize) {
        drop(self.1.wait_while(self.0.lock().unwrap(), |arrived| *arrived < count).unwrap());
    }
}

/// Echoes until it is closed, or lost; `before` is called before each echo with its number, from 0 on.
fn echo(stream: TcpStream, mut before: impl FnMut(&mut WebSocket<TcpStream>, usize)) {
    let mut ws = AcceptOptions::new().accept(stream).unwrap();
    let mut number = 0;
    while let Ok(Some(message)) = ws.read_owned() {
        before(&mut ws, number);
        let _ = ws.send(&message);
        number += 1;
    }
}

#[test]
fn what_a_server_that_stands_still_does_to_those_who_were_due_is_seen() {
    // One connection gets no echo until the other has got 50 messages, which at its pace takes half a second. Of those that were due
    // meanwhile, four fifths have waited for more than a tenth of a second, though with one in flight only the first of them was on its way.
    for in_flight in [&[][..], &["--in-flight", "1"]] {
        let arrivals: &'static Arrivals = Box::leak(Box::default());
        let (url, server) = server(2, move |number, stream| {
            echo(stream, |_, count| match (number, count) {
                (0, 0) => arrivals.wait_for(50),
                (0, _) => {}
                _ => arrivals.arrive(),
            });
            arrivals.end();
        });
        let arguments = [&url, "--connections", "2", "--rate", "200", "--duration", "1"];
        let report = report(&[&arguments[..], in_flight].concat());
        server.join().unwrap();
        assert!(longer_than(&report, 100) >= 35, "{report}");
    }
}
