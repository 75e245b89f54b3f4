//! An HTTP/1.1 head in the caller's buffer: where it ends, what httparse says of it, and its headers.

use crate::steps;

/// Limits of a handshake's head, which comes before anything is known of the peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeadLimits {
    /// Bytes of the head, interim responses included; default 16 KiB.
    pub bytes: usize,
    /// Header lines; default 100. Without feature `alloc`, more than 128 count as 128.
    pub headers: usize,
}

impl HeadLimits {
    /// The defaults: 16 KiB and 100 lines.
    pub const DEFAULT: Self = Self { bytes: 16 * 1024, headers: 100 };
}

impl Default for HeadLimits {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// What is wrong with a head before anybody asks what it means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HeadError {
    Malformed,
    TooLarge,
    TooManyHeaders,
    Version,
}

/// Looks for the end of a head. Every byte is looked at once, however many calls bring them.
#[derive(Clone, Debug)]
pub(super) struct Scanner {
    limits: HeadLimits,
    /// Bytes looked at.
    scanned: usize,
    line_start: usize,
    /// Whole lines so far.
    lines: usize,
    /// The head's length and number of header lines, once it is whole.
    head: Option<(usize, usize)>,
}

/// How far a head has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scan {
    Incomplete,
    /// The start line has ended, and is to be looked at: it takes so many bytes. Scan on.
    StartLine(usize),
    /// The head has so many bytes and so many header lines.
    Head(usize, usize),
}

impl Scanner {
    pub(super) const fn new(limits: HeadLimits) -> Self {
        Self { limits, scanned: 0, line_start: 0, lines: 0, head: None }
    }

    /// Goes on looking. `bytes` is all that was received, from the head's first byte on.
    pub(super) fn scan(&mut self, bytes: &[u8]) -> Result<Scan, HeadError> {
        if let Some((len, headers)) = self.head {
            return Ok(Scan::Head(len, headers));
        }
        let end = bytes.len().min(self.limits.bytes);
        while self.scanned < end {
            let at = self.scanned;
            let byte = bytes[at];
            self.scanned += 1;
            steps::count(1);
            let after_cr = at > self.line_start && bytes[at - 1] == b'\r';
            match byte {
                // RFC 9112, 2.2: a bare CR is invalid, and a bare LF is only tolerated; it has been used to smuggle requests.
                b'\n' if !after_cr => return Err(HeadError::Malformed),
                b'\n' => {
                    let line = at - 1 - self.line_start;
                    self.line_start = self.scanned;
                    match (line, self.lines) {
                        // RFC 9112, 2.2: a server should ignore an empty line before the request line.
                        (0, 0) => {}
                        (0, lines) => {
                            self.head = Some((self.scanned, lines - 1));
                            return Ok(Scan::Head(self.scanned, lines - 1));
                        }
                        (_, lines) if lines > self.limits.headers => {
                            return Err(HeadError::TooManyHeaders);
                        }
                        // Told by itself, and before anything behind it is looked at: which fault is found first must not depend
                        // on how the bytes are split.
                        (_, 0) => {
                            self.lines = 1;
                            return Ok(Scan::StartLine(self.scanned));
                        }
                        (_, _) => self.lines += 1,
                    }
                }
                _ if after_cr => return Err(HeadError::Malformed),
                // RFC 9110, 5.5: no control characters but the tab. This tells other protocols, TLS or frames say, at their first
                // bytes.
                b'\t' | b'\r' | b' '..=b'~' => {}
                0x80.. if at > 0 => {}
                _ => return Err(HeadError::Malformed),
            }
        }
        if bytes.len() >= self.limits.bytes {
            return Err(HeadError::TooLarge);
        }
        Ok(Scan::Incomplete)
    }
}

