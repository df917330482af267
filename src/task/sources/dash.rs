//! DASH manifests (ISO/IEC 23009-1) that are whole (`static`): addresses from templates, lists and base addresses, in the
//! common forms. A live one has no end to prefetch to and is refused, unless its timeline names what there is.

use super::xml::{Attributes, Piece, Reader, resolved};
use super::{Found, MOST_FOUND, Unreadable, too_many};
use crate::policy::redirect::Url;
use crate::task::rows::Part;

/// What holds at one level of the tree: of the manifest, a period, an adaptation set, a representation.
#[derive(Clone)]
struct Level {
    base: Url,
    template: Template,
    /// Seconds of the period.
    duration: Option<f64>,
    id: String,
    bandwidth: String,
    /// Something other than its base address names its content.
    has_segments: bool,
    /// A base address was given at this very level.
    has_base: bool,
}

/// A SegmentTemplate, with what the levels above said of it.
#[derive(Clone, Default)]
struct Template {
    media: Option<String>,
    initialization: Option<String>,
    start_number: Option<u64>,
    timescale: Option<f64>,
    duration: Option<f64>,
    /// First time, duration, repeats.
    timeline: Vec<(Option<u64>, u64, i64)>,
}

/// The addresses in a manifest.
pub fn read(url: &Url, text: &str) -> Result<Vec<Found>, Unreadable> {
    let mut reading = Reading { found: Vec::new(), levels: Vec::new(), is_live: false };
    let mut base = None;
    for piece in Reader::new(text) {
        match piece {
            Piece::Start("BaseURL", _, false) => base = Some(String::new()),
            Piece::Text(text) => base.iter_mut().for_each(|base| base.push_str(text)),
            Piece::End("BaseURL") => reading.rebase(&resolved(&base.take().unwrap_or_default())),
            Piece::Start(name, attributes, is_empty) => {
                reading.start(url, name, attributes)?;
                if is_empty {
                    reading.end(name)?;
                }
            }
            Piece::End(name) => reading.end(name)?,
        }
    }
    if reading.found.is_empty() {
        return Err("it is no DASH manifest whose segments could be named, and no HLS playlist".into());
    }
    Ok(reading.found)
}

struct Reading {
    found: Vec<Found>,
    levels: Vec<Level>,
    is_live: bool,
}

impl Reading {
    fn start(&mut self, url: &Url, name: &str, attributes: Attributes<'_>) -> Result<(), Unreadable> {
        if is_level(name) {
            if self.levels.len() >= DEEPEST || (self.levels.is_empty() && name != "MPD") {
                return Err("its elements do not stand where they belong".into());
            }
            let mut level = self.levels.last().cloned().unwrap_or_else(|| Level::first(url));
            level.has_base = false;
            level.take(name, attributes);
            self.is_live |= name == "MPD" && attributes.value("type").is_some_and(|kind| kind == "dynamic");
            self.levels.push(level);
            return Ok(());
        }
        let Some(level) = self.levels.last_mut() else { return Ok(()) };
        let named = match name {
            "SegmentTemplate" => {
                level.template.take(attributes);
                level.has_segments = true;
                None
            }
            "S" => {
                let number = |name| attributes.value(name).and_then(|text| text.parse::<i64>().ok());
                let time = number("t").and_then(|time| u64::try_from(time).ok());
                let duration = number("d").and_then(|length| u64::try_from(length).ok()).unwrap_or(0);
                level.template.timeline.push((time, duration, number("r").unwrap_or(0)));
                None
            }
            "SegmentTimeline" => {
                level.template.timeline.clear();
                None
            }
            "Initialization" | "RepresentationIndex" => attributes.value("sourceURL"),
            "SegmentURL" => {
                level.has_segments = true;
                attributes.value("media")
            }
            _ => None,
        };
        let named = named.and_then(|reference| level.base.resolve(reference.as_bytes()));
        named.map_or(Ok(()), |named| self.add(named))
    }

    fn end(&mut self, name: &str) -> Result<(), Unreadable> {
        if !is_level(name) {
            return Ok(());
        }
        let Some(level) = self.levels.pop() else { return Ok(()) };
        if name != "Representation" {
            return Ok(());
        }
        if !level.has_segments {
            return if level.has_base { self.add(level.base) } else { Ok(()) };
        }
        if level.template.timeline.is_empty() && self.is_live && level.template.media.is_some() {
            return Err("it is live: what there will be has no end".into());
        }
        for reference in level.references()? {
            if let Some(url) = level.base.resolve(reference.as_bytes()) {
                self.add(url)?;
            }
        }
        Ok(())
    }

