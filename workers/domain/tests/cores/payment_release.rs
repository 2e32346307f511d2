//! A hold that another took the place of is let go of: once, under its own key, and never the one that took its place.

use domain::charge::CallChange;
use schemas::Time;

use super::fixtures::{charge_policy, noon, pay};
use super::payment_table::{Given, Held, command, held_again, held_for_a_minute, refused, succeeded, unknown};

#[test]
fn the_hold_that_another_took_the_place_of_is_let_go_of_once_and_never_the_new_one() {
    let near = noon().plus_ms(30_000);
    let on = |held: &Held, given: &Given, at: Time| held.clone().then(&held.when(given, at));
    let held = Held::after(&[command(pay::authorize(850)), held_for_a_minute()]);
    let renewing = on(&held, &Given::Lapsing, near);
    let releasing = on(&renewing, &held_again(), near);
    let call = releasing.call.clone().unwrap();
    assert_eq!((call.key().as_str(), call.request().authorization.as_deref()), ("o-1/void/0", Some("ref")));
    // Whoever goes on after a crash has the same call; whatever the provider says of it, no event tells that all was let go of.
    for answer in [succeeded(), refused()] {
        let decided = releasing.when(&answer, near);
        assert_eq!((&decided.decision.event, &decided.call), (&None, &CallChange::Cleared));
        let released = releasing.clone().then(&decided);
        assert_eq!(on(&released, &held_again(), near).call, None, "once");
        let taken = on(&released, &command(pay::capture()), near).call.unwrap();
        assert_eq!((taken.key().as_str(), taken.authorization.as_deref()), ("o-1/capture/1", Some("ref-2")));
        let voided = on(&released, &command(pay::void()), near).call.unwrap();
        assert_eq!((voided.key().as_str(), voided.authorization.as_deref()), ("o-1/void/1", Some("ref-2")));
    }
    let again = on(&releasing, &unknown(), near).call.unwrap();
    assert_eq!((again.key(), again.sends, again.authorization.as_deref()), (call.key(), 1, Some("ref")));
    // By then it has lapsed by itself.
    let late = near.plus_ms(charge_policy().renew_before_ms);
    assert_eq!(releasing.when(&unknown(), late).call, CallChange::Cleared);
    // What is commanded meanwhile waits for one answer, and for no second one.
    for (given, key) in [(pay::capture(), "o-1/capture/1"), (pay::void(), "o-1/void/1")] {
        let waits = on(&releasing, &command(given), near);
        assert!(waits.call.as_ref().unwrap().is_release());
        let next = on(&waits, &unknown(), near).call.unwrap();
        assert_eq!((next.key().as_str(), next.authorization.as_deref()), (key, Some("ref-2")));
    }
}
