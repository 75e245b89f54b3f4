//! The runtime, where the kernel allows one.

use std::io::{self, ErrorKind};
use std::{error, fmt};

use compio::runtime::Runtime;

/// Why there is no io_uring here.
#[derive(Debug)]
pub struct Refused(io::Error);

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no io_uring: {}", self.0)?;
        match self.0.kind() {
            ErrorKind::PermissionDenied => write!(f, " (see kernel.io_uring_disabled, and the filter of a container)"),
            _ => Ok(()),
        }
    }
}

impl error::Error for Refused {}

/// A runtime on a ring of its own. The inner error is the kernel's refusal; the outer one is anything else that went wrong.
pub fn runtime() -> io::Result<Result<Runtime, Refused>> {
    match Runtime::new() {
        Ok(runtime) if runtime.driver_type().is_iouring() => Ok(Ok(runtime)),
        Ok(runtime) => {
            let other = format!("the runtime's driver is {:?}", runtime.driver_type());
            Ok(Err(Refused(io::Error::new(ErrorKind::Unsupported, other))))
        }
        // EPERM and EACCES of a system's policy, ENOSYS of a kernel before 5.1 or of a filter that plays one.
        Err(error) if matches!(error.kind(), ErrorKind::PermissionDenied | ErrorKind::Unsupported) => {
            Ok(Err(Refused(error)))
        }
        Err(error) => Err(error),
    }
}
