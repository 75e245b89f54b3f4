//! One object's way to its connection, and what ends it.

use std::io;
use std::mem;
use std::net::IpAddr;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use mio::event::Event;
use mio::net::TcpStream;
use sansocket_mio::TlsStream;
use url::Host;

use super::race::{self, Race};
use super::reactor::Shared;
use super::socket::Socket;
use super::tunnel::Tunnel;
use super::turnstile::Key;
use super::wire::Wire;
use super::{Id, Plan};
use crate::failure::Failure;
use crate::machine::{End, Task};
use crate::object::Object;

/// One object's connection.
pub(super) struct Connection {
    id: Id,
    object: Arc<Object>,
    plan: Plan,
    started: Instant,
    stage: Stage,
    /// What nobody else may connect to meanwhile.
    keys: Vec<Key>,
    /// When it is asked next.
    pub(super) scheduled: Option<Instant>,
}

enum Stage {
    /// Its host's name is being looked up.
    Resolving,
    /// Somebody else is connecting to one of these addresses.
    Waiting(Vec<SocketAddr>),
    /// It is connecting.
    Racing(Race),
    /// A proxy is connecting for it.
    Tunnelling(Tunnel),
    /// It speaks WebSocket, or begins to.
    Wire(Box<Wire>),
    /// Nothing is left to be done.
    Gone,
}

impl Connection {
    pub(super) const fn new(id: Id, object: Arc<Object>, plan: Plan, now: Instant) -> Self {
        Self { id, object, plan, started: now, stage: Stage::Resolving, keys: Vec::new(), scheduled: None }
    }

    pub(super) const fn object(&self) -> &Arc<Object> {
        &self.object
    }

    pub(super) const fn is_gone(&self) -> bool {
        matches!(self.stage, Stage::Gone)
    }

