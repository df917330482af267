//! What connections live through beside their exchanges, in counters.

use crate::observe::{Block, Counter};
use crate::server::{Event, Measure, Slow};

/// Counts an event in a worker's block.
pub fn count(block: &Block, event: Event) {
    match event {
        Event::Opened => block.add(Counter::ConnectionsAccepted, 1),
        Event::Handshake => block.add(Counter::HandshakesDone, 1),
        Event::HandshakeFailed => block.add(Counter::HandshakesFailed, 1),
        Event::TimedOut(slow) => {
            block.add(Counter::ConnectionsTimedOut, u64::from(slow != Slow::Idle));
            block.add(slow_counter(slow), 1);
        }
        Event::Spent => block.add(Counter::ConnectionsSpent, 1),
        Event::Panicked => block.add(Counter::Panics, 1),
        Event::Spilled => block.add(Counter::UploadsSpilled, 1),
        // Counted where it is told.
        Event::SpillFailed(_) => {}
        Event::TooLarge(measure) => block.add(size_counter(measure), 1),
    }
}

fn slow_counter(slow: Slow) -> Counter {
    match slow {
        Slow::Handshake => Counter::SlowHandshakes,
        Slow::Head => Counter::SlowHeads,
        Slow::Upload => Counter::SlowUploads,
        Slow::Download => Counter::SlowDownloads,
        Slow::Stall => Counter::StalledDownloads,
        Slow::Idle => Counter::IdleClosed,
    }
}

fn size_counter(measure: Measure) -> Counter {
    match measure {
        Measure::Line => Counter::LongLines,
        Measure::Head => Counter::LargeHeads,
        Measure::Fields => Counter::ManyFields,
        Measure::Body => Counter::LargeBodies,
    }
}
