//! The time limit of a blocking stream's writes, which two kinds of writes share.

use std::io;
use std::time::Duration;

use crate::stream::Stream;
use crate::timing::is_timeout;
use crate::timing::{Limit, SHORTEST, SLACK};

/// How long writes may block.
///
/// A stream has one time limit for all that is written to it, and two kinds of writes need different ones: the caller's, and those of
/// replies, which end when a deadline comes. So what strikes may have been set for somebody else. That is found out when it strikes,
/// and not prevented by setting the limit before each write, so that in steady traffic no write costs a further system call.
#[derive(Debug)]
pub(crate) struct WriteLimit {
    /// What the caller wants.
    own: Option<Duration>,
    /// What the stream has.
    armed: Option<Duration>,
}

impl WriteLimit {
    /// The caller's own limit is what the stream has.
    pub(crate) fn of(stream: &impl Stream) -> io::Result<Self> {
        let own = stream.write_timeout()?;
        Ok(Self { own, armed: own })
    }

    /// Sets the caller's own limit.
    pub(crate) fn set(&mut self, own: Option<Duration>, stream: &mut impl Stream) -> io::Result<()> {
        self.arm(own, stream)?;
        self.own = own;
        Ok(())
    }

    /// The caller's own limit holds no longer: what is written from now on is nobody's call.
    pub(crate) const fn lift(&mut self) {
        self.own = None;
    }

    /// Gives another handle of the stream the limit that this one has.
    pub(crate) fn repeat(&self, stream: &mut impl Stream) -> io::Result<()> {
        stream.set_write_timeout(self.armed)
    }

    fn arm(&mut self, timeout: Option<Duration>, stream: &mut impl Stream) -> io::Result<()> {
        stream.set_write_timeout(timeout)?;
        self.armed = timeout;
        Ok(())
    }

    /// Calls `write`, which writes once, for as long as `limit` and the caller's own limit allow. Tries at least once.
    pub(crate) fn write<S: Stream, T>(
        &mut self,
        stream: &mut S,
        limit: Limit,
        mut write: impl FnMut(&mut S) -> io::Result<T>,
    ) -> io::Result<T> {
        let wait = [limit.left(), self.own].into_iter().flatten().min().map(|wait| wait.max(SHORTEST));
        // A little late is no harm. Otherwise each of several writes would set a little less.
        if wait.is_some_and(|wait| self.armed.is_none_or(|armed| armed > wait + SLACK)) {
            self.arm(wait, stream)?;
        }
        // What the stream has may have been set for somebody else, where this write may block for longer.
        let short = self.armed.is_some_and(|armed| wait.is_none_or(|wait| armed < wait));
        let limit = limit.or(Limit::after(self.own));
        match write(stream) {
            Err(error) if short && is_timeout(&error) && limit.check().is_ok() => {
                self.arm(limit.left().map(|left| left.max(SHORTEST)), stream)?;
                // If something strikes once more, it is our limit, or it was none at all: the stream does not block, say. To try again
                // and again would be to spin.
                write(stream)
            }
            result => result,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);
    const MINUTE: Duration = Duration::from_secs(60);

    /// A stream that is never ready, and says so at once instead of waiting for its time limit.
    #[derive(Default)]
    struct Full {
        timeout: Option<Duration>,
        writes: usize,
        /// Without a time limit it takes everything: the peer has begun to read.
        takes: bool,
    }

    impl Read for Full {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Ok(0)
        }
    }

    impl Write for Full {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.writes += 1;
            if self.takes && self.timeout.is_none() { Ok(bytes.len()) } else { Err(io::ErrorKind::WouldBlock.into()) }
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Stream for Full {
        fn set_write_timeout(&mut self, timeout: Option<Duration>) -> io::Result<()> {
            assert_ne!(timeout, Some(Duration::ZERO), "no socket takes that");
            self.timeout = timeout;
            Ok(())
        }

        fn write_timeout(&self) -> io::Result<Option<Duration>> {
            Ok(self.timeout)
        }
    }

    fn write(limit: &mut WriteLimit, stream: &mut Full, within: Option<Duration>) -> io::Result<usize> {
        limit.write(stream, Limit::after(within), |stream| stream.write(b"x"))
    }

    /// Whether a limit is the one that was set, but for the time that has passed since.
    fn is_about(timeout: Option<Duration>, expected: Duration) -> bool {
        timeout.is_some_and(|timeout| timeout <= expected && timeout + MINUTE / 2 > expected)
    }

    #[test]
    fn a_callers_write_outlasts_the_limit_of_a_reply() {
        let mut stream = Full { takes: true, ..Full::default() };
        let mut limit = WriteLimit::of(&stream).unwrap();
        write(&mut limit, &mut stream, Some(MINUTE)).unwrap_err();
        assert!(is_about(stream.timeout, MINUTE));
        stream.writes = 0;
        assert_eq!(write(&mut limit, &mut stream, None).unwrap(), 1);
        assert_eq!((stream.writes, stream.timeout), (2, None));
        // From now on there is nothing to be found out.
        assert_eq!(write(&mut limit, &mut stream, None).unwrap(), 1);
        assert_eq!(stream.writes, 3);
    }

    #[test]
    fn a_callers_own_limit_holds_behind_the_limit_of_a_reply() {
        // Set through the connection, or on the stream before that.
        for before in [None, Some(HOUR)] {
            let mut stream = Full { timeout: before, ..Full::default() };
            let mut limit = WriteLimit::of(&stream).unwrap();
            if before.is_none() {
                limit.set(Some(HOUR), &mut stream).unwrap();
            }
            write(&mut limit, &mut stream, Some(MINUTE)).unwrap_err();
            assert!(is_about(stream.timeout, MINUTE));
            stream.writes = 0;
            write(&mut limit, &mut stream, None).unwrap_err();
            assert_eq!(stream.writes, 2, "the reply's limit, then what is left of the caller's");
            assert!(is_about(stream.timeout, HOUR), "{:?}", stream.timeout);
            // What was left then is a little less than the next write may take.
            write(&mut limit, &mut stream, None).unwrap_err();
            assert_eq!(stream.writes, 4);
            assert!(is_about(stream.timeout, HOUR), "{:?}", stream.timeout);
        }
    }

    #[test]
    fn a_reply_lasts_no_longer_than_the_callers_own_limit() {
        let mut stream = Full { timeout: Some(MINUTE), ..Full::default() };
        let mut limit = WriteLimit::of(&stream).unwrap();
        write(&mut limit, &mut stream, Some(HOUR)).unwrap_err();
        assert_eq!((stream.writes, stream.timeout), (1, Some(MINUTE)));
    }

    #[test]
    fn a_stream_that_does_not_block_is_not_tried_again_and_again() {
        let mut stream = Full::default();
        let mut limit = WriteLimit::of(&stream).unwrap();
        for within in [None, Some(MINUTE), Some(HOUR), Some(MINUTE), None, None] {
            stream.writes = 0;
            let error = write(&mut limit, &mut stream, within).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
            assert!(stream.writes <= 2, "{}", stream.writes);
        }
    }

    #[test]
    fn a_limit_that_is_over_is_not_set() {
        let mut stream = Full::default();
        let mut limit = WriteLimit::of(&stream).unwrap();
        write(&mut limit, &mut stream, Some(Duration::ZERO)).unwrap_err();
        assert_eq!(stream.timeout, Some(SHORTEST));
        assert_eq!(Limit::after(Some(Duration::ZERO)).check().unwrap_err().kind(), io::ErrorKind::TimedOut);
    }
}
