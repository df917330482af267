//! What a connection lives through beside its exchanges, for whoever counts.

/// What a connection lives through beside its exchanges.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// Accepted and handed to this worker.
    Opened,
    /// A TLS handshake is complete.
    Handshake,
    /// A TLS handshake failed, or took too long.
    HandshakeFailed,
    /// Closed for being too slow.
    TimedOut(Slow),
    /// Closed after as many requests as a connection may have.
    Spent,
    /// A panic was contained.
    Panicked,
    /// A request body goes to a temporary file.
    Spilled,
    /// A temporary file for a request body could not be written.
    SpillFailed(std::io::ErrorKind),
    /// A request was refused for its size.
    TooLarge(Measure),
}

/// What of a request is too much.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measure {
    /// The bytes of its request line.
    Line,
    /// The bytes of its head.
    Head,
    /// The number of its fields.
    Fields,
    /// The bytes of its body.
    Body,
}

/// At what a client was too slow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slow {
    /// Its TLS handshake.
    Handshake,
    /// A request head.
    Head,
    /// A request body.
    Upload,
    /// Taking its response: too little of it for a while.
    Download,
    /// Taking its response: nothing for a while.
    Stall,
    /// Its next request, or its first, where no byte of it came.
    Idle,
}
