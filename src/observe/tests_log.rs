//! The way of a line from a buffer to the file, with writers that block and fail.

use std::fs;
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, unbounded};

use super::access_log::AccessLog;
use super::line::Format;
use super::metrics::{Counter, Metrics};
use super::record::Record;
use super::tests_line::{NOW, plain};
use crate::time::Now;

/// Longer than any test takes: only a hang meets it.
const LONG: Duration = Duration::from_secs(60);

/// Says when it was called, then answers what the test sends: how many bytes to take, or none for an error.
struct Scripted {
    calls: Sender<usize>,
    answers: Receiver<Option<usize>>,
    written: Arc<Mutex<Vec<u8>>>,
}

impl Write for Scripted {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.calls.send(bytes.len()).unwrap();
        let most = self.answers.recv().unwrap().ok_or(io::ErrorKind::StorageFull)?;
        let taken = &bytes[..bytes.len().min(most)];
        self.written.lock().unwrap().extend_from_slice(taken);
        Ok(taken.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct Script {
    log: AccessLog,
    metrics: Arc<Metrics>,
    calls: Receiver<usize>,
    answers: Sender<Option<usize>>,
    written: Arc<Mutex<Vec<u8>>>,
}

fn script(queue: usize) -> Script {
    let metrics = Arc::new(Metrics::new(1));
    let written = Arc::new(Mutex::new(Vec::new()));
    let (calls_in, calls) = unbounded();
    let (answers, answers_out) = unbounded();
    let mut sink = Some(Scripted { calls: calls_in, answers: answers_out, written: written.clone() });
    let open = Box::new(move || match sink.take() {
        Some(sink) => Ok(Box::new(sink) as Box<dyn Write + Send>),
        None => Err(io::ErrorKind::PermissionDenied.into()),
    });
    let log = AccessLog::start(Format::Combined, "test".to_owned(), open, queue, metrics.clone()).unwrap();
    Script { log, metrics, calls, answers, written }
}

/// Hands over one buffer with a line for each target.
fn hand_over(log: &AccessLog, targets: &[&str]) {
    let mut buffer = log.buffer();
    for target in targets {
        buffer.write(NOW, &Record { target: target.as_bytes(), ..plain() });
    }
}

/// The targets of the lines in `text`, in order; whole lines only.
fn targets(text: &[u8]) -> Vec<String> {
    let text = String::from_utf8(text.to_vec()).unwrap();
    text.lines()
        .filter(|line| line.starts_with("192.0.2.7 - - [") && line.ends_with("time=0.000045"))
        .filter_map(|line| line.split(' ').nth(6).map(str::to_owned))
        .collect()
}

fn path(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("millpond-{}-{name}", std::process::id()))
}

#[test]
fn a_blocked_writer_costs_lines_and_nobody_waits() {
    let Script { log, metrics, calls, answers, written } = script(1);
    hand_over(&log, &["/1"]);
    calls.recv().unwrap(); // the writer is inside write
    hand_over(&log, &["/2"]); // fills the queue
    hand_over(&log, &["/3", "/4", "/5"]);
    assert_eq!(metrics.snapshot().value(Counter::LogLinesDropped), 3);
    answers.send(Some(usize::MAX)).unwrap();
    answers.send(Some(usize::MAX)).unwrap();
    assert!(log.shutdown(LONG));
    assert_eq!(targets(&written.lock().unwrap()), ["/1", "/2"]);
}

#[test]
fn a_stuck_writer_does_not_hold_up_the_end() {
    let Script { log, calls, answers, .. } = script(1);
    hand_over(&log, &["/1"]);
    calls.recv().unwrap();
    assert!(!log.shutdown(Duration::ZERO));
    drop(answers);
}

#[test]
fn a_full_disk_loses_the_unwritten_lines_and_tears_no_later_one() {
    let Script { log, metrics, calls, answers, written } = script(8);
    hand_over(&log, &["/1", "/2", "/3"]);
    let length = calls.recv().unwrap() / 3;
    answers.send(Some(length + 20)).unwrap();
    answers.send(None).unwrap(); // the second line is torn
    answers.send(None).unwrap(); // not even its line feed can be written
    hand_over(&log, &["/4"]);
    answers.send(Some(1)).unwrap();
    answers.send(Some(usize::MAX)).unwrap();
    hand_over(&log, &["/5"]);
    assert!(log.shutdown(LONG));
    let text = written.lock().unwrap().clone();
    assert_eq!(targets(&text), ["/1", "/5"]);
    assert_eq!(text.split(|byte| *byte == b'\n').count(), 4, "one torn line, ended");
    let counts = metrics.snapshot();
    assert_eq!((counts.value(Counter::LogLinesDropped), counts.value(Counter::LogWritesFailed)), (3, 2));
}

#[test]
fn a_failed_reopening_keeps_the_old_file() {
    let Script { log, metrics, calls, answers, written } = script(8);
    log.reopen();
    hand_over(&log, &["/1"]);
    calls.recv().unwrap();
    answers.send(Some(usize::MAX)).unwrap();
    assert!(log.shutdown(LONG));
    assert_eq!(targets(&written.lock().unwrap()), ["/1"]);
    assert_eq!(metrics.snapshot().value(Counter::LogWritesFailed), 1);
}

#[test]
fn a_rotated_file_keeps_its_lines_and_a_new_one_begins() {
    let (current, rotated) = (path("rotate.log"), path("rotate.log.1"));
    let open = |path| AccessLog::open(Format::Combined, path, Arc::new(Metrics::new(1))).unwrap();
    let log = open(&current);
    hand_over(&log, &["/1"]);
    assert!(log.shutdown(LONG));
    let log = open(&current);
    fs::rename(&current, &rotated).unwrap();
    log.reopen();
    hand_over(&log, &["/2"]);
    assert!(log.shutdown(LONG));
    let log = open(&rotated);
    hand_over(&log, &["/3"]);
    assert!(log.shutdown(LONG));
    assert_eq!(targets(&fs::read(&current).unwrap()), ["/2"]);
    assert_eq!(targets(&fs::read(&rotated).unwrap()), ["/1", "/3"]);
    fs::remove_file(&current).unwrap();
    fs::remove_file(&rotated).unwrap();
}

#[test]
fn what_a_reopening_precedes_is_in_the_new_file() {
    let sinks: Arc<Mutex<Vec<Shared>>> = Arc::default();
    let opened = sinks.clone();
    let open = Box::new(move || {
        let sink = Shared::default();
        opened.lock().unwrap().push(sink.clone());
        Ok(Box::new(sink) as Box<dyn Write + Send>)
    });
    let log = AccessLog::start(Format::Combined, "test".to_owned(), open, 8, Arc::new(Metrics::new(1))).unwrap();
    log.reopen();
    hand_over(&log, &["/new"]);
    assert!(log.shutdown(LONG));
    let sinks = sinks.lock().unwrap();
    let found: Vec<_> = sinks.iter().map(|sink| targets(&sink.0.lock().unwrap())).collect();
    assert_eq!(found, [vec![], vec!["/new".to_owned()]]);
}

#[derive(Clone, Default)]
struct Shared(Arc<Mutex<Vec<u8>>>);

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_line_waits_a_second_for_its_buffer_to_fill() {
    let Script { log, calls, answers, written, .. } = script(8);
    let mut buffer = log.buffer();
    buffer.write(NOW, &plain());
    let due = NOW.monotonic + Duration::from_secs(1);
    buffer.flush_if_due(Now { monotonic: due - Duration::from_nanos(1), ..NOW });
    assert!(!buffer.text().is_empty());
    buffer.flush_if_due(Now { monotonic: due, ..NOW });
    assert!(buffer.text().is_empty());
    calls.recv().unwrap();
    answers.send(Some(usize::MAX)).unwrap();
    drop(buffer);
    assert!(log.shutdown(LONG));
    assert_eq!(targets(&written.lock().unwrap()).len(), 1);
}

#[test]
fn a_full_buffer_is_handed_over_without_ever_growing() {
    let Script { log, metrics, calls, answers, .. } = script(1);
    let mut buffer = log.buffer();
    let capacity = buffer.text().capacity();
    let worst = vec![0; 70_000];
    let record = Record { target: &worst, referer: Some(&worst), user_agent: Some(&worst), ..plain() };
    for _ in 0..100 {
        buffer.write(NOW, &record);
        assert_eq!(buffer.text().capacity(), capacity);
    }
    calls.recv().unwrap();
    assert!(metrics.snapshot().value(Counter::LogLinesDropped) > 80);
    drop(answers);
}

#[test]
fn lines_after_the_end_are_counted_as_lost() {
    let Script { log, metrics, .. } = script(1);
    let mut buffer = log.buffer();
    buffer.write(NOW, &plain());
    assert!(log.shutdown(LONG));
    drop(buffer);
    assert_eq!(metrics.snapshot().value(Counter::LogLinesDropped), 1);
}

#[test]
fn a_path_that_cannot_be_opened_stops_the_start() {
    let path = path("no-such-directory").join("access.log");
    let refused = AccessLog::open(Format::Json, &path, Arc::new(Metrics::new(1)));
    assert!(refused.is_err_and(|error| error.to_string().contains("open the access log")));
}

#[test]
fn a_new_file_is_not_for_everybody() {
    use std::os::unix::fs::PermissionsExt as _;
    let path = path("mode.log");
    let log = AccessLog::open(Format::Json, &path, Arc::new(Metrics::new(1))).unwrap();
    assert!(log.shutdown(LONG));
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o137, 0);
    fs::remove_file(&path).unwrap();
}

