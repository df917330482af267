//! Sitemaps (sitemaps.org, protocol 0.9): a `urlset` of pages, or a `sitemapindex` of sitemaps. Both have their addresses in
//! `loc`; what extensions add (images, videos, alternates) is not read.

use super::xml::{Piece, Reader, resolved};
use super::{Found, Named, Unreadable};
use crate::policy::redirect::Url;
use crate::task::rows::Part;

/// The addresses in a sitemap; of an index only where `may_be_index`.
pub fn read(url: &Url, text: &str, may_be_index: bool) -> Result<Vec<Found>, Unreadable> {
    let mut pieces = Reader::new(text).filter(|piece| !matches!(piece, Piece::Text(text) if text.trim().is_empty()));
    let part = match pieces.next() {
        Some(Piece::Start("urlset", ..)) => Part::Page,
        Some(Piece::Start("sitemapindex", ..)) if may_be_index => Part::Submap,
        Some(Piece::Start("sitemapindex", ..)) => return Err("it is an index of sitemaps within an index".into()),
        _ => return Err("it is no sitemap: its first element is neither urlset nor sitemapindex".into()),
    };
    let (mut named, mut path) = (Named::default(), Vec::new());
    for piece in pieces {
        match piece {
            Piece::Start(name, _, false) if path.len() < DEEPEST => path.push(name),
            Piece::Start(_, _, false) => return Err("its elements are nested too deeply".into()),
            Piece::End(_) => _ = path.pop(),
            Piece::Text(text) if matches!(path.as_slice(), ["url" | "sitemap", "loc"]) => {
                named.add(url, &resolved(text), part)?;
            }
            _ => {}
        }
    }
    Ok(named.found)
}

const DEEPEST: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(text: &str, may_be_index: bool) -> Result<Vec<(String, Part)>, Unreadable> {
        let url = crate::task::plan::address("https://a.test/s/sitemap.xml").unwrap();
        Ok(read(&url, text, may_be_index)?.into_iter().map(|(url, part)| (url.text(), part)).collect())
    }

    #[test]
    fn pages_and_further_sitemaps_are_found() {
        let text = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<urlset xmlns=\"http://www.sitemaps.org/schemas/sitemap/0.9\" \
                    xmlns:image=\"x\">\n<url>\n <loc> https://a.test/?a=1&amp;b=2 </loc><lastmod>2026-01-01</lastmod>\
                    <image:image><image:loc>https://a.test/i.png</image:loc></image:image></url>\
                    <url><loc>ftp://a.test/</loc></url><url><loc>/relative</loc></url></urlset>";
        let found = texts(text, true).unwrap();
        assert_eq!(
            found,
            [("https://a.test/?a=1&b=2".into(), Part::Page), ("https://a.test/relative".into(), Part::Page)]
        );
        let index = "<sitemapindex><sitemap><loc>https://a.test/1.xml</loc></sitemap></sitemapindex>";
        assert_eq!(texts(index, true).unwrap(), [("https://a.test/1.xml".into(), Part::Submap)]);
        assert!(texts(index, false).is_err());
        for text in ["", "hello", "<html><body/></html>", &"<urlset>".repeat(40)] {
            assert!(texts(text, true).is_err(), "{text}");
        }
    }
}