/// Lends `use_headers` memory for `count` headers.
#[cfg(feature = "alloc")]
fn with_headers<'b, T>(
    count: usize,
    use_headers: impl FnOnce(&mut [httparse::Header<'b>]) -> T,
) -> Result<T, HeadError> {
    Ok(use_headers(&mut alloc::vec![httparse::EMPTY_HEADER; count]))
}

/// Lends `use_headers` memory for `count` headers.
#[cfg(not(feature = "alloc"))]
fn with_headers<'b, T>(
    count: usize,
    use_headers: impl FnOnce(&mut [httparse::Header<'b>]) -> T,
) -> Result<T, HeadError> {
    let mut headers = [httparse::EMPTY_HEADER; 128];
    Ok(use_headers(headers.get_mut(..count).ok_or(HeadError::TooManyHeaders)?))
}

/// A request's head, whole or its first line alone: method and target.
pub(super) fn parse_request(head: &[u8], headers: usize) -> Result<(&str, &str), HeadError> {
    steps::count(head.len());
    with_headers(headers, |headers| {
        let mut request = httparse::Request::new(headers);
        request.parse(head).map_err(|error| match head_error(error) {
            HeadError::Version if !names_http(head) => HeadError::Malformed,
            error => error,
        })?;
        match (request.method, request.path, request.version) {
            // 4.2.1, item 1: "An HTTP/1.1 or higher GET request".
            (Some(method), Some(target), Some(1)) => Ok((method, target)),
            (_, _, Some(_)) => Err(HeadError::Version),
            _ => Err(HeadError::Malformed),
        }
    })?
}

/// Whether the third word of a request line is a version of HTTP, though maybe not ours. To httparse all that is not 1.0 or 1.1 is another
/// version, the end of a target with a space in it too; that is a bad request (RFC 9112, 3).
fn names_http(head: &[u8]) -> bool {
    head.trim_ascii_start().split(|&byte| byte == b' ').nth(2).is_some_and(|word| word.starts_with(b"HTTP/"))
}

/// A response's head, whole: status and reason.
pub(super) fn parse_response(head: &[u8], headers: usize) -> Result<(u16, &str), HeadError> {
    // httparse calls everything else another version of HTTP; a server of another protocol is none.
    if !head.starts_with(b"HTTP/") {
        return Err(HeadError::Malformed);
    }
    steps::count(head.len());
    with_headers(headers, |headers| {
        let mut response = httparse::Response::new(headers);
        response.parse(head).map_err(head_error)?;
        match (response.code, response.version) {
            (Some(status), Some(1)) => Ok((status, response.reason.unwrap_or_default())),
            (_, Some(_)) => Err(HeadError::Version),
            _ => Err(HeadError::Malformed),
        }
    })?
}

fn head_error(error: httparse::Error) -> HeadError {
    match error {
        httparse::Error::TooManyHeaders => HeadError::TooManyHeaders,
        httparse::Error::Version => HeadError::Version,
        _ => HeadError::Malformed,
    }
}

/// The headers of a head that was found to be well-formed, in order: names as sent, values without the white space around them.
#[derive(Clone, Debug)]
pub struct Headers<'b> {
    /// The lines that are left, each with its CR LF.
    lines: &'b [u8],
}

impl<'b> Headers<'b> {
    /// The headers of a well-formed head, start line included.
    pub(super) fn of(head: &'b [u8]) -> Self {
        let start = head.iter().position(|byte| !matches!(byte, b'\r' | b'\n')).unwrap_or(0);
        let mut lines = &head[start..];
        next_line(&mut lines);
        Self { lines }
    }
}

impl<'b> Iterator for Headers<'b> {
    type Item = (&'b str, &'b [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let line = next_line(&mut self.lines)?;
        let colon = line.iter().position(|&byte| byte == b':')?;
        Some((core::str::from_utf8(&line[..colon]).ok()?, line[colon + 1..].trim_ascii()))
    }
}

fn next_line<'b>(lines: &mut &'b [u8]) -> Option<&'b [u8]> {
    let end = lines.iter().position(|&byte| byte == b'\n')?;
    steps::count(end + 1);
    let line = lines[..end].strip_suffix(b"\r")?;
    *lines = &lines[end + 1..];
    Some(line)
}

