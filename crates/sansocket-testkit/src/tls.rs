//! TLS between a transport with faults and the peer behind it.

use std::io::{Read, Write};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard};

use rcgen::{CertificateParams, KeyPair, PKCS_ED25519};
use sansocket_tls::rustls::client::Resumption;
use sansocket_tls::rustls::{Connection, Error};
use sansocket_tls::{TlsAcceptor, TlsConnector};

use crate::Side;
use crate::partner::Partner;

/// How long the records are that the peer sends, over and over: frames begin and end anywhere in them.
const RECORDS: [usize; 3] = [97, 1, 400];

/// Each session is as long as every other, so that a byte is at the same place in all of them: signatures have one length, and no
/// session is a resumed one.
static ENDS: LazyLock<(TlsConnector, TlsAcceptor)> = LazyLock::new(|| {
    let key = KeyPair::generate_for(&PKCS_ED25519).expect("there is a random number generator");
    let params = CertificateParams::new(["localhost".to_owned()]).expect("it is a name");
    let certificate = params.self_signed(&key).expect("the key is good").pem();
    let connector = TlsConnector::with_ca(certificate.as_bytes()).expect("it is a certificate");
    let mut config = (*connector.config()).clone();
    config.resumption = Resumption::disabled();
    let acceptor = TlsAcceptor::from_pem(certificate.as_bytes(), key.serialize_pem().as_bytes());
    (config.into(), acceptor.expect("it is a certificate and its key"))
});

/// For a client that trusts the server below.
pub fn connector() -> &'static TlsConnector {
    &ENDS.0
}

/// For a server that is `localhost`.
pub fn acceptor() -> &'static TlsAcceptor {
    &ENDS.1
}

/// The peer's end of a session.
#[derive(Clone, Debug)]
pub(crate) struct Tunnel {
    session: Arc<Mutex<Connection>>,
    /// What comes out of it.
    incoming: Vec<u8>,
    /// Where a record ends, and how much the peer has sent so far by it.
    records: Vec<(usize, usize)>,
    is_closed: bool,
    has_heard_end: bool,
}

impl Tunnel {
    /// The end of `side`, which is the peer.
    pub(crate) fn from(side: Side, partner: &Partner) -> Self {
        let session = match side {
            Side::Server => acceptor().session().map(Connection::from),
            Side::Client => connector().session("localhost").map(Connection::from),
        };
        let mut this = Self {
            session: Arc::new(Mutex::new(session.expect("the configuration is good"))),
            incoming: Vec::new(),
            records: Vec::new(),
            is_closed: false,
            has_heard_end: false,
        };
        this.send(partner);
        this
    }

    fn session(session: &Mutex<Connection>) -> MutexGuard<'_, Connection> {
        session.lock().expect("nobody has panicked with it")
    }

    /// What comes out of it.
    pub(crate) fn incoming(&self) -> &[u8] {
        &self.incoming
    }

    /// Whether the peer has ended the session.
    pub(crate) const fn is_closed(&self) -> bool {
        self.is_closed
    }

    /// Whether the peer was told that nothing more comes.
    pub(crate) const fn has_heard_end(&self) -> bool {
        self.has_heard_end
    }

    /// How much of what the peer has sent is to be made out of so many bytes.
    pub(crate) fn plain_within(&self, received: usize) -> usize {
        self.records.iter().rev().find(|(end, _)| *end <= received).map_or(0, |(_, plain)| *plain)
    }

    /// The peer gets some bytes of the wire, and answers.
    pub(crate) fn hear(&mut self, mut bytes: &[u8], partner: &mut Partner) {
        let mut plain = Vec::new();
        {
            let mut session = Self::session(&self.session);
            while !bytes.is_empty() {
                let count = session.read_tls(&mut bytes).expect("there is room");
                assert_ne!(count, 0, "written behind the end");
                match session.process_new_packets() {
                    Ok(_) => {}
                    // Whoever gives up before the handshake is done.
                    Err(Error::AlertReceived(_)) => {
                        self.is_closed = true;
                        return;
                    }
                    Err(error) => panic!("what was written is no TLS: {error}"),
                }
                // `WouldBlock`: no more has come. The end, too: it was told.
                let has_ended = session.reader().read_to_end(&mut plain).is_ok();
                self.has_heard_end |= has_ended;
            }
        }
        partner.hear(&plain);
        self.send(partner);
    }

    /// Sends what the session has to say, and what the peer has to.
    fn send(&mut self, partner: &Partner) {
        let Self { session, incoming, records, is_closed, .. } = self;
        let mut session = Self::session(session);
        let mut sent = records.last().map_or(0, |(_, plain)| *plain);
        loop {
            while session.wants_write() {
                session.write_tls(incoming).expect("memory takes it");
            }
            records.push((incoming.len(), sent));
            let rest = &partner.sent()[sent..];
            if session.is_handshaking() || *is_closed {
                break;
            }
            if rest.is_empty() {
                if partner.waits_for_writes() {
                    break;
                }
                session.send_close_notify();
                *is_closed = true;
                continue;
            }
            let record = &rest[..rest.len().min(RECORDS[records.len() % RECORDS.len()])];
            session.writer().write_all(record).expect("what is written is taken out at once");
            sent += record.len();
        }
    }
}
