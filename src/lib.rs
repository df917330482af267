//! Millpond: a small CDN point of presence (POP), calm in front of somebody's origin server.
//!
//! A POP answers clients for its user's *accelerated domain names*. What it has stored it serves; what it has not it
//! retrieves from the user's origin server, over HTTP or HTTPS: that is *origin fetch*. Every fetch that fails has a
//! cause with a name (RFC 9209) and a phase, the same on the page, in the fields of the answer and in the log.
//!
//! # Embedding
//!
//! [`config::Config`] is the operator's file, checked; [`Edge`] is a running POP. Nothing is printed and nothing is
//! installed: messages go to the `log` crate, signals and printing are the program's. [`doctor`] says why a site's fetches
//! fail, and which line of the file mends it, without a running POP.
//!
//! ```
//! use std::io::{Read, Write};
//! use std::net::{TcpListener, TcpStream};
//!
//! // Somebody's origin, which answers once.
//! let origin = TcpListener::bind("127.0.0.1:0")?;
//! let address = origin.local_addr()?;
//! let served = std::thread::spawn(move || -> std::io::Result<()> {
//!     let (mut connection, _) = origin.accept()?;
//!     let mut request = [0; 4096];
//!     let _ = connection.read(&mut request)?;
//!     connection.write_all(b"HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: 5\r\n\r\nhello")
//! });
//!
//! // A POP in front of it, on any free port.
//! let text = format!(
//!     "[listen]\nhttp = \"127.0.0.1:0\"\n[[site]]\ndomains = [\"www.example.com\"]\n[site.origin]\nservers = [\"{address}\"]"
//! );
//! let config = millpond::config::Config::parse(&text, "millpond.toml".as_ref()).expect("the text above is valid");
//! let edge = millpond::Edge::start(config)?;
//!
//! // The first answer is fetched, the second comes from the store.
//! for cache in ["Cache-Status: millpond; fwd=uri-miss", "Cache-Status: millpond; hit"] {
//!     let mut client = TcpStream::connect(edge.addresses().http[0])?;
//!     client.write_all(b"GET / HTTP/1.1\r\nHost: www.example.com\r\nConnection: close\r\n\r\n")?;
//!     let mut answer = String::new();
//!     client.read_to_string(&mut answer)?;
//!     assert!(answer.contains(cache) && answer.ends_with("hello"), "{answer}");
//! }
//! assert_eq!(edge.stats().fetches, 1);
//! edge.shutdown();
//! served.join().expect("the origin answered")?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # The house
//!
//! ```text
//!  acceptor ──▶ workers (one a core)                         fetchers (a pool, started on demand)
//!  blocks in    each owns its connections and one epoll      each runs one blocking origin fetch, start to end:
//!  accept()     session: handshake ▸ head ▸ upload           choose ▸ resolve ▸ connect ▸ verify ▸ send
//!               proxy:   route ▸ lookup ▸ decide             ▸ the response head lands the flight
//!                        hit ──▶ answer                      ▸ the body fills, chunk by chunk
//!                        miss ─▶ join a flight ───pool────▶  (one writer, many readers of one body)
//!               deliver ▸ record   ◀────────wake────────
//! ```
//!
//! A worker never waits for an origin, a slow client or another worker: what would wait parks its session. A fetcher waits
//! as long as its deadlines allow, for one origin. They meet in a flight (who waits for a response head) and a body (who
//! reads its bytes). There is no async runtime: blocking threads, and a readiness loop in each worker.
//!
//! The modules below stand on floors, and **a module imports only from floors above its own**; `tests/layers.rs` reads
//! the sources and holds them to it, to the doors of outside crates, and to the size of files and functions.
//!
//! # The life of a request
//!
//! 1. `server::listener` accepts, registers the socket in the epoll of the worker with the fewest sessions, hands it over.
//! 2. `server::head` reads into the worker's own buffer and has `http1` parse the head where it lies.
//! 3. `proxy::exchange` routes it to a site, builds the key in the worker's buffer and asks `cache`, which asks `store`
//!    what is there and `policy` what may be done with it. What the operator sets for a site (`policy::rules`) comes first:
//!    a bypass, what of the query counts, what the key has besides; [`Edge::explain`] tells it without sending anything.
//! 4. A hit is answered at once: the stored head as it is, `Age` and `Cache-Status` behind it, one vectored write
//!    (`server::deliver`). Nothing is allocated; `tests/zero_allocation.rs` counts.
//! 5. A miss is copied (`proxy::request`), joins a flight (`cache::flight`), and its session is parked. The first of a key
//!    leads: `proxy::fetch` runs on a fetcher, asks with the site's edits (`proxy::ask`) and along redirects
//!    (`proxy::follow`), `origin` chooses a server (by role, weight and health) and reaches it, and when the response head
//!    is known the response enters the store with its body open and the flight lands. Every waiting session is woken and
//!    reads the body as it grows.
//! 6. Where only parts of a response are stored (`cache::parts`), `proxy::parts` puts the answer together from those of one
//!    version; what follows of it is fetched slice by slice while it is delivered.
//! 7. A purge, or an unsafe request that succeeds, takes the next number (`store::purges`). What the origin was asked for
//!    before a purge that concerns it is given to those who wait (`cache::purge` detaches their flight), and not stored.
//! 8. `proxy::note` makes one record of it, for the counters and the access log.
//!
//! # Tasks
//!
//! A prefetch (`task`) is a list of addresses, and what sitemaps and manifests among them name. One thread picks what may
//! begin, by turns over the sites; a few others carry it out. Each address is a `proxy::visit`: the same `begin` and
//! `resume` as a client's exchange, on a thread that may wait. Its fetches are background ones: only idle fetchers take
//! them, and half of all stay free of them. What is done is added to the task's journal (`state::Journal`).
//!
//! # Another configuration
//!
//! [`Edge::reload`] does everything that can fail first, then swaps: the sites and the log (`proxy`, one pointer, which
//! workers look at with every request), limits and listeners (`server`), certificates (`tls`), trust in origins
//! (`origin`). An exchange keeps its site, and a site its number, by which fetchers know it.
//!
//! The operator's file may change while it is in force: `config::written` writes a site's settings into its text, with all
//! else left as it stands, and `settings` puts the text in the file's place, keeps the one before, and takes it back where
//! the reload fails.
//!
//! # When a fetch fails
//!
//! The cause is found once, in `origin::error`, and the same value becomes status, field, page, log column and retry
//! decision. Fetches that fail, and the last ones that went well, are entered in the failure ledger (`observe::ledger`, by
//! `proxy::blame`), and the certificates that origins show in new handshakes in a book of their own
//! (`observe::certificates`). The keeper (`edge::kept`) writes both to the state directory by means of `state`, which
//! replaces files whole and sets damaged ones aside, and logs what ends soon (`edge::radar`); no worker or fetcher waits for
//! that.
//!
//! [`doctor`] asks what a fetch would ask, in order and with the site's own settings (`origin::probe`), and turns the first
//! broken check into a finding: evidence, the line to write, what it would trust, a command that shows the fault.
//!
//! # The operator's door
//!
//! [`Edge::start`] opens it where the configuration has `[admin]`: a second `server` with one worker, whose handler is
//! `admin`. Its worker only answers; what blocks (diagnoses, surveys of the store, files) runs on a few threads of its own
//! and wakes the session that waits, or goes on writing to the body that it reads. Endpoints stand in tables, one file a
//! subject (`admin::api`), beside the part of the OpenAPI document that describes them. What the door does to the whole goes
//! through one trait, `admin::Control`, which `edge::door` implements without keeping anything alive. The program's commands
//! ask it as anybody else would; where it has a certificate, [`TlsClient`] makes sure of it.
//!
//! The console (`admin::console`) is a folder of plain files, `src/admin/console`, kept in the program as they are: HTML,
//! CSS and ES modules, without a framework and without a build step. It knows no more than the API tells. `main.js` begins,
//! `router.js` names the pages, `change.js` is the one way by which anything is applied; every text of the server goes in
//! as a text node. `tests/console.rs` walks through it in a real browser.
//!
//! Counts by site and durations cost a request no atomic operation: each worker keeps them for itself
//! (`observe::tally`) and hands them over once a second.
//!
//! # Invariants
//!
//! 1. Below floor 2 nothing does I/O; below floor 3 nothing reads a clock.
//! 2. No worker waits for a socket, a flight or a body; no fetcher touches a client.
//! 3. A stored head is never changed in place; a 304 makes a new one that shares the body.
//! 4. A body is complete only when its framing is proven whole; a broken one leaves the store. A part is never served as
//!    the whole, and parts of two versions never meet in one answer.
//! 5. A certificate chain is always verified, or its leaf is pinned; only the accepted names are configurable.
//! 6. Every wait has a deadline; every queue, cache and file a limit.
//! 7. Every 5xx that we make because of an origin carries its type, phase and request id.
//! 8. A request belongs to the site it was routed to, under one configuration, to its end.
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic))]

