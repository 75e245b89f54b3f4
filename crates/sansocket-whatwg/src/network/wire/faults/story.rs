//! An object over a socket with faults, and its owner: one story of theirs.

use std::mem;
use std::sync::Arc;

use sansocket::{Limits, OwnedMessage, Timeouts};
use sansocket_mio::deflate::Config;
use sansocket_mio::{Answer, Common, Driver, Settings};
use sansocket_testkit::Side;
use sansocket_testkit::faults::{Program, Transport};

use super::taken::Taken;
use crate::event::{Data, Event};
use crate::failure::Failure;
use crate::location::Location;
use crate::machine::{Machine, Pumped, ReadyState};
use crate::network::Id;
use crate::network::faulty::{Faulty, URL, plan};
use crate::network::reactor::Shared;
use crate::network::wire::Wire;
use crate::object::Object;

/// What the owner closes with.
pub(super) const OWNERS_CODE: u16 = 4000;
pub(super) const ORIGIN: &str = "ws://localhost";

/// What an owner does, and its server. Each message that comes is sent back.
#[derive(Clone, Copy, Debug)]
pub(super) struct Manner {
    pub(super) compresses: bool,
    /// The lengths of messages that it sends as soon as the connection is open.
    pub(super) first: &'static [usize],
    /// Behind how many messages of the server's it closes, and whether it does.
    pub(super) closes_behind: Option<usize>,
    /// After how many turns of the network's it looks at what has come. It does whenever the network has nothing to do.
    pub(super) patience: usize,
    /// How much the server sends before it has got a Close.
    pub(super) held_at: Option<usize>,
    /// How much the socket takes at once, where connections are broken.
    pub(super) room: usize,
}

/// What became of an object.
#[derive(Debug)]
pub(super) struct Story {
    pub(super) events: Vec<Event>,
    pub(super) failure: Option<Arc<Failure>>,
    /// What the owner has sent while the object was open.
    pub(super) sent: Vec<OwnedMessage>,
    /// The buffered amount at the end, and what the socket has taken.
    pub(super) buffered: u64,
    pub(super) taken: Taken,
    /// How many bytes of messages waited for the owner at most.
    pub(super) most_unread: u64,
    /// Whether the network has nothing left to do.
    pub(super) is_gone: bool,
    pub(super) transport: Transport,
}

impl Story {
    /// Lets an object and a server that sends these frames have a connection over a socket that does as the program says.
    pub(super) fn of(manner: Manner, frames: &[u8], program: &Program, shared: &mut Shared) -> Self {
        let object = Object::new(Location::parse(URL, None).unwrap(), None, Machine::new(ORIGIN));
        let transport = Transport::new(Side::Client, &[], frames, program.clone());
        let mut stream = Faulty::new(transport);
        stream.held_at = manner.held_at;
        let mut wire = Wire::start(stream, Id::next(), &plan(manner.compresses), shared).unwrap();
        let mut owner = Owner { manner, events: Vec::new(), sent: Vec::new() };
        let (mut taken, mut most_unread) = (Taken::default(), 0);
        wire.on_connected(shared, &object);
        for turn in 1.. {
            assert!(turn < 1_000_000, "the wire spins");
            taken.look(wire.driver.stream().transport.written());
            if taken.has_close() {
                wire.driver.stream_mut().held_at = None;
            }
            most_unread = object.lock().machine.unread().max(most_unread);
            if turn % manner.patience == 0 {
                owner.look(&object);
            }
            let has_all = wire.driver.queued() == 0 && !wire.driver.is_write_shut();
            owner.expect_amount(&object, &taken, has_all);
            let orders = object.take_orders();
            if wire.is_gone() {
                break;
            } else if !orders.is_empty() {
                wire.on_orders(orders, shared, &object);
            } else if let Some((readable, read_closed, writable)) = wire.driver.stream_mut().event() {
                wire.turn(shared, &object, |turn| {
                    if readable {
                        turn.on_readable(read_closed);
                    }
                    if writable {
                        turn.on_writable();
                    }
                });
            } else if !mem::take(&mut shared.ready).is_empty() {
                wire.go_on(shared, &object);
            } else if object.lock().machine.has_tasks() {
                owner.look(&object);
            } else {
                break;
            }
        }
        shared.ready.clear();
        owner.look(&object);
        assert_eq!(object.pump(), Pumped::Idle);
        let (failure, buffered) = {
            let machine = &object.lock().machine;
            (machine.failure().cloned(), machine.buffered_amount())
        };
        let (is_gone, transport) = (wire.is_gone(), wire.driver.stream().transport.clone());
        Self { events: owner.events, failure, sent: owner.sent, buffered, taken, most_unread, is_gone, transport }
    }
}

