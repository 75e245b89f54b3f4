//! A conversation with a bit of everything, what a side that echoes makes of it, and what is to be left of it where its transport breaks.

use std::io::ErrorKind;

use sansocket::{EndedBy, Ending, Limits};

use crate::faults::{Break, Call, Point, Transport};
use crate::{BINARY, CONTINUATION, End, Frame, PING, PONG, Received, Side, TEXT, close_body, naive, split_frames};

/// A client's request, which offers compression.
pub const REQUEST: &[u8] = b"GET /chat HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\
    Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; client_no_context_takeover\r\n\r\n";

/// The last message: who wants to close first does so behind it.
pub const LAST: &str = "last";

/// The most calls to a transport that has told of its end: a few are needed to end it in order, more are a loop that spins.
const MOST_BEHIND_END: usize = 16;

/// What the peer of a side sends, in order.
#[derive(Clone, Debug)]
pub struct Conversation {
    side: Side,
    frames: Vec<u8>,
    /// The same without compression: so long as a frame is, and what was compressed is taken as it is.
    plain: Vec<u8>,
    /// What those that are compressed come to, by what they are as they lie.
    inflated: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Conversation {
    /// What the peer of `side` sends: messages of both kinds, whole and fragmented, up to `longest` bytes long, with pings in between, and a Close at the
    /// end; with `compressed`, some are.
    pub fn new(side: Side, longest: usize, compressed: bool) -> Self {
        let long = |len: usize| -> Vec<u8> { (0..len).map(|at| (at * 31 + at / 251 * 7).to_le_bytes()[0]).collect() };
        let mut this = Self { side, frames: Vec::new(), plain: Vec::new(), inflated: Vec::new() };
        this.frame(Frame::new(TEXT, "héllo"));
        this.frame(Frame::new(PING, "one"));
        // Cut inside of a character.
        this.frame(Frame::new(TEXT, b"a\xE2").fin(false));
        this.frame(Frame::new(PING, [7; 125]));
        this.frame(Frame::new(CONTINUATION, b"\x82").fin(false));
        this.frame(Frame::new(CONTINUATION, b"").fin(false));
        this.frame(Frame::new(CONTINUATION, b"\xAC\xF0\x9F\x98\x80"));
        this.frame(Frame::new(BINARY, long(200)));
        this.frame(Frame::new(TEXT, ""));
        if compressed {
            for len in [0, 20, longest] {
                let message = long(len);
                let stored = stored(&message);
                let (first, rest) = stored.split_at(stored.len() / 2);
                this.frame(Frame::new(BINARY, first).fin(false).reserved(4));
                this.frame(Frame::new(PING, [8; 8]));
                this.frame(Frame::new(CONTINUATION, rest));
                this.inflated.push((stored, message));
            }
        }
        this.frame(Frame::new(PONG, "unasked"));
        this.frame(Frame::new(BINARY, long(longest)));
        this.frame(Frame::new(BINARY, &long(longest)[..10]).fin(false));
        this.frame(Frame::new(CONTINUATION, &long(longest)[10..]));
        this.frame(Frame::new(TEXT, LAST));
        this.frame(Frame::new(crate::CLOSE, close_body(3000, "that is all")));
        this
    }

    fn frame(&mut self, frame: Frame) {
        let frame = frame.for_reader(self.side, [0x37, 0xFA, 0x21, 0x3D]);
        self.frames.extend(frame.bytes());
        self.plain.extend(frame.reserved(0).bytes());
    }

    /// The frames.
    pub fn frames(&self) -> &[u8] {
        &self.frames
    }

    /// Whose peer it is that sends this.
    pub const fn side(&self) -> Side {
        self.side
    }

    /// What the side has received by so many bytes of frames, and where it stands then.
    pub fn expected(&self, bytes: usize) -> (Vec<Received>, End) {
        let decoded = naive::decode(self.side, &self.plain[..bytes], &Limits::UNLIMITED);
        let inflate = |mut received: Received| {
            if let Received::Message(message) = &mut received
                && let Some((_, inflated)) = self.inflated.iter().find(|(stored, _)| *stored == message.bytes)
            {
                message.bytes.clone_from(inflated);
            }
            received
        };
        (decoded.received.into_iter().map(inflate).collect(), decoded.end)
    }
}

/// A message as DEFLATE makes it that compresses nothing (RFC 7692, 7.2.3.3): blocks of up to 64 KiB less one, and an empty one whose last four bytes
/// are left out.
fn stored(message: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for block in message.chunks(0xFFFF) {
        let len = u16::try_from(block.len()).expect("a block is no longer");
        bytes.push(0);
        bytes.extend(len.to_le_bytes());
        bytes.extend((!len).to_le_bytes());
        bytes.extend(block);
    }
    bytes.push(0);
    bytes
}

/// What became of a side that echoes messages.
#[derive(Clone, Debug)]
pub struct Story {
    /// Why the handshake failed, each time that this was told.
    pub not_opened: Vec<String>,
    /// Messages, and pings and pongs where the adapter tells of them.
    pub received: Vec<Received>,
    /// The end of the open connection, each time that it was told.
    pub endings: Vec<Ending>,
    /// What the transport said, where that was told with the end.
    pub error: Option<ErrorKind>,
    /// Whether nothing is left to be done.
    pub is_finished: bool,
    /// The transport at the end.
    pub transport: Transport,
}

impl Story {
    /// How long the head is that the side has received, if that is whole.
    fn head_len(&self) -> Option<usize> {
        let received = self.transport.received_so_far();
        received.windows(4).position(|window| window == b"\r\n\r\n").map(|at| at + 4)
    }

