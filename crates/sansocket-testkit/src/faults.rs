//! A transport in memory that does what a program of faults says: it delays, splits, interrupts, and is cut.
//!
//! It is no stream by itself: each adapter wraps it in one of its kind.

use std::io::{ErrorKind, IoSlice};

use crate::Side;
use crate::partner::Partner;
#[cfg(feature = "tls")]
use crate::tls::Tunnel;

/// What a transport is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// Some bytes of the peer's.
    Read,
    /// To take some bytes.
    Write,
    /// To let go of what it has taken.
    Flush,
    /// To end what is written.
    Shut,
}

impl Call {
    /// Each of them.
    pub const ALL: [Self; 4] = [Self::Read, Self::Write, Self::Flush, Self::Shut];
}

/// What becomes of a call. None of these loses anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// It moves up to so many bytes, and one at least.
    UpTo(usize),
    /// It would block.
    Later,
    /// It was interrupted.
    Interrupted,
}

/// How a transport breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Break {
    /// Reads find the end of the stream, as where the peer has shut down writing. Writes go on.
    End,
    /// The call fails so, then reads find the end, and writes a broken pipe: sockets tell of an error once.
    Once(ErrorKind),
    /// This call and every further one fail so.
    ForEver(ErrorKind),
    /// All calls but reads fail so from then on; reads go on.
    Writing(ErrorKind),
}

/// When it breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Point {
    /// With the first read behind so many bytes.
    Received(usize),
    /// With the first write behind so many bytes.
    Sent(usize),
    /// With this call; the first one is number 0.
    Call(Call, usize),
}

/// What a transport does.
#[derive(Clone, Debug, Default)]
pub struct Program {
    /// What becomes of each kind of call, in the order of [`Call::ALL`], over and over; all of it, if this is empty. Not all of a kind may be put off.
    pub turns: [Vec<Turn>; 4],
    /// When and how it breaks.
    pub cut: Option<(Point, Break)>,
}

impl Program {
    /// One that breaks, and does nothing else.
    pub fn cut(point: Point, how: Break) -> Self {
        Self { cut: Some((point, how)), ..Self::default() }
    }
}

/// The transport, and the peer behind it: that sends what it was told, whatever it gets, and then ends the stream.
#[derive(Clone, Debug)]
pub struct Transport {
    program: Program,
    partner: Partner,
    /// What lies between the partner and the transport: by default nothing.
    #[cfg(feature = "tls")]
    tunnel: Option<Tunnel>,
    received: usize,
    written: Vec<u8>,
    /// How much of it has left: it is held back until it is flushed.
    flushed: usize,
    calls: [usize; 4],
    broken: Option<Break>,
    /// How many calls there were since it has told that it is broken, or at its end.
    calls_behind_end: usize,
    has_told_end: bool,
    is_shut: bool,
    /// Whether what would block is interrupted instead.
    is_prompt: bool,
}

impl Transport {
    /// The transport of `side`, whose peer sends `request` if it is a client, and then `frames`.
    pub fn new(side: Side, request: &[u8], frames: &[u8], program: Program) -> Self {
        Self {
            program,
            partner: Partner::of(side, request, frames),
            #[cfg(feature = "tls")]
            tunnel: None,
            received: 0,
            written: Vec::new(),
            flushed: 0,
            calls: [0; 4],
            broken: None,
            calls_behind_end: 0,
            has_told_end: false,
            is_shut: false,
            is_prompt: false,
        }
    }

    /// The same, whose peer speaks TLS: what breaks is below that.
    #[cfg(feature = "tls")]
    pub fn secured(mut self, side: Side) -> Self {
        let reads = &mut self.program.turns[Call::Read as usize];
        // TLS reads as much as it can, whatever buffer it is given, and a short conversation would have come with one read.
        if reads.is_empty() {
            reads.push(Turn::UpTo(300));
        }
        Self { tunnel: Some(Tunnel::from(side.other(), &self.partner)), ..self }
    }

    /// What comes to be read, as it lies on the wire.
    fn incoming(&self) -> &[u8] {
        #[cfg(feature = "tls")]
        if let Some(tunnel) = &self.tunnel {
            return tunnel.incoming();
        }
        self.partner.sent()
    }

    /// Whether the peer does not end the stream before it has heard more.
    fn peer_waits(&self) -> bool {
        #[cfg(feature = "tls")]
        if let Some(tunnel) = &self.tunnel {
            return !tunnel.is_closed();
        }
        self.partner.waits_for_writes()
    }

    /// All that was written; of what goes through TLS, what the peer has made of it.
    pub fn written(&self) -> &[u8] {
        #[cfg(feature = "tls")]
        if self.tunnel.is_some() {
            return self.partner.heard();
        }
        &self.written
    }

    /// How many bytes were written, as they lie on the wire.
    pub const fn written_to_wire(&self) -> usize {
        self.written.len()
    }

    /// Whether all that was written has left.
    pub const fn is_flushed(&self) -> bool {
        self.flushed == self.written.len()
    }

    /// How many bytes were read; of what came through TLS, how many those are that can be made out.
    pub fn received(&self) -> usize {
        #[cfg(feature = "tls")]
        if let Some(tunnel) = &self.tunnel {
            return tunnel.plain_within(self.received);
        }
        self.received
    }

    /// How many bytes were read, as they lay on the wire.
    pub const fn received_from_wire(&self) -> usize {
        self.received
    }

    /// What a stream on top of this says where this ends at once: TLS has an end of its own, and knows one that is none.
    pub const fn sudden_end(&self) -> Option<ErrorKind> {
        #[cfg(feature = "tls")]
        if self.tunnel.is_some() {
            return Some(ErrorKind::UnexpectedEof);
        }
        None
    }

