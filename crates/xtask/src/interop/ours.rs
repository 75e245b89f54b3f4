//! Our side: `sansocket serve` where an echo is all that is wanted, and else a client or a server in this process.

use std::ffi::OsStr;
use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use sansocket_std::deflate::Config;
use sansocket_std::{
    AcceptOptions, CloseCode, ConnectOptions, EndedBy, Error, Kind, OriginPolicy, OwnedMessage, Stream, Timeouts,
    TlsAcceptor, TlsConnector, TlsStream, WebSocket,
};

use super::case::{Adapter, Case, Face, KINDS, Side, What, closed_by_peer, closed_by_us};
use super::certificates::Certificates;
use super::object;
use crate::process::LOOK;
use crate::serve::Server;

/// What our side does.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Act {
    /// Sends messages of all sizes and wants them back.
    Send,
    /// Sends back what comes.
    Echo,
    /// Pings the silent peer until that closes.
    Ping,
}

/// Our side of a case, at work.
pub(super) struct Ours {
    /// Where it listens, if it does.
    pub(super) url: String,
    work: Work,
}

enum Work {
    Serve { server: Box<Server>, log: PathBuf },
    Thread(Receiver<Result<String>>),
}

impl Ours {
    /// `sansocket serve`.
    pub(super) fn serve(
        case: &Case,
        adapter: Adapter,
        target: &Path,
        log: &Path,
        certificates: &Certificates,
    ) -> Result<Self> {
        let Certificates { certificate, key, .. } = certificates;
        let mut arguments = vec!["--backend".as_ref(), adapter.name().as_ref()];
        arguments.extend(case.compression.arguments().iter().map(OsStr::new));
        if case.tls {
            arguments.extend(["--tls-cert".as_ref(), certificate.as_os_str(), "--tls-key".as_ref(), key.as_os_str()]);
        }
        let server = Server::start(arguments, target, log)?;
        Ok(Self { url: server.url().to_owned(), work: Work::Serve { server: Box::new(server), log: log.to_owned() } })
    }

    /// A server of one connection in this process.
    pub(super) fn server(case: &Case, certificates: &Certificates) -> Result<Self> {
        let script = Script::new(case);
        let acceptor = if case.tls {
            Some(TlsAcceptor::from_pem(&fs::read(&certificates.certificate)?, &fs::read(&certificates.key)?)?)
        } else {
            None
        };
        let listener = TcpListener::bind("127.0.0.1:0").context("no free port")?;
        let url = format!("{}://{}", case.scheme(), listener.local_addr()?);
        let work = work(move || {
            let (stream, _) = listener.accept()?;
            stream.set_nodelay(true)?;
            // A page in a file is of no origin that could be named.
            let mut options = AcceptOptions::new().origins(OriginPolicy::Any).timeouts(script.timeouts());
            if let Some(config) = script.compression {
                options = options.compression(config);
            }
            match acceptor {
                Some(acceptor) => script.play(options.accept(TlsStream::accept(&acceptor, stream)?)?),
                None => script.play(options.accept(stream)?),
            }
        });
        Ok(Self { url, work })
    }

    /// A client in this process.
    pub(super) fn client(case: &Case, url: String, certificates: &Certificates) -> Result<Self> {
        let script = Script::new(case);
        let face = case.face;
        let ca = if case.what == What::Stranger { &certificates.stranger } else { &certificates.ca };
        let connector = TlsConnector::with_ca(&fs::read(ca)?)?;
        let work = work(move || {
            if face == Face::Object {
                return object::play(script, &url, connector);
            }
            let mut options = ConnectOptions::new().tls(&connector).timeouts(script.timeouts());
            if let Some(config) = script.compression {
                options = options.compression(config);
            }
            script.play(options.connect(&url)?)
        });
        Ok(Self { url: String::new(), work })
    }

    /// Has `sansocket serve` close; whatever is in this process does that by itself.
    pub(super) fn close(&self) -> Result<()> {
        if let Work::Serve { server, .. } = &self.work { server.stop() } else { Ok(()) }
    }

    /// How the connection ended for us, which is to be with a closing handshake.
    pub(super) fn ending(self, deadline: Instant) -> Result<String> {
        match self.work {
            Work::Serve { log, .. } => loop {
                let log = fs::read_to_string(&log).with_context(|| format!("cannot read {}", log.display()))?;
                match log.split_inclusive('\n').find(|line| line.ends_with('\n') && !line.starts_with("#1 open")) {
                    Some(line) => {
                        return Ok(line.trim_end().replace("#1 ", "").replace("by the client", "by the peer"));
                    }
                    None => ensure!(Instant::now() < deadline, "`sansocket serve` sees no end: {log:?}"),
                }
                thread::sleep(LOOK);
            },
            Work::Thread(ending) => match ending.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(ending) => ending,
                Err(RecvTimeoutError::Timeout) => bail!("no end within the time limit"),
                Err(RecvTimeoutError::Disconnected) => bail!("panicked"),
            },
        }
    }
}

