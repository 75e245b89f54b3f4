//! Edges of opening, sending and receiving: rows 19 to 42.

use std::sync::Arc;

use sansocket_whatwg::machine::{Command, End, Task};
use sansocket_whatwg::{BinaryType, Blob, CloseEvent, Data, Event, Failure, MessageEvent, Payload, Pumped, ReadyState};

use crate::verbs::{
    INVALID_STATE, binary, clean, connecting, open, open_with_limit, opening, rest, sends, text, thrown, unclean,
};

#[test]
fn row_19_a_new_object_is_connecting_and_has_nothing() {
    let mut machine = connecting();
    assert_eq!((machine.ready_state(), machine.ready_state() as u16), (ReadyState::Connecting, 0));
    assert_eq!((machine.protocol(), machine.extensions(), machine.buffered_amount()), ("", "", 0));
    assert_eq!((machine.binary_type(), machine.unread()), (BinaryType::Blob, 0));
    assert!(machine.failure().is_none() && !machine.has_tasks() && !machine.is_over());
    assert_eq!(machine.pump(), Pumped::Idle);
}

#[test]
fn row_29_state_protocol_and_extensions_change_with_the_open_event() {
    let mut machine = connecting();
    machine.queue(opening());
    assert_eq!((machine.protocol(), machine.extensions()), ("", ""));
    assert!(machine.has_tasks());
    assert_eq!(machine.pump(), Pumped::Fired(Event::Open));
    assert_eq!((machine.ready_state(), machine.protocol()), (ReadyState::Open, "chat"));
    assert_eq!(machine.extensions(), "permessage-deflate");
    // They stay.
    machine.queue(clean(1000, ""));
    assert_eq!(rest(&mut machine), [Event::Close(CloseEvent::new(true, 1000, ""))]);
    assert_eq!((machine.protocol(), machine.extensions()), ("chat", "permessage-deflate"));
}

#[test]
fn row_30_it_opens_first_though_the_end_has_come_already() {
    let mut machine = connecting();
    machine.queue(opening());
    machine.queue(Task::Closing);
    machine.queue(clean(1001, "gone"));
    assert_eq!(machine.pump(), Pumped::Fired(Event::Open));
    assert_eq!(machine.ready_state(), ReadyState::Open);
    assert_eq!((machine.pump(), machine.ready_state()), (Pumped::Quiet, ReadyState::Closing));
    assert_eq!(machine.pump(), Pumped::Fired(Event::Close(CloseEvent::new(true, 1001, "gone"))));
    assert_eq!(machine.ready_state(), ReadyState::Closed);
}

#[test]
fn row_31_while_connecting_send_throws_whatever_the_data() {
    let mut machine = connecting();
    for payload in ["".into(), "text".into(), Payload::from(vec![1]), Payload::from(Blob::default())] {
        assert_eq!(thrown(machine.send(payload)), INVALID_STATE);
    }
    // Also where the opening has come, and the owner does not know it yet.
    machine.queue(opening());
    assert_eq!(thrown(machine.send("text".into())), INVALID_STATE);
    assert_eq!(machine.buffered_amount(), 0);
}

#[test]
fn row_32_behind_open_nothing_is_sent_and_the_buffered_amount_grows() {
    let mut machine = open();
    sends(&mut machine, "12345");
    assert!(machine.close(None, "").is_ok());
    for amount in [6, 7] {
        assert_eq!((machine.send("x".into()), machine.buffered_amount()), (Ok(None), amount));
    }
    // What was sent before is on its way still.
    machine.handed_over(5);
    assert_eq!((machine.pump(), machine.buffered_amount()), (Pumped::Quiet, 2));
    machine.queue(clean(1000, ""));
    assert_eq!(rest(&mut machine).len(), 1);
    for amount in [4, 6] {
        assert_eq!((machine.send(b"xy".into()), machine.buffered_amount()), (Ok(None), amount));
    }
}

#[test]
fn row_33_a_lone_surrogate_is_sent_as_u_fffd() {
    let mut machine = open();
    sends(&mut machine, Payload::from_utf16(&[0x61, 0xD800, 0x62, 0xDC00, 0xD834, 0xDD1E]));
    assert_eq!(Payload::from_utf16(&[0xDFFF, 0xD83D]), Payload::from("\u{FFFD}\u{FFFD}"));
    assert_eq!(machine.buffered_amount(), "a\u{FFFD}b\u{FFFD}𝄞".len() as u64);
}

#[test]
fn row_34_an_empty_message_is_sent_and_counts_nothing() {
    let mut machine = open_with_limit(0);
    sends(&mut machine, "");
    sends(&mut machine, vec![]);
    assert_eq!(machine.buffered_amount(), 0);
}

#[test]
fn row_35_the_buffer_is_full_at_one_byte_beyond_its_limit() {
    for limit in [0, 1, 2, 125, 65536] {
        for pieces in [1, 2] {
            let piece = |len| Payload::from(vec![0; len as usize]);
            let mut machine = open_with_limit(limit);
            for _ in 1..pieces {
                sends(&mut machine, piece(limit / 2));
            }
            let left = limit - machine.buffered_amount();
            sends(&mut machine, piece(left));
            assert_eq!(machine.buffered_amount(), limit);
            assert_eq!(machine.send(piece(1)), Ok(Some(Command::Fail)), "limit {limit}, pieces {pieces}");
            // It counts, though it is not sent, and so does what comes behind it.
            assert_eq!((machine.ready_state(), machine.buffered_amount()), (ReadyState::Open, limit + 1));
            assert_eq!((machine.send(piece(1)), machine.buffered_amount()), (Ok(None), limit + 2));
            machine.queue(clean(1000, ""));
            assert_eq!(rest(&mut machine), [Event::Error, unclean()]);
            assert!(matches!(machine.failure().map(|why| &**why), Some(Failure::BufferFull)));
        }
    }
}

