use super::*;
use crate::proxy::Visited;
use crate::status::{Phase, ProxyError};
use crate::task::TaskUrl;
use proptest::prelude::*;

fn work() -> Work {
    let manner = Manner {
        fields: vec![("Accept-Language".into(), "de, en;q=0.5 %\t".into())],
        rate: Some(7),
        parallel: None,
        window: Window::parse("22:00-06:00").ok(),
        is_dry: false,
        source: "sitemap https://a.test/s\u{e9}.xml".into(),
    };
    let mut work = Work::new(3, manner, Duration::from_millis(1_234));
    let site: Arc<str> = "a.test".into();
    for url in ["http://a.test/1", "http://a.test/2\u{fc} %41\t\n", "http://a.test/3"] {
        assert!(work.add(&(url.to_owned(), Part::Sitemap, Ok(site.clone()))));
    }
    assert!(work.add(&("http://b.test/".into(), Part::Page, Err("no site".into()))));
    work
}

fn decoded(id: u64, text: &str) -> Option<Work> {
    let mut reading = Reading::new(id);
    text.lines().for_each(|line| reading.take(line));
    reading.finish()
}

fn again(lines: &[String]) -> Work {
    decoded(3, &lines.iter().map(|line| format!("{line}\n")).collect::<String>()).unwrap()
}

#[test]
fn a_task_comes_back_as_it_was() {
    let mut work = work();
    let mut lines = encoded(&work.manner, work.created);
    lines.extend(work.saved.take_chunk(&work.rows, work.wanted, [None, None], usize::MAX).lines);
    let read = again(&lines);
    assert_eq!((read.manner.clone(), read.created), (work.manner.clone(), work.created));
    assert_eq!(read.rows.url(1), work.rows.url(1));
    assert_eq!((read.counts, read.counts.failed), (work.counts, 1));
    let cause = Some((ProxyError::DnsError, Phase::Resolve));
    let visited = Visited { cause, detail: "no such\tname".into(), reason: "stale", bytes: 5, ..Visited::default() };
    work.finish(1, &visited, None);
    work.finish(0, &Visited { status: 200, kept: Some(Kept::Stored), lifetime: Some(60), ..Visited::default() }, None);
    work.wanted = Wanted::Pause;
    work.saved.is_stale = true;
    let more = work.saved.take_chunk(&work.rows, work.wanted, [Some(Duration::from_secs(5)), None], usize::MAX).lines;
    assert_eq!(more.len(), 3, "only what has changed: {more:?}");
    lines.extend(more);
    let read = again(&lines);
    for index in 0..work.rows.len() {
        assert_eq!(TaskUrl::of(&read.rows, index, read.rows.row(index).unwrap()), {
            TaskUrl::of(&work.rows, index, work.rows.row(index).unwrap())
        });
    }
    assert_eq!((read.wanted, read.started, read.ended), (Wanted::Pause, Some(Duration::from_secs(5)), None));
    assert_eq!(read.counts, work.counts);
    let mut anew = encoded(&work.manner, work.created);
    anew.extend((0..work.rows.len()).flat_map(|index| row_lines(&work.rows, index)));
    assert_eq!((again(&anew).rows.url(3), again(&anew).counts), (work.rows.url(3), work.counts), "said once");
    assert!(!work.saved.is_due(&work.rows) && !read.saved.is_due(&read.rows));
}

#[test]
fn what_was_cancelled_is_not_done_after_a_restart_either() {
    let mut work = work();
    let mut lines = encoded(&work.manner, work.created);
    lines.extend(work.saved.take_chunk(&work.rows, work.wanted, [None, None], usize::MAX).lines);
    work.cancel();
    assert!(work.begin_revival());
    let site: Arc<str> = "a.test".into();
    (0..4).for_each(|index| work.revive(index, &site));
    work.end_revival();
    work.cancel();
    lines.extend(work.saved.take_chunk(&work.rows, work.wanted, [None, None], usize::MAX).lines);
    assert_eq!((again(&lines).counts.done, work.counts.done), (0, 0));
}

#[test]
fn what_is_not_written_yet_is_taken_in_chunks_addresses_first_and_the_end_last() {
    let mut work = work();
    work.cancel();
    work.settle(Duration::from_secs(9));
    (0..3).for_each(|index| work.saved.changed.push(index));
    let mut take = |most| {
        let chunk = work.saved.take_chunk(&work.rows, work.wanted, [None, work.ended], most);
        let kinds: String = chunk.lines.iter().filter_map(|line| line.chars().next()).collect();
        (kinds, chunk.has_more, chunk)
    };
    let (first, second, third) = (take(3), take(3), take(3));
    assert_eq!([&first.0, &second.0, &third.0], ["uuu", "urr", "rrs"]);
    assert_eq!([first.1, second.1, third.1], [true, true, false]);
    let mut lines = encoded(&work.manner, work.created);
    lines.extend([first.2.lines, second.2.lines, third.2.lines.clone()].concat());
    assert_eq!(again(&lines).ended, Some(Duration::from_secs(9)));
    assert!(!work.saved.is_due(&work.rows));
    work.saved.give_back(third.2, Duration::ZERO);
    let chunk = work.saved.take_chunk(&work.rows, work.wanted, [None, None], 3);
    assert_eq!((chunk.lines.len(), chunk.has_more), (3, false), "what could not be written is said again");
}

#[test]
fn lines_that_mean_nothing_are_noticed() {
    let good = "o\t1\t\t\t\t\tx\nu\tpage\thttp://a.test/\n";
    assert!(decoded(1, good).is_some());
    for bad in [
        "x",
        "",
        "u\tpage",
        "u\tpag\tx",
        "r\t0",
        "r\t9\tpending\t0\t0\t\t\t0\t\t\t\t",
        "s\tfly\t\t",
        "o\tx\t\t\t\t\t",
        "h\t%4\tx",
    ] {
        assert!(decoded(1, &format!("{good}{bad}\n")).is_none(), "{bad:?}");
    }
}

proptest! {
    #[test]
    fn any_part_comes_back(text in ".{0,40}") {
        let line = line(&[&text, "x"]);
        prop_assert!(line.bytes().all(|byte| byte == b'\t' || (b' '..0x7f).contains(&byte)));
        let parts: Vec<String> = line.split('\t').map(|part| plain(part).unwrap()).collect();
        prop_assert_eq!(parts, [text, "x".to_owned()]);
    }

    #[test]
    fn any_text_is_read_without_panic(text in "[ourhs0-9\t%a-f\n.:-]{0,120}") {
        let _ = decoded(1, &text);
    }
}
