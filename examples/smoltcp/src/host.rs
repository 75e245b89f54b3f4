//! A machine: a stack, a socket, and the loop that drives them.

use sansocket::Time;
use smoltcp::iface::{Interface, SocketHandle, SocketSet};
use smoltcp::phy::Device;
use smoltcp::socket::tcp::Socket;
use smoltcp::time::Instant;

use crate::{Application, Endpoint, Opening};

/// A machine with one TCP socket. With more there is an endpoint for each, and all share the scratch.
pub struct Host<'a, D, O: Opening, A> {
    /// The network card.
    pub device: D,
    /// The stack above it.
    pub interface: Interface,
    /// The stack's sockets.
    pub sockets: SocketSet<'a>,
    /// Which of them the endpoint is over.
    pub handle: SocketHandle,
    /// The WebSocket.
    pub endpoint: Endpoint<O, A>,
    /// For replies on their way to the send buffer.
    pub scratch: &'a mut [u8],
}

impl<D: Device, O: Opening, A: Application<O::Role>> Host<'_, D, O, A> {
    /// The loop's body: does what there is to be done at `now`. Gives when to call it again, unless the card has something before.
    pub fn poll(&mut self, now: Instant) -> Option<Instant> {
        self.interface.poll(now, &mut self.device, &mut self.sockets);
        let socket = self.sockets.get_mut::<Socket<'_>>(self.handle);
        self.endpoint.step(socket, self.scratch, time(now));
        // What the step has queued, and that there is room to receive again.
        self.interface.poll_egress(now, &mut self.device, &mut self.sockets);

        let stack = self.interface.poll_at(now, &self.sockets);
        let endpoint = self.endpoint.due(time(now)).map(instant);
        [stack, endpoint].into_iter().flatten().min()
    }
}

/// smoltcp's time as the engine's. Both count from an epoch of the machine's: microseconds here, nanoseconds there.
pub fn time(instant: Instant) -> Time {
    Time::from_nanos(u64::try_from(instant.total_micros()).unwrap_or(0).saturating_mul(1000))
}

/// The engine's time as smoltcp's, rounded up: who is woken too early finds nothing to do.
fn instant(time: Time) -> Instant {
    Instant::from_micros(i64::try_from(time.as_nanos().div_ceil(1000)).unwrap_or(i64::MAX))
}