    fn rebase(&mut self, reference: &str) {
        let Some(level) = self.levels.last_mut() else { return };
        // Several at one level stand for each other: the first counts.
        if let Some(base) = level.base.resolve(reference.as_bytes()).filter(|_| !level.has_base) {
            (level.base, level.has_base) = (base, true);
        }
    }

    fn add(&mut self, url: Url) -> Result<(), Unreadable> {
        if self.found.len() >= MOST_FOUND {
            return Err(too_many());
        }
        self.found.push((url, Part::Page));
        Ok(())
    }
}

impl Level {
    fn first(url: &Url) -> Level {
        Level {
            base: url.clone(),
            template: Template::default(),
            duration: None,
            id: String::new(),
            bandwidth: String::new(),
            has_segments: false,
            has_base: false,
        }
    }

    fn take(&mut self, name: &str, attributes: Attributes<'_>) {
        let duration = match name {
            "MPD" => attributes.value("mediaPresentationDuration"),
            "Period" => attributes.value("duration"),
            _ => None,
        };
        self.duration = duration.and_then(|text| seconds(&text)).or(self.duration);
        if name == "Representation" {
            self.id = attributes.value("id").unwrap_or_default();
            self.bandwidth = attributes.value("bandwidth").unwrap_or_default();
        }
    }

    /// What its template names.
    fn references(&self) -> Result<Vec<String>, Unreadable> {
        let template = &self.template;
        let mut all: Vec<String> = template.initialization.iter().map(|text| self.filled(text, 0, 0)).collect();
        let Some(media) = &template.media else { return Ok(all) };
        let mut number = template.start_number.unwrap_or(1);
        let timescale = template.timescale.filter(|scale| *scale > 0.0).unwrap_or(1.0);
        let end = self.duration.map(|seconds| seconds * timescale);
        let mut add = |time: u64| {
            all.push(self.filled(media, number, time));
            number = number.saturating_add(1);
            if all.len() > MOST_FOUND { Err(too_many()) } else { Ok(()) }
        };
        if let (true, Some(length), Some(end)) = (template.timeline.is_empty(), template.duration, end) {
            let count = if length > 0.0 { (end / length).ceil() } else { 0.0 };
            if count > MOST_FOUND as f64 {
                return Err(too_many());
            }
            (0..count as u64).try_for_each(|place| add((place as f64 * length) as u64))?;
        }
        let mut time = 0_u64;
        for (index, (start, length, repeats)) in template.timeline.iter().enumerate() {
            time = start.unwrap_or(time);
            // A negative number repeats up to the next one's start, or to the end of the period.
            let next = template.timeline.get(index.saturating_add(1)).and_then(|(next, ..)| *next);
            let until = next.map_or(end.unwrap_or(0.0), |next| next as f64);
            let mut left = u64::try_from(*repeats).ok();
            if *length == 0 {
                continue;
            }
            loop {
                add(time)?;
                time = time.saturating_add(*length);
                match left.as_mut() {
                    Some(0) => break,
                    Some(left) => *left -= 1,
                    None if time as f64 >= until => break,
                    None => {}
                }
            }
        }
        Ok(all)
    }

    /// `$RepresentationID$`, `$Number%05d$`, `$Bandwidth$`, `$Time$`, `$$`.
    fn filled(&self, text: &str, number: u64, time: u64) -> String {
        let (mut out, mut rest) = (String::new(), text);
        while let Some((before, behind)) = rest.split_once('$') {
            out.push_str(before);
            let Some((name, behind)) = behind.split_once('$') else { break };
            let (name, width) = match name.split_once("%0") {
                Some((name, width)) => (name, width.trim_end_matches('d').parse().unwrap_or(0).min(32)),
                None => (name, 0),
            };
            match name {
                "" => out.push('$'),
                "RepresentationID" => out.push_str(&self.id),
                "Bandwidth" => out.push_str(&self.bandwidth),
                "Number" => out.push_str(&format!("{number:0width$}")),
                "Time" => out.push_str(&format!("{time:0width$}")),
                _ => {}
            }
            rest = behind;
        }
        out + rest
    }
}