    /// When `on_deadline` is due.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let opening = self.opening_deadline();
        match &self.stage {
            Stage::Racing(race) => opening.into_iter().chain(race.next_at()).min(),
            Stage::Wire(wire) if !wire.is_opening() => wire.deadline(&self.plan.time_limits),
            _ => opening,
        }
    }

    fn opening_deadline(&self) -> Option<Instant> {
        self.plan.time_limits.open.and_then(|open| self.started.checked_add(open))
    }

    /// Looks up the host, or the proxy's.
    pub(super) fn begin(&mut self, shared: &mut Shared) {
        let address: IpAddr = match self.first_host() {
            Host::Domain(name) => return shared.resolver.look_up(name, self.id),
            Host::Ipv4(address) => (*address).into(),
            Host::Ipv6(address) => (*address).into(),
        };
        self.on_resolved(&Ok(vec![address]), shared);
    }

    /// The host to connect to.
    fn first_host(&self) -> &Host<String> {
        self.plan.proxy.as_ref().map_or(&self.plan.host, |proxy| &proxy.host)
    }

    pub(super) fn on_resolved(&mut self, result: &Result<Vec<IpAddr>, Arc<io::Error>>, shared: &mut Shared) {
        let port = self.plan.proxy.as_ref().map_or(self.plan.port, |proxy| proxy.port);
        let addresses = match result {
            Ok(addresses) => race::interleave(addresses, port),
            Err(error) => {
                let failure = Failure::Resolve { host: self.first_host().to_string(), source: Arc::clone(error) };
                return self.fail(failure, shared);
            }
        };
        let keys: Vec<_> = match &self.plan.proxy {
            _ if !self.plan.waits_for_turn => Vec::new(),
            Some(_) => vec![Key::Name(format!("{}:{}", self.plan.host, self.plan.port))],
            None => addresses.iter().map(|&address| Key::Address(address)).collect(),
        };
        let may_enter = shared.turnstile.enter(self.id, &keys);
        self.stage = Stage::Waiting(addresses);
        if may_enter {
            self.on_admitted(keys, shared);
        }
    }

    /// It may connect.
    pub(super) fn on_admitted(&mut self, keys: Vec<Key>, shared: &mut Shared) {
        self.keys = keys;
        if let Stage::Waiting(addresses) = &mut self.stage {
            let addresses = mem::take(addresses);
            self.stage = Stage::Racing(Race::start(addresses, self.id, &shared.registry, shared.now));
            self.look_at_race(shared);
        }
    }

    pub(super) fn on_event(&mut self, event: &Event, shared: &mut Shared) {
        match &mut self.stage {
            Stage::Racing(_) => self.look_at_race(shared),
            Stage::Tunnelling(_) => self.dig(shared),
            Stage::Wire(_) => self.turn(shared, |wire, shared, object| wire.on_event(event, shared, object)),
            _ => {}
        }
    }

    /// Its time has come without an event.
    pub(super) fn go_on(&mut self, shared: &mut Shared) {
        self.turn(shared, Wire::go_on);
    }

    pub(super) fn on_deadline(&mut self, shared: &mut Shared) {
        let is_opening = match &self.stage {
            Stage::Wire(wire) => wire.is_opening(),
            _ => true,
        };
        if let Some(limit) = self.plan.time_limits.open
            && is_opening
            && self.opening_deadline().is_some_and(|due| due <= shared.now)
        {
            return self.fail(Failure::TimedOut(limit), shared);
        }
        match &mut self.stage {
            Stage::Racing(race) => {
                race.attempt(self.id, &shared.registry, shared.now);
                self.look_at_race(shared);
            }
            Stage::Wire(wire) => {
                wire.on_deadline(&self.plan.time_limits, &self.object);
                self.stage = Stage::Gone;
            }
            _ => {}
        }
    }

    /// The owner wants something.
    pub(super) fn on_orders(&mut self, shared: &mut Shared) {
        let orders = self.object.take_orders();
        if orders.fails && !matches!(&self.stage, Stage::Wire(wire) if !wire.is_opening()) {
            // The owner knows better why.
            return self.fail(Failure::Aborted, shared);
        }
        self.turn(shared, |wire, shared, object| wire.on_orders(orders, shared, object));
    }

    fn look_at_race(&mut self, shared: &mut Shared) {
        let Stage::Racing(race) = &mut self.stage else { return };
        match race.winner(self.id, &shared.registry, shared.now) {
            None => {}
            Some(Err(failure)) => self.fail(failure, shared),
            Some(Ok(stream)) => {
                self.keep_key_of(&stream, shared);
                self.on_connected(stream, shared);
            }
        }
    }

    /// Only one of the addresses is still being connected to.
    fn keep_key_of(&mut self, stream: &TcpStream, shared: &mut Shared) {
        let winner = stream.peer_addr().ok();
        let is_lost =
            |key: &mut Key| matches!(key, Key::Address(address) if winner.is_some_and(|winner| winner != *address));
        shared.turnstile.leave(self.keys.extract_if(.., is_lost).collect());
    }

    fn on_connected(&mut self, stream: TcpStream, shared: &mut Shared) {
        match &self.plan.proxy {
            Some(proxy) => {
                self.stage = Stage::Tunnelling(Tunnel::new(stream, proxy, &self.plan));
                self.dig(shared);
            }
            None => self.secure(stream, shared),
        }
    }

    fn dig(&mut self, shared: &mut Shared) {
        let Stage::Tunnelling(tunnel) = &mut self.stage else { return };
        match tunnel.go_on() {
            Ok(false) => {}
            Ok(true) => {
                if let Stage::Tunnelling(tunnel) = mem::replace(&mut self.stage, Stage::Gone) {
                    self.secure(tunnel.into_stream(), shared);
                }
            }
            Err(error) => self.fail(Failure::Proxy(error), shared),
        }
    }

    /// Begins to speak TLS, if it has to, and WebSocket.
    fn secure(&mut self, stream: TcpStream, shared: &mut Shared) {
        let socket = match &self.plan.tls {
            None => Socket::Tcp(stream),
            Some(tls) => match TlsStream::connect(tls, stream, &self.plan.host.to_string()) {
                Ok(stream) => Socket::Tls(Box::new(stream)),
                Err(error) => return self.fail(Failure::Tls(Arc::new(error)), shared),
            },
        };
        match Wire::start(socket, self.id, &self.plan, shared) {
            Ok(wire) => {
                self.stage = Stage::Wire(Box::new(wire));
                self.turn(shared, Wire::on_connected);
            }
            // What can be wrong with a request was found before it came here.
            Err(error) => self.fail(Failure::System(Arc::new(error)), shared),
        }
    }

    /// Lets the connection work.
    fn turn(&mut self, shared: &mut Shared, work: impl FnOnce(&mut Wire, &mut Shared, &Object)) {
        let Stage::Wire(wire) = &mut self.stage else { return };
        work(wire, shared, &self.object);
        if !wire.is_opening() {
            shared.turnstile.leave(mem::take(&mut self.keys));
        }
        if wire.is_gone() {
            self.stage = Stage::Gone;
        }
    }

    /// It could not be made.
    fn fail(&mut self, failure: Failure, shared: &mut Shared) {
        if let (Stage::Resolving, Host::Domain(name)) = (&self.stage, self.first_host()) {
            shared.resolver.forget(name, self.id);
        }
        self.stage = Stage::Gone;
        shared.turnstile.leave(mem::take(&mut self.keys));
        self.object.deliver([Task::Closed(End::Failed(Arc::new(failure)))]);
    }
}
