//! A scripted origin on a loopback port: it reads whole requests, records them, and does what its script says.

use std::io;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, Weak};
use std::thread::{self, JoinHandle};

use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::LIMIT;
use super::origin_tls::{AskedNames, OriginTls};
use super::reply::Reply;
use super::wire::{self, Fields, Framing, Socket, Wire};

/// An origin that lives until it is dropped; one thread a connection.
pub struct Origin {
    address: SocketAddr,
    shared: Arc<Shared>,
    acceptor: Option<JoinHandle<()>>,
}

/// One request as it came over the wire.
#[derive(Clone, Debug)]
pub struct Request {
    /// The exact bytes of the head, with its empty line.
    pub head: Vec<u8>,
    pub method: String,
    pub target: String,
    pub version: String,
    pub fields: Fields,
    /// The body without its chunked coding.
    pub body: Vec<u8>,
    /// Which connection of the origin, from 0.
    pub connection: usize,
    /// Which request on that connection, from 0.
    pub index: usize,
    /// The name in the TLS hello.
    pub sni: Option<String>,
    /// The client has shown a certificate.
    pub is_certified: bool,
}

/// What is known of who asks.
#[derive(Clone, Default)]
struct Asker {
    sni: Option<String>,
    is_certified: bool,
}

/// What is done with an accepted socket, given its number.
type Serve = Arc<dyn Fn(&Arc<Shared>, Socket, usize) + Send + Sync>;

struct Shared {
    serve: Mutex<Serve>,
    requests: Mutex<Vec<Request>>,
    arrived: Condvar,
    asked_names: AskedNames,
    handshake_errors: Mutex<Vec<String>>,
    connections: AtomicUsize,
    open: Mutex<Vec<Weak<TcpStream>>>,
    is_stopping: AtomicBool,
}

impl Origin {
    /// Plain HTTP on a free port of 127.0.0.1.
    pub fn plain(script: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Origin {
        Origin::start("127.0.0.1:0", None, script)
    }

    /// HTTPS on a free port of 127.0.0.1.
    pub fn tls(tls: OriginTls, script: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Origin {
        Origin::start("127.0.0.1:0", Some(tls), script)
    }

    /// On an address of one's own, such as a second loopback address with the port of another origin.
    pub fn start(
        address: &str,
        tls: Option<OriginTls>,
        script: impl Fn(&Request) -> Reply + Send + Sync + 'static,
    ) -> Origin {
        let asked = AskedNames::default();
        let serve = serving(tls, Arc::clone(&asked), script);
        Origin::listen(TcpListener::bind(address).unwrap(), asked, serve)
    }

    /// Speaks anything: the script gets each accepted socket (with bounded reads and writes) and its number, from 0.
    pub fn raw(script: impl Fn(&TcpStream, usize) + Send + Sync + 'static) -> Origin {
        let serve = move |_: &Arc<Shared>, socket: Socket, connection| script(&socket.0, connection);
        Origin::listen(TcpListener::bind("127.0.0.1:0").unwrap(), AskedNames::default(), Arc::new(serve))
    }

    /// From now on a sound origin, or another broken one: what it does with connections that are accepted later.
    pub fn becomes(&self, tls: Option<OriginTls>, script: impl Fn(&Request) -> Reply + Send + Sync + 'static) {
        let serve = serving(tls, Arc::clone(&self.shared.asked_names), script);
        *self.shared.serve.lock().unwrap() = serve;
        self.drop_connections();
    }

    /// Plain HTTP on a listener that has been there before.
    pub fn accepting(listener: TcpListener, script: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Origin {
        listener.set_nonblocking(false).unwrap();
        let asked = AskedNames::default();
        Origin::listen(listener, Arc::clone(&asked), serving(None, asked, script))
    }

    fn listen(listener: TcpListener, asked_names: AskedNames, serve: Serve) -> Origin {
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            serve: Mutex::new(serve),
            asked_names,
            requests: Mutex::default(),
            arrived: Condvar::new(),
            handshake_errors: Mutex::default(),
            connections: AtomicUsize::new(0),
            open: Mutex::default(),
            is_stopping: AtomicBool::new(false),
        });
        let accepting = Arc::clone(&shared);
        let acceptor = thread::spawn(move || accepting.accept(&listener));
        Origin { address, shared, acceptor: Some(acceptor) }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// Every request so far, in the order of arrival.
    pub fn requests(&self) -> Vec<Request> {
        self.shared.requests.lock().unwrap().clone()
    }

    /// How many requests came so far.
    pub fn count(&self) -> usize {
        self.shared.requests.lock().unwrap().len()
    }

    /// Forgets the requests so far, where there are too many to keep.
    pub fn forget_requests(&self) {
        self.shared.requests.lock().unwrap().clear();
    }

    /// How many connections were accepted so far.
    pub fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }

    /// The names in the TLS hellos so far, also of handshakes that failed; `None` for a hello without a name.
    pub fn asked_names(&self) -> Vec<Option<String>> {
        self.shared.asked_names.lock().unwrap().clone()
    }

    /// Why TLS handshakes failed so far, as this side saw it.
    pub fn handshake_errors(&self) -> Vec<String> {
        self.shared.handshake_errors.lock().unwrap().clone()
    }

    /// Waits until `count` requests have come in whole; their replies may still be under way.
    #[track_caller]
    pub fn wait_for_requests(&self, count: usize) {
        let requests = self.shared.requests.lock().unwrap();
        let (requests, _) =
            self.shared.arrived.wait_timeout_while(requests, LIMIT, |requests| requests.len() < count).unwrap();
        let came = requests.len();
        drop(requests);
        assert!(came >= count, "{came} of {count} requests reached the origin within {LIMIT:?}");
    }

    /// Cuts every open connection; later ones are accepted as before.
    pub fn drop_connections(&self) {
        for socket in self.shared.open.lock().unwrap().drain(..).filter_map(|socket| socket.upgrade()) {
            _ = socket.shutdown(Shutdown::Both);
        }
    }
}

impl Drop for Origin {
    /// Stops accepting, cuts what is open. Threads that wait at a gate end by themselves.
    fn drop(&mut self) {
        self.shared.is_stopping.store(true, Ordering::SeqCst);
        // Wakes the acceptor from its blocking call.
        _ = TcpStream::connect_timeout(&self.address, LIMIT);
        if let Some(acceptor) = self.acceptor.take() {
            _ = acceptor.join();
        }
        self.drop_connections();
    }
}

impl Request {
    /// The first field of that name, without case.
    pub fn field(&self, name: &str) -> Option<&str> {
        wire::field(&self.fields, name)
    }

