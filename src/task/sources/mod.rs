//! Documents that name further addresses: sitemaps, HLS playlists, DASH manifests. Each is read once, from a text of bounded
//! size to a list of bounded length; nothing here fetches.

mod dash;
mod gzip;
mod hls;
mod sitemap;
mod xml;

use super::rows::Part;
use crate::policy::redirect::Url;

/// An address that a document names, and what it is.
pub type Found = (Url, Part);

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
        Part::Manifest | Part::Playlist if text.starts_with("#EXTM3U") => {
            Ok(hls::read(url, text, part == Part::Manifest))
        }
        Part::Manifest => dash::read(url, text),
        Part::Playlist => Err("it is no HLS playlist: it does not begin with #EXTM3U".into()),
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

fn too_many() -> Unreadable {
    format!("it names more than {MOST_FOUND} addresses")
}
