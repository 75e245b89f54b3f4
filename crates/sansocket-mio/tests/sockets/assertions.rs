//! Assertions in handlers: the server catches what they panic with, and their tests fail all the same.

use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};

use mio::net::TcpStream;
use sansocket_mio::ProtocolError;
use sansocket_testkit::TEXT;

use crate::common::{TIMELESS, masked};
use crate::harness::{Heard, Local, Probe, Running};

type Tcp = TcpStream;

fn failed() -> Heard {
    Heard::failed(ProtocolError::ApplicationFailed)
}

/// Runs `work`, which has to panic.
fn panic_of(work: impl FnOnce()) -> String {
    let payload = catch_unwind(AssertUnwindSafe(work)).expect_err("it panics");
    payload.downcast_ref::<String>().map_or_else(|| payload.downcast_ref::<&str>().unwrap().to_string(), String::clone)
}

fn asserts() -> Probe<Tcp> {
    Probe::echo().on_message(|_, message| assert_eq!(message.as_bytes(), b"good"))
}

#[test]
fn an_assertion_that_fails_in_a_handler_fails_its_test() {
    let told = panic_of(|| {
        let mut local = Local::<Tcp>::new(asserts(), TIMELESS);
        let (id, mut peer) = local.open();
        peer.write_all(&masked(TEXT, "bad")).unwrap();
        assert_eq!((local.hear(), local.hear()), ((id, Heard::Message(3)), (id, failed())));
    });
    assert!(told.contains("this thread has panicked"), "{told}");
    let told = panic_of(|| {
        let running = Running::new(asserts(), TIMELESS);
        let (id, mut peer) = running.open_heard();
        peer.write_all(&masked(TEXT, "bad")).unwrap();
        assert_eq!((running.hear(), running.hear()), ((id, Heard::Message(3)), (id, failed())));
    });
    assert!(told.contains("the server's thread has panicked"), "{told}");
}

#[test]
fn an_assertion_that_fails_in_a_command_fails_its_test() {
    let told = panic_of(|| {
        let running = Running::new(Probe::echo(), TIMELESS);
        running.handle().run(|_, connections| assert_eq!(connections.len(), 7));
        assert_eq!(running.ask(|connections| connections.len()), 0);
    });
    assert!(told.contains("the server's thread has panicked"), "{told}");
}
