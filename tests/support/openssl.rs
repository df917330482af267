//! Origins that rustls cannot be: OpenSSL's `s_server` behind a relay, with certificates of OpenSSL's making.

use std::io::{self, BufRead, BufReader};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::thread;

use super::LIMIT;
use super::certificates::Identity;
use super::origin::Origin;
use super::temp_dir::TempDir;

/// An origin whose every connection is handed to `openssl s_server` with these options and this certificate.
pub fn s_server(identity: &Identity, options: &[&str]) -> Origin {
    let mut command = Command::new("openssl");
    command.args(["s_server", "-accept", "127.0.0.1:0", "-www", "-cert"]).arg(&identity.chain_file);
    command.arg("-key").arg(&identity.key_file).args(options);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().unwrap_or_else(|error| panic!("the tests need the program openssl: {error}"));
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let server = Server(Mutex::new(child));
    let address = lines.by_ref().find_map(|line| line.ok()?.strip_prefix("ACCEPT ")?.parse::<SocketAddr>().ok());
    let address = address.unwrap_or_else(|| panic!("openssl s_server {options:?} does not start"));
    // What it says further must not fill its pipe.
    thread::spawn(move || lines.for_each(drop));
    Origin::raw(move |socket, _| {
        _ = &server;
        relay(socket, address);
    })
}

/// Runs `openssl` and demands that it succeeds.
#[track_caller]
pub fn openssl(dir: &Path, arguments: &[&str]) {
    let output = Command::new("openssl").args(arguments).current_dir(dir).stdin(Stdio::null()).output();
    let output = output.unwrap_or_else(|error| panic!("the tests need the program openssl: {error}"));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "openssl {arguments:?}\n{said}");
}

/// A CA and one leaf for `a.test` below it, made by `openssl`; `ca.pem` lies in the directory.
pub struct Weak {
    pub dir: TempDir,
    pub identity: Identity,
}

impl Weak {
    /// The leaf has a key of this sort (`-newkey`) and is signed in this way (options of `openssl x509 -req`); each line of
    /// `extensions` is one.
    pub fn new(newkey: &[&str], signing: &[&str], extensions: &str) -> Weak {
        let dir = TempDir::new();
        let path = dir.path();
        dir.write("extensions", extensions);
        let root = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30", "-subj", "/CN=Weak Test Root"];
        openssl(path, &[&root[..], &["-keyout", "ca.key", "-out", "ca.pem"]].concat());
        let request = ["-nodes", "-subj", "/CN=a.test", "-keyout", "leaf.key", "-out", "leaf.csr"];
        openssl(path, &[&["req", "-newkey"], newkey, &request].concat());
        let sign = ["x509", "-req", "-in", "leaf.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial"];
        let with = if extensions.is_empty() { &[][..] } else { &["-extfile", "extensions"] };
        openssl(path, &[&sign[..], &["-days", "30", "-out", "leaf.pem"], signing, with].concat());
        let (chain_file, key_file) = (path.join("leaf.pem"), path.join("leaf.key"));
        let read = |file: &Path| std::fs::read_to_string(file).unwrap();
        let (chain_pem, key_pem) = (read(&chain_file), read(&key_file));
        Weak { dir, identity: Identity { chain_pem, key_pem, chain_file, key_file } }
    }

    /// The lines of `[site.origin]` that trust its CA.
    pub fn trust(&self) -> String {
        format!("trust = \"{}\"\n", self.dir.path().join("ca.pem").display())
    }
}

/// Ends with the origin that it serves.
struct Server(Mutex<Child>);

impl Drop for Server {
    fn drop(&mut self) {
        let mut child = self.0.lock().unwrap();
        _ = child.kill();
        _ = child.wait();
    }
}

/// Passes bytes both ways until both sides have ended.
fn relay(client: &TcpStream, address: SocketAddr) {
    let Ok(server) = TcpStream::connect_timeout(&address, LIMIT) else { return };
    _ = server.set_read_timeout(Some(LIMIT));
    let one_way = |mut from: &TcpStream, mut to: &TcpStream| {
        _ = io::copy(&mut from, &mut to);
        _ = to.shutdown(Shutdown::Write);
    };
    thread::scope(|scope| {
        scope.spawn(|| one_way(client, &server));
        one_way(&server, client);
    });
}
