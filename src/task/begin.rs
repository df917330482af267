//! How a task begins: its addresses looked at one by one, its journal written, its place found.

use std::sync::Arc;

use super::plan::{Prefetch, TaskError, address};
use super::rows::Part;
use super::work::{Addition, Manner, Work};
use super::{State, Task, Tasks, file};
use crate::policy::redirect::Url;
use crate::proxy::Proxy;

impl Tasks {
    /// Begins a task. Addresses that cannot be prefetched are among its failures from the start; each says why.
    ///
    /// # Errors
    /// [`TaskError::Unfit`] where what is asked for means nothing, [`TaskError::Full`] where there is no room.
    pub fn begin(&self, prefetch: &Prefetch) -> Result<Task, TaskError> {
        prefetch.check()?;
        let inner = &self.inner;
        let mut work = self.work_of(prefetch)?;
        let weight = work.rows.weight();
        let mut held = inner.lock();
        let leaving = make_room(&mut held, weight)?;
        work.id = held.next_id;
        held.next_id = held.next_id.saturating_add(1);
        drop(held);
        for old in leaving {
            if let Some(journal) = old.saved.journal {
                let _ = journal.remove();
            }
        }
        inner.save_new(&mut work);
        let now = inner.clock.now();
        work.settle(now.wall);
        let shown = work.shown(now.monotonic);
        let mut held = inner.lock();
        held.works.insert(work.id, work);
        inner.note_change(held);
        Ok(shown)
    }

    fn work_of(&self, prefetch: &Prefetch) -> Result<Work, TaskError> {
        let manner = Manner {
            fields: prefetch.fields.clone(),
            rate: prefetch.rate,
            parallel: prefetch.parallel,
            window: prefetch.window,
            is_dry: prefetch.is_dry,
            source: prefetch.source(),
        };
        let created = self.inner.clock.now().wall;
        let mut work = Work::new(0, manner, created);
        let pages = prefetch.urls.iter().map(|url| (url, Part::Page));
        let sources = prefetch.sitemap.iter().map(|url| (url, Part::Sitemap));
        let sources = sources.chain(prefetch.manifest.iter().map(|url| (url, Part::Manifest)));
        for (url, part) in sources.chain(pages) {
            if !work.add(&addition(&self.inner.proxy, url.trim(), part)) {
                return Err(TaskError::Unfit(
                    "there are too many addresses: a task has a million, or 64 MiB of text".into(),
                ));
            }
        }
        Ok(work)
    }
}

/// Takes out ended tasks, the oldest first, until there is room for one more.
fn make_room(held: &mut State, weight: usize) -> Result<Vec<Work>, TaskError> {
    let mut leaving = Vec::new();
    loop {
        if held.works.len() < file::MOST_TASKS && held.weight().saturating_add(weight) <= file::MOST_WEIGHT {
            return Ok(leaving);
        }
        let oldest = held.works.values().find(|work| work.ended.is_some()).map(|work| work.id);
        let Some(work) = oldest.and_then(|id| held.works.remove(&id)) else {
            return Err(TaskError::Full("too many tasks are under way: wait for one, or cancel one".into()));
        };
        leaving.push(work);
    }
}

/// An address with the name of its site, or the reason why there is none.
pub fn addition(proxy: &Proxy, text: &str, part: Part) -> Addition {
    // Whatever it is, it is shown; but not all of a text without end.
    let shown = work_text(text);
    (shown, part, site_of(proxy, text))
}

/// The same of one that a document names.
pub fn found(proxy: &Proxy, url: &Url, part: Part) -> Addition {
    addition(proxy, &url.text(), part)
}

/// The name of the site that answers for an address.
///
/// # Errors
/// Why none does, in words.
pub fn site_of(proxy: &Proxy, text: &str) -> Result<Arc<str>, String> {
    let url = address(text)?;
    let site = proxy.site_of(&url.host).ok_or_else(|| {
        format!("no site is configured for {:?}: only what is accelerated here can be prefetched", url.host)
    })?;
    Ok(site.name.as_str().into())
}

fn work_text(text: &str) -> String {
    let mut end = text.len().min(LONGEST_SHOWN);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default().to_owned()
}

const LONGEST_SHOWN: usize = 8 << 10;
