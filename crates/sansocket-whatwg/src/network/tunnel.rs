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
pub(super) struct Tunnel<S = TcpStream> {
    stream: S,
    /// The request, and how much of it was written.
    request: Vec<u8>,
    written: usize,
    answer: Vec<u8>,
    /// Bytes of interim answers.
    interim: usize,
}

impl<S: Read + Write> Tunnel<S> {
    pub(super) fn new(stream: S, proxy: &Proxy, plan: &Plan) -> Self {
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
    pub(super) fn into_stream(self) -> S {
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

#[cfg(test)]
mod tests {
    use sansocket_testkit::Side;
    use sansocket_testkit::faults::{Break, Call, Point, Program, Transport, Turn};
    use url::Host;

    use super::*;
    use crate::network::faulty::{Faulty, plan};

    const ANSWER: &[u8] =
        b"HTTP/1.1 103 Early Hints\r\nX: y\r\n\r\nHTTP/1.1 200 Connection established\r\nVia: 1.1 proxy\r\n\r\n";

    /// Digs through a socket with faults, woken where something has changed. Gives the outcome, and all that was written.
    fn dig(answer: &[u8], program: Program) -> (Result<(), ErrorKind>, Vec<u8>) {
        let transport = Transport::new(Side::Server, answer, &[], program);
        let proxy = Proxy { host: Host::Domain("proxy.invalid".to_owned()), port: 3128, authorization: None };
        let mut tunnel = Tunnel::new(Faulty::new(transport), &proxy, &plan(false));
        let mut outcome = tunnel.go_on();
        for _ in 0..10_000 {
            if !matches!(outcome, Ok(false)) {
                break;
            }
            assert!(tunnel.stream.event().is_some(), "nothing wakes it any more");
            outcome = tunnel.go_on();
        }
        let outcome = match outcome {
            Ok(true) => Ok(()),
            Err(ProxyError::Io(error)) => Err(error.kind()),
            outcome => panic!("{outcome:?}"),
        };
        (outcome, tunnel.into_stream().transport.written().to_vec())
    }

    fn program(reads: &[Turn], writes: &[Turn]) -> Program {
        let mut program = Program::default();
        program.turns[Call::Read as usize] = reads.to_vec();
        program.turns[Call::Write as usize] = writes.to_vec();
        program
    }

    #[test]
    fn a_tunnel_is_made_however_the_answer_and_the_request_are_split_and_put_off() {
        let (opened, request) = dig(ANSWER, Program::default());
        assert_eq!(opened, Ok(()));
        assert_eq!(request, b"CONNECT localhost:80 HTTP/1.1\r\nHost: localhost:80\r\n\r\n");
        let long = format!("HTTP/1.1 200 OK\r\nVia: {}\r\n\r\n", "x".repeat(5000));
        assert_eq!(dig(long.as_bytes(), Program::default()), (Ok(()), request.clone()));
        let byte = Turn::UpTo(1);
        for len in 1..=ANSWER.len() {
            let piece = Turn::UpTo(len);
            for turns in [&[byte, Turn::Later][..], &[Turn::Later, piece], &[Turn::Interrupted, piece, Turn::Later]] {
                assert_eq!(dig(ANSWER, program(&[piece, Turn::Later], turns)), (Ok(()), request.clone()));
                assert_eq!(dig(ANSWER, program(turns, &[piece, Turn::Later])), (Ok(()), request.clone()));
            }
        }
    }

    #[test]
    fn a_proxy_that_ends_or_fails_behind_any_byte_or_call_makes_no_tunnel() {
        let bytewise = || program(&[Turn::UpTo(1), Turn::Later], &[Turn::UpTo(1), Turn::Later]);
        let (_, request) = dig(ANSWER, bytewise());
        let points = (0..ANSWER.len()).map(Point::Received).chain((0..request.len()).map(Point::Sent));
        // Two calls for each byte.
        let points = points.chain((0..2 * ANSWER.len() - 1).map(|at| Point::Call(Call::Read, at)));
        for point in points.chain((0..2 * request.len() - 1).map(|at| Point::Call(Call::Write, at))) {
            let reset = ErrorKind::ConnectionReset;
            for (how, told) in
                [(Break::End, ErrorKind::UnexpectedEof), (Break::Once(reset), reset), (Break::ForEver(reset), reset)]
            {
                if how == Break::End && matches!(point, Point::Sent(_) | Point::Call(Call::Write, _)) {
                    continue;
                }
                let (outcome, written) = dig(ANSWER, Program { cut: Some((point, how)), ..bytewise() });
                assert_eq!(outcome, Err(told), "{point:?}, {how:?}");
                assert!(request.starts_with(&written));
            }
        }
    }
}
