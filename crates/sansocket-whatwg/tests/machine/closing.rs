//! Edges of closing: rows 49 to 65.

use std::sync::Arc;
use std::time::Duration;

use sansocket::CloseCode;
use sansocket_whatwg::machine::{Command, End, Machine, Task};
use sansocket_whatwg::{CloseEvent, Event, Failure, MessageEvent, Pumped, ReadyState, clamp_code};

use crate::verbs::{
    INVALID_ACCESS, SYNTAX, clean, closed, connecting, open, opening, rest, sends, text, thrown, unclean,
};

#[test]
fn row_49_numbers_become_codes_by_clamping() {
    let cases: [(f64, u16); 18] = [
        (f64::NAN, 0),
        (f64::INFINITY, 65535),
        (f64::NEG_INFINITY, 0),
        (-0.0, 0),
        (-1.0, 0),
        (-0.6, 0),
        (0.5, 0),
        (1.5, 2),
        (2.5, 2),
        (999.4, 999),
        (999.5, 1000),
        (1000.5, 1000),
        (1000.6, 1001),
        (2999.5, 3000),
        (4999.5, 5000),
        (65535.0, 65535),
        (65536.0, 65535),
        (66536.0, 65535),
    ];
    for (number, code) in cases {
        assert_eq!(clamp_code(number), code, "{number}");
    }
}

#[test]
fn row_49_only_1000_and_3000_to_4999_are_codes_to_close_with_in_every_state() {
    let closing = || {
        let mut machine = open();
        assert!(machine.close(None, "").is_ok());
        machine
    };
    let states: [(fn() -> Machine, ReadyState); 4] = [
        (connecting, ReadyState::Connecting),
        (open, ReadyState::Open),
        (closing, ReadyState::Closing),
        (closed, ReadyState::Closed),
    ];
    for (make, state) in states {
        for code in [0, 1, 999, 1001, 1005, 1006, 1011, 1015, 2999, 5000, 65535] {
            let mut machine = make();
            assert_eq!(thrown(machine.close(Some(code), "")), INVALID_ACCESS, "{code}");
            // The code is checked first.
            assert_eq!(thrown(machine.close(Some(code), &"x".repeat(124))), INVALID_ACCESS, "{code}");
            assert_eq!(machine.ready_state(), state);
        }
        for code in [1000, 3000, 3001, 4999] {
            let mut machine = make();
            assert!(machine.close(Some(code), "").is_ok(), "{code}");
            assert_eq!(machine.ready_state(), state.max(ReadyState::Closing));
        }
    }
}

#[test]
fn row_50_a_reason_has_up_to_123_bytes_of_utf8_in_every_state() {
    let just = ["x".repeat(123), "€".repeat(41), format!("𝄞{}", "€ä".repeat(23) + "€x")];
    for make in [connecting, open, closed] {
        for reason in &just {
            assert!(reason.len() >= 122 && reason.len() <= 123, "{}", reason.len());
            assert!(make().close(None, reason).is_ok());
            let longer = format!("{reason}{}", "x".repeat(124 - reason.len()));
            for code in [None, Some(1000)] {
                let mut machine = make();
                let state = machine.ready_state();
                assert_eq!(thrown(machine.close(code, &longer)), SYNTAX);
                assert_eq!(machine.ready_state(), state);
            }
        }
    }
}

#[test]
fn row_50_a_close_that_throws_changes_nothing() {
    let mut machine = open();
    machine.queue(text("hello"));
    assert_eq!(thrown(machine.close(Some(1001), "")), INVALID_ACCESS);
    assert_eq!(thrown(machine.close(None, &"x".repeat(124))), SYNTAX);
    assert_eq!(machine.unread(), 5);
    assert!(matches!(machine.pump(), Pumped::Fired(Event::Message(_))));
    sends(&mut machine, "still open");
}

#[test]
fn row_51_a_second_close_does_nothing() {
    let mut machine = open();
    assert!(matches!(machine.close(Some(3000), "first"), Ok(Some(Command::Close { .. }))));
    assert_eq!(machine.close(Some(4000), "second"), Ok(None));
    assert_eq!(machine.go_away(Some(CloseCode::GOING_AWAY)), None);
    machine.queue(clean(3000, "first"));
    assert_eq!(rest(&mut machine).len(), 1);
    assert_eq!(machine.close(None, ""), Ok(None));
    assert_eq!((machine.ready_state(), machine.pump()), (ReadyState::Closed, Pumped::Idle));
}

