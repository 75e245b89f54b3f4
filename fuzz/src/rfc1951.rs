//! DEFLATE (RFC 1951) as it is written down, bit by bit: what comes of data that may be cut or broken, and which of its bytes decide it.

/// What is left out at a message's end (RFC 7692, 7.2.1).
pub(crate) const TAIL: [u8; 4] = [0, 0, 0xFF, 0xFF];

/// An inflater between two messages.
#[derive(Clone, Default)]
pub(crate) struct Inflater {
    /// What data may refer to: everything since the last final block.
    pub(crate) history: Vec<u8>,
    /// The last byte of the last message's tail, and how many of its bits are used, if that ended inside of it.
    carried: Option<(u8, usize)>,
    /// How far back data have referred at most.
    pub(crate) farthest: usize,
}

/// What has come of a message, whole or not.
#[derive(Debug, Default)]
pub(crate) struct Inflated {
    /// The bytes.
    pub(crate) bytes: Vec<u8>,
    /// For each of them, how many bytes of data it takes to know it.
    pub(crate) needed: Vec<usize>,
    /// Why it did not go on, and how many bytes of data it takes to know that.
    pub(crate) fault: Option<(Fault, usize)>,
    /// Whether it cannot but get a fault, which others see before zlib.
    pub(crate) is_doomed: bool,
}

/// What is wrong with data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// A block of type 3.
    BlockType,
    /// A stored block's length and its complement differ.
    StoredLength,
    /// More than 286 codes for literals and lengths, or more than 30 for distances: the symbols behind them stand for nothing.
    TooManyCodes,
    /// A code with more symbols than fit, or one that leaves some unused and has more than one of one bit.
    Code,
    /// A length that repeats the one before where there is none, or that runs over the end.
    Repeat,
    /// No code for the end of the block.
    NoEndOfBlock,
    /// Bits that are no code.
    NoSymbol,
    /// A symbol that stands for nothing.
    Symbol,
    /// Further back than there is anything.
    Distance,
    /// The message ends inside of a block, and what was left out at its end does not complete an empty one.
    End,
}

/// Why reading has stopped.
enum Stop {
    /// There are no more bits.
    Cut,
    /// There is more than was wanted.
    Full,
    /// A fault.
    Fault(Fault),
}

impl Inflater {
    /// Whether the next message's first bits lie in the last byte of the last one's tail.
    pub(crate) fn is_inside_a_byte(&self) -> bool {
        self.carried.is_some()
    }

    /// Inflates a message, or with `is_whole` unset its beginning; up to `most` bytes of it.
    pub(crate) fn message(&mut self, payload: &[u8], is_whole: bool, most: usize) -> Inflated {
        let carried = self.carried.take();
        let offset = usize::from(carried.is_some());
        let end = payload.len();
        let mut data: Vec<u8> = carried.into_iter().map(|(byte, _)| byte).chain(payload.iter().copied()).collect();
        let start = carried.map_or(0, |(_, used)| used);
        if is_whole {
            data.extend(TAIL);
        }
        let mut inflated = Inflated::default();
        let mut reading =
            Reading { bits: Bits { data: &data, at: start }, offset, most, end, of: self, to: &mut inflated };
        let stopped = reading.run(start, is_whole);
        let at = reading.bits.at;
        match stopped {
            Ok(()) if !at.is_multiple_of(8) => self.carried = data.get(at / 8).map(|&byte| (byte, at % 8)),
            Ok(()) | Err(Stop::Full) => {}
            Err(Stop::Cut) if !is_whole => {}
            Err(Stop::Cut) => inflated.fault = Some((Fault::End, end)),
            Err(Stop::Fault(fault)) => {
                let needed = (at.div_ceil(8) - offset).max(1);
                inflated.fault = Some(if needed > end { (Fault::End, end) } else { (fault, needed) });
            }
        }
        inflated
    }
}

/// A message being read.
struct Reading<'d> {
    /// Its data, and behind them the tail.
    bits: Bits<'d>,
    /// Bytes in front of the payload.
    offset: usize,
    /// How many bytes are wanted.
    most: usize,
    /// Bytes of payload.
    end: usize,
    /// What it may refer to.
    of: &'d mut Inflater,
    /// What has come of it.
    to: &'d mut Inflated,
}

