//! `sansocket connect`: lines typed are sent, what arrives is printed.

use std::fmt::Write as _;
use std::io::{self, BufRead, IsTerminal, Write};
use std::mem;
use std::net::TcpStream;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::Context;
use clap::{Args, ValueEnum};
use sansocket_std::{
    CloseCode, ConnectError, ConnectOptions, Error, Message, ProtocolError, Reader, SendError, Timeouts, TlsConnector,
    Writer,
};

use crate::compression::Compression;
use crate::seconds::{Seconds, seconds};
use crate::trace::tracer;
use crate::trust::Trust;

/// The exit codes, beside 0 for a clean end and clap's 2 for wrong arguments.
const EXIT_CODES: &str = "\
Exit codes:
  0  the connection was closed in order
  1  the connection could not be opened
  2  wrong arguments, or input that is not UTF-8
  3  the server violated the protocol
  4  the connection was lost, or the server was silent for too long
  5  the server closed with a code other than 1000 and 1001; a Close without a code counts as 0";

/// How long `--on-eof exit` waits for the server's Close.
const FOR_THE_ANSWER: Duration = Duration::from_secs(1);

/// Connects, sends each line of the input as a text message and prints what arrives: text as it is, binary messages in hex.
///
/// Pings are sent and answered whether lines are typed or not. It does not connect again: a script can, by the exit code.
#[derive(Args, Debug)]
#[command(after_help = EXIT_CODES)]
pub(crate) struct Connect {
    /// Where to connect to: ws://host[:port]/path or wss://host[:port]/path
    url: String,

    /// Adds a header to the request; may be repeated.
    #[arg(long = "header", value_name = "NAME:VALUE", value_parser = parse_header)]
    headers: Vec<(String, String)>,

    /// Offers a subprotocol; may be repeated, in order of preference.
    #[arg(long = "protocol", value_name = "PROTOCOL")]
    protocols: Vec<String>,

    /// Sends this origin, as a browser would.
    #[arg(long, value_name = "ORIGIN")]
    origin: Option<String>,

    /// What to do at the end of the input.
    #[arg(long, value_enum, value_name = "WHAT", default_value = "close")]
    on_eof: OnEof,

    /// After how many seconds of silence the server is asked with a ping whether it is still there, and as many later given up; 0 for never.
    #[arg(long, value_name = "SECONDS", default_value = "30", value_parser = seconds)]
    ping_interval: Seconds,

    #[command(flatten)]
    compression: Compression,

    #[command(flatten)]
    trust: Trust,

    /// Shows every frame on the standard error, in one line.
    #[arg(long)]
    trace: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum OnEof {
    /// Close, and print what the server still sends until it has answered
    Close,
    /// Go on printing until the server closes
    Keep,
    /// Stop printing, close and leave, after a second if the server has not answered until then
    Exit,
}

fn parse_header(header: &str) -> Result<(String, String), String> {
    let (name, value) = header.split_once(':').ok_or("a header is written NAME:VALUE")?;
    Ok((name.trim().to_owned(), value.trim().to_owned()))
}

impl Connect {
    pub(crate) fn run(&self) -> anyhow::Result<ExitCode> {
        let headers: Vec<_> = self.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let protocols: Vec<_> = self.protocols.iter().map(String::as_str).collect();
        let Seconds(silence) = self.ping_interval;
        let timeouts = Timeouts { ping: silence, pong: silence, ..Timeouts::DEFAULT };
        let mut options = ConnectOptions::new().headers(&headers).protocols(&protocols).timeouts(timeouts);
        if let Some(origin) = &self.origin {
            options = options.origin(origin);
        }
        if let Some(config) = self.compression.config() {
            options = options.compression(config);
        }
        let tls = self.tls()?;
        if let Some(tls) = &tls {
            options = options.tls(tls);
        }
        let ws = match options.connect(&self.url) {
            Ok(ws) => ws,
            // Asked for in that way it will not be opened at any other time either.
            Err(error @ (ConnectError::Uri(_) | ConnectError::Request(_))) => {
                eprintln!("sansocket: {error}");
                return Ok(ExitCode::from(2));
            }
            Err(error) => return Err(error.into()),
        };
        if io::stdin().is_terminal() {
            let protocol = ws.protocol().map_or_else(String::new, |protocol| format!(", protocol {protocol}"));
            let compression = if ws.negotiated().compression().is_some() { ", compressed" } else { "" };
            eprintln!("connected to {}{protocol}{compression}; Ctrl-D closes", self.url);
        }
        let (mut reader, writer) = if self.trace { ws.split_traced(tracer(String::new())) } else { ws.split() }?;
        let bad_input = Arc::new(AtomicBool::new(false));
        let leaving = Arc::new(Leaving::default());
        close_on_signal(writer.clone())?;
        thread::spawn({
            let (bad_input, leaving) = (Arc::clone(&bad_input), Arc::clone(&leaving));
            let on_eof = self.on_eof;
            move || {
                match send_lines(&writer) {
                    Ok(End::OfConnection) => return,
                    Ok(End::OfInput) if matches!(on_eof, OnEof::Keep) => return,
                    Ok(End::OfInput) => {}
                    Err(error) => {
                        eprintln!("sansocket: {error:#}");
                        bad_input.store(true, Ordering::SeqCst);
                    }
                }
                let close = || writer.start_close(CloseCode::NORMAL, "").is_ok();
                if !matches!(on_eof, OnEof::Exit) {
                    close();
                } else if leaving.leave(close) {
                    // A socket that is closed with unread input takes back what it has sent: what reads has this time to get to the end.
                    thread::sleep(FOR_THE_ANSWER);
                    std::process::exit(if bad_input.load(Ordering::SeqCst) { 2 } else { 0 });
                }
            }
        });
        let code = print_messages(&mut reader, &leaving)?;
        Ok(ExitCode::from(if code == 0 && bad_input.load(Ordering::SeqCst) { 2 } else { code }))
    }
}

impl Connect {
    /// Whom to trust, if the URL asks for TLS.
    fn tls(&self) -> anyhow::Result<Option<TlsConnector>> {
        if !self.url.get(..4).is_some_and(|scheme| scheme.eq_ignore_ascii_case("wss:")) {
            return Ok(None);
        }
        self.trust.connector().map(Some)
    }
}

/// Whether we are about to leave: nothing more is printed then.
#[derive(Default)]
struct Leaving {
    begun: AtomicBool,
    /// Whether our Close was sent: then it does not matter how the connection ends. Locked while it is being sent.
    closed: Mutex<bool>,
}

impl Leaving {
    fn leave(&self, close: impl FnOnce() -> bool) -> bool {
        let mut closed = self.closed();
        self.begun.store(true, Ordering::SeqCst);
        *closed = close();
        *closed
    }

