//! What is known to differ.

/// Builds [`Difference`] from one table.
macro_rules! differences {
    ($($(#[doc = $doc:literal])+ $name:ident;)+) => {
        /// Why tungstenite and we differ.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Difference {
            $($(#[doc = $doc])+ $name,)+
        }

        impl Difference {
            /// Each with its name and what it is.
            pub const ALL: &'static [(&'static str, &'static str)] = &[$((stringify!($name), concat!($($doc),+)),)+];
        }
    };
}

differences! {
    /// A length in more bytes than it needs: we refuse it (RFC 6455, 5.2), tungstenite takes it.
    LongLength;
    /// A Close with a code that must not travel: we fail (7.4), tungstenite gives a Close with 1002.
    CloseCode;
    /// Close code 1014, which was registered behind the RFC: we take it, tungstenite gives 1002.
    BadGateway;
    /// We refuse a frame at the first byte that shows what is wrong, tungstenite once the frame is whole.
    WholeFrames;
    /// We refuse a head at the first byte or line that cannot be right, tungstenite where its parser comes to it.
    WholeHeads;
    /// Lines that do not end in CR LF, and control characters: we refuse them (RFC 9112, 2.2), tungstenite takes them.
    Lines;
    /// A request without one valid Host: we refuse it (4.2.1), tungstenite does not look at it.
    Host;
    /// A target that is neither a path nor an absolute URI, or has a fragment or characters beyond ASCII: we refuse it (4.2.1).
    Target;
    /// A target with a character that RFC 3986 does not know: the crate `http` refuses some of them, we take what is visible ASCII.
    TargetCharacters;
    /// A request that announces a body: we refuse it, tungstenite takes the body for frames.
    Body;
    /// A header that may occur once occurs twice: we refuse it (11.3), tungstenite looks at the first.
    Repeated;
    /// Malformed subprotocols or extensions: we refuse them (4.3, 9.1), tungstenite does not look at what it does not support.
    Offers;
    /// A Connection or Upgrade header as a list (RFC 9110, 5.6.1): we take it apart, tungstenite half or not at all.
    ListHeaders;
    /// Tokens of Connection with white space between them and no comma: we refuse them, tungstenite takes them.
    ConnectionBySpaces;
    /// A key with bits set behind its last byte: we take it (erratum 3150), tungstenite does not.
    KeyBits;
    /// Frames right behind the request: we take them, tungstenite does not.
    FramesBehindRequest;
    /// Interim responses: we skip them (RFC 9110, 15.2), tungstenite takes them for the answer.
    Interim;
    /// Empty lines in front of a response: we refuse them, tungstenite skips them.
    EmptyLines;
    /// A response without a subprotocol where some were offered: we take it (4.2.2), tungstenite does not.
    NoProtocol;
    /// A response with extensions that were not offered: we fail (4.1), tungstenite does not look at them.
    Extensions;
}