    /// The frames that were written, and the head before them; of what is cut, how many bytes it is.
    fn written(&self, side: Side) -> (Option<Vec<u8>>, Vec<Frame>, usize) {
        let written = self.transport.written();
        let Some(head) = written.windows(4).position(|window| window == b"\r\n\r\n").map(|at| at + 4) else {
            return (None, Vec::new(), written.len());
        };
        let frames = &written[head..];
        let whole = whole_frames(frames);
        // A client's key is another one each time.
        let unmasked = |frame: Frame| {
            Frame::new(frame.opcode(), frame.payload()).fin(frame.is_fin()).reserved(frame.reserved_bits())
        };
        let split = split_frames(side, &frames[..whole]).into_iter().map(unmasked).collect();
        (Some(written[..head].to_vec()), split, frames.len() - whole)
    }

    /// That this is the story `whole`, which had no faults: nothing lost, doubled or in another order.
    ///
    /// # Panics
    ///
    /// If it is not.
    #[track_caller]
    pub fn expect_same(&self, whole: &Self, conversation: &Conversation) {
        assert_eq!(
            (&self.not_opened, &self.received, &self.endings),
            (&whole.not_opened, &whole.received, &whole.endings)
        );
        assert_eq!((self.error, self.is_finished), (whole.error, whole.is_finished));
        assert!(self.transport.is_flushed());
        let side = conversation.side;
        assert!(side == Side::Client || self.transport.is_shut(), "the server does not end the stream");
        let ((head, frames, cut), (_, whole_frames, _)) = (self.written(side), whole.written(side));
        assert!(head.is_some() && cut == 0, "a frame is cut: {cut}");
        assert!(frames == whole_frames, "{:?}, not {:?}", heads(&frames), heads(&whole_frames));
    }

    /// That without faults all of the conversation was received, and answered.
    ///
    /// # Panics
    ///
    /// If it was not.
    #[track_caller]
    pub fn expect_whole(&self, conversation: &Conversation, by: EndedBy, tells_controls: bool) {
        let (received, _) = conversation.expected(conversation.plain.len());
        assert!(self.not_opened.is_empty(), "{:?}", self.not_opened);
        assert_eq!(self.received, told(&received, tells_controls));
        assert_eq!(self.endings.iter().map(|ending| (ending.by(), ending.code())).collect::<Vec<_>>(), [(by, 3000)]);
        assert!(self.is_finished && self.error.is_none() && self.transport.is_flushed());
        // RFC 6455, 7.1.1: the server closes first, and a client need not say that it does.
        assert!(conversation.side == Side::Client || self.transport.is_shut(), "the server does not end the stream");
        assert!(self.transport.calls_behind_end() <= MOST_BEHIND_END, "{} calls", self.transport.calls_behind_end());
        let (_, frames, cut) = self.written(conversation.side);
        let (messages, pings): (Vec<_>, Vec<_>) = received
            .iter()
            .filter(|received| !matches!(received, Received::Pong(_)))
            .partition(|received| matches!(received, Received::Message(_)));
        assert_eq!(frames.iter().filter(|frame| frame.opcode() == PONG).count(), pings.len());
        let ends = |frame: &&Frame| frame.is_fin() && matches!(frame.opcode(), TEXT | BINARY | CONTINUATION);
        assert_eq!((frames.iter().filter(ends).count(), cut), (messages.len(), 0));
    }

