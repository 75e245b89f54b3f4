//! Servers that have little memory, and clients that want much: a message that does not fit costs its connection, and no other one.

#![cfg(unix)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use sansocket_std::{Message, Socket, WebSocket, connect};

/// The address space of a server, in KiB: less than clients want.
const MEMORY: &str = "230000";

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n";

const OFFER: &[u8] = b"Sec-WebSocket-Extensions: permessage-deflate\r\n";

const BACKENDS: [&str; 3] = ["mio", "std", "tokio"];

/// No test waits longer than this.
const LIMIT: Duration = Duration::from_secs(60);

struct Server {
    child: Child,
    url: String,
}

impl Server {
    fn start(backend: &str) -> Self {
        let mut child = Command::new("sh")
            .args(["-c", &format!("ulimit -v {MEMORY} && exec \"$0\" \"$@\""), env!("CARGO_BIN_EXE_sansocket")])
            .args(["serve", "--bind", "127.0.0.1:0", "--deflate", "--max-message", "4000000000", "--backend", backend])
            // Otherwise each thread reserves room that it will not use.
            .env("MALLOC_ARENA_MAX", "1")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let url = line.trim_end().strip_prefix("listening on ").expect(&line).to_owned();
        Self { child, url }
    }

    /// A client behind its opening handshake, with a further header.
    fn client(&self, header: &[u8]) -> TcpStream {
        let address = self.url.trim_start_matches("ws://").trim_end_matches('/');
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        stream.set_write_timeout(Some(LIMIT)).unwrap();
        stream.write_all(&[REQUEST, header, b"\r\n"].concat()).unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            head.push(byte[0]);
        }
        stream
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn expect_echo(ws: &mut WebSocket<Socket>) {
    ws.send("still there").unwrap();
    assert_eq!(ws.read().unwrap(), Some(Message::Text("still there")));
}

/// Has a client send `piece` again and again behind `start`, until the server has had enough, and gives all that the server says. Others are served before,
/// behind, and anew.
fn flooded_with(backend: &str, start: &[u8], piece: &[u8]) -> Vec<u8> {
    let server = Server::start(backend);
    let mut bystander = connect(&server.url).unwrap();
    expect_echo(&mut bystander);
    let mut client = server.client(OFFER);
    let has_answered = Arc::new(AtomicBool::new(false));
    let answered = Arc::clone(&has_answered);
    let mut reader = client.try_clone().unwrap();
    let answer = thread::spawn(move || {
        let mut answer = vec![0];
        let read = reader.read_exact(&mut answer);
        answered.store(true, Ordering::SeqCst);
        read.unwrap();
        reader.read_to_end(&mut answer).unwrap();
        answer
    });
    client.write_all(start).unwrap();
    // Whoever goes on for long behind the answer is cut off.
    while !has_answered.load(Ordering::SeqCst) && client.write_all(piece).is_ok() {}
    let _ = client.shutdown(std::net::Shutdown::Write);
    let answer = answer.join().unwrap();
    expect_echo(&mut bystander);
    expect_echo(&mut connect(&server.url).unwrap());
    answer
}

/// The Close that tells it.
fn told() -> Vec<u8> {
    let text = b"there is no memory for the message";
    [&[0x88, u8::try_from(text.len() + 2).unwrap(), 0x03, 0xF3][..], text].concat()
}

/// The header of a client's frame of 3 GB, masked with zeros.
fn header(first: u8) -> Vec<u8> {
    [&[first, 0xFF][..], &3_000_000_000_u64.to_be_bytes(), &[0; 4]].concat()
}

#[test]
fn a_binary_message_that_finds_no_memory_is_told_1011_and_others_are_served() {
    for backend in BACKENDS {
        assert_eq!(flooded_with(backend, &header(0x82), &[0; 1 << 16]), told(), "{backend}");
    }
}

#[test]
fn a_text_that_finds_no_memory_is_told_1011_and_others_are_served() {
    for backend in BACKENDS {
        assert_eq!(flooded_with(backend, &header(0x81), &[b'a'; 1 << 16]), told(), "{backend}");
    }
}

#[test]
fn fragments_that_find_no_memory_are_told_1011_and_others_are_served() {
    let mut fragment = vec![0x00, 0xFE, 0x80, 0x00, 0, 0, 0, 0];
    fragment.extend([0; 1 << 15]);
    for backend in BACKENDS {
        assert_eq!(flooded_with(backend, &[0x02, 0x80, 0, 0, 0, 0], &fragment), told(), "{backend}");
    }
}

#[test]
fn a_compressed_message_that_finds_no_memory_is_told_1011_and_others_are_served() {
    // Blocks with fixed codes: a literal, and then matches of 258 bytes at a distance of 1, of 13 bits each: eight of them are 13 bytes.
    let matches = matches_of_zeros();
    let mut fragment = vec![0x00, 0xFE];
    fragment.extend(u16::try_from(matches.len()).unwrap().to_be_bytes());
    fragment.extend([0; 4]);
    fragment.extend(&matches);
    // A byte of literals and the block's header, filled up by more of them: 3 + 8 * 8 + 13 * 1 bits are 10 bytes.
    let begun = begun_block();
    let mut start = vec![0x42, 0x80 | u8::try_from(begun.len()).unwrap(), 0, 0, 0, 0];
    start.extend(&begun);
    for backend in BACKENDS {
        assert_eq!(flooded_with(backend, &start, &fragment), told(), "{backend}");
    }
}

/// Bits in the order of DEFLATE.
#[derive(Default)]
struct Bits(Vec<bool>);

impl Bits {
    fn number(&mut self, value: u32, count: u32) {
        self.0.extend((0..count).map(|at| value >> at & 1 == 1));
    }

