//! Documents that name further addresses: sitemaps, HLS playlists, DASH manifests. Each is read once, from a text of bounded
//! size to a list of bounded length; nothing here fetches.

mod dash;
mod hls;
mod sitemap;
mod xml;

use super::rows::Part;
use crate::policy::redirect::Url;

/// An address that a document names, and what it is.
pub type Found = (Url, Part);

/// Why a document cannot be read.
pub type Unreadable = String;

/// The addresses that the document at `url` names, in its order, each once as far as is easily seen.
pub fn read(part: Part, url: &Url, text: &[u8]) -> Result<Vec<Found>, Unreadable> {
    if text.starts_with(&[0x1f, 0x8b]) {
        return Err("it is compressed with gzip, which is not read here: give the address of the plain document".into());
    }
    let text = std::str::from_utf8(text).map_err(|_| "it is not UTF-8 text".to_owned())?;
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

/// Bytes of a document at most: what the sitemap protocol allows, uncompressed.
pub fn most_bytes(part: Part) -> usize {
    match part {
        Part::Sitemap | Part::Submap => 50 << 20,
        _ => 8 << 20,
    }
}

/// Addresses that one document may name.
const MOST_FOUND: usize = 500_000;

fn too_many() -> Unreadable {
    format!("it names more than {MOST_FOUND} addresses")
}
