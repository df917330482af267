//! Crowds of clients that cost no thread each, and threads that do the same again and again.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::support::{LIMIT, wait_until};

/// Clients that one thread plays.
pub struct Crowd(pub Vec<Member>);

pub struct Member {
    socket: TcpStream,
    /// The first bytes that came.
    pub first: Vec<u8>,
    pub taken: u64,
    pub is_over: bool,
}

impl Crowd {
    #[track_caller]
    pub fn connect(address: SocketAddr, count: usize) -> Crowd {
        let member = |_| {
            let socket = TcpStream::connect_timeout(&address, LIMIT).unwrap();
            socket.set_nonblocking(true).unwrap();
            Member { socket, first: Vec::new(), taken: 0, is_over: false }
        };
        Crowd((0..count).map(member).collect())
    }

    /// All say the same, those who still can.
    pub fn say(&mut self, bytes: impl AsRef<[u8]>) {
        for member in &mut self.0 {
            _ = member.socket.write_all(bytes.as_ref());
        }
    }

    /// Each says its own, by its number.
    pub fn say_each(&mut self, text: impl Fn(usize) -> String) {
        for (number, member) in self.0.iter_mut().enumerate() {
            _ = member.socket.write_all(text(number).as_bytes());
        }
    }

    /// Each takes up to so many bytes of what has come.
    pub fn hear(&mut self, most: usize) {
        let mut piece = vec![0; most];
        for member in self.0.iter_mut().filter(|member| !member.is_over) {
            match member.socket.read(&mut piece) {
                Ok(0) => member.is_over = true,
                Ok(read) => {
                    member.taken += read as u64;
                    let room = 2048_usize.saturating_sub(member.first.len());
                    member.first.extend(piece.iter().take(read.min(room)));
                }
                Err(error) => member.is_over = error.kind() != ErrorKind::WouldBlock,
            }
        }
    }

    /// How many connections have not ended.
    pub fn open(&self) -> usize {
        self.0.iter().filter(|member| !member.is_over).count()
    }

    /// Hears until the condition holds; panics after the time.
    #[track_caller]
    pub fn hear_until(&mut self, limit: Duration, is_so: impl Fn(&Crowd) -> bool) {
        let end = Instant::now() + limit;
        loop {
            self.hear(256 << 10);
            if is_so(self) {
                return;
            }
            let (open, silent) = (self.open(), self.0.iter().filter(|member| member.taken == 0).count());
            assert!(Instant::now() < end, "{open} are open after {limit:?}, {silent} heard nothing");
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Everybody has been answered or turned away.
    pub fn is_answered(&self) -> bool {
        self.0.iter().all(|member| member.taken > 0 || member.is_over)
    }

    /// How many answers began with this status.
    pub fn with_status(&self, status: &str) -> usize {
        let line = format!("HTTP/1.1 {status}");
        self.0.iter().filter(|member| member.first.starts_with(line.as_bytes())).count()
    }

    /// They go away by resets.
    pub fn reset(self) {
        for member in &self.0 {
            _ = socket2::SockRef::from(&member.socket).set_linger(Some(Duration::ZERO));
        }
    }
}

/// Threads that do the same again and again until it ends; each round is counted, and panics fail the scene.
pub struct Load {
    is_over: Arc<AtomicBool>,
    rounds: Arc<AtomicUsize>,
    threads: Vec<JoinHandle<()>>,
}

impl Load {
    pub fn start(threads: usize, round: impl Fn(usize, usize) + Clone + Send + 'static) -> Load {
        let (is_over, rounds) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let threads = (0..threads).map(|number| {
            let (is_over, rounds, round) = (is_over.clone(), rounds.clone(), round.clone());
            thread::spawn(move || {
                for turn in 0.. {
                    if is_over.load(Ordering::SeqCst) {
                        return;
                    }
                    round(number, turn);
                    rounds.fetch_add(1, Ordering::SeqCst);
                }
            })
        });
        Load { threads: threads.collect(), is_over, rounds }
    }

    /// Waits for so many rounds more, or for a thread that has failed.
    #[track_caller]
    pub fn wait_for_rounds(&self, more: usize) {
        let before = self.rounds.load(Ordering::SeqCst);
        wait_until(|| {
            thread::sleep(Duration::from_millis(1));
            self.rounds.load(Ordering::SeqCst) >= before + more || self.threads.iter().any(JoinHandle::is_finished)
        });
    }

    /// Ends it; how many rounds there were.
    #[track_caller]
    pub fn end(mut self) -> usize {
        self.is_over.store(true, Ordering::SeqCst);
        self.threads.drain(..).for_each(|thread| thread.join().expect("no request failed"));
        self.rounds.load(Ordering::SeqCst)
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::SeqCst);
    }
}
