//! What a head says, read as plainly as can be: all of it at once, lines by lines, into lists.

/// A head that is well-formed.
#[derive(Debug)]
pub(crate) struct Naive<'b> {
    /// Its length in bytes, with the empty lines in front of it.
    pub(crate) len: usize,
    /// The words of its start line.
    pub(crate) start: Vec<&'b [u8]>,
    /// Its headers, names in lower case.
    pub(crate) headers: Vec<(String, &'b [u8])>,
}

impl<'b> Naive<'b> {
    /// The head at the front of `bytes`. `None`: it is not whole, or not well-formed.
    pub(crate) fn read(bytes: &'b [u8]) -> Option<Self> {
        let empty = bytes.chunks(2).take_while(|chunk| chunk == b"\r\n").count() * 2;
        let end = empty + bytes[empty..].windows(4).position(|four| four == b"\r\n\r\n")?;
        let lines: Vec<_> = lines(&bytes[empty..end])?;
        let (start, lines) = lines.split_first()?;
        let headers = lines.iter().map(|line| {
            let colon = line.iter().position(|&byte| byte == b':')?;
            let name = std::str::from_utf8(&line[..colon]).ok()?.to_ascii_lowercase();
            is_token(name.as_bytes()).then(|| (name, line[colon + 1..].trim_ascii()))
        });
        let headers = headers.collect::<Option<_>>()?;
        Some(Self { len: end + 4, start: start.split(|&byte| byte == b' ').collect(), headers })
    }

    /// The values of a header, whose name is in lower case.
    pub(crate) fn values(&self, name: &str) -> Vec<&'b [u8]> {
        self.headers.iter().filter(|(other, _)| other == name).map(|&(_, value)| value).collect()
    }

    /// The elements of a list over all headers of that name.
    pub(crate) fn elements(&self, name: &str) -> Vec<&'b [u8]> {
        let values = self.values(name);
        let elements = values.iter().flat_map(|value| value.split(|&byte| byte == b',')).map(<[u8]>::trim_ascii);
        elements.filter(|element| !element.is_empty()).collect()
    }

    /// Whether one of the elements is this one, in any case.
    pub(crate) fn lists(&self, name: &str, element: &str) -> bool {
        self.elements(name).iter().any(|other| other.eq_ignore_ascii_case(element.as_bytes()))
    }
}

/// The lines between pairs of CR and LF. `None`: there is one by itself, or a control character.
fn lines(bytes: &[u8]) -> Option<Vec<&[u8]>> {
    let mut lines = Vec::new();
    let mut rest = bytes;
    while let Some(end) = rest.windows(2).position(|two| two == b"\r\n") {
        lines.push(&rest[..end]);
        rest = &rest[end + 2..];
    }
    lines.push(rest);
    let is_good = |byte: &u8| matches!(byte, b'\t' | b' '..=b'~' | 0x80..);
    lines.iter().all(|line| line.iter().all(is_good)).then_some(lines)
}

/// RFC 9110, 5.6.2.
pub(crate) fn is_token(bytes: &[u8]) -> bool {
    let is_good = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    !bytes.is_empty() && bytes.iter().all(is_good)
}
