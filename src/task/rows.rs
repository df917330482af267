//! The addresses of one task and how each stands: a hundred thousand in a few megabytes.
//!
//! Texts lie in one buffer; words that are few (reasons, causes, phases) are numbers into one list.

use super::UrlState;
use crate::proxy::Kept;

/// What an address is to the task.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Part {
    /// It is to be stored, and that is all.
    #[default]
    Page,
    /// A sitemap, or an index of them.
    Sitemap,
    /// A sitemap that an index named.
    Submap,
    /// An HLS or DASH manifest.
    Manifest,
    /// A playlist that a manifest named.
    Playlist,
}

/// How one address stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Row {
    pub state: UrlState,
    pub part: Part,
    pub attempts: u8,
    pub status: u16,
    pub kept: Option<Kept>,
    pub lifetime: Option<u32>,
    pub bytes: u64,
    pub reason: Word,
    pub cause: Word,
    pub phase: Word,
    /// Set by [`Rows::set_detail`].
    pub detail: Option<Box<str>>,
}

/// A word of the list; the first is the empty one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Word(u8);

/// All addresses of a task.
#[derive(Debug)]
pub struct Rows {
    text: String,
    ends: Vec<u32>,
    rows: Vec<Row>,
    words: Vec<Box<str>>,
    /// Bytes of all details.
    details: usize,
}

impl Part {
    /// Reading it brings further addresses.
    pub fn is_source(self) -> bool {
        self != Part::Page
    }

    /// Its word in the journal.
    pub fn token(self) -> &'static str {
        match self {
            Part::Page => "page",
            Part::Sitemap => "sitemap",
            Part::Submap => "sitemap-part",
            Part::Manifest => "manifest",
            Part::Playlist => "manifest-part",
        }
    }

    /// The part with that word.
    pub fn of(token: &str) -> Option<Part> {
        let all = [Part::Page, Part::Sitemap, Part::Submap, Part::Manifest, Part::Playlist];
        all.into_iter().find(|part| part.token() == token)
    }
}

impl Default for Rows {
    fn default() -> Rows {
        Rows { text: String::new(), ends: Vec::new(), rows: Vec::new(), words: vec!["".into()], details: 0 }
    }
}

impl Rows {
    /// Adds an address; its number. Nothing where there are too many already.
    pub fn add(&mut self, url: &str, part: Part) -> Option<usize> {
        if self.rows.len() >= MOST_ROWS || self.text.len().saturating_add(url.len()) > MOST_TEXT {
            return None;
        }
        self.text.push_str(url);
        self.ends.push(u32::try_from(self.text.len()).ok()?);
        self.rows.push(Row { part, ..Row::default() });
        Some(self.rows.len().saturating_sub(1))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// The address with that number.
    pub fn url(&self, index: usize) -> &str {
        let end = |index: usize| self.ends.get(index).map_or(0, |end| usize::try_from(*end).unwrap_or(0));
        let start = index.checked_sub(1).map_or(0, end);
        self.text.get(start..end(index)).unwrap_or_default()
    }

    /// How it stands.
    pub fn row(&self, index: usize) -> Option<&Row> {
        self.rows.get(index)
    }

    /// The same, to be changed.
    pub fn row_mut(&mut self, index: usize) -> Option<&mut Row> {
        self.rows.get_mut(index)
    }

    /// Keeps what was seen at an address while there is room for it; cause and phase say the most of it anyway.
    pub fn set_detail(&mut self, index: usize, detail: Option<Box<str>>) {
        let Some(row) = self.rows.get_mut(index) else { return };
        let size = |detail: &Option<Box<str>>| detail.as_ref().map_or(0, |text| text.len());
        let others = self.details.saturating_sub(size(&row.detail));
        row.detail = detail.filter(|text| others.saturating_add(text.len()) <= MOST_DETAILS);
        self.details = others.saturating_add(size(&row.detail));
    }

    /// All of them in order.
    pub fn iter(&self) -> impl Iterator<Item = (usize, &Row)> {
        self.rows.iter().enumerate()
    }

    /// The number of a word; of one too many, the empty one's.
    pub fn word(&mut self, text: &str) -> Word {
        if let Some(place) = self.words.iter().position(|word| &**word == text) {
            return Word(u8::try_from(place).unwrap_or(0));
        }
        let Ok(place) = u8::try_from(self.words.len()) else { return Word(0) };
        self.words.push(text.into());
        Word(place)
    }

    /// What a word says; nothing for the empty one.
    pub fn text_of(&self, word: Word) -> Option<&str> {
        self.words.get(usize::from(word.0)).map(|word| &**word).filter(|word| !word.is_empty())
    }

    /// Bytes that it takes, about.
    pub fn weight(&self) -> usize {
        let rows = self.rows.len().saturating_mul(size_of::<Row>() + 4);
        self.text.len().saturating_add(rows).saturating_add(self.details)
    }
}

/// Addresses of one task.
pub const MOST_ROWS: usize = 1_000_000;
/// Bytes of all of them together.
pub const MOST_TEXT: usize = 64 << 20;
/// Bytes of details of one task.
const MOST_DETAILS: usize = 16 << 20;
// A million of them are memory that somebody may want for responses.
const _: () = assert!(size_of::<Row>() <= 48);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_words_come_back() {
        let mut rows = Rows::default();
        for url in ["http://a.test/", "", "http://b.test/x"] {
            rows.add(url, Part::Page).unwrap();
        }
        assert_eq!((rows.url(0), rows.url(1), rows.url(2), rows.url(3)), ("http://a.test/", "", "http://b.test/x", ""));
        let (one, two) = (rows.word("one"), rows.word("two"));
        assert_eq!((rows.word("one"), rows.text_of(one), rows.text_of(two)), (one, Some("one"), Some("two")));
        assert_eq!(rows.text_of(Word::default()), None);
        (0..300).for_each(|number| _ = rows.word(&number.to_string()));
        assert_eq!(rows.word("one too many"), Word::default());
    }

    #[test]
    fn details_are_kept_while_there_is_room() {
        let mut rows = Rows::default();
        (0..3).for_each(|_| _ = rows.add("http://a.test/", Part::Page));
        let (bare, detail) = (rows.weight(), |size: usize| Some("x".repeat(size).into_boxed_str()));
        rows.set_detail(0, detail(MOST_DETAILS - 1));
        rows.set_detail(1, detail(2));
        rows.set_detail(2, detail(1));
        let kept = |rows: &Rows| [0, 1, 2].map(|index| rows.row(index).unwrap().detail.is_some());
        assert_eq!((kept(&rows), rows.weight() - bare), ([true, false, true], MOST_DETAILS));
        rows.set_detail(0, None);
        rows.set_detail(1, detail(2));
        assert_eq!((kept(&rows), rows.weight() - bare), ([false, true, true], 3));
    }

    #[test]
    fn a_hundred_thousand_take_a_few_megabytes() {
        let mut rows = Rows::default();
        (0..100_000).for_each(|number| _ = rows.add(&format!("https://www.example.com/{number:040}"), Part::Page));
        assert!(rows.weight() < 12 << 20, "{}", rows.weight());
    }
}