impl Reading<'_> {
    /// Reads blocks until the data end.
    fn run(&mut self, start: usize, is_whole: bool) -> Result<(), Stop> {
        let mut fresh = start;
        loop {
            // Nothing was begun, or all that was has been ended: then nothing was left out.
            if self.bits.at == fresh && self.position() == self.end {
                return Ok(());
            }
            let is_final = self.bits.take(1)? == 1;
            self.block()?;
            if is_final {
                self.bits.at = self.bits.at.next_multiple_of(8);
                fresh = self.bits.at;
                self.of.history.clear();
            }
            if self.position() > self.end {
                // That block may be a final one itself.
                let is_at_end = is_whole && self.position() == self.end + TAIL.len();
                return if is_at_end { Ok(()) } else { Err(Stop::Fault(Fault::End)) };
            }
        }
    }

    /// Bytes of payload and tail that were begun.
    fn position(&self) -> usize {
        self.bits.at.div_ceil(8) - self.offset
    }

    /// 3.2.3.
    fn block(&mut self) -> Result<(), Stop> {
        match self.bits.take(2)? {
            0 => {
                self.bits.at = self.bits.at.next_multiple_of(8);
                let (len, complement) = (self.bits.take(16)?, self.bits.take(16)?);
                if len ^ complement != 0xFFFF {
                    return Err(Stop::Fault(Fault::StoredLength));
                }
                for _ in 0..len {
                    let byte = self.bits.take(8)?;
                    self.put(byte)?;
                }
                Ok(())
            }
            1 => {
                // 3.2.6.
                let length = |symbol: usize| match symbol {
                    0..144 => 8,
                    144..256 => 9,
                    256..280 => 7,
                    _ => 8,
                };
                let lengths: Vec<usize> = (0..288).map(length).collect();
                self.symbols(&Code::new(&lengths, true)?, &Code::new(&[5; 32], true)?)
            }
            2 => {
                let (literals, distances) = self.codes()?;
                self.symbols(&literals, &distances)
            }
            _ => Err(Stop::Fault(Fault::BlockType)),
        }
    }

    /// 3.2.7.
    fn codes(&mut self) -> Result<(Code, Code), Stop> {
        const ORDER: [usize; 19] = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];
        let bits = &mut self.bits;
        let counts = bits.take(14)?;
        let (literals, distances, codes) = ((counts & 31) + 257, (counts >> 5 & 31) + 1, (counts >> 10) + 4);
        if literals > 286 || distances > 30 {
            return Err(Stop::Fault(Fault::TooManyCodes));
        }
        let mut of_lengths = [0; 19];
        for &symbol in &ORDER[..codes] {
            of_lengths[symbol] = bits.take(3)?;
        }
        if of_lengths == [0; 19] {
            // There is no such code. zlib takes a bit for each length that it would stand for, and fails for what is missing then.
            self.to.is_doomed = true;
            (0..literals + distances).try_for_each(|_| bits.take(1).map(drop))?;
            return Err(Stop::Fault(Fault::NoEndOfBlock));
        }
        let code = Code::new(&of_lengths, false)?;
        let mut lengths = Vec::new();
        while lengths.len() < literals + distances {
            let (length, times) = match code.symbol(bits)? {
                16 => {
                    let times = 3 + bits.take(2)?;
                    (*lengths.last().ok_or(Stop::Fault(Fault::Repeat))?, times)
                }
                17 => (0, 3 + bits.take(3)?),
                18 => (0, 11 + bits.take(7)?),
                length => (length, 1),
            };
            lengths.extend((0..times).map(|_| length));
            if lengths.len() > literals + distances {
                return Err(Stop::Fault(Fault::Repeat));
            }
        }
        if lengths[256] == 0 {
            return Err(Stop::Fault(Fault::NoEndOfBlock));
        }
        Ok((Code::new(&lengths[..literals], true)?, Code::new(&lengths[literals..], true)?))
    }

    /// 3.2.5.
    fn symbols(&mut self, literals: &Code, distances: &Code) -> Result<(), Stop> {
        loop {
            match literals.symbol(&mut self.bits)? {
                256 => return Ok(()),
                literal @ 0..256 => self.put(literal)?,
                286.. => return Err(Stop::Fault(Fault::Symbol)),
                symbol => {
                    let length = match symbol - 257 {
                        28 => 258,
                        code @ 0..8 => code + 3,
                        code => self.base(code, 2)? + 3,
                    };
                    let distance = match distances.symbol(&mut self.bits)? {
                        code @ 0..4 => code + 1,
                        30.. => return Err(Stop::Fault(Fault::Symbol)),
                        code => self.base(code, 1)? + 1,
                    };
                    let Some(from) = self.of.history.len().checked_sub(distance) else {
                        return Err(Stop::Fault(Fault::Distance));
                    };
                    self.of.farthest = self.of.farthest.max(distance);
                    for at in from..from + length {
                        self.put(usize::from(self.of.history[at]))?;
                    }
                }
            }
        }
    }

    /// Both tables of 3.2.5: every 2 to the power of `log` codes have one bit more.
    fn base(&mut self, code: usize, log: usize) -> Result<usize, Stop> {
        let extra = (code >> log) - 1;
        Ok(((1 << log | code & ((1 << log) - 1)) << extra) + self.bits.take(extra)?)
    }

    /// A byte comes out.
    fn put(&mut self, byte: usize) -> Result<(), Stop> {
        if self.position() > self.end {
            return Err(Stop::Fault(Fault::End));
        }
        if self.to.bytes.len() == self.most {
            return Err(Stop::Full);
        }
        let byte = u8::try_from(byte).expect("a byte has eight bits");
        self.of.history.push(byte);
        self.to.bytes.push(byte);
        // Nothing is made of no data, whatever is carried.
        self.to.needed.push(self.position().max(1));
        Ok(())
    }
}

