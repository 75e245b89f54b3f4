//! What `connect` does beside its input, and at its end.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use sansocket_std::{AcceptOptions, CloseCode, Message};

use crate::{Server, one_shot, sansocket, text};

/// `sansocket connect` whose input stays open.
fn start(arguments: &[&str]) -> Child {
    let mut command = sansocket();
    command.arg("connect").args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().unwrap()
}

/// Ends the input and waits: the exit status, and what was printed on both outputs.
fn finish(child: Child) -> (ExitStatus, String, String) {
    let output = child.wait_with_output().unwrap();
    (output.status, text(&output.stdout).to_owned(), text(&output.stderr).to_owned())
}

#[test]
fn pings_are_answered_while_nothing_is_typed() {
    let (url, server) = one_shot(|stream| {
        let mut ws = AcceptOptions::new().accept(stream).unwrap();
        // Past the library, which would take the pong for itself.
        let stream = ws.stream_mut();
        stream.write_all(b"\x89\x05there").unwrap();
        let mut pong = [0; 11];
        stream.read_exact(&mut pong).unwrap();
        assert_eq!(pong[..2], [0x8A, 0x85]);
        let payload: Vec<_> = (0..5).map(|i| pong[6 + i] ^ pong[2 + i % 4]).collect();
        assert_eq!(payload, b"there");
        ws.close(CloseCode::NORMAL, "").unwrap();
    });
    let mut child = start(&[&url]);
    // The input stays open until the server has its pong.
    let input = child.stdin.take();
    server.join().unwrap();
    let (status, printed, _) = finish(child);
    assert_eq!((status.code(), printed.as_str()), (Some(0), ""));
    drop(input);
}

#[test]
fn what_can_never_be_opened_is_a_wrong_argument() {
    for arguments in [&["foo"][..], &["http://localhost/"], &["ws://localhost:99999/"]] {
        let (status, _, told) = finish(start(arguments));
        assert_eq!(status.code(), Some(2), "{arguments:?}: {told}");
        assert!(told.starts_with("sansocket: "), "{told}");
    }
}

#[test]
fn a_server_that_falls_silent_is_pinged_and_then_given_up_as_lost() {
    let (url, server) = one_shot(|stream| {
        let mut ws = AcceptOptions::new().accept(stream).unwrap();
        let mut received = Vec::new();
        ws.stream_mut().read_to_end(&mut received).unwrap();
        assert_eq!(received[..2], [0x89, 0x80], "a ping");
    });
    let mut child = start(&[&url, "--ping-interval", "0.05"]);
    let input = child.stdin.take();
    let (status, _, told) = finish(child);
    assert_eq!(status.code(), Some(4), "{told}");
    assert!(told.contains("no answer to a ping in time"), "{told}");
    drop(input);
    server.join().unwrap();
}

#[test]
fn a_character_that_comes_in_two_reads_stays_in_one_message() {
    let server = Server::start(&[]);
    let mut child = start(&[&server.url, "--trace"]);
    let mut input = child.stdin.take().unwrap();
    input.write_all(b"first\n").unwrap();
    input.flush().unwrap();
    // That it has been read up to here is told by its echo.
    let mut echo = [0; 6];
    child.stdout.as_mut().unwrap().read_exact(&mut echo).unwrap();
    let line = "😀é".as_bytes();
    for byte in line {
        input.write_all(&[*byte]).unwrap();
        input.flush().unwrap();
    }
    drop(input);
    let (status, printed, trace) = finish(child);
    assert_eq!((status.code(), printed.as_str()), (Some(0), "😀é\n"));
    assert_eq!(trace.lines().filter(|line| line.starts_with("> text")).count(), 2, "{trace}");
}

#[test]
fn the_input_is_read_no_faster_than_the_server_takes_it() {
    /// What may be under way: in the pipe, in the command, and in the buffers of both sockets, which are the most of it.
    const UNDER_WAY: usize = 16 << 20;
    const LINES: usize = 1024;
    let line = "x".repeat((64 << 10) - 1);
    let (taken, is_taken) = mpsc::channel();
    let (url, server) = one_shot({
        let line = line.clone();
        move |stream| {
            let mut ws = AcceptOptions::new().accept(stream).unwrap();
            let (mut offered, mut received) = (0_usize, 0);
            let assert_bounded = |offered: usize, received| {
                let under_way = offered.saturating_sub(received) * (line.len() + 1);
                assert!(under_way <= UNDER_WAY, "{under_way} bytes are under way");
            };
            // Whoever reads ahead is at the bound before there is such a pause.
            while is_taken.recv_timeout(Duration::from_millis(250)).is_ok() {
                offered += 1;
                assert_bounded(offered, received);
            }
            assert!(offered > 0, "nothing was read");
            while received < LINES {
                assert_eq!(ws.read().unwrap(), Some(Message::Text(&line)));
                received += 1;
                offered += is_taken.try_iter().count();
                assert_bounded(offered, received);
            }
            assert_eq!(ws.read().unwrap(), None);
        }
    });
    let mut child = start(&[&url]);
    let mut input = child.stdin.take().unwrap();
    let typing = thread::spawn(move || {
        let line = line + "\n";
        for _ in 0..LINES {
            input.write_all(line.as_bytes()).unwrap();
            taken.send(()).unwrap();
        }
    });
    let (status, printed, told) = finish(child);
    server.join().unwrap();
    typing.join().unwrap();
    assert_eq!((status.code(), printed.as_str(), told.as_str()), (Some(0), "", "closed: 1000\n"));
}

