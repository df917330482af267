//! What happened: one [`Record`] an exchange becomes one line of the access log, and counters that cost no lock.
//!
//! The parts below return facts; whoever ends an exchange fills one [`Record`] and hands it to its own [`LogBuffer`]
//! and its own block of [`Metrics`]. Nothing here knows HTTP, sites or caches, and nothing here ever makes a request
//! wait: a log that is full or blocked loses lines, and counts them. Beside them stand the [`Ledger`] of failed fetches
//! and the [`CertificateBook`] of what origins have shown.

mod access_log;
mod certificate_file;
mod certificates;
mod failure;
mod failure_json;
mod ledger;
mod ledger_file;
mod line;
mod metrics;
mod record;
mod series;
mod tally;
#[cfg(test)]
mod tests_line;
#[cfg(test)]
mod tests_log;
mod warned;

pub use access_log::{AccessLog, LogBuffer};
pub use certificates::{CertificateBook, IssuerChange, MAX_BOOK, News, SeenCertificate, Sighting};
pub use failure::{FailureExample, FailureRow};
pub use ledger::{Failed, Ledger, MAX_TEXT};
pub use line::Format;
pub use metrics::{Block, Counter, Metrics, Snapshot};
pub use record::{CacheResult, FetchTimes, Record, RequestId};
pub use series::{STEP, Sums};
pub use tally::{BOUNDS, Counts, Histogram, PHASES, SiteCounts, Tally};
pub use warned::Warned;