/// Who has the object.
struct Owner {
    manner: Manner,
    events: Vec<Event>,
    sent: Vec<OwnedMessage>,
}

impl Owner {
    /// Lets happen what has come.
    fn look(&mut self, object: &Object) {
        while object.lock().machine.has_tasks() {
            if let Pumped::Fired(event) = object.pump() {
                match &event {
                    Event::Open => {
                        let first = self.manner.first.iter();
                        first.for_each(|&len| self.send(OwnedMessage::Binary(pattern(len)), object));
                    }
                    Event::Message(message) => self.send(message_of(message.data()), object),
                    Event::Error | Event::Close(_) => {}
                }
                self.events.push(event);
            }
            let is_open = object.lock().machine.ready_state() == ReadyState::Open;
            if is_open && self.manner.closes_behind.is_some_and(|count| count < self.events.len()) {
                object.close(Some(OWNERS_CODE), "").unwrap();
            }
        }
    }

    fn send(&mut self, message: OwnedMessage, object: &Object) {
        object
            .send(match message.clone() {
                OwnedMessage::Text(text) => text.into(),
                OwnedMessage::Binary(bytes) => bytes.into(),
            })
            .unwrap();
        self.sent.push(message);
    }

    /// That the amount is what the socket has not taken, or more for as long as something is under way.
    #[track_caller]
    fn expect_amount(&self, object: &Object, taken: &Taken, has_all: bool) {
        let machine = &object.lock().machine;
        let amount = machine.buffered_amount();
        let left = taken.left_of(&self.sent, self.manner.compresses);
        let is_right = amount >= *left.start() && (amount <= *left.end() || !has_all || machine.has_tasks());
        assert!(is_right, "{amount} bytes wait to be sent, and {left:?} do");
    }
}

/// Bytes that say where they are.
fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|at| (at * 31 + at / 251 * 7).to_le_bytes()[0]).collect()
}

fn message_of(data: &Data) -> OwnedMessage {
    match data.as_text() {
        Some(text) => OwnedMessage::Text(text.to_owned()),
        None => OwnedMessage::Binary(data.as_bytes().to_vec()),
    }
}

/// What a server makes of all that was written.
#[derive(Debug, Default)]
pub(super) struct Heard {
    pub(super) messages: Vec<OwnedMessage>,
    pub(super) pongs: Vec<Vec<u8>>,
    /// The code of the Close, if that has come.
    pub(super) close: Option<u16>,
}

impl Heard {
    pub(super) fn from(written: &[u8]) -> Self {
        let settings = Settings {
            limits: Limits::UNLIMITED,
            timeouts: Timeouts::NONE,
            compression: Some(Config::DEFAULT),
            ..Settings::DEFAULT
        };
        let mut common = Common::new(settings);
        let transport = Transport::new(Side::Server, written, &[], Program::default());
        let mut server = Driver::server(Faulty::new(transport), &common);
        let mut buffer = vec![0; 4096];
        let mut this = Self::default();
        server.turn(&mut common).on_readable(true);
        while server.wants_turn() {
            let mut turn = server.turn(&mut common);
            let mut input = turn.read(&mut buffer);
            while let Some(event) = turn.next(&mut input) {
                match event {
                    sansocket_mio::Event::Request(request) => turn.answer(Some(&request), &Answer::accept()),
                    sansocket_mio::Event::Message(message) => this.messages.push(message.as_message().to_owned()),
                    sansocket_mio::Event::Pong => this.pongs.push(turn.control().to_vec()),
                    sansocket_mio::Event::End(_) => {
                        this.close = turn.driver().peer_close().map(|close| close.code().map_or(1005, u16::from));
                    }
                    _ => {}
                }
            }
        }
        this
    }
}