/// Works in a thread, because nothing else would stop it at the deadline.
fn work(work: impl FnOnce() -> Result<String> + Send + 'static) -> Work {
    let (ending, received) = mpsc::channel();
    thread::spawn(move || ending.send(work()));
    Work::Thread(received)
}

/// What our side does with an open connection in this process.
#[derive(Clone, Copy)]
pub(super) struct Script {
    pub(super) act: Act,
    /// The sizes of the messages of each kind.
    pub(super) sizes: &'static [usize],
    /// In how many fragments messages are sent, if they are.
    fragments: Option<usize>,
    pub(super) compression: Option<Config>,
    /// Whether it closes behind the last message.
    pub(super) closes: bool,
    pub(super) farewell: (u16, &'static str),
}

impl Script {
    fn new(case: &Case) -> Self {
        Self {
            act: case.our_act(),
            sizes: case.sizes(),
            fragments: case.fragments(),
            compression: case.compression.config(),
            closes: case.closer() == Side::Us,
            farewell: case.farewell(),
        }
    }

    /// The messages: all sizes of one kind, then all of the other.
    pub(super) fn messages(self) -> impl Iterator<Item = OwnedMessage> {
        KINDS.into_iter().flat_map(move |kind| self.sizes.iter().map(move |&size| message(kind, size)))
    }

    /// Keepalive pings that come soon, where they are what it is about.
    fn timeouts(self) -> Timeouts {
        match self.act {
            Act::Ping => Timeouts { ping: Some(Duration::from_millis(100)), ..Timeouts::DEFAULT },
            _ => Timeouts::DEFAULT,
        }
    }

    /// Plays it to the end of the connection, and says how that came.
    fn play<S: Stream>(self, mut ws: WebSocket<S>) -> Result<String> {
        match self.act {
            Act::Send => {
                for sent in self.messages() {
                    let size = sent.as_message().as_bytes().len();
                    self.send(&mut ws, &sent).with_context(|| format!("sending {size} bytes"))?;
                    let received = ws.read().with_context(|| format!("awaiting {size} bytes"))?;
                    ensure!(received == Some(sent.as_message()), "{size} bytes came back as another message");
                }
            }
            Act::Echo => {
                let most = if self.closes { self.sizes.len() * KINDS.len() } else { usize::MAX };
                for _ in 0..most {
                    let Some(message) = ws.read_owned()? else { break };
                    self.send(&mut ws, &message)?;
                }
            }
            Act::Ping => ws.ping(b"from us")?,
        }
        if self.closes {
            let (code, reason) = self.farewell;
            ws.close(CloseCode::new(code), reason)?;
        } else {
            ensure!(ws.read()?.is_none(), "a message came that is not awaited");
        }
        let ending = ws.ending().context("no ending")?;
        ensure!(ending.is_clean(), "{ending}");
        let peer_close = ws.peer_close().context("no Close from the peer")?;
        Ok(match ending.by() {
            EndedBy::Local => closed_by_us(ending.code()),
            _ => closed_by_peer(peer_close.code().map_or(1005, CloseCode::get), peer_close.reason()),
        })
    }

    fn send<S: Stream>(self, ws: &mut WebSocket<S>, message: &OwnedMessage) -> Result<(), Error> {
        let message = message.as_message();
        let Some(count) = self.fragments else { return ws.send(message) };
        let (last, most) = fragments(message.as_bytes(), count);
        for part in most {
            ws.send_part(message.kind(), part, false)?;
        }
        ws.send_part(message.kind(), last, true)
    }
}

/// The message in so many fragments as far as it has the bytes, but in two at least: the last, and those before it.
fn fragments(bytes: &[u8], count: usize) -> (&[u8], Vec<&[u8]>) {
    let mut parts: Vec<_> = bytes.chunks(bytes.len().div_ceil(count).max(1)).collect();
    let last = parts.pop().unwrap_or_default();
    if parts.is_empty() {
        parts.push(&[]);
    }
    (last, parts)
}

/// A message of this many bytes, which can be compressed if they are not too few; a text has characters of every length in its first
/// MiB, behind which it takes less time.
pub(super) fn message(kind: Kind, size: usize) -> OwnedMessage {
    match kind {
        Kind::Text => {
            let text = "aé€😀".repeat(size.min(1 << 20) / 10);
            let rest = size - text.len();
            OwnedMessage::Text(text + &"x".repeat(rest))
        }
        Kind::Binary => {
            // Not byte by byte: this is not built for speed.
            let mut bytes = Vec::from_iter((0..=250).map(|byte| byte & 63)).repeat(size / 251 + 1);
            bytes.truncate(size);
            OwnedMessage::Binary(bytes)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::fragments;

    #[test]
    fn a_message_of_any_length_is_two_fragments_at_least_and_the_same_in_all() {
        for (len, count) in [(0, 2), (1, 2), (2, 2), (40, 40), (41, 41), (125, 32), (65_535, 41), (1 << 20, 41)] {
            let bytes = Vec::from_iter((0..=250).cycle().take(len));
            let (last, most) = fragments(&bytes, 41);
            assert_eq!(most.len() + 1, count, "{len}");
            assert_eq!([&most[..], &[last]].concat().concat(), bytes, "{len}");
        }
    }
}
