//! RFC 9112 messages as bytes: one strict parser for clients and origins alike.
//!
//! Reads heads ([`RequestHead`], [`ResponseHead`]), decides how long the body is ([`BodyLength`]) and takes its
//! framing off ([`BodyReader`]). Where a message leaves any doubt it is refused, never repaired: two readers that
//! repair differently are how requests are smuggled. Knows no sockets, no sites and no cache; does no I/O, and the
//! caller closes the connection after every error.

mod body;
mod connection;
mod framing;
mod head;

pub use body::{BodyError, BodyReader, LAST_CHUNK, write_chunk_size};
pub use connection::ConnectionOptions;
pub use framing::BodyLength;
pub use head::{
    HeadLimits, HeadScan, Parsed, Present, RequestError, RequestHead, ResponseError, ResponseHead, Slots, Version,
};
