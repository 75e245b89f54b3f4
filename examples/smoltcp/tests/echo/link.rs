//! A cable in memory that takes its time and loses packets, and the two network cards at its ends.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;

use smoltcp::phy::{Device, DeviceCapabilities, Medium, RxToken, TxToken};
use smoltcp::time::{Duration, Instant};

/// How long a packet is on its way.
const LATENCY: Duration = Duration::from_millis(5);

/// Bytes of a packet.
const MTU: usize = 576;

/// One direction of the cable.
#[derive(Debug)]
pub struct Lane {
    /// Packets, and when they arrive.
    under_way: RefCell<VecDeque<(Instant, Vec<u8>)>>,
    /// Packets that were sent.
    pub sent: Cell<u64>,
    /// Of so many packets, the last is lost.
    lossy: u64,
    cut: Cell<bool>,
}

impl Lane {
    pub fn new(lossy: u64) -> Rc<Self> {
        Rc::new(Self { under_way: RefCell::default(), sent: Cell::new(0), lossy, cut: Cell::new(false) })
    }

    /// When the next packet arrives.
    pub fn due(&self) -> Option<Instant> {
        self.under_way.borrow().front().map(|(arrival, _)| *arrival)
    }

    /// Cuts the cable, and loses what is under way.
    pub fn cut(&self) {
        self.cut.set(true);
        self.under_way.borrow_mut().clear();
    }

    fn send(&self, now: Instant, packet: Vec<u8>) {
        self.sent.set(self.sent.get() + 1);
        if !self.cut.get() && !self.sent.get().is_multiple_of(self.lossy) {
            self.under_way.borrow_mut().push_back((now + LATENCY, packet));
        }
    }

    fn arrived(&self, now: Instant) -> Option<Vec<u8>> {
        if self.due()? > now {
            return None;
        }
        self.under_way.borrow_mut().pop_front().map(|(_, packet)| packet)
    }
}

/// A network card.
pub struct Card {
    pub incoming: Rc<Lane>,
    pub outgoing: Rc<Lane>,
}

impl Device for Card {
    type RxToken<'a> = Packet;
    type TxToken<'a> = Place<'a>;

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ip;
        capabilities.max_transmission_unit = MTU;
        capabilities
    }

    fn receive(&mut self, now: Instant) -> Option<(Packet, Place<'_>)> {
        let packet = self.incoming.arrived(now)?;
        Some((Packet(packet), Place { lane: &self.outgoing, now }))
    }

    fn transmit(&mut self, now: Instant) -> Option<Place<'_>> {
        Some(Place { lane: &self.outgoing, now })
    }
}

/// A packet that has arrived.
pub struct Packet(Vec<u8>);

impl RxToken for Packet {
    fn consume<T, F: FnOnce(&[u8]) -> T>(self, take: F) -> T {
        take(&self.0)
    }
}

/// A place for a packet to be sent.
pub struct Place<'a> {
    lane: &'a Lane,
    now: Instant,
}

impl TxToken for Place<'_> {
    fn consume<T, F: FnOnce(&mut [u8]) -> T>(self, len: usize, make: F) -> T {
        let mut packet = vec![0; len];
        let made = make(&mut packet);
        self.lane.send(self.now, packet);
        made
    }
}