    /// That a transport that broke so has cost what came behind it, and that its end was told once and is one.
    ///
    /// # Panics
    ///
    /// If not.
    #[track_caller]
    pub fn expect_cut(
        &self,
        point: Point,
        how: Break,
        whole: &Self,
        conversation: &Conversation,
        tells_controls: bool,
    ) {
        let side = conversation.side;
        let behind_end = self.transport.calls_behind_end();
        assert!(behind_end <= MOST_BEHIND_END, "{behind_end} calls of a transport that has ended");
        assert!(self.is_finished, "it waits for something that will not come: {self:?}");
        // What was written is the beginning of what would have been.
        let ((head, frames, _), (_, whole_frames, _)) = (self.written(side), whole.written(side));
        let is_refusal = head.as_ref().is_some_and(|head| head.starts_with(b"HTTP/1.1 4"));
        assert!(is_refusal || whole_frames.starts_with(&frames), "{frames:?}");
        let head_len = match self.head_len() {
            // A client that cannot write its request cannot have an answer, and so on.
            Some(head_len) if self.not_opened.is_empty() => head_len,
            _ => {
                assert!(self.received.is_empty() && self.endings.is_empty(), "{self:?}");
                assert_eq!(self.not_opened.len(), 1, "{self:?}");
                return;
            }
        };
        assert_eq!((self.not_opened.len(), self.endings.len()), (0, 1), "{self:?}");
        let (by, code) = (self.endings[0].by(), self.endings[0].code());
        let (received, end) = conversation.expected(self.transport.received() - head_len);
        let received = told(&received, tells_controls);
        let breaks_reads_only = matches!(point, Point::Received(_) | Point::Call(Call::Read, _));
        let breaks_burial_only = matches!(point, Point::Call(Call::Shut, _));
        assert!(!breaks_burial_only || frames == whole_frames, "{frames:?}");
        if breaks_reads_only || breaks_burial_only || how == Break::End || matches!(how, Break::Writing(_)) {
            assert_eq!(self.received, received);
            match end {
                End::Open(place) => assert_eq!((by, code), (EndedBy::Loss(place), 1006)),
                End::Closed { .. } => assert_eq!((by, code), (whole.endings[0].by(), 3000)),
                End::Failed(error) => panic!("the oracle fails: {error}"),
            }
        } else {
            // What was read and not taken when the writing broke may be lost.
            assert!(received.starts_with(&self.received), "{:?}", self.received);
            assert!(matches!((by, code), (EndedBy::Loss(_), 1006) | (EndedBy::Peer | EndedBy::Local, 3000)), "{by:?}");
        }
        if let (Break::Once(kind) | Break::ForEver(kind), EndedBy::Loss(_), true) = (how, by, breaks_reads_only) {
            assert_eq!(self.error, Some(kind));
        }
        if how == Break::End && breaks_reads_only {
            assert_eq!(self.error, self.transport.sudden_end().filter(|_| matches!(by, EndedBy::Loss(_))));
            // Who has only shut down writing gets all answers.
            let answers =
                frames.iter().filter(|frame| frame.is_fin() && !matches!(frame.opcode(), PING | crate::CLOSE)).count();
            let asked = self.received_to_be_answered(conversation, head_len);
            assert_eq!(answers, asked, "{frames:?}");
        }
    }

    /// How many messages and pings have come.
    fn received_to_be_answered(&self, conversation: &Conversation, head_len: usize) -> usize {
        let (received, _) = conversation.expected(self.transport.received() - head_len);
        received.iter().filter(|received| !matches!(received, Received::Pong(_))).count()
    }
}

/// Opcodes, whether it is their message's last frame, and lengths: enough to see what is missing.
fn heads(frames: &[Frame]) -> Vec<(u8, bool, usize)> {
    frames.iter().map(|frame| (frame.opcode(), frame.is_fin(), frame.payload().len())).collect()
}

/// What of it an adapter tells.
fn told(received: &[Received], tells_controls: bool) -> Vec<Received> {
    received.iter().filter(|received| tells_controls || matches!(received, Received::Message(_))).cloned().collect()
}

/// Whether there is a whole Close behind a head. A pong may be behind that.
pub(crate) fn has_close(written: &[u8]) -> bool {
    let head = written.windows(4).position(|window| window == b"\r\n\r\n").map_or(written.len(), |at| at + 4);
    walk(&written[head..]).1
}

/// How many bytes the frames are that are whole.
fn whole_frames(bytes: &[u8]) -> usize {
    walk(bytes).0
}

/// Where the last frame ends that is whole, and whether there was a Close.
fn walk(bytes: &[u8]) -> (usize, bool) {
    let (mut end, mut has_close) = (0, false);
    while let [first, second, rest @ ..] = &bytes[end..] {
        let (extended, length) = match second & 0x7F {
            126 => (2, rest.get(..2).map(|len| u64::from(u16::from_be_bytes([len[0], len[1]])))),
            127 => (8, rest.first_chunk().map(|len| u64::from_be_bytes(*len))),
            short => (0, Some(u64::from(short))),
        };
        let key = if second & 0x80 == 0 { 0 } else { 4 };
        let Some(length) = length.and_then(|length| usize::try_from(length).ok()) else { break };
        if rest.len() < extended + key + length {
            break;
        }
        end += 2 + extended + key + length;
        has_close |= *first == 0x80 | crate::CLOSE;
    }
    (end, has_close)
}
