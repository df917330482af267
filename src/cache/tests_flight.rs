use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::wake::{Address, Mailbox};

#[derive(Default)]
struct Posts(AtomicUsize);

impl Mailbox for Posts {
    fn post(&self, _address: Address) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

fn wake() -> (Arc<Posts>, Wake) {
    let posts = Arc::new(Posts::default());
    let mailbox: Arc<dyn Mailbox> = posts.clone();
    (posts, Wake::new(mailbox, Address { slot: 0, generation: 0 }))
}

fn at(seconds: u64) -> Now {
    Now { wall: Duration::ZERO, monotonic: Duration::from_secs(seconds) }
}

fn lead(flights: &Flights<&'static str>, key: &[u8]) -> (Ticket<&'static str>, Waiting<&'static str>) {
    match flights.join(key, at(0)) {
        Role::Lead(ticket, waiting) => (ticket, waiting),
        _ => panic!("should lead"),
    }
}

fn follow(flights: &Flights<&'static str>, key: &[u8]) -> Waiting<&'static str> {
    match flights.join(key, at(0)) {
        Role::Follow(waiting) => waiting,
        _ => panic!("should follow"),
    }
}

#[test]
fn the_first_leads_the_others_follow_and_each_kind_gets_its_value() {
    let flights = Flights::new();
    let (ticket, mut first) = lead(&flights, b"a");
    let (mut second, mut third) = (follow(&flights, b"a"), follow(&flights, b"a"));
    let (_other, _) = lead(&flights, b"b");
    let (posts, wake) = wake();
    for waiting in [&mut first, &mut second] {
        assert_eq!(waiting.poll(&wake), Poll::Pending);
    }
    assert_eq!((ticket.followers(), ticket.is_awaited(), flights.len()), (2, true, 2));
    ticket.land("lead", "follower");
    assert_eq!(posts.0.load(Ordering::SeqCst), 1, "one post until the wake is armed again");
    assert_eq!(first.poll(&wake), Poll::Landed("lead"));
    assert_eq!(first.poll(&wake), Poll::Lost, "the lead's value is handed out once");
    assert_eq!(second.poll(&wake), Poll::Landed("follower"));
    assert_eq!(third.poll(&wake), Poll::Landed("follower"), "one that had not polled before");
    assert_eq!(flights.len(), 1);
    lead(&flights, b"a");
}

#[test]
fn a_dropped_ticket_is_lost_to_all_and_frees_the_key() {
    let flights = Flights::new();
    let (ticket, mut first) = lead(&flights, b"a");
    let mut second = follow(&flights, b"a");
    let (posts, wake) = wake();
    assert_eq!(second.poll(&wake), Poll::Pending);
    drop(ticket);
    assert_eq!(posts.0.load(Ordering::SeqCst), 1);
    assert_eq!((first.poll(&wake), second.poll(&wake)), (Poll::Lost, Poll::Lost));
    assert_eq!(flights.len(), 0);
}

#[test]
fn those_who_leave_are_not_woken_and_not_counted() {
    let flights = Flights::new();
    let (ticket, first) = lead(&flights, b"a");
    let (posts, wake) = wake();
    let mut second = follow(&flights, b"a");
    assert_eq!(second.poll(&wake), Poll::Pending);
    drop(first);
    assert!(ticket.is_awaited(), "a follower still waits");
    drop(second);
    assert_eq!((ticket.followers(), ticket.is_awaited()), (0, false));
    let mut third = follow(&flights, b"a");
    ticket.land("x", "y");
    assert_eq!(posts.0.load(Ordering::SeqCst), 0);
    assert_eq!(third.poll(&wake), Poll::Landed("y"));
}

#[test]
fn a_flight_alone_has_no_key() {
    let flights = Flights::<u8>::new();
    let (ticket, mut waiting) = Flights::alone();
    assert_eq!(flights.len(), 0);
    ticket.land(1, 2);
    assert_eq!(waiting.poll(&wake().1), Poll::Landed(1));
}

#[test]
fn marks_send_apart_until_they_expire() {
    let flights = Flights::<u8>::new();
    flights.mark_uncollapsible(b"a", at(100));
    for (seconds, is_apart) in [(100, true), (109, true), (110, false), (111, false)] {
        let role = flights.join(b"a", at(seconds));
        assert_eq!(matches!(role, Role::Apart), is_apart, "after {seconds} s");
    }
    flights.mark_uncollapsible(b"a", at(200));
    flights.mark_uncollapsible(b"a", at(205));
    assert!(matches!(flights.join(b"a", at(212)), Role::Apart), "a new mark counts from its own time");
    assert!(matches!(flights.join(b"b", at(205)), Role::Lead(..)));
}

#[test]
fn marks_are_bounded_and_the_oldest_go_first() {
    let flights = Flights::<u8>::new();
    let most = SHARDS * MOST_MARKS;
    for number in 0..4 * most {
        flights.mark_uncollapsible(&number.to_le_bytes(), at(0));
    }
    let marks: usize = flights.0.shards.iter().map(|shard| lock(shard).marks.len()).sum();
    assert!(marks <= most);
    let newest = 4 * most - 1;
    assert!(matches!(flights.join(&newest.to_le_bytes(), at(1)), Role::Apart));
}

#[test]
fn of_many_threads_one_leads_and_every_follower_is_woken() {
    const THREADS: usize = 16;
    let flights = Flights::<usize>::new();
    let (leads, landed) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let (joined, polled) = (Barrier::new(THREADS), Barrier::new(THREADS));
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                let (posts, wake) = wake();
                let role = flights.join(b"herd", at(0));
                joined.wait();
                let (ticket, mut waiting) = match role {
                    Role::Lead(ticket, waiting) => (Some(ticket), waiting),
                    Role::Follow(waiting) => (None, waiting),
                    Role::Apart => panic!("nothing was marked"),
                };
                let before = waiting.poll(&wake);
                polled.wait();
                assert_eq!(before, Poll::Pending);
                if let Some(ticket) = ticket {
                    assert_eq!(ticket.followers(), THREADS - 1);
                    leads.fetch_add(1, Ordering::SeqCst);
                    ticket.land(7, 8);
                }
                while posts.0.load(Ordering::SeqCst) == 0 {
                    std::thread::yield_now();
                }
                assert!(matches!(waiting.poll(&wake), Poll::Landed(7 | 8)));
                landed.fetch_add(1, Ordering::SeqCst);
            });
        }
    });
    assert_eq!((leads.into_inner(), landed.into_inner()), (1, THREADS));
}

