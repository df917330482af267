//! DASH manifests (ISO/IEC 23009-1) that are whole (`static`): addresses from templates, lists and base addresses, in the
//! common forms. A live one has no end to prefetch to and is refused, unless its timeline names what there is.

use std::rc::Rc;

use super::xml::{Attributes, Piece, Reader, resolved};
use super::{Found, MOST_FOUND, Named, Unreadable};
use crate::policy::redirect::Url;
use crate::task::rows::Part;

/// What holds at one level of the tree: of the manifest, a period, an adaptation set, a representation. Each level begins
/// as a copy of the one above it, and there may be very many: what is long is shared.
#[derive(Clone)]
struct Level {
    base: Rc<Url>,
    template: Template,
    /// Seconds of the period.
    duration: Option<f64>,
    id: Rc<str>,
    bandwidth: Rc<str>,
    /// Something other than its base address names its content.
    has_segments: bool,
    /// A base address was given at this very level.
    has_base: bool,
}

/// A SegmentTemplate, with what the levels above said of it.
#[derive(Clone, Default)]
struct Template {
    media: Option<Rc<str>>,
    initialization: Option<Rc<str>>,
    start_number: Option<u64>,
    timescale: Option<f64>,
    duration: Option<f64>,
    timeline: Timeline,
}

/// Of each run of segments: first time, duration, repeats.
type Timeline = Rc<Vec<(Option<u64>, u64, i64)>>;

/// The addresses in a manifest.
pub fn read(url: &Url, text: &str) -> Result<Vec<Found>, Unreadable> {
    let mut reading = Reading { named: Named::default(), levels: Vec::new(), timeline: None, is_live: false };
    let mut base = None;
    for piece in Reader::new(text) {
        match piece {
            Piece::Start("BaseURL", _, false) => base = Some(String::new()),
            Piece::Text(text) => base.iter_mut().for_each(|base| base.push_str(text)),
            Piece::End("BaseURL") => reading.rebase(&resolved(&base.take().unwrap_or_default()))?,
            Piece::Start(name, attributes, is_empty) => {
                reading.start(url, name, attributes)?;
                if is_empty {
                    reading.end(name)?;
                }
            }
            Piece::End(name) => reading.end(name)?,
        }
    }
    if reading.named.found.is_empty() {
        return Err("it is no DASH manifest whose segments could be named, and no HLS playlist".into());
    }
    Ok(reading.named.found)
}

struct Reading {
    named: Named,
    levels: Vec<Level>,
    /// A timeline that has begun.
    timeline: Option<Vec<(Option<u64>, u64, i64)>>,
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
            level.take(name, attributes)?;
            self.is_live |= name == "MPD" && attributes.value("type").is_some_and(|kind| kind == "dynamic");
            self.levels.push(level);
            return Ok(());
        }
        let Some(level) = self.levels.last_mut() else { return Ok(()) };
        let named = match name {
            "SegmentTemplate" => {
                level.template.take(attributes)?;
                level.has_segments = true;
                None
            }
            "S" => {
                let number = |name| attributes.value(name).and_then(|text| text.parse::<i64>().ok());
                let time = number("t").and_then(|time| u64::try_from(time).ok());
                let duration = number("d").and_then(|length| u64::try_from(length).ok()).unwrap_or(0);
                // What lasts no time is no segment.
                if let Some(timeline) =
                    self.timeline.as_mut().filter(|timeline| duration > 0 && timeline.len() < MOST_FOUND)
                {
                    timeline.push((time, duration, number("r").unwrap_or(0)));
                }
                None
            }
            "SegmentTimeline" => {
                self.timeline = Some(Vec::new());
                None
            }
            "Initialization" | "RepresentationIndex" => attributes.value("sourceURL"),
            "SegmentURL" => {
                level.has_segments = true;
                attributes.value("media")
            }
            _ => None,
        };
        named.map_or(Ok(()), |reference| self.named.add(&level.base, &reference, Part::Page))
    }

    fn end(&mut self, name: &str) -> Result<(), Unreadable> {
        if name == "SegmentTimeline"
            && let (Some(timeline), Some(level)) = (self.timeline.take(), self.levels.last_mut())
        {
            level.template.timeline = Rc::new(timeline);
        }
        if !is_level(name) {
            return Ok(());
        }
        let Some(level) = self.levels.pop() else { return Ok(()) };
        if name != "Representation" {
            return Ok(());
        }
        if !level.has_segments {
            return if level.has_base { self.named.add(&level.base, "", Part::Page) } else { Ok(()) };
        }
        if level.template.timeline.is_empty() && self.is_live && level.template.media.is_some() {
            return Err("it is live: what there will be has no end".into());
        }
        level.name_segments(&mut self.named)
    }

    fn rebase(&mut self, reference: &str) -> Result<(), Unreadable> {
        let Some(level) = self.levels.last_mut() else { return Ok(()) };
        // Several at one level stand for each other: the first counts.
        if let Some(base) = level.base.resolve(reference.as_bytes()).filter(|_| !level.has_base) {
            if base.target.len() > LONGEST {
                return Err(too_long("BaseURL"));
            }
            (level.base, level.has_base) = (Rc::new(base), true);
        }
        Ok(())
    }
}