/// Data bit by bit, the lowest bit of each byte first (3.1.1).
struct Bits<'d> {
    /// The data.
    data: &'d [u8],
    /// Bits taken.
    at: usize,
}

impl Bits<'_> {
    /// Takes so many bits as a number.
    fn take(&mut self, count: usize) -> Result<usize, Stop> {
        if self.at + count > self.data.len() * 8 {
            return Err(Stop::Cut);
        }
        let bit = |at: usize| usize::from(self.data[at / 8] >> (at % 8) & 1);
        let value = (0..count).map(|i| bit(self.at + i) << i).sum();
        self.at += count;
        Ok(value)
    }
}

/// A Huffman code (3.2.2): how many codes there are of each length, and the symbols in order.
struct Code {
    /// How many codes have so many bits.
    counts: [usize; 16],
    /// The symbols, those with the shortest codes first.
    symbols: Vec<usize>,
}

impl Code {
    /// Of each symbol, how many bits its code has; 0: it has none. `may_be_single`: a code of one symbol with one bit is one, and one of none.
    fn new(lengths: &[usize], may_be_single: bool) -> Result<Self, Stop> {
        let mut counts = [0; 16];
        lengths.iter().for_each(|&length| counts[length] += 1);
        counts[0] = 0;
        let mut symbols: Vec<_> = (0..lengths.len()).filter(|&symbol| lengths[symbol] > 0).collect();
        symbols.sort_by_key(|&symbol| lengths[symbol]);
        let used: usize = counts.iter().enumerate().map(|(length, count)| count << (15 - length)).sum();
        let is_single = symbols.len() == counts[1] && symbols.len() < 2;
        if used == 1 << 15 || may_be_single && is_single {
            Ok(Self { counts, symbols })
        } else {
            Err(Stop::Fault(Fault::Code))
        }
    }

    /// Takes a symbol.
    fn symbol(&self, bits: &mut Bits<'_>) -> Result<usize, Stop> {
        let (mut code, mut first, mut index) = (0, 0, 0);
        let longest = self.counts.iter().rposition(|&count| count > 0).unwrap_or(1);
        for &count in &self.counts[1..=longest] {
            code |= bits.take(1)?;
            if code < first + count {
                return Ok(self.symbols[index + code - first]);
            }
            index += count;
            first = (first + count) << 1;
            code <<= 1;
        }
        Err(Stop::Fault(Fault::NoSymbol))
    }
}
