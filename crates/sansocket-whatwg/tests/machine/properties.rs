//! What holds for every program, of whatever an owner and a network do.

use proptest::prelude::*;
use sansocket_whatwg::machine::Command;
use sansocket_whatwg::{CloseEvent, Event, EventType, Payload, Pumped, ReadyState};

use crate::model::Model;
use crate::program::{News, Outcome, Seen, Step, Taken, payload, run};
use crate::strategies::{calls_that_close, ends, limits, programs, steps};

/// Failing cases are printed, not kept in files: what they show becomes a test by name.
fn config() -> ProptestConfig {
    ProptestConfig { cases: 250, failure_persistence: None, ..ProptestConfig::default() }
}

fn events(trace: &[Taken]) -> Vec<&Event> {
    trace.iter().filter_map(Taken::event).collect()
}

fn commands(trace: &[Taken]) -> impl Iterator<Item = &Command> {
    trace.iter().filter_map(|taken| match &taken.outcome {
        Outcome::Ordered(command) => command.as_ref(),
        _ => None,
    })
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn row_64_the_object_does_what_the_naive_model_does(limit in limits(), program in programs()) {
        let mut model = Model::new(limit);
        for (number, taken) in run(limit, &program).iter().enumerate() {
            prop_assert_eq!(&model.take(number, &taken.step, taken.bytes), &taken.outcome, "{}: {:?}", number, taken);
            prop_assert_eq!(&model.seen(), &taken.after, "{}: {:?}", number, taken);
            prop_assert_eq!(model.unread(), taken.unread, "{}: {:?}", number, taken);
            prop_assert_eq!(model.has_tasks(), taken.has_tasks, "{}: {:?}", number, taken);
        }
    }

    #[test]
    fn row_64_nothing_readable_changes_but_by_a_pump_and_by_the_owners_own_calls(
        limit in limits(),
        program in programs(),
    ) {
        for Taken { step, before, outcome, after, .. } in run(limit, &program) {
            let expected = match (step, outcome) {
                (Step::Pump, Outcome::Pumped(pumped)) if pumped != Pumped::Idle => continue,
                // The buffered amount and nothing else, in whatever state.
                (Step::Send(_, len), Outcome::Ordered(_)) => {
                    Seen { buffered_amount: before.buffered_amount + len as u64, ..before }
                }
                // The state and nothing else.
                (Step::Close(..) | Step::GoAway(_), Outcome::Ordered(_)) => {
                    Seen { ready_state: before.ready_state.max(ReadyState::Closing), ..before }
                }
                (Step::SetBinaryType(binary_type), _) => Seen { binary_type, ..before },
                // What the network says, calls that were refused, and a pump that had nothing to do.
                _ => before,
            };
            prop_assert_eq!(after, expected);
        }
    }

    #[test]
    fn row_64_the_state_moves_forward_only(limit in limits(), program in programs()) {
        for Taken { before, after, outcome, .. } in run(limit, &program) {
            prop_assert!(before.ready_state <= after.ready_state, "{:?}: {:?}, {:?}", outcome, before, after);
            prop_assert!(before.is_over <= after.is_over);
            // What was agreed on is agreed on once.
            let was_connecting = before.ready_state == ReadyState::Connecting;
            prop_assert!(before.protocol == after.protocol || (was_connecting && before.protocol.is_empty()));
            prop_assert!(before.extensions == after.extensions || (was_connecting && before.extensions.is_empty()));
        }
    }

    #[test]
    fn row_59_events_come_in_a_legal_order(limit in limits(), program in programs()) {
        let trace = run(limit, &program);
        for taken in &trace {
            let Some(event) = taken.event() else { continue };
            let state = match event {
                Event::Open | Event::Message(_) => ReadyState::Open,
                Event::Error | Event::Close(_) => ReadyState::Closed,
            };
            prop_assert_eq!(taken.after.ready_state, state, "{:?}", taken);
            prop_assert_eq!(taken.after.is_over, event.event_type() == EventType::Close, "{:?}", taken);
        }
        let mut events = events(&trace);
        let types: Vec<_> = events.iter().map(|event| event.event_type()).collect();
        let Some(Event::Close(close)) = events.pop() else { return Err(TestCaseError::fail(format!("{types:?}"))) };
        if events.pop_if(|event| **event == Event::Error).is_some() {
            prop_assert_eq!(close, &CloseEvent::new(false, 1006, ""));
        }
        prop_assert!(close.was_clean() || (close.code(), close.reason()) == (1006, ""), "{:?}", close);
        let was_open = events.first() == Some(&&Event::Open);
        let messages = if was_open { &events[1..] } else { &events[..] };
        prop_assert!(messages.iter().all(|event| matches!(event, Event::Message(_))), "{:?}", types);
        prop_assert!(was_open || messages.is_empty(), "{:?}", types);
    }

    #[test]
    fn row_59_the_first_end_that_the_network_tells_is_the_end(limit in limits(), program in programs()) {
        let trace = run(limit, &program);
        let is_end = |taken: &&Taken| matches!(taken.step, Step::Queue(News::Clean(_) | News::Lost(_) | News::Failed));
        let end = trace.iter().find(is_end).expect("each program has one");
        let Some(Event::Close(close)) = events(&trace).pop() else { return Err(TestCaseError::fail("no close")) };
        let has_given_up = commands(&trace).any(|command| *command == Command::Fail);
        let has_failed = events(&trace).contains(&&Event::Error);
        match end.step {
            _ if has_given_up => prop_assert!(has_failed),
            Step::Queue(News::Clean(code)) => prop_assert!(close.was_clean() && close.code() == code && !has_failed),
            Step::Queue(News::Failed) => prop_assert!(has_failed),
            _ => prop_assert!(!has_failed && !close.was_clean()),
        }
    }

    #[test]
    fn row_52_a_close_while_connecting_ends_in_error_and_1006_whatever_the_network_says(
        before in prop::collection::vec(steps(), 0..6),
        close in calls_that_close(),
        behind in prop::collection::vec(steps(), 0..20),
        end in ends(),
    ) {
        // Nothing of what the network says has reached the owner.
        let before = before.into_iter().filter(|step| !matches!(step, Step::Pump));
        let program: Vec<_> = before.chain([close]).chain(behind).chain([Step::Queue(end)]).collect();
        let trace = run(u64::MAX, &program);
        prop_assert_eq!(events(&trace), [&Event::Error, &Event::Close(CloseEvent::new(false, 1006, ""))]);
        prop_assert_eq!(commands(&trace).collect::<Vec<_>>(), [&Command::Fail]);
        let last = &trace.last().unwrap().after;
        prop_assert_eq!(last.failure.as_deref(), Some("closed before the connection was open"));
        prop_assert_eq!((&last.protocol[..], &last.extensions[..]), ("", ""));
    }

    #[test]
    fn row_39_the_buffered_amount_is_what_was_sent_less_what_was_taken_as_of_the_last_pump(
        limit in limits(),
        program in programs(),
    ) {
        let (mut sent, mut taken, mut taken_since) = (0, 0, 0);
        for Taken { step, bytes, before, outcome, after, .. } in run(limit, &program) {
            match (step, outcome) {
                (Step::Send(_, len), Outcome::Ordered(_)) => sent += len as u64,
                (Step::HandOver(_), _) => taken_since += bytes,
                // Row 40: behind the end, it only grows.
                (Step::Pump, _) if before.ready_state != ReadyState::Closed => taken += std::mem::take(&mut taken_since),
                _ => {}
            }
            prop_assert_eq!(after.buffered_amount, sent - taken);
        }
    }

    #[test]
    fn row_53_the_network_gets_messages_in_order_and_then_one_end(limit in limits(), program in programs()) {
        let trace = run(limit, &program);
        let commands: Vec<_> = commands(&trace).collect();
        let is_end = |command: &&Command| !matches!(command, Command::Send(_));
        let end = commands.iter().position(is_end).unwrap_or(commands.len());
        prop_assert!(commands.len() <= end + 1, "behind its end, nothing: {:?}", commands);
        // Each message that was sent while it was open, as it was.
        let sent = trace.iter().filter_map(|taken| match (&taken.step, &taken.outcome) {
            (Step::Send(is_text, len), Outcome::Ordered(Some(Command::Send(_)))) => Some(payload(*is_text, *len)),
            _ => None,
        });
        let got = commands[..end].iter().filter_map(|command| match command {
            Command::Send(payload) => Some(Payload::clone(payload)),
            _ => None,
        });
        prop_assert!(sent.eq(got));
        // An end that the owner has asked for is asked of the network, unless that is at its end itself.
        for Taken { before, after, outcome, .. } in &trace {
            if let Outcome::Ordered(Some(command)) = outcome {
                match command {
                    Command::Send(_) => prop_assert_eq!(before.ready_state, ReadyState::Open),
                    Command::Close { .. } => {
                        prop_assert_eq!((before.ready_state, after.ready_state), (ReadyState::Open, ReadyState::Closing));
                    }
                    Command::Fail => prop_assert!(before.ready_state < ReadyState::Closing),
                }
            }
        }
    }

    #[test]
    fn row_41_unread_are_the_messages_that_may_still_come_and_none_behind_close(
        limit in limits(),
        program in programs(),
    ) {
        let mut unread = 0;
        for Taken { step, before, outcome, after, unread: counted, .. } in run(limit, &program) {
            let is_message = |event: &Event| matches!(event, Event::Message(_));
            match (step, outcome) {
                (Step::Queue(News::Message(_, len)), _) if before.ready_state <= ReadyState::Open => unread += len as u64,
                (Step::Pump, Outcome::Pumped(Pumped::Fired(Event::Message(message)))) => {
                    unread -= message.data().as_bytes().len() as u64;
                }
                (Step::Pump, Outcome::Pumped(Pumped::Fired(event))) => prop_assert!(!is_message(&event)),
                // Messages out of their order are dropped without an event: the model knows of those.
                (Step::Pump, Outcome::Pumped(Pumped::Quiet)) => {
                    prop_assert!(counted <= unread);
                    unread = counted;
                }
                (Step::Close(..) | Step::GoAway(_), Outcome::Ordered(_)) if before.ready_state <= ReadyState::Open => {
                    unread = 0;
                }
                _ => {}
            }
            if after.ready_state == ReadyState::Closed {
                unread = 0;
            }
            prop_assert_eq!(counted, unread);
        }
    }

    #[test]
    fn row_35_the_object_is_full_at_the_first_byte_beyond_its_limit(limit in 0..60u64, program in programs()) {
        let mut was_full = false;
        for Taken { step, before, outcome, after, .. } in run(limit, &program) {
            let Step::Send(..) = step else { continue };
            let fits = after.buffered_amount <= limit;
            let may_send = before.ready_state == ReadyState::Open && !was_full;
            match outcome {
                Outcome::Ordered(Some(Command::Send(_))) => prop_assert!(fits && may_send),
                Outcome::Ordered(Some(Command::Fail)) => prop_assert!(!fits && may_send),
                _ => prop_assert!(!may_send),
            }
            was_full |= may_send && !fits;
        }
    }
}
