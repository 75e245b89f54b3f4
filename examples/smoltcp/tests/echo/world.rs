//! Two machines, a cable and a clock.

use std::rc::Rc;

use sansocket::handshake::{ClientRequest, Uri};
use sansocket::{Ending, MaskKeys, Server, Timeouts};
use sansocket_example_smoltcp::{Application, ClientOpening, Endpoint, Host, Opening, ServerOpening};
use smoltcp::iface::{Config, Interface, SocketSet};
use smoltcp::socket::tcp::{Socket, SocketBuffer, State};
use smoltcp::time::Instant;
use smoltcp::wire::{HardwareAddress, IpAddress, IpCidr};

use crate::link::{Card, Lane};
use crate::talker::Talker;

/// Bytes of a socket's receive buffer, and of its send buffer.
const BUFFER: usize = 1536;

const PORT: u16 = 80;

/// More turns of the loop than any of this takes.
const TURNS: usize = 1_000_000;

pub struct World<A> {
    pub now: Instant,
    pub client: Host<'static, Card, ClientOpening<'static, Keys>, Talker>,
    pub server: Host<'static, Card, ServerOpening, A>,
    pub lanes: [Rc<Lane>; 2],
}

impl<A: Application<Server>> World<A> {
    /// A client that connects to a server, over a cable on which the last of so many packets is lost.
    pub fn new(request: ClientRequest<'static>, client: Talker, server: A, lossy: u64) -> Self {
        let [up, down] = [Lane::new(lossy), Lane::new(lossy)];
        let opening = ClientOpening::new(request, *b"the sample nonce", Keys(0), BUFFER);
        let mut client = host(1, &down, &up, opening, client);
        let mut server = host(2, &up, &down, ServerOpening::new(BUFFER), server);

        server.sockets.get_mut::<Socket<'_>>(server.handle).listen(PORT).unwrap();
        let socket = client.sockets.get_mut::<Socket<'_>>(client.handle);
        socket.connect(client.interface.context(), (address(2), PORT), 49152).unwrap();
        Self { now: Instant::ZERO, client, server, lanes: [up, down] }
    }

    /// Lets both machines run, and time pass while they sleep, until this is so.
    pub fn run_until(&mut self, done: impl Fn(&Self) -> bool) {
        for _ in 0..TURNS {
            let [up, down] = &self.lanes;
            let (up, down) = (up.due(), down.due());
            let dues = [self.client.poll(self.now), self.server.poll(self.now), up, down];
            if done(self) {
                return;
            }
            let due = dues.into_iter().flatten().min().expect("somebody will wake up");
            self.now = self.now.max(due);
        }
        panic!("it is {}, and nothing comes of it", self.now);
    }

    /// Both ends of the connection, once both TCP connections are gone too.
    pub fn end(&mut self) -> [Option<Ending>; 2] {
        self.run_until(|world| world.states() == [State::Closed; 2]);
        [self.client.endpoint.ending(), self.server.endpoint.ending()]
    }

    pub fn states(&self) -> [State; 2] {
        [
            self.client.sockets.get::<Socket<'_>>(self.client.handle).state(),
            self.server.sockets.get::<Socket<'_>>(self.server.handle).state(),
        ]
    }

    pub fn cut(&self) {
        for lane in &self.lanes {
            lane.cut();
        }
    }
}

/// Foreseen by everybody who reads this, so that a test runs the same way each time. In earnest: a generator.
pub struct Keys(u32);

impl MaskKeys for Keys {
    fn next_key(&mut self) -> [u8; 4] {
        self.0 = self.0.wrapping_add(0x9E37_79B9);
        self.0.to_be_bytes()
    }
}

pub fn request() -> ClientRequest<'static> {
    ClientRequest::new(&Uri::parse("ws://10.0.0.2/").unwrap())
}

fn address(host: u8) -> IpAddress {
    IpAddress::v4(10, 0, 0, host)
}

fn host<O: Opening, A: Application<O::Role>>(
    number: u8,
    incoming: &Rc<Lane>,
    outgoing: &Rc<Lane>,
    opening: O,
    application: A,
) -> Host<'static, Card, O, A> {
    let mut device = Card { incoming: Rc::clone(incoming), outgoing: Rc::clone(outgoing) };
    let mut interface = Interface::new(Config::new(HardwareAddress::Ip), &mut device, Instant::ZERO);
    interface.update_ip_addrs(|addresses| addresses.push(IpCidr::new(address(number), 24)).unwrap());
    let mut socket = Socket::new(SocketBuffer::new(vec![0; BUFFER]), SocketBuffer::new(vec![0; BUFFER]));
    // Whatever is queued is all there is to be sent for now: waiting for more would only hold up pongs and short messages.
    socket.set_nagle_enabled(false);
    let mut sockets = SocketSet::new(Vec::new());
    let handle = sockets.add(socket);
    let endpoint = Endpoint::new(opening, application, Timeouts::DEFAULT);
    Host { device, interface, sockets, handle, endpoint, scratch: vec![0; BUFFER].leak() }
}