    fn has_begun(&self) -> bool {
        self.begun.load(Ordering::SeqCst)
    }

    fn has_left(&self) -> bool {
        *self.closed()
    }

    fn closed(&self) -> MutexGuard<'_, bool> {
        self.closed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Ctrl-C closes in order; a second one ends at once.
fn close_on_signal(writer: Writer<TcpStream>) -> anyhow::Result<()> {
    let mut closing = false;
    ctrlc::set_handler(move || {
        if mem::replace(&mut closing, true) {
            std::process::exit(130);
        }
        // Not here: a server that reads nothing would keep us from hearing the second one.
        let writer = writer.clone();
        thread::spawn(move || writer.start_close(CloseCode::NORMAL, ""));
    })
    .context("cannot listen for Ctrl-C")
}

/// Why there are no more lines to be sent.
enum End {
    OfInput,
    OfConnection,
}

fn send_lines(writer: &Writer<TcpStream>) -> anyhow::Result<End> {
    for (number, line) in (1..).zip(io::stdin().lock().split(b'\n')) {
        let mut line = line.context("cannot read the input")?;
        if line.ends_with(b"\r") {
            line.pop();
        }
        let text = String::from_utf8(line).with_context(|| format!("line {number} of the input is not UTF-8"))?;
        match writer.send(&text) {
            Ok(()) => {}
            // How the connection ended is told by what reads it.
            Err(Error::Send(SendError::Closing) | Error::Io(_)) => return Ok(End::OfConnection),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(End::OfInput)
}

/// Prints until the end, says on the standard error how that came, and gives the exit code.
fn print_messages(reader: &mut Reader<TcpStream>, leaving: &Leaving) -> anyhow::Result<u8> {
    let mut stdout = io::stdout().lock();
    let is_terminal = stdout.is_terminal();
    loop {
        let printed = match reader.read() {
            Ok(Some(_)) if leaving.has_begun() => continue,
            Ok(None) | Err(_) if leaving.has_left() => return Ok(0),
            Ok(Some(Message::Text(text))) if is_terminal => writeln!(stdout, "{}", harmless(text)),
            Ok(Some(Message::Text(text))) => writeln!(stdout, "{text}"),
            Ok(Some(Message::Binary(bytes))) => writeln!(stdout, "{}", hex(bytes)),
            Ok(None) => break,
            Err(error) => {
                eprintln!("sansocket: {error}");
                return Ok(match error {
                    Error::Violation(violation) if violation != ProtocolError::PongTimeout => 3,
                    _ => 4,
                });
            }
        };
        match printed.and_then(|()| stdout.flush()) {
            // Whoever read our output has seen enough.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(0),
            result => result.context("cannot print")?,
        }
    }
    let (code, reason) = reader.peer_close().unwrap_or_default();
    let number = code.map_or(1005, u16::from);
    // As it is written in code: what a server says must not get at the terminal.
    match &reason[..] {
        "" => eprintln!("closed: {number}"),
        reason => eprintln!("closed: {number} {reason:?}"),
    }
    Ok(if matches!(number, 1000 | 1001 | 1005) { 0 } else { 5 })
}

/// A text for a terminal: control characters, by which a server could do more than be read, as they are written in code.
fn harmless(text: &str) -> String {
    let is_harmful = |char: char| char.is_control() && !matches!(char, '\n' | '\t');
    text.chars().fold(String::with_capacity(text.len()), |mut harmless, char| {
        if is_harmful(char) {
            harmless.extend(char.escape_default());
        } else {
            harmless.push(char);
        }
        harmless
    })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_gets_no_control_characters_of_a_server() {
        assert_eq!(harmless("a\tb\nä😀"), "a\tb\nä😀");
        assert_eq!(harmless("\u{1b}[2J\r\u{9b}"), r"\u{1b}[2J\r\u{9b}");
    }
}