    /// How many calls of this kind there were.
    pub const fn calls(&self, call: Call) -> usize {
        self.calls[call as usize]
    }

    /// How many calls there were behind the one that has told of the end, or of what broke it.
    pub const fn calls_behind_end(&self) -> usize {
        self.calls_behind_end
    }

    /// Whether nothing would block for now, but is interrupted: where a blocking stream is to have no time limit.
    pub const fn set_prompt(&mut self, is_prompt: bool) {
        self.is_prompt = is_prompt;
    }

    /// All that was read so far.
    pub(crate) fn received_so_far(&self) -> &[u8] {
        &self.partner.sent()[..self.received()]
    }

    /// Whether nothing comes behind what was read but the end.
    pub fn is_at_end(&self) -> bool {
        let cut = match self.program.cut {
            Some((Point::Received(cut), _)) => cut.min(self.incoming().len()),
            _ => self.incoming().len(),
        };
        self.received >= cut && !self.is_waiting()
    }

    /// Whether nothing comes before something is written: the request, or a client's Close, behind which the server ends the stream.
    pub fn is_waiting(&self) -> bool {
        self.received == self.incoming().len() && self.peer_waits() && self.broken.is_none()
    }

    /// Whether it was told that nothing more will be written to it; in TLS, whether that was said in its words, too.
    pub fn is_shut(&self) -> bool {
        #[cfg(feature = "tls")]
        if let Some(tunnel) = &self.tunnel {
            return self.is_shut && tunnel.has_heard_end();
        }
        self.is_shut
    }

    /// Reads.
    ///
    /// # Errors
    ///
    /// As the program says.
    pub fn read(&mut self, buffer: &mut [u8]) -> Result<usize, ErrorKind> {
        let Some(most) = self.begin(Call::Read)? else { return Ok(0) };
        let left = self.incoming().len() - self.received;
        let mut count = most.min(buffer.len()).min(left);
        if let Some((Point::Received(cut), _)) = self.program.cut {
            count = count.min(cut - self.received);
        }
        if left == 0 && self.is_waiting() {
            return Err(ErrorKind::WouldBlock);
        }
        self.has_told_end |= left == 0;
        buffer[..count].copy_from_slice(&self.incoming()[self.received..][..count]);
        self.received += count;
        Ok(count)
    }

    /// Writes.
    ///
    /// # Errors
    ///
    /// As the program says.
    ///
    /// # Panics
    ///
    /// If it was shut.
    pub fn write(&mut self, slices: &[IoSlice<'_>]) -> Result<usize, ErrorKind> {
        assert!(!self.is_shut, "written behind the end");
        let mut left = self.begin(Call::Write)?.unwrap_or_default();
        if let Some((Point::Sent(cut), _)) = self.program.cut {
            left = left.min(cut - self.written.len());
        }
        let before = self.written.len();
        for slice in slices {
            let part = &slice[..slice.len().min(left)];
            self.written.extend_from_slice(part);
            left -= part.len();
        }
        Ok(self.written.len() - before)
    }

    /// Flushes.
    ///
    /// # Errors
    ///
    /// As the program says.
    pub fn flush(&mut self) -> Result<(), ErrorKind> {
        self.begin(Call::Flush)?;
        self.let_go();
        Ok(())
    }

    /// Ends what this side writes. What was held back leaves.
    ///
    /// # Errors
    ///
    /// As the program says.
    pub fn shut(&mut self) -> Result<(), ErrorKind> {
        self.begin(Call::Shut)?;
        self.let_go();
        self.is_shut = true;
        Ok(())
    }

    /// The peer gets what was held back.
    fn let_go(&mut self) {
        let news = &self.written[self.flushed..];
        self.flushed = self.written.len();
        #[cfg(feature = "tls")]
        if let Some(tunnel) = &mut self.tunnel {
            tunnel.hear(news, &mut self.partner);
            return;
        }
        self.partner.hear(news);
    }

    /// A call: how much it may move. `None`: it finds the end.
    fn begin(&mut self, call: Call) -> Result<Option<usize>, ErrorKind> {
        let number = self.calls[call as usize];
        self.calls[call as usize] += 1;
        self.calls_behind_end += usize::from(self.has_told_end);
        if let Some(how) = self.broken {
            return self.fail(call, how);
        }
        if let Some((point, how)) = self.program.cut
            && match point {
                Point::Received(count) => call == Call::Read && self.received == count,
                Point::Sent(count) => call == Call::Write && self.written.len() == count,
                Point::Call(which, at) => call == which && number >= at,
            }
        {
            if let Break::Once(kind) = how {
                self.broken = Some(how);
                self.has_told_end = true;
                return Err(kind);
            }
            self.broken = Some(how);
            return self.fail(call, how);
        }
        let turns = &self.program.turns[call as usize];
        match turns.get(number % turns.len().max(1)) {
            None => Ok(Some(usize::MAX)),
            Some(&Turn::UpTo(most)) => Ok(Some(most.max(1))),
            Some(Turn::Later) if !self.is_prompt => Err(ErrorKind::WouldBlock),
            Some(Turn::Later | Turn::Interrupted) => Err(ErrorKind::Interrupted),
        }
    }

    /// A call to what is broken.
    fn fail(&mut self, call: Call, how: Break) -> Result<Option<usize>, ErrorKind> {
        match (how, call) {
            (Break::End | Break::Once(_), Call::Read) => {
                self.has_told_end = true;
                Ok(None)
            }
            (Break::End, _) | (Break::Writing(_), Call::Read) => Ok(Some(usize::MAX)),
            (Break::Once(_), _) => Err(ErrorKind::BrokenPipe),
            (Break::Writing(kind), _) => Err(kind),
            (Break::ForEver(kind), _) => {
                self.has_told_end = true;
                Err(kind)
            }
        }
    }
}
