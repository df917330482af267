//! One keep-alive HTTPS fetch of 1 KiB from an origin on the loopback, through the origin room; beside it what the same
//! costs with bare rustls and httparse, as a floor.
#![allow(missing_docs, clippy::indexing_slicing, clippy::panic)]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use millpond::measured::Fetch;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection, StreamOwned};

fn fetch(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("fetch");
    group.measurement_time(Duration::from_secs(3)).warm_up_time(Duration::from_secs(1));
    let origin = Origin::start();
    let room = origin.room();
    let mut buffer = vec![0; 64 << 10];
    assert_eq!(room.get("/1k", &mut buffer), Ok(1024));
    group.bench_function("origin room", |bencher| bencher.iter(|| room.get("/1k", &mut buffer)));
    let mut bare = origin.bare();
    assert_eq!(bare.get(&mut buffer), 1024);
    group.bench_function("bare rustls and httparse", |bencher| bencher.iter(|| bare.get(&mut buffer)));
    group.finish();
}

/// An HTTPS origin that answers whatever is asked with the same 1 KiB.
struct Origin {
    address: SocketAddr,
    certificate: rcgen::Certificate,
    /// Removed with the file of the certificate in it.
    dir: std::path::PathBuf,
}

impl Origin {
    fn start() -> Origin {
        let made = rcgen::generate_simple_self_signed([NAME.to_owned()]).expect("a certificate can be made");
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
        let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .and_then(|builder| builder.with_no_client_auth().with_single_cert(vec![made.cert.der().clone()], key));
        let config = Arc::new(config.expect("the certificate fits its key"));
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("a bound address");
        thread::spawn(move || {
            for socket in listener.incoming().flatten() {
                let config = Arc::clone(&config);
                thread::spawn(move || serve(socket, config));
            }
        });
        let dir = std::env::temp_dir().join(format!("millpond-bench-{}", std::process::id()));
        std::fs::create_dir_all(&dir).expect("a temporary directory");
        std::fs::write(dir.join("ca.pem"), made.cert.pem()).expect("a file in it");
        Origin { address, certificate: made.cert, dir }
    }

    fn room(&self) -> Fetch {
        let text = format!(
            "[[site]]\ndomains = [\"www.example.com\"]\n[site.origin]\nservers = [\"{}\"]\nprotocol = \"https\"\n\
             sni = \"{NAME}\"\ntrust = \"{}\"\n",
            self.address,
            self.dir.join("ca.pem").display()
        );
        Fetch::new(&text).expect("the text is valid")
    }

    fn bare(&self) -> Bare {
        let mut roots = RootCertStore::empty();
        let der: CertificateDer<'static> = self.certificate.der().clone();
        roots.add(der).expect("a certificate");
        let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("ring knows both versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        let name = ServerName::try_from(NAME).expect("a name");
        let tls = ClientConnection::new(Arc::new(config), name).expect("a client");
        let socket = TcpStream::connect(self.address).expect("the origin listens");
        socket.set_nodelay(true).expect("an option");
        Bare(StreamOwned::new(tls, socket))
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        _ = std::fs::remove_dir_all(&self.dir);
    }
}

/// Answers one connection's requests to its end.
fn serve(socket: TcpStream, config: Arc<ServerConfig>) -> Option<()> {
    socket.set_nodelay(true).ok()?;
    let mut stream = StreamOwned::new(ServerConnection::new(config).ok()?, socket);
    let mut answer = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 1024\r\n\r\n".to_vec();
    answer.resize(answer.len() + 1024, b'x');
    let mut buffer = [0; 4096];
    let mut filled = 0;
    loop {
        match stream.read(&mut buffer[filled..]).ok()? {
            0 => return Some(()),
            n => filled += n,
        }
        if buffer[..filled].ends_with(b"\r\n\r\n") {
            filled = 0;
            stream.write_all(&answer).ok()?;
        }
    }
}

/// What a fetch cannot do without.
struct Bare(StreamOwned<ClientConnection, TcpStream>);

impl Bare {
    fn get(&mut self, buffer: &mut [u8]) -> usize {
        self.0.write_all(REQUEST).expect("the origin reads");
        let mut filled = 0;
        let (head, length) = loop {
            filled += self.0.read(&mut buffer[filled..]).expect("the origin answers");
            let mut fields = [httparse::EMPTY_HEADER; 16];
            let mut response = httparse::Response::new(&mut fields);
            if let Ok(httparse::Status::Complete(head)) = response.parse(&buffer[..filled]) {
                let length = response.headers.iter().find(|field| field.name.eq_ignore_ascii_case("content-length"));
                let length = length.and_then(|field| std::str::from_utf8(field.value).ok()?.parse().ok());
                break (head, length.unwrap_or(0));
            }
        };
        while filled < head + length {
            filled += self.0.read(&mut buffer[filled..]).expect("the origin answers");
        }
        length
    }
}

const NAME: &str = "origin.test";
const REQUEST: &[u8] = b"GET /1k HTTP/1.1\r\nHost: www.example.com\r\nAccept: */*\r\nVia: 1.1 millpond\r\n\r\n";

criterion_group!(benches, fetch);
criterion_main!(benches);
