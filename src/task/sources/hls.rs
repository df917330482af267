//! HLS playlists (RFC 8216): a multivariant playlist names media playlists, those name segments, keys and maps.

use super::{Found, Named, Unreadable};
use crate::policy::redirect::Url;
use crate::task::rows::Part;

/// The addresses in a playlist; whatever a playlist names that is one itself is read too where `may_name_playlists`.
pub fn read(url: &Url, text: &str, may_name_playlists: bool) -> Result<Vec<Found>, Unreadable> {
    let mut named = Named::default();
    let playlist = if may_name_playlists { Part::Playlist } else { Part::Page };
    // RFC 8216 §4.3.4.2: the line that follows the tag is the playlist's.
    let mut is_next_playlist = false;
    for line in text.lines().map(str::trim_end).filter(|line| !line.is_empty()) {
        let (reference, part) = match line.strip_prefix('#') {
            None => (Some(line), if std::mem::take(&mut is_next_playlist) { playlist } else { Part::Page }),
            Some(tag) => {
                let (name, attributes) = tag.split_once(':').unwrap_or((tag, ""));
                is_next_playlist |= name == "EXT-X-STREAM-INF";
                match name {
                    "EXT-X-MEDIA" | "EXT-X-I-FRAME-STREAM-INF" => (uri(attributes), playlist),
                    "EXT-X-KEY" | "EXT-X-SESSION-KEY" | "EXT-X-MAP" | "EXT-X-SESSION-DATA" => {
                        (uri(attributes), Part::Page)
                    }
                    _ => continue,
                }
            }
        };
        if let Some(reference) = reference {
            named.add(url, reference, part)?;
        }
    }
    Ok(named.found)
}

/// The URI attribute of an attribute list (RFC 8216 §4.2).
fn uri(attributes: &str) -> Option<&str> {
    let mut rest = attributes;
    while let Some((name, behind)) = rest.split_once('=') {
        let (value, behind) = match behind.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"')?,
            None => behind.split_at_checked(behind.find(',').unwrap_or(behind.len()))?,
        };
        if name.trim() == "URI" {
            return Some(value);
        }
        rest = behind.strip_prefix(',').unwrap_or_default();
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(text: &str, may_name: bool) -> Vec<(String, Part)> {
        let url = crate::task::plan::address("https://a.test/v/main.m3u8").unwrap();
        read(&url, text, may_name).unwrap().into_iter().map(|(url, part)| (url.text(), part)).collect()
    }

    #[test]
    fn a_multivariant_playlist_names_playlists_and_a_media_playlist_segments() {
        let master = "#EXTM3U\n#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"a,URI=x\",URI=\"audio/de.m3u8\"\n#EXT-X-STREAM-INF:BANDWIDTH=1,\
                      CODECS=\"a,b\"\r\nlow/index.m3u8?x=1\r\n#EXT-X-I-FRAME-STREAM-INF:BANDWIDTH=2,URI=\"../i.m3u8\"\n";
        let playlist = |text: &str| (text.to_owned(), Part::Playlist);
        assert_eq!(
            texts(master, true),
            [
                playlist("https://a.test/v/audio/de.m3u8"),
                playlist("https://a.test/v/low/index.m3u8?x=1"),
                playlist("https://a.test/i.m3u8"),
            ]
        );
        let media = "#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXT-X-KEY:METHOD=AES-128,URI=\"/key\",IV=0x1\n#EXT-X-MAP:URI=\"init.mp4\"\n\
                     #EXTINF:4,title\n#EXT-X-BYTERANGE:10@0\n1.ts\n#EXTINF:4,\n#EXT-X-BYTERANGE:10@10\n1.ts\n#EXTINF:4,\n//b.test/2.ts\n\
                     #EXTINF:4,\nskd://other\n#EXT-X-ENDLIST";
        let urls: Vec<String> = texts(media, false).into_iter().map(|(url, _)| url).collect();
        assert_eq!(
            urls,
            ["https://a.test/key", "https://a.test/v/init.mp4", "https://a.test/v/1.ts", "https://b.test/2.ts"]
        );
    }
}