#[test]
fn the_lead_alone_is_told_and_woken_while_the_flight_is_under_way() {
    let flights = Flights::new();
    let (ticket, mut first) = lead(&flights, b"a");
    let mut second = follow(&flights, b"a");
    let messenger = ticket.messenger();
    let ((first_posts, first_wake), (second_posts, second_wake)) = (wake(), wake());
    messenger.tell(b"one ");
    assert_eq!((first.poll(&first_wake), second.poll(&second_wake)), (Poll::Pending, Poll::Pending));
    assert_eq!((first.told(), second.told()), (b"one ".to_vec(), Vec::new()), "told before the first poll");
    messenger.tell(b"two ");
    messenger.tell(b"three");
    let posts = |posts: &Posts| posts.0.load(Ordering::SeqCst);
    assert_eq!((posts(&first_posts), posts(&second_posts)), (1, 0));
    assert_eq!((first.told(), first.told()), (b"two three".to_vec(), Vec::new()));
    messenger.tell(b"four");
    ticket.land("lead", "follower");
    assert_eq!((first.poll(&first_wake), first.told()), (Poll::Landed("lead"), b"four".to_vec()));
    drop((first, second));
    messenger.tell(b"five");
}

#[test]
fn what_a_lead_is_told_is_bounded() {
    let rows = [(17, 10, 16 * 10), (3, 6 << 10, 2 * (6 << 10)), (1, (16 << 10) + 1, 0)];
    for (messages, size, kept) in rows {
        let (ticket, mut waiting) = Flights::<()>::alone();
        let messenger = ticket.messenger();
        (0..messages).for_each(|_| messenger.tell(&vec![0; size]));
        assert_eq!(waiting.told().len(), kept, "{messages} of {size} bytes");
    }
}

#[test]
fn a_detached_flight_is_joined_no_more_and_lands_for_those_who_wait() {
    let flights = Flights::new();
    let (old, mut first) = lead(&flights, b"a");
    let mut second = follow(&flights, b"a");
    let (_other, _) = lead(&flights, b"ab");
    flights.detach(|key| key == b"a");
    let (new, mut third) = lead(&flights, b"a");
    let _ = follow(&flights, b"ab");
    let (_, wake) = wake();
    old.land("old", "old too");
    let mut fourth = follow(&flights, b"a");
    new.land("new", "new too");
    let found = [&mut first, &mut second, &mut third, &mut fourth].map(|waiting| waiting.poll(&wake));
    assert_eq!(found, ["old", "old too", "new", "new too"].map(Poll::Landed));
    assert_eq!(flights.len(), 1);
}

#[test]
fn requests_that_select_otherwise_lead_flights_of_their_own() {
    let flights: Flights<&'static str> = Flights::new();
    let is_lead = |selection: &[u8]| match flights.join_selected(b"a", selection, at(0)) {
        Role::Lead(ticket, waiting) => Some((ticket, waiting)),
        _ => None,
    };
    let (_de, _en) = (is_lead(b"de").unwrap(), is_lead(b"en").unwrap());
    assert!(is_lead(b"de").is_none());
    let _plain = is_lead(b"").unwrap();
    // What concerns the key concerns them all.
    flights.detach(|key| key == b"a");
    assert_eq!(flights.len(), 0);
    flights.mark_uncollapsible(b"a", at(0));
    assert!(matches!(flights.join_selected(b"a", b"fr", at(0)), Role::Apart));
}

#[test]
fn a_flight_under_way_can_be_followed_and_none_is_begun_by_asking() {
    let flights = Flights::new();
    assert!(flights.follow(b"k", b"").is_none());
    assert_eq!(flights.len(), 0);
    let (ticket, _waiting) = lead(&flights, b"k");
    assert!(flights.follow(b"k", b"other").is_none());
    let mut waiting = flights.follow(b"k", b"").unwrap();
    let (_, wake) = wake();
    assert_eq!(waiting.poll(&wake), Poll::Pending);
    ticket.land("lead", "followers");
    assert_eq!(waiting.poll(&wake), Poll::Landed("followers"));
    assert!(flights.follow(b"k", b"").is_none());
}
