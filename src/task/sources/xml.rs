//! XML as far as sitemaps and DASH manifests need it: elements, attributes, text. Names are without their namespace's
//! prefix; of entities the five predefined ones and numbers are known. What is not well-formed ends the reading.

/// A piece of a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece<'x> {
    /// The start of an element; `true` where it is its end as well.
    Start(&'x str, Attributes<'x>, bool),
    /// The end of an element.
    End(&'x str),
    /// Characters, entities not resolved.
    Text(&'x str),
}

/// The attributes of a start, as written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attributes<'x>(&'x str);

/// Reads one document from its beginning.
pub struct Reader<'x> {
    rest: &'x str,
}

impl<'x> Reader<'x> {
    /// At the beginning of a document.
    pub fn new(text: &'x str) -> Reader<'x> {
        Reader { rest: text }
    }

    /// Cuts off what stands before `mark`, and the mark.
    fn behind(&mut self, mark: &str) -> Option<&'x str> {
        let (before, rest) = self.rest.split_once(mark)?;
        self.rest = rest;
        Some(before)
    }

    /// A start or an end, behind its `<`.
    fn tag(&mut self) -> Option<Piece<'x>> {
        let end = tag_end(self.rest)?;
        let tag = self.rest.get(..end)?;
        self.rest = self.rest.get(end.saturating_add(1)..)?;
        if let Some(name) = tag.strip_prefix('/') {
            return Some(Piece::End(local(name.trim_end())));
        }
        let (tag, is_empty) = tag.strip_suffix('/').map_or((tag, false), |tag| (tag, true));
        let (name, attributes) = tag.split_at_checked(tag.find(is_space).unwrap_or(tag.len()))?;
        Some(Piece::Start(local(name), Attributes(attributes), is_empty))
    }
}

impl<'x> Iterator for Reader<'x> {
    type Item = Piece<'x>;

    fn next(&mut self) -> Option<Piece<'x>> {
        loop {
            let Some(rest) = self.rest.strip_prefix('<') else {
                let (text, rest) = self.rest.split_at_checked(self.rest.find('<').unwrap_or(self.rest.len()))?;
                self.rest = rest;
                if text.is_empty() {
                    return None;
                }
                return Some(Piece::Text(text));
            };
            self.rest = rest;
            if let Some(rest) = rest.strip_prefix("![CDATA[") {
                self.rest = rest;
                return Some(Piece::Text(self.behind("]]>")?));
            }
            match rest {
                rest if rest.starts_with("!--") => _ = self.behind("-->")?,
                rest if rest.starts_with('?') => _ = self.behind("?>")?,
                rest if rest.starts_with('!') => _ = self.behind(">")?,
                _ => return self.tag(),
            }
        }
    }
}

impl<'x> Attributes<'x> {
    /// The value of an attribute.
    pub fn value(self, name: &str) -> Option<String> {
        let mut rest = self.0.trim_start();
        while let Some((known, behind)) = rest.split_once('=') {
            let behind = behind.trim_start();
            let quote = behind.chars().next().filter(|quote| matches!(quote, '"' | '\''))?;
            let (value, behind) = behind.get(1..)?.split_once(quote)?;
            if local(known.trim_end()) == name {
                return Some(resolved(value));
            }
            rest = behind.trim_start();
        }
        None
    }
}

/// Text with its entities resolved, without blanks around it.
pub fn resolved(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text.trim();
    while let Some((before, behind)) = rest.split_once('&') {
        out.push_str(before);
        // Looked for nearby alone: a text of nothing but `&` is read once, not once for each of them.
        let end = behind.bytes().take(LONGEST_ENTITY).position(|byte| byte == b';');
        let entity = end.and_then(|end| Some((entity(behind.get(..end)?)?, behind.get(end.saturating_add(1)..)?)));
        rest = match entity {
            Some((letter, rest)) => {
                out.push(letter);
                rest
            }
            None => {
                out.push('&');
                behind
            }
        };
    }
    out.push_str(rest);
    out
}

fn entity(name: &str) -> Option<char> {
    let known = [("amp", '&'), ("lt", '<'), ("gt", '>'), ("quot", '"'), ("apos", '\'')];
    if let Some((_, letter)) = known.iter().find(|(known, _)| *known == name) {
        return Some(*letter);
    }
    let digits = name.strip_prefix('#').filter(|digits| digits.len() <= 8)?;
    let number = match digits.strip_prefix('x') {
        Some(digits) => u32::from_str_radix(digits, 16).ok()?,
        None => digits.parse().ok()?,
    };
    char::from_u32(number)
}

/// Where a tag ends, quotes passed over.
fn tag_end(text: &str) -> Option<usize> {
    let mut quote = None;
    for (place, byte) in text.bytes().enumerate() {
        match (quote, byte) {
            (None, b'>') => return Some(place),
            (None, b'"' | b'\'') => quote = Some(byte),
            (Some(open), byte) if open == byte => quote = None,
            _ => {}
        }
    }
    None
}

/// With its semicolon; the longest is `&#x10FFFF;` with a few zeros in front.
const LONGEST_ENTITY: usize = 12;

fn local(name: &str) -> &str {
    name.rsplit_once(':').map_or(name, |(_, name)| name)
}

fn is_space(letter: char) -> bool {
    matches!(letter, ' ' | '\t' | '\r' | '\n')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn elements_attributes_and_text_are_told_apart() {
        let text = "<?xml version='1.0'?><!DOCTYPE x><!-- <no/> --><n:a b = \"1 > 0\" x:c='&amp;&#x41;'>t &lt;<![CDATA[<y>]]><d/></n:a >";
        let pieces: Vec<_> = Reader::new(text).collect();
        let [Piece::Start("a", attributes, false), Piece::Text("t &lt;"), Piece::Text("<y>"), d, Piece::End("a")] =
            &pieces[..]
        else {
            panic!("{pieces:?}")
        };
        assert!(matches!(d, Piece::Start("d", _, true)));
        let values = ["b", "c", "d"].map(|name| attributes.value(name));
        assert_eq!(values, [Some("1 > 0".into()), Some("&A".into()), None]);
        assert_eq!(resolved(" a&amp;b&bogus;&#0;&#xD800; "), "a&b&bogus;\0&#xD800;");
        assert_eq!(
            resolved("&\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9};&#x010FFFF;"),
            "&\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9};\u{10ffff}"
        );
        // Would take hours if the rest were looked through for each.
        assert_eq!(resolved(&"&".repeat(2 << 20)).len(), 2 << 20);
    }

    proptest! {
        #[test]
        fn any_text_is_read_to_an_end(text in "[<>&;!\\[\\]/='\" a-c\u{e9}-]{0,80}") {
            for piece in Reader::new(&text) {
                if let Piece::Start(_, attributes, _) = piece {
                    let _ = attributes.value("a");
                }
            }
            let _ = resolved(&text);
        }
    }
}
