//! Documents that name further addresses: sitemaps, HLS playlists, DASH manifests. Each is read once, from a text of bounded
//! size to a list of bounded length; nothing here fetches.

mod dash;
mod gzip;
mod hls;
mod sitemap;
mod xml;

use super::rows::{MOST_TEXT, Part};
use crate::policy::redirect::Url;

/// An address that a document names, and what it is.
pub type Found = (Url, Part);

/// What a document names, in its order. Bounded in number and in bytes: a small document can stand for a lot.
#[derive(Default)]
struct Named {
    found: Vec<Found>,
    references: usize,
    bytes: usize,
}

/// Why a document cannot be read.
pub type Unreadable = String;

/// The addresses that the document at `url` names, in its order, each once as far as is easily seen. Whether it is compressed
/// is told by its first bytes: fields say of `sitemap.xml.gz` now this, now that.
pub fn read(part: Part, url: &Url, content: Vec<u8>) -> Result<Vec<Found>, Unreadable> {
    let mut content = content;
    // A compressed file may be coded for the way once more.
    for _ in 0..MOST_CODINGS {
        if gzip::is_gzip(&content) {
            content = gzip::expanded(&content, most_bytes(part))?;
        }
    }
    let text =
        std::str::from_utf8(&content).map_err(|_| "it is neither UTF-8 text nor compressed with gzip".to_owned())?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    match part {
        Part::Page => Ok(Vec::new()),
        Part::Sitemap | Part::Submap => sitemap::read(url, text, part == Part::Sitemap),
        Part::Manifest | Part::Playlist if text.starts_with("#EXTM3U") => hls::read(url, text, part == Part::Manifest),
        Part::Manifest => dash::read(url, text),
        Part::Playlist => Err("it is no HLS playlist: it does not begin with #EXTM3U".into()),
    }
}

impl Named {
    /// Adds where a reference leads from `base`. One that cannot be followed is left out: the others are as good as ever.
    /// So is one that stands behind itself, as ranges of one file do.
    fn add(&mut self, base: &Url, reference: &str, part: Part) -> Result<(), Unreadable> {
        self.references = self.references.saturating_add(1);
        if self.references > MOST_FOUND {
            return Err(format!("it names more than {MOST_FOUND} addresses"));
        }
        let Some(url) = base.resolve(reference.as_bytes()) else { return Ok(()) };
        if self.found.last().is_some_and(|(last, _)| *last == url) {
            return Ok(());
        }
        self.bytes = self.bytes.saturating_add(url.host.len()).saturating_add(url.target.len());
        if self.bytes > MOST_TEXT {
            return Err(format!("its addresses are longer than {} MiB together", MOST_TEXT >> 20));
        }
        self.found.push((url, part));
        Ok(())
    }
}

/// Bytes of a document at most, as it comes and as it is expanded: what the sitemap protocol allows.
pub fn most_bytes(part: Part) -> usize {
    match part {
        Part::Sitemap | Part::Submap => 50 << 20,
        _ => 8 << 20,
    }
}

/// How often a document may be compressed.
const MOST_CODINGS: usize = 2;
/// Addresses that one document may name.
const MOST_FOUND: usize = 500_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_document_does_not_become_a_lot_of_memory() {
        let url = crate::task::plan::address(&format!("https://a.test/{}/m", "d".repeat(4000))).unwrap();
        let references = (0..40_000).map(|number| number.to_string());
        let hls = format!("#EXTM3U\n{}", references.clone().map(|name| name + "\n").collect::<String>());
        let dash: String = references.clone().map(|name| format!("<SegmentURL media=\"{name}\"/>")).collect();
        let dash = format!("<MPD><Representation><SegmentList>{dash}</SegmentList></Representation></MPD>");
        let sitemap: String = references.map(|name| format!("<url><loc>{name}</loc></url>")).collect();
        let sitemap = format!("<urlset>{sitemap}</urlset>");
        for (part, text) in [(Part::Manifest, hls), (Part::Manifest, dash), (Part::Sitemap, sitemap)] {
            let refused = read(part, &url, text.into_bytes()).unwrap_err();
            assert!(refused.contains("64 MiB together"), "{refused}");
        }
        let many = format!("#EXTM3U\n{}", "\\\n".repeat(MOST_FOUND + 1));
        assert!(read(Part::Manifest, &url, many.into_bytes()).unwrap_err().contains("more than 500000"));
    }
}
