//! A proxy that makes a tunnel (RFC 9110, section 9.3.6).

use std::io::{self, ErrorKind, Read, Write};
use std::sync::Arc;

use mio::net::TcpStream;

use super::Plan;
use crate::builder::Proxy;
use crate::failure::ProxyError;

/// How long the head of a proxy's answer may be, in bytes, and how many headers it may have.
const LONGEST_HEAD: usize = 16 * 1024;
const MOST_HEADERS: usize = 64;

/// A tunnel that is being made.
#[derive(Debug)]
pub(super) struct Tunnel {
    stream: TcpStream,
    /// The request, and how much of it was written.
    request: Vec<u8>,
    written: usize,
    answer: Vec<u8>,
}

impl Tunnel {
    pub(super) fn new(stream: TcpStream, proxy: &Proxy, plan: &Plan) -> Self {
        let target = format!("{}:{}", plan.host, plan.port);
        let mut request = format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n");
        if let Some(authorization) = &proxy.authorization {
            request += &format!("Proxy-Authorization: {authorization}\r\n");
        }
        request += "\r\n";
        Self { stream, request: request.into(), written: 0, answer: Vec::new() }
    }

    /// Goes on as far as the socket lets it: true, once the tunnel is there.
    pub(super) fn go_on(&mut self) -> Result<bool, ProxyError> {
        match self.write().and_then(|()| self.read()) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(ProxyError::Io(Arc::new(error))),
        }
        loop {
            let mut headers = [httparse::EMPTY_HEADER; MOST_HEADERS];
            let mut head = httparse::Response::new(&mut headers);
            let parsed = head.parse(&self.answer).map_err(|_| ProxyError::Malformed)?;
            match (parsed, head.code) {
                (httparse::Status::Partial, _) if self.answer.len() < LONGEST_HEAD => return Ok(false),
                // RFC 9110, 15.2: interim responses come before the final one.
                (httparse::Status::Complete(len), Some(100..=199)) => drop(self.answer.drain(..len)),
                // Nobody at the other end can have said anything yet.
                (httparse::Status::Complete(len), Some(200..=299)) if len == self.answer.len() => return Ok(true),
                (httparse::Status::Complete(_), Some(status @ 300..)) => return Err(ProxyError::Refused(status)),
                _ => return Err(ProxyError::Malformed),
            }
        }
    }

    /// The stream, once the tunnel is there.
    pub(super) fn into_stream(self) -> TcpStream {
        self.stream
    }

    fn write(&mut self) -> io::Result<()> {
        while self.written < self.request.len() {
            match self.stream.write(&self.request[self.written..]) {
                Ok(count) => self.written += count,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn read(&mut self) -> io::Result<()> {
        let mut chunk = [0; 1024];
        while self.answer.len() < LONGEST_HEAD {
            match self.stream.read(&mut chunk) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(count) => self.answer.extend_from_slice(&chunk[..count]),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}