// Floor 0, words: plain values, no I/O, no clock.
mod error;
mod json;
mod status;
mod time;
mod wake;
// Floor 1, rules: answers computed from their arguments alone.
pub mod policy;
// Floor 2, parts: each does one job and knows none of its neighbours.
pub mod config;
mod http1;
mod observe;
mod pool;
mod state;
mod store;
mod tls;
// Floor 3, means: parts joined into a way in, a way out, a memory.
mod cache;
mod origin;
mod server;
// Floor 4, the exchange.
mod proxy;
// Floor 5, services around it.
pub mod doctor;
mod settings;
mod task;
// Floor 6, the operator's door.
mod admin;
// Roof: the whole, assembled.
mod edge;
#[doc(hidden)]
pub mod fuzzed;
#[doc(hidden)]
pub mod measured;

pub use edge::Limited;
#[doc(hidden)]
pub use edge::Names;
pub use edge::{Addresses, Edge, Explanation, OriginStates, Question, Reloaded, Stats, Unexplained};
pub use edge::{CertificateDetails, CertificateRow, CertificateSide, CertificateState};
pub use edge::{Page, Prefetch, Task, TaskError, TaskState, TaskUrl, UrlState, Window};
pub use edge::{Purge, PurgeError, Purged, Scope};
pub use error::Error;
pub use observe::{FailureExample, FailureRow, FetchTimes, IssuerChange};
#[doc(hidden)]
pub use origin::LookupFailure;
pub use origin::{AddressState, CheckState, NameState};
pub use time::{HttpDate, Now};
pub use tls::{TlsClient, TlsFailure, TlsStream, Trusted};

/// The examples of the README are held to compile and run.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