#[test]
fn row_52_closed_while_connecting_it_never_opens() {
    let ends: [fn() -> Task; 4] = [
        || clean(1000, "so long"),
        || Task::Closed(End::Lost(None)),
        || Task::Closed(End::Lost(Some(Arc::new(Failure::NoClose(Duration::ZERO))))),
        || Task::Closed(End::Failed(Arc::new(Failure::BlockedPort(25)))),
    ];
    for is_open in [false, true] {
        for end in ends {
            let mut machine = connecting();
            if is_open {
                machine.queue(opening());
                machine.queue(text("hello"));
            }
            assert_eq!(machine.close(Some(3000), "no"), Ok(Some(Command::Fail)));
            assert_eq!((machine.ready_state(), machine.unread()), (ReadyState::Closing, 0));
            assert_eq!(machine.close(None, ""), Ok(None));
            assert_eq!(machine.send("text".into()), Ok(None), "row 32");
            machine.queue(end());
            machine.queue(end());
            assert_eq!(rest(&mut machine), [Event::Error, unclean()]);
            assert_eq!((machine.protocol(), machine.buffered_amount()), ("", 4));
            assert!(matches!(machine.failure().map(|why| &**why), Some(Failure::Aborted)));
        }
    }
}

#[test]
fn row_54_the_body_of_the_close_is_what_the_owner_says() {
    let cases = [
        (None, "", None),
        (Some(1000), "", Some(1000)),
        (Some(3000), "", Some(3000)),
        (Some(4999), "bye", Some(4999)),
        // Without a code, it is 1000.
        (None, "bye", Some(1000)),
    ];
    for (code, reason, sent) in cases {
        let expected = Command::Close { code: sent.and_then(CloseCode::new), reason: reason.to_owned() };
        let mut machine = open();
        assert_eq!(machine.close(code, reason), Ok(Some(expected)));
        assert_eq!(machine.ready_state(), ReadyState::Closing);
    }
}

#[test]
fn row_57_the_close_event_has_the_servers_code_whatever_it_is() {
    for code in [0, 999, 1000, 1004, 1005, 1014, 2000, 4999, 5000, 65535] {
        let mut machine = open();
        assert!(machine.close(Some(3000), "ours").is_ok());
        machine.queue(clean(code, "theirs"));
        assert_eq!(rest(&mut machine), [Event::Close(CloseEvent::new(true, code, "theirs"))]);
        assert!(machine.failure().is_none());
    }
}

#[test]
fn row_58_a_lost_connection_is_no_error() {
    for why in [None, Some(Arc::new(Failure::NoClose(Duration::from_secs(60))))] {
        let mut machine = open();
        machine.queue(Task::Closed(End::Lost(why.clone())));
        assert_eq!(rest(&mut machine), [unclean()]);
        assert_eq!(machine.failure().map(ToString::to_string), why.map(|why| why.to_string()));
    }
}

#[test]
fn row_59_error_and_close_are_two_tasks_and_both_see_closed() {
    let mut machine = open();
    machine.queue(Task::Closed(End::Failed(Arc::new(Failure::BlockedPort(25)))));
    assert_eq!(machine.pump(), Pumped::Fired(Event::Error));
    assert_eq!((machine.ready_state(), machine.is_over(), machine.has_tasks()), (ReadyState::Closed, false, true));
    // Neither the network nor the owner gets between them.
    machine.queue(opening());
    machine.queue(text("late"));
    machine.queue(clean(1000, ""));
    assert_eq!(machine.close(Some(3000), "late"), Ok(None));
    assert_eq!(machine.unread(), 0);
    assert_eq!(machine.pump(), Pumped::Fired(unclean()));
    assert_eq!((machine.is_over(), machine.has_tasks(), machine.pump()), (true, false, Pumped::Idle));
}

#[test]
fn row_60_a_reason_keeps_its_byte_order_mark() {
    let mut machine = open();
    machine.queue(clean(1000, "\u{FEFF}bye\0"));
    assert_eq!(rest(&mut machine), [Event::Close(CloseEvent::new(true, 1000, "\u{FEFF}bye\0"))]);
}

#[test]
fn row_63_who_goes_away_says_1001_or_nothing() {
    for code in [None, Some(CloseCode::GOING_AWAY)] {
        let mut machine = open();
        assert_eq!(machine.go_away(code), Some(Command::Close { code, reason: String::new() }));
        assert_eq!(machine.ready_state(), ReadyState::Closing);
        assert_eq!(connecting().go_away(code), Some(Command::Fail));
        assert_eq!(closed().go_away(code), None);
    }
}

#[test]
fn row_65_no_event_bubbles_or_can_be_cancelled() {
    let message = Event::Message(MessageEvent::new("text", "wss://example.com"));
    for (event, name) in [(Event::Open, "open"), (message, "message"), (Event::Error, "error"), (unclean(), "close")] {
        assert_eq!((event.bubbles(), event.cancelable(), event.event_phase() as u16), (false, false, 2));
        assert_eq!(event.event_type().to_string(), name);
    }
}