/// The values of every header of that name. Names know no case.
pub(super) fn values<'b>(
    headers: impl Iterator<Item = (&'b str, &'b [u8])>,
    name: &str,
) -> impl Iterator<Item = &'b [u8]> {
    headers.filter(move |(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}

/// The value of a header that may occur once. `Err`: it occurs more than once.
pub(super) fn single<'b>(
    headers: impl Iterator<Item = (&'b str, &'b [u8])>,
    name: &str,
) -> Result<Option<&'b [u8]>, Repeated> {
    let mut values = values(headers, name);
    let first = values.next();
    if values.next().is_some() { Err(Repeated) } else { Ok(first) }
}

/// A header that may occur once occurs more often.
pub(super) struct Repeated;

/// The elements of a list of tokens over all headers of that name; empty elements do not count (RFC 9110, 5.6.1).
pub(super) fn elements<'b>(
    headers: impl Iterator<Item = (&'b str, &'b [u8])>,
    name: &str,
) -> impl Iterator<Item = &'b [u8]> {
    values(headers, name).flat_map(|value| value.split(|&byte| byte == b',')).filter_map(|element| {
        steps::count(element.len() + 1);
        let element = element.trim_ascii();
        (!element.is_empty()).then_some(element)
    })
}

/// RFC 9110, 5.6.2: what a token is made of.
pub(super) fn is_token(bytes: &[u8]) -> bool {
    steps::count(bytes.len());
    !bytes.is_empty() && bytes.iter().all(|&byte| is_token_byte(byte))
}

pub(super) const fn is_token_byte(byte: u8) -> bool {
    matches!(byte, b'!' | b'#'..=b'\'' | b'*' | b'+' | b'-' | b'.' | b'^'..=b'`' | b'|' | b'~')
        || byte.is_ascii_alphanumeric()
}

/// RFC 9110, 5.5: what a header's value may hold. CR, LF and NUL would let the caller's data become headers of their own.
pub(super) fn is_header_value(value: &str) -> bool {
    value.bytes().all(|byte| matches!(byte, b'\t' | b' '..=b'~' | 0x80..)) && value.trim_ascii() == value
}

/// What is wrong with a header that the caller adds.
pub(super) enum BadHeader {
    /// Its name is not a token, or its value is none.
    Invalid,
    /// The handshake writes it by itself.
    Reserved,
}

/// Refuses headers that would break the head, or that say what the handshake says by itself.
pub(super) fn check_headers(headers: &[(&str, &str)], reserved: &[&str]) -> Result<(), BadHeader> {
    for (name, value) in headers {
        if !is_token(name.as_bytes()) || !is_header_value(value) {
            return Err(BadHeader::Invalid);
        }
        let is = |reserved: &&str| name.eq_ignore_ascii_case(reserved);
        let is_handshakes = name.get(..14).is_some_and(|start| start.eq_ignore_ascii_case("Sec-WebSocket-"));
        if is_handshakes
            || ["Connection", "Upgrade", "Content-Length", "Transfer-Encoding"].iter().any(is)
            || reserved.iter().any(is)
        {
            return Err(BadHeader::Reserved);
        }
    }
    Ok(())
}

/// RFC 3986, section 3: no white space, no control characters, no fragment, nothing beyond ASCII.
pub(super) fn is_target(target: &str) -> bool {
    target.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_told_with_its_bytes_and_header_lines() {
        for (text, lines) in [
            ("GET / HTTP/1.1\r\n\r\n", 0),
            ("GET / HTTP/1.1\r\nA: b\r\n\r\n", 1),
            ("\r\n\r\nGET / HTTP/1.1\r\nA: b\r\nC:\r\nD: e\r\n\r\n", 3),
        ] {
            let mut scanner = Scanner::new(HeadLimits::DEFAULT);
            let start_line = text.find(" HTTP/1.1\r\n").unwrap() + " HTTP/1.1\r\n".len();
            assert_eq!(scanner.scan(text.as_bytes()), Ok(Scan::StartLine(start_line)));
            for _ in 0..2 {
                assert_eq!(
                    scanner.scan(text.as_bytes()),
                    Ok(Scan::Head(text.len(), lines)),
                    "now and when asked again"
                );
            }
        }
    }
}