impl Template {
    fn take(&mut self, attributes: Attributes<'_>) {
        let number = |name| attributes.value(name).and_then(|text| text.parse::<f64>().ok());
        self.media = attributes.value("media").or(self.media.take());
        self.initialization = attributes.value("initialization").or(self.initialization.take());
        self.start_number = attributes.value("startNumber").and_then(|text| text.parse().ok()).or(self.start_number);
        self.timescale = number("timescale").or(self.timescale);
        self.duration = number("duration").or(self.duration);
    }
}

fn is_level(name: &str) -> bool {
    matches!(name, "MPD" | "Period" | "AdaptationSet" | "Representation")
}

/// A duration of XML Schema with days and less: `P1DT2H3M4.5S`.
fn seconds(text: &str) -> Option<f64> {
    let (mut sum, mut digits) = (0.0, String::new());
    for letter in text.strip_prefix('P')?.chars() {
        let unit = match letter {
            '0'..='9' | '.' => {
                digits.push(letter);
                continue;
            }
            'T' => continue,
            'D' => 86_400.0,
            'H' => 3600.0,
            'M' => 60.0,
            'S' => 1.0,
            _ => return None,
        };
        sum += std::mem::take(&mut digits).parse::<f64>().ok()? * unit;
    }
    (digits.is_empty() && sum.is_finite()).then_some(sum)
}

const DEEPEST: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(text: &str) -> Result<Vec<String>, Unreadable> {
        let url = crate::task::plan::address("https://a.test/v/m.mpd").unwrap();
        Ok(read(&url, text)?.into_iter().map(|(url, _)| url.text().replace("https://a.test/v/", "")).collect())
    }

    fn representation(inner: &str) -> String {
        format!(
            "<MPD type=\"static\" mediaPresentationDuration=\"PT10.5S\"><Period><BaseURL>d/</BaseURL><AdaptationSet>\
             <Representation id=\"v1\" bandwidth=\"900\">{inner}</Representation></AdaptationSet></Period></MPD>"
        )
    }

    #[test]
    fn templates_lists_and_files_are_named() {
        let rows = [
            (
                "<SegmentTemplate initialization=\"$RepresentationID$/i.mp4\" media=\"$Bandwidth$-$Number%03d$$$.m4s\" \
                 timescale=\"10\" duration=\"40\" startNumber=\"5\"/>",
                vec!["d/v1/i.mp4", "d/900-005$.m4s", "d/900-006$.m4s", "d/900-007$.m4s"],
            ),
            (
                "<SegmentTemplate media=\"$Time$.m4s\" timescale=\"1\"><SegmentTimeline><S t=\"3\" d=\"2\" r=\"1\"/><S d=\"1\"/>\
                 <S t=\"9\" d=\"1\" r=\"-1\"/></SegmentTimeline></SegmentTemplate>",
                vec!["d/3.m4s", "d/5.m4s", "d/7.m4s", "d/9.m4s", "d/10.m4s"],
            ),
            (
                "<SegmentList><Initialization sourceURL=\"i.mp4\"/><SegmentURL media=\"/1.m4s?a&amp;b\"/></SegmentList>",
                vec!["d/i.mp4", "https://a.test/1.m4s?a&b"],
            ),
            ("<BaseURL>whole.mp4</BaseURL><SegmentBase indexRange=\"0-1\"/>", vec!["d/whole.mp4"]),
        ];
        for (inner, expected) in rows {
            assert_eq!(texts(&representation(inner)).unwrap(), expected, "{inner}");
        }
        let live = representation("<SegmentTemplate media=\"$Number$\" duration=\"2\"/>").replace("static", "dynamic");
        assert!(texts(&live).unwrap_err().contains("live"));
        let endless = representation("<SegmentTemplate media=\"$Number$\" timescale=\"90000000\" duration=\"1\"/>");
        assert!(texts(&endless).is_err());
        for text in ["", "<html/>", "<MPD/>", "<Period/>", &"<MPD>".repeat(20)] {
            assert!(texts(text).is_err(), "{text}");
        }
    }

    #[test]
    fn durations_are_read() {
        for (text, expected) in
            [("PT1M2.5S", Some(62.5)), ("P1DT1H", Some(90_000.0)), ("PT5", None), ("5S", None), ("P1Y", None)]
        {
            assert_eq!(seconds(text), expected, "{text}");
        }
    }
}
