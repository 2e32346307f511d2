//! The rules of the lot, one by one.

use outbox::inbox::parking::{LaneParkings, ParkedRun};

use super::*;

const POLICY: Parking = Parking {
    messages: 6,
    messages_of_key: 3,
    flood_keys: 2,
    first_pause: Duration::from_secs(60),
    longest_pause: Duration::from_secs(200),
    alarm_after: Duration::from_secs(900),
};

const FEEDS: [FeedId<&str>; 3] =
    [FeedId { topic: "t", partition: 0 }, FeedId { topic: "u", partition: 0 }, FeedId { topic: "t", partition: 1 }];

fn now() -> Timestamp {
    Timestamp::UNIX_EPOCH
}

fn lot() -> Lot<&'static str> {
    let mut lot = Lot::new(POLICY);
    let row = |id: FeedId<&str>| LaneParkings { topic: id.topic.to_owned(), partition: id.partition, parkings: 4 };
    let loaded = ParkedLanes { parkings: FEEDS.map(row).into(), ..ParkedLanes::default() };
    lot.load(&[0, 1], loaded, |name| FEEDS.iter().map(|id| id.topic).find(|topic| *topic == name));
    lot
}

fn parked(lot: &mut Lot<&'static str>, key: &[u8], at: Instant) {
    assert_eq!(lot.refused(0, key, "no", at), Refusal::Park);
    let key = lot.park(0, key, "no".into(), now());
    lot.apply(Plan { parked: Some(Box::new(key)), ..Plan::default() }, at);
}

fn extended(lot: &mut Lot<&'static str>, key: &[u8], messages: i64) {
    let run = lot.extend(0, key, messages).unwrap().unwrap();
    lot.apply(Plan { extended: vec![run], ..Plan::default() }, Instant::now());
}

#[test]
fn a_parked_key_holds_what_comes_behind_it_in_its_own_lane_and_counts_in_all_its_rows() {
    let mut lot = lot();
    assert!(lot.is_empty() && !lot.holds(0, Some(b"a")));
    parked(&mut lot, b"a", Instant::now());
    assert!(lot.holds(0, Some(b"a")));
    assert!(!lot.holds(1, Some(b"a")) && !lot.holds(0, Some(b"b")) && !lot.holds(0, None));
    assert_eq!(FEEDS.map(|id| lot.parkings(id)), [5, 5, 4]);
    extended(&mut lot, b"a", 2);
    assert_eq!((lot.messages(), FEEDS.map(|id| lot.parkings(id))), (3, [5, 5, 4]));
}

#[test]
fn what_was_parked_first_is_taken_first_and_the_last_one_frees_the_key() {
    let mut lot = lot();
    parked(&mut lot, b"a", Instant::now());
    extended(&mut lot, b"a", 2);
    let taken = |from, to, frees| {
        let run = ParkedRun { lane: 0, key: b"a".to_vec(), from, to };
        Plan { taken: Some((run, frees)), ..Plan::default() }
    };
    lot.apply(taken(0, 1, false), Instant::now());
    assert_eq!((lot.find(0, b"a").unwrap().first, lot.messages()), (1, 2));
    assert_eq!(lot.due(now()).map(|key| key.first), Some(1), "what is behind follows at once");
    assert_eq!(lot.parkings(FEEDS[0]), 5);
    lot.apply(taken(1, 3, true), Instant::now());
    assert!(lot.is_empty() && !lot.holds(0, Some(b"a")));
    assert_eq!(FEEDS.map(|id| lot.parkings(id)), [6, 6, 4]);
}

#[test]
fn there_is_room_for_so_many_of_a_key_and_of_a_service() {
    let mut lot = lot();
    parked(&mut lot, b"a", Instant::now());
    extended(&mut lot, b"a", 2);
    assert!(lot.extend(0, b"a", 1).unwrap_err().contains("3 messages of the key a are parked"));
    assert_eq!(lot.extend(0, b"b", 1), Ok(None), "not parked");
    lot.elsewhere = 3;
    let Refusal::Full(words) = lot.refused(0, b"b", "no", Instant::now()) else { panic!("there is no room") };
    assert!(words.contains("6 messages of the service are parked"), "{words}");
    assert_eq!(lot.refused(0, &[b'x'; 2000], "no", Instant::now()), Refusal::Unparkable);
}

#[test]
fn many_keys_within_a_minute_are_a_flood_until_what_was_refused_is_taken() {
    let (mut lot, start) = (lot(), Instant::now());
    parked(&mut lot, b"a", start);
    parked(&mut lot, b"b", start + Duration::from_secs(61));
    parked(&mut lot, b"c", start + Duration::from_secs(62));
    let soon = start + Duration::from_secs(63);
    assert!(
        matches!(lot.refused(0, b"d", "no such column", soon), Refusal::Flood(words) if words.contains("no such column"))
    );
    assert_eq!(lot.flood(FEEDS[0], 7, soon), FIRST_REST);
    assert!(lot.rests(soon) && !lot.rests(soon + FIRST_REST));
    let later = soon + Duration::from_secs(600);
    assert!(matches!(lot.refused(0, b"d", "no", later), Refusal::Flood(_)), "time alone does not end it");
    assert_eq!(lot.flood(FEEDS[0], 7, later), FIRST_REST * 2);
    assert!(!lot.ebbs(|_| Some(7)));
    assert!(lot.ebbs(|_| Some(8)) && !lot.rests(later));
    assert_eq!(lot.refused(0, b"d", "no", later), Refusal::Park);
}

#[test]
fn a_key_tried_in_vain_rests_twice_as_long_each_time_up_to_a_limit() {
    let mut lot = lot();
    parked(&mut lot, b"a", Instant::now());
    let pauses: Vec<i64> = (0..4)
        .map(|_| {
            let key = lot.put_off(0, b"a", "still no".into(), now()).unwrap();
            key.next_attempt.as_second()
        })
        .collect();
    assert_eq!(pauses, [120, 200, 200, 200]);
    assert_eq!((lot.due(later(now(), Duration::from_secs(199))), lot.find(0, b"a").unwrap().attempts), (None, 4));
    assert!(lot.due(later(now(), Duration::from_secs(200))).is_some());
}

#[test]
fn an_old_key_is_told_once() {
    let mut lot = lot();
    parked(&mut lot, b"a", Instant::now());
    let at = |seconds| later(now(), Duration::from_secs(seconds));
    assert!(lot.alarm(at(899)).is_none());
    assert!(lot.alarm(at(900)).is_some() && lot.alarm(at(1000)).is_none());
}

#[test]
fn what_another_instance_has_done_replaces_what_was_known_of_its_lanes() {
    let mut lot = lot();
    parked(&mut lot, b"a", Instant::now());
    let before = lot.changes();
    lot.load(&[0], ParkedLanes::default(), |_| Some("t"));
    assert!(lot.is_empty() && lot.changes() > before);
    assert_eq!((lot.parkings(FEEDS[0]), lot.parkings(FEEDS[2])), (0, 4));
}