#[test]
fn row_35_room_is_made_by_what_the_owner_knows_to_be_taken() {
    let mut machine = open_with_limit(10);
    sends(&mut machine, "0123456789");
    machine.handed_over(4);
    assert_eq!(machine.pump(), Pumped::Quiet);
    sends(&mut machine, "0123");
    machine.handed_over(10);
    // The owner has not pumped.
    assert_eq!(machine.send("0".into()), Ok(Some(Command::Fail)));
}

#[test]
fn row_35_a_full_object_can_be_closed_and_fails_all_the_same() {
    let mut machine = open_with_limit(1);
    assert_eq!(machine.send("12".into()), Ok(Some(Command::Fail)));
    machine.queue(text("still open"));
    assert!(matches!(machine.pump(), Pumped::Fired(Event::Message(_))));
    assert_eq!((machine.close(Some(1000), "enough"), machine.ready_state()), (Ok(None), ReadyState::Closing));
    machine.queue(Task::Closed(End::Failed(Arc::new(Failure::Aborted))));
    assert_eq!(rest(&mut machine), [Event::Error, unclean()]);
    assert!(matches!(machine.failure().map(|why| &**why), Some(Failure::BufferFull)), "the owner's failure came first");
}

#[test]
fn row_38_the_buffered_amount_counts_bytes_of_utf8_at_once() {
    let mut machine = open();
    let mut amount = 0;
    for (payload, bytes) in [
        (Payload::from("abc"), 3),
        (Payload::from("ß€𝄞\0"), 10),
        (Payload::from(vec![0; 70_000]), 70_000),
        (Payload::from(Blob::new(vec![0; 10]).slice(2..5)), 3),
    ] {
        sends(&mut machine, payload);
        amount += bytes;
        assert_eq!(machine.buffered_amount(), amount);
    }
}

#[test]
fn row_39_the_buffered_amount_shrinks_in_the_next_task_whatever_that_is() {
    let mut machine = open();
    sends(&mut machine, "0123456789");
    machine.handed_over(4);
    machine.handed_over(3);
    assert_eq!((machine.buffered_amount(), machine.has_tasks()), (10, true));
    machine.queue(text("hello"));
    assert!(matches!(machine.pump(), Pumped::Fired(Event::Message(_))));
    assert_eq!((machine.buffered_amount(), machine.has_tasks()), (3, false));
    machine.handed_over(3);
    assert_eq!((machine.pump(), machine.buffered_amount()), (Pumped::Quiet, 0));
    assert_eq!(machine.pump(), Pumped::Idle);
    // Nothing is nothing to do.
    machine.handed_over(0);
    assert!(!machine.has_tasks());
    assert_eq!(machine.pump(), Pumped::Idle);
}

#[test]
fn row_40_what_is_reported_behind_the_end_changes_nothing() {
    let mut machine = open();
    sends(&mut machine, "0123456789");
    machine.queue(Task::Closed(End::Failed(Arc::new(Failure::Aborted))));
    machine.handed_over(1);
    assert_eq!((machine.pump(), machine.buffered_amount()), (Pumped::Fired(Event::Error), 9));
    machine.handed_over(9);
    assert_eq!((machine.pump(), machine.buffered_amount()), (Pumped::Fired(unclean()), 9));
    assert_eq!((machine.pump(), machine.buffered_amount()), (Pumped::Idle, 9));
    assert!(!machine.has_tasks());
}

#[test]
fn row_41_messages_behind_close_are_dropped_also_those_that_came_before() {
    let mut machine = open();
    machine.queue(text("early"));
    machine.queue(binary(&[0; 7]));
    assert_eq!(machine.unread(), 12);
    assert!(machine.close(None, "").is_ok());
    assert_eq!((machine.unread(), machine.has_tasks()), (0, false));
    machine.queue(text("late"));
    assert_eq!((machine.unread(), machine.has_tasks()), (0, false));
    machine.queue(clean(1000, ""));
    assert_eq!(rest(&mut machine), [Event::Close(CloseEvent::new(true, 1000, ""))]);
}

#[test]
fn row_42_a_message_is_of_the_binary_type_at_the_time_of_its_event() {
    let mut machine = open();
    for task in [binary(b"one"), binary(b"two"), text("three"), binary(b"four")] {
        machine.queue(task);
    }
    let message = |data: Data| Pumped::Fired(Event::Message(MessageEvent::new(data, "wss://example.com")));
    assert_eq!(machine.pump(), message(Data::Blob(Blob::new(&b"one"[..]))));
    machine.set_binary_type(BinaryType::ArrayBuffer);
    assert_eq!(machine.pump(), message(Data::ArrayBuffer(b"two".to_vec())));
    assert_eq!(machine.pump(), message(Data::Text(String::from("three"))));
    machine.set_binary_type(BinaryType::Blob);
    assert_eq!(machine.pump(), message(Data::Blob(Blob::new(&b"four"[..]))));
}
