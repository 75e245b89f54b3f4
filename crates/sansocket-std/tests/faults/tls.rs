//! The same below TLS.

use std::io::{self, ErrorKind, Read, Write};

use proptest::prelude::*;
use sansocket_std::{Stream, TlsError, TlsStream};
use sansocket_testkit::Side;
use sansocket_testkit::conversation::{Conversation, REQUEST, Story};
use sansocket_testkit::cuts::{self, Manner as _};
use sansocket_testkit::faults::{Program, Transport};
use sansocket_testkit::tls::{acceptor, connector};

use crate::faulty::{Faulty, How, Manner, tell};
use crate::turns;

#[derive(Clone, Copy, Debug)]
struct Secured(Manner);

impl cuts::Manner for Secured {
    const COMPRESSES: bool = Manner::COMPRESSES;
    const TELLS_CONTROLS: bool = Manner::TELLS_CONTROLS;
    const LOST: ErrorKind = Manner::LOST;
    const STEP: usize = 61;

    fn all() -> Vec<Self> {
        Manner::all().into_iter().map(Self).collect()
    }

    fn closes(self) -> bool {
        self.0.closes
    }

    fn run(self, conversation: &Conversation, program: &Program) -> Story {
        let side = conversation.side();
        let transport = Transport::new(side, REQUEST, conversation.frames(), program.clone()).secured(side);
        let faulty = Faulty::new(transport);
        let stream = match side {
            Side::Server => TlsStream::accept(acceptor(), faulty.clone()),
            Side::Client => TlsStream::connect(connector(), faulty.clone(), "localhost"),
        };
        let mut stream = stream.unwrap();
        // Otherwise it is done by the first reads and writes.
        if let How::Pieces = self.0.how
            && let Err(error) = stream.handshake()
        {
            let transport = faulty.transport().clone();
            let not_opened = vec![error.to_string()];
            return Story {
                not_opened,
                received: Vec::new(),
                endings: Vec::new(),
                error: None,
                is_finished: true,
                transport,
            };
        }
        tell(conversation, &faulty, stream, self.0)
    }
}

#[test]
fn a_transport_below_tls_that_ends_or_fails_behind_bytes_received_is_told_once() {
    cuts::at_each_byte_received::<Secured>();
}

#[test]
fn a_transport_below_tls_that_fails_behind_bytes_sent_is_told_once() {
    cuts::at_each_byte_sent::<Secured>();
}

#[test]
fn a_call_below_tls_that_fails_is_told_once_whichever_it_is() {
    cuts::at_each_call::<Secured>();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn delays_splits_and_interruptions_below_tls_change_nothing(
        turns in turns(),
        is_server: bool,
        longest in prop_oneof![Just(600_usize), Just(5000), Just(20_000)],
        buffer in prop_oneof![Just(130_usize), Just(700), Just(16 << 10)],
        how in prop_oneof![Just(How::Whole), Just(How::Pieces), Just(How::Halves)],
        closes: bool,
    ) {
        let conversation = Conversation::new(Side::BOTH[usize::from(is_server)], longest, Secured::COMPRESSES);
        let manner = Secured(Manner { buffer, how, closes });
        let without = manner.run_whole(&conversation);
        let story = manner.run(&conversation, &Program { turns, cut: None });
        story.expect_same(&without, &conversation);
    }
}

/// A stream that takes nothing, and says so.
struct Full {
    writes: usize,
}

impl Read for Full {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        unreachable!("the peer has nothing to answer")
    }
}

impl Write for Full {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        self.writes += 1;
        assert!(self.writes < 100, "it spins");
        Ok(0)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Stream for Full {}

#[test]
fn a_stream_below_tls_that_takes_nothing_fails_and_is_not_tried_for_ever() {
    let stream = || TlsStream::connect(connector(), Full { writes: 0 }, "localhost").unwrap();
    let error = stream().handshake().unwrap_err();
    assert!(matches!(&error, TlsError::Io(error) if error.kind() == ErrorKind::WriteZero), "{error:?}");
    assert_eq!(stream().read(&mut [0]).unwrap_err().kind(), ErrorKind::WriteZero);
    assert_eq!(stream().flush().unwrap_err().kind(), ErrorKind::WriteZero);
}