impl Level {
    fn first(url: &Url) -> Level {
        Level {
            base: Rc::new(url.clone()),
            template: Template::default(),
            duration: None,
            id: "".into(),
            bandwidth: "".into(),
            has_segments: false,
            has_base: false,
        }
    }

    fn take(&mut self, name: &str, attributes: Attributes<'_>) -> Result<(), Unreadable> {
        let duration = match name {
            "MPD" => attributes.value("mediaPresentationDuration"),
            "Period" => attributes.value("duration"),
            _ => None,
        };
        self.duration = duration.and_then(|text| seconds(&text)).or(self.duration);
        if name == "Representation" {
            self.id = short(attributes, "id")?.unwrap_or_default();
            self.bandwidth = short(attributes, "bandwidth")?.unwrap_or_default();
        }
        Ok(())
    }

    /// Adds what its template names.
    fn name_segments(&self, named: &mut Named) -> Result<(), Unreadable> {
        let template = &self.template;
        if let Some(initialization) = &template.initialization {
            named.add(&self.base, &self.filled(initialization, 0, 0)?, Part::Page)?;
        }
        let Some(media) = &template.media else { return Ok(()) };
        let mut number = template.start_number.unwrap_or(1);
        let timescale = template.timescale.filter(|scale| *scale > 0.0).unwrap_or(1.0);
        let end = self.duration.map(|seconds| seconds * timescale);
        let mut add = |time: u64| {
            let reference = self.filled(media, number, time)?;
            number = number.saturating_add(1);
            named.add(&self.base, &reference, Part::Page)
        };
        if let (true, Some(length), Some(end)) = (template.timeline.is_empty(), template.duration, end) {
            let count = if length > 0.0 { (end / length).ceil() } else { 0.0 };
            (0..count as u64).try_for_each(|place| add((place as f64 * length) as u64))?;
        }
        let mut time = 0_u64;
        for (index, (start, length, repeats)) in template.timeline.iter().enumerate() {
            time = start.unwrap_or(time);
            // A negative number repeats up to the next one's start, or to the end of the period.
            let next = template.timeline.get(index.saturating_add(1)).and_then(|(next, ..)| *next);
            let until = next.map_or(end.unwrap_or(0.0), |next| next as f64);
            let mut left = u64::try_from(*repeats).ok();
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
        Ok(())
    }

    /// `$RepresentationID$`, `$Number%05d$`, `$Bandwidth$`, `$Time$`, `$$`.
    fn filled(&self, text: &str, number: u64, time: u64) -> Result<String, Unreadable> {
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
            if out.len() > LONGEST {
                return Err(too_long("media"));
            }
            rest = behind;
        }
        Ok(out + rest)
    }
}

impl Template {
    fn take(&mut self, attributes: Attributes<'_>) -> Result<(), Unreadable> {
        let number = |name| attributes.value(name).and_then(|text| text.parse::<f64>().ok());
        self.media = short(attributes, "media")?.or(self.media.take());
        self.initialization = short(attributes, "initialization")?.or(self.initialization.take());
        self.start_number = attributes.value("startNumber").and_then(|text| text.parse().ok()).or(self.start_number);
        self.timescale = number("timescale").or(self.timescale);
        self.duration = number("duration").or(self.duration);
        Ok(())
    }
}

/// A text of an address, which could not be one if it were longer.
fn short(attributes: Attributes<'_>, name: &str) -> Result<Option<Rc<str>>, Unreadable> {
    match attributes.value(name) {
        Some(text) if text.len() > LONGEST => Err(too_long(name)),
        text => Ok(text.map(Rc::from)),
    }
}

fn too_long(name: &str) -> Unreadable {
    format!("its {name} is longer than {LONGEST} bytes")
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
/// Bytes of an address, or of a text that becomes part of one.
const LONGEST: usize = 8 << 10;

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
    fn a_small_manifest_does_not_become_a_lot_of_work() {
        let wide = "$RepresentationID$".repeat(400);
        let rows = [
            // Texts that multiply each other.
            (format!("<SegmentTemplate media=\"{wide}\" duration=\"1\"/>"), "media is longer"),
            (format!("<SegmentTemplate media=\"{}\" duration=\"1\"/>", "m".repeat(9000)), "media is longer"),
            (format!("<BaseURL>{0}/</BaseURL><BaseURL>{0}</BaseURL>", "b".repeat(8190)), "BaseURL is longer"),
            // Addresses that nobody can follow count as well.
            ("<SegmentTemplate media=\"\\$Number$\" timescale=\"1000000\" duration=\"1\"/>".to_owned(), "more than"),
        ];
        for (inner, expected) in rows {
            let text = representation(&inner).replace("\"v1\"", &format!("\"{}\"", "v".repeat(1000)));
            let refused = texts(&text).unwrap_err();
            assert!(refused.contains(expected), "{refused}");
        }
        // A long timeline above very many representations is copied for none of them.
        let timeline = "<S d=\"1\"/>".repeat(100_000);
        let text = format!(
            "<MPD><AdaptationSet><SegmentTemplate><SegmentTimeline>{timeline}</SegmentTimeline></SegmentTemplate>{}\
             <Representation><BaseURL>x</BaseURL></Representation></AdaptationSet></MPD>",
            "<Representation/>".repeat(100_000)
        );
        assert!(texts(&text).is_err(), "nothing is named");
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