    /// All fields of that name, in order.
    pub fn fields_named(&self, name: &str) -> Vec<&str> {
        wire::fields_named(&self.fields, name)
    }
}

impl Shared {
    fn accept(self: &Arc<Shared>, listener: &TcpListener) {
        while let Ok((socket, _)) = listener.accept() {
            if self.is_stopping.load(Ordering::SeqCst) {
                return;
            }
            let Ok(socket) = Socket::new(socket) else { continue };
            self.open.lock().unwrap().push(Arc::downgrade(&socket.0));
            let connection = self.connections.fetch_add(1, Ordering::SeqCst);
            let shared = Arc::clone(self);
            let serve = Arc::clone(&self.serve.lock().unwrap());
            thread::spawn(move || serve(&shared, socket, connection));
        }
    }

    fn handshake(&self, socket: Socket, config: Option<&Arc<ServerConfig>>) -> Option<(Wire, Asker)> {
        let Some(config) = config else { return Some((Wire::new(Box::new(socket.clone()), socket), Asker::default())) };
        let mut tls = ServerConnection::new(Arc::clone(config)).unwrap();
        while tls.is_handshaking() {
            if let Err(error) = tls.complete_io(&mut socket.clone()) {
                self.handshake_errors.lock().unwrap().push(error.to_string());
                // Our alert must go out whole, and must not be lost to a reset.
                while tls.wants_write() && tls.write_tls(&mut socket.clone()).is_ok() {}
                Wire::new(Box::new(socket.clone()), socket).close();
                return None;
            }
        }
        let sni = tls.server_name().map(|name| AsRef::<str>::as_ref(name).to_owned());
        let asker = Asker { sni, is_certified: tls.peer_certificates().is_some() };
        Some((Wire::new(Box::new(StreamOwned::new(tls, socket.clone())), socket), asker))
    }

    fn exchange(
        &self,
        mut wire: Wire,
        connection: usize,
        asker: Asker,
        script: &impl Fn(&Request) -> Reply,
    ) -> io::Result<()> {
        for index in 0.. {
            let Some(mut request) = read_request(&mut wire)? else { break };
            request.connection = connection;
            request.index = index;
            request.sni.clone_from(&asker.sni);
            request.is_certified = asker.is_certified;
            self.requests.lock().unwrap().push(request.clone());
            self.arrived.notify_all();
            match script(&request).play(wire)? {
                Some(kept) => wire = kept,
                None => break,
            }
        }
        Ok(())
    }
}

/// Reads requests, by TLS or without, and answers as the script says.
fn serving(
    tls: Option<OriginTls>,
    asked: AskedNames,
    script: impl Fn(&Request) -> Reply + Send + Sync + 'static,
) -> Serve {
    let config = tls.map(|tls| tls.config(asked));
    Arc::new(move |shared, socket, connection| {
        let Some((wire, asker)) = shared.handshake(socket, config.as_ref()) else { return };
        // The other side may go away at any moment; the test sees that from its own end.
        _ = shared.exchange(wire, connection, asker, &script);
    })
}

fn read_request(wire: &mut Wire) -> io::Result<Option<Request>> {
    let Some(head) = wire.head()? else { return Ok(None) };
    let (line, fields) = wire::parse_head(&head)?;
    let [method, target, version] = line.split(' ').collect::<Vec<_>>()[..] else {
        return Err(wire::invalid(&format!("request line {line:?}")));
    };
    let (method, target, version) = (method.to_owned(), target.to_owned(), version.to_owned());
    let mut framing = wire::declared_framing(&fields)?.unwrap_or(Framing::Done);
    let body = wire.body(&mut framing)?;
    Ok(Some(Request {
        head,
        method,
        target,
        version,
        fields,
        body,
        connection: 0,
        index: 0,
        sni: None,
        is_certified: false,
    }))
}
