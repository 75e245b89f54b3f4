//! A proxy that makes a tunnel (RFC 9110, section 9.3.6).

use std::io::{self, ErrorKind, Read, Write};
use std::sync::Arc;

use mio::net::TcpStream;

use super::Plan;
use crate::builder::Proxy;
use crate::failure::ProxyError;

/// How long the head of a proxy's answer may be, in bytes, how many headers it may have, and how long all heads before it may be.
const LONGEST_HEAD: usize = 16 * 1024;
const MOST_HEADERS: usize = 64;
const LONGEST_INTERIM: usize = 1024 * 1024;

/// A tunnel that is being made.
#[derive(Debug)]
pub(super) struct Tunnel {
    stream: TcpStream,
    /// The request, and how much of it was written.
    request: Vec<u8>,
    written: usize,
    answer: Vec<u8>,
    /// Bytes of interim answers.
    interim: usize,
}

impl Tunnel {
    pub(super) fn new(stream: TcpStream, proxy: &Proxy, plan: &Plan) -> Self {
        let target = format!("{}:{}", plan.host, plan.port);
        let mut request = format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n");
        if let Some(authorization) = &proxy.authorization {
            request += &format!("Proxy-Authorization: {authorization}\r\n");
        }
        request += "\r\n";
        Self { stream, request: request.into(), written: 0, answer: Vec::new(), interim: 0 }
    }

    /// Goes on as far as the socket lets it: true, once the tunnel is there.
    pub(super) fn go_on(&mut self) -> Result<bool, ProxyError> {
        let io = |error| ProxyError::Io(Arc::new(error));
        loop {
            // What came before the end counts.
            if self.look()? {
                return Ok(true);
            }
            match self.write().and_then(|()| self.read()) {
                Ok(0) => return Err(io(ErrorKind::UnexpectedEof.into())),
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(io(error)),
            }
        }
    }

    /// Looks at what has come of the answer: true, once that says that the tunnel is there.
    fn look(&mut self) -> Result<bool, ProxyError> {
        loop {
            let mut headers = [httparse::EMPTY_HEADER; MOST_HEADERS];
            let mut head = httparse::Response::new(&mut headers);
            let parsed = head.parse(&self.answer).map_err(|_| ProxyError::Malformed)?;
            match (parsed, head.code) {
                (httparse::Status::Partial, _) if self.answer.len() < LONGEST_HEAD => return Ok(false),
                // RFC 9110, 15.2: interim responses come before the final one.
                (httparse::Status::Complete(len), Some(100..=199)) if self.interim + len <= LONGEST_INTERIM => {
                    self.interim += len;
                    self.answer.drain(..len);
                }
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
            self.written += self.stream.write(&self.request[self.written..])?;
        }
        Ok(())
    }

    fn read(&mut self) -> io::Result<usize> {
        let mut chunk = [0; 1024];
        let count = self.stream.read(&mut chunk)?;
        self.answer.extend_from_slice(&chunk[..count]);
        Ok(count)
    }
}