#[test]
fn at_the_end_of_the_input_it_closes_and_prints_what_still_comes() {
    for arguments in [&[][..], &["--on-eof", "close"]] {
        let (url, server) = one_shot(|stream| {
            let mut ws = AcceptOptions::new().accept(stream).unwrap();
            // Past the library, which would answer the Close at once.
            let stream = ws.stream_mut();
            let mut frames = [0; 11 + 8];
            stream.read_exact(&mut frames).unwrap();
            assert_eq!((&frames[..2], &frames[11..13]), (&b"\x81\x85"[..], &b"\x88\x82"[..]), "a text and a Close");
            stream.write_all(b"\x81\x08answered\x88\x02\x03\xe8").unwrap();
        });
        let mut child = start(&[&[url.as_str()], arguments].concat());
        child.stdin.take().unwrap().write_all(b"asked\n").unwrap();
        let (status, printed, told) = finish(child);
        server.join().unwrap();
        assert_eq!((status.code(), printed.as_str(), told.as_str()), (Some(0), "answered\n", "closed: 1000\n"));
    }
}

#[test]
fn with_keep_it_goes_on_printing_behind_the_end_of_the_input_until_the_server_closes() {
    let (url, server) = one_shot(|stream| {
        let mut ws = AcceptOptions::new().accept(stream).unwrap();
        assert_eq!(ws.read().unwrap(), Some(Message::Text("asked")));
        ws.send("answered").unwrap();
        ws.close(CloseCode::NORMAL, "that was all").unwrap();
    });
    let mut child = start(&[&url, "--on-eof", "keep"]);
    child.stdin.take().unwrap().write_all(b"asked\n").unwrap();
    let (status, printed, told) = finish(child);
    server.join().unwrap();
    assert_eq!((status.code(), printed.as_str()), (Some(0), "answered\n"));
    assert_eq!(told, "closed: 1000 \"that was all\"\n");
}

#[test]
fn with_exit_it_leaves_behind_its_close_without_an_answer() {
    let (url, server) = one_shot(|stream| {
        let mut ws = AcceptOptions::new().accept(stream).unwrap();
        let mut frames = Vec::new();
        // The end comes though nothing was answered.
        ws.stream_mut().read_to_end(&mut frames).unwrap();
        assert_eq!((&frames[..2], &frames[10..12]), (&b"\x81\x84"[..], &b"\x88\x82"[..]), "a text and a Close");
    });
    let mut child = start(&[&url, "--on-eof", "exit"]);
    child.stdin.take().unwrap().write_all(b"told\n").unwrap();
    let (status, printed, told) = finish(child);
    server.join().unwrap();
    assert_eq!((status.code(), printed.as_str(), told.as_str()), (Some(0), "", ""));
}

#[test]
fn with_exit_a_server_that_sends_all_the_while_gets_every_line() {
    // More than the server's socket holds while nobody reads, and no more than both do.
    let lines: Vec<_> = (0..40).map(|number| format!("{number:05000}")).collect();
    let (closing, is_closing) = mpsc::channel();
    let (url, server) = one_shot({
        let lines = lines.clone();
        move |stream| {
            let (mut reader, writer) = AcceptOptions::new().accept(stream).unwrap().split().unwrap();
            let flood = thread::spawn(move || while writer.send(&"x".repeat(4096)).is_ok() {});
            is_closing.recv().unwrap();
            for line in &lines {
                assert_eq!(reader.read().unwrap(), Some(Message::Text(line)));
            }
            // The answer may come too late.
            let _ = reader.read();
            drop(reader);
            flood.join().unwrap();
        }
    });
    let mut command = sansocket();
    command.args(["connect", &url, "--on-eof", "exit", "--trace"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    // Beside what it tells, which is to be read all the while.
    let typing = thread::spawn(move || input.write_all(lines.join("\n").as_bytes()));
    let told: Vec<_> = BufReader::new(child.stderr.take().unwrap())
        .lines()
        .map(Result::unwrap)
        .inspect(move |line| {
            if line.starts_with("> close") {
                closing.send(()).unwrap();
            }
        })
        .filter(|line| !line.starts_with(['<', '>']))
        .collect();
    assert_eq!((child.wait().unwrap().code(), &told[..]), (Some(0), &[][..]));
    typing.join().unwrap().unwrap();
    server.join().unwrap();
}
