//! What lies between the engine and a socket that two threads share: nothing, or TLS.
//!
//! The reading thread gets bytes off the socket without a lock, and has them decrypted under the engine's. What is queued is encrypted
//! under the same lock, in the order in which the socket gets it.

use std::io;

use crate::outbox::Outbox;

/// What lies between the engine and a socket: by default nothing.
#[derive(Debug, Default)]
pub struct Layer(#[cfg(feature = "tls")] Option<Box<sansocket_tls::rustls::Connection>>);

impl Layer {
    /// Bytes go through TLS.
    #[cfg(feature = "tls")]
    pub(crate) fn tls(mut connection: sansocket_tls::rustls::Connection) -> Self {
        // What is written is taken out at once, so it needs no limit here.
        connection.set_buffer_limit(None);
        Self(Some(Box::new(connection)))
    }

    /// Whether bytes go to the socket as they are.
    pub(crate) const fn is_none(&self) -> bool {
        #[cfg(feature = "tls")]
        return self.0.is_none();
        #[cfg(not(feature = "tls"))]
        true
    }

    /// Whether there is something to be sent besides what the engine has queued.
    pub(crate) fn wants_write(&self) -> bool {
        #[cfg(feature = "tls")]
        if let Some(tls) = &self.0 {
            return tls.wants_write();
        }
        false
    }

    /// Moves what is queued, and `payload` behind it, into the outbox. Gives what of the payload is to be written behind the outbox.
    pub(crate) fn seal<'p>(
        &mut self,
        queued: &mut Vec<u8>,
        payload: &'p [u8],
        outbox: &mut Outbox,
    ) -> io::Result<&'p [u8]> {
        #[cfg(feature = "tls")]
        if let Some(tls) = &mut self.0 {
            use std::io::Write;
            tls.writer().write_all(queued)?;
            queued.clear();
            tls.writer().write_all(payload)?;
            while tls.wants_write() {
                tls.write_tls(&mut outbox.bytes)?;
            }
            return Ok(&[]);
        }
        outbox.take(queued);
        Ok(payload)
    }

    /// Decrypts what is in `raw` until `plain` gets something. `None`: more has to be received first. `ended`: nothing more will be.
    pub(crate) fn open(&mut self, raw: &mut &[u8], ended: bool, plain: &mut [u8]) -> io::Result<Option<usize>> {
        #[cfg(feature = "tls")]
        if let Some(tls) = &mut self.0 {
            use std::io::Read;
            loop {
                match tls.reader().read(plain) {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    // The end too: in order behind a close_notify, else as an error.
                    read => return read.map(Some),
                }
                if raw.is_empty() && !ended {
                    return Ok(None);
                }
                tls.read_tls(raw)?;
                tls.process_new_packets().map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
            }
        }
        let count = raw.len().min(plain.len());
        let (taken, rest) = raw.split_at(count);
        plain[..count].copy_from_slice(taken);
        *raw = rest;
        Ok((count > 0 || ended).then_some(count))
    }

    /// Tells the peer that nothing more will be sent, where the layer has words for it.
    pub(crate) fn close(&mut self) {
        #[cfg(feature = "tls")]
        if let Some(tls) = &mut self.0 {
            tls.send_close_notify();
        }
    }
}