#[test]
fn a_pipe_without_a_reader_holds_up_no_start() {
    use rustix::fs::{CWD, FileType, Mode, mknodat};
    let path = path("pipe.log");
    let _ = fs::remove_file(&path);
    mknodat(CWD, &path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    let log = AccessLog::open(Format::Combined, &path, Arc::new(Metrics::new(1))).unwrap();
    hand_over(&log, &["/1"]);
    let reader = fs::File::open(&path).unwrap();
    let mut line = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(reader), &mut line).unwrap();
    assert_eq!(targets(line.as_bytes()), ["/1"]);
    assert!(log.shutdown(LONG));
    fs::remove_file(&path).unwrap();
}

#[test]
fn buffers_come_back() {
    let Script { log, calls, answers, .. } = script(1);
    let mut buffer = log.buffer();
    let first = buffer.text().as_ptr() as usize;
    let mut next_buffer = || {
        buffer.write(NOW, &plain());
        buffer.flush_if_due(Now { monotonic: Duration::MAX, ..NOW });
        buffer.text().as_ptr() as usize
    };
    let second = next_buffer();
    calls.recv().unwrap();
    answers.send(Some(usize::MAX)).unwrap();
    let third = next_buffer();
    calls.recv().unwrap(); // by now the first buffer was given back
    let fourth = next_buffer();
    assert!(second != third && (third == first || fourth == first));
    drop(answers);
}