    fn code(&mut self, value: u32, count: u32) {
        self.0.extend((0..count).rev().map(|at| value >> at & 1 == 1));
    }

    /// A match of 258 bytes at a distance of 1.
    fn longest_match(&mut self) {
        self.code(0b1100_0101, 8);
        self.code(0, 5);
    }

    fn bytes(self) -> Vec<u8> {
        assert_eq!(self.0.len() % 8, 0);
        self.0.chunks(8).map(|bits| (0..8).map(|at| u8::from(bits[at]) << at).sum()).collect()
    }
}

/// The beginning of a block with fixed codes, up to the border of a byte.
fn begun_block() -> Vec<u8> {
    let mut bits = Bits::default();
    bits.number(0b010, 3);
    bits.code(0x30, 8);
    bits.longest_match();
    bits.bytes()
}

fn matches_of_zeros() -> Vec<u8> {
    let mut bits = Bits::default();
    (0..800).for_each(|_| bits.longest_match());
    bits.bytes()
}

/// A message for which there is memory, and whose echo, which nobody reads, finds none.
#[test]
fn an_answer_that_finds_no_memory_costs_its_connection_and_others_are_served() {
    for backend in BACKENDS {
        let server = Server::start(backend);
        let mut bystander = connect(&server.url).unwrap();
        expect_echo(&mut bystander);
        for len in [100_000_000_u64, 115_000_000, 130_000_000] {
            // Uncompressed, an answer is as long as the message.
            let mut client = server.client(b"");
            client.write_all(&[&[0x82, 0xFF][..], &len.to_be_bytes(), &[0; 4]].concat()).unwrap();
            // It may be refused, or its answer be given up: both end the connection.
            for _ in 0..len / 10_000 {
                if client.write_all(&[0; 10_000]).is_err() {
                    break;
                }
            }
            let mut start = [0; 2];
            let _ = client.read_exact(&mut start);
            drop(client);
            expect_echo(&mut bystander);
        }
        expect_echo(&mut connect(&server.url).unwrap());
    }
}
