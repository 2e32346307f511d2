//! Charges in detail: keys, retries, look-ups, what waits, and the ledger.

use domain::charge::{Account, Answer, CallChange, CallStep, DisputeStatus, Input, PaymentStatus, decide, evolve};
use domain::decision::{Contradiction, Outcome};
use domain::provider::{Operation, PaymentMethod, ProviderAnswer};
use schemas::{PaymentCommand, PaymentEvent, PaymentOperation, Time};

use super::fixtures::{charge_policy, noon, pay};
use super::payment_table::{
    Given, Held, authorizing, command, disputed, held_for_a_minute, pending, refused, succeeded, unknown,
};

fn captured() -> Vec<Given> {
    vec![command(pay::authorize(850)), succeeded(), command(pay::capture()), succeeded()]
}

#[test]
fn the_call_carries_what_the_provider_needs() {
    let call = authorizing().call.unwrap();
    assert_eq!(call.key().as_str(), "o-1/authorize/1");
    assert_eq!((call.amount_minor, call.currency.as_str(), call.due_at), (850, "EUR", noon()));
    assert_eq!(call.request().authorization, None);

    let capturing = Held::after(&captured()[..3]).call.unwrap();
    assert_eq!(capturing.key().as_str(), "o-1/capture/1");
    assert_eq!(capturing.request().authorization.as_deref(), Some("ref"));
    assert_eq!(capturing.request().amount_minor, 850);
}

#[test]
fn with_what_it_is_paid_reaches_the_provider_at_every_step() {
    let (provider, token) = (Some("eu".to_owned()), Some("tok-1".to_owned()));
    let mut authorize = pay::authorize(850);
    if let PaymentCommand::AuthorizePayment(command) = &mut authorize {
        (command.payment_provider, command.payment_token) = (provider.clone(), token.clone());
    }
    let history =
        [command(authorize), succeeded(), command(pay::capture()), succeeded(), command(pay::refund("r-1", None))];
    let method = Some(PaymentMethod { provider: "eu".into(), token: "tok-1".into() });
    for steps in [1, 3, 5] {
        let call = Held::after(&history[..steps]).call.unwrap();
        assert_eq!(call.request().method, method, "{:?}", call.operation);
        assert!(!format!("{:?} {:?}", call, call.request()).contains("tok-1"), "a token is not for logs");
    }
    // Said again, the event says the same.
    let again = Held::after(&history[..2]).when(&command(pay::authorize(850)), noon());
    let Some(PaymentEvent::PaymentAuthorized(event)) = again.decision.event else { panic!() };
    assert_eq!((event.payment_provider, event.payment_token), (provider.clone(), token.clone()));
    // What was given up before anything was held is tried again with what the order says.
    let mut retry = pay::retry("k");
    if let PaymentCommand::RetryPayment(command) = &mut retry {
        (command.payment_provider, command.payment_token) = (provider, token);
    }
    let late = noon().plus_ms(charge_policy().give_up_after_ms);
    let held = authorizing();
    let decided = held.when(&unknown(), late);
    let held = held.then(&decided);
    let decided = held.when(&command(retry), late);
    assert_eq!(held.then(&decided).call.unwrap().request().method, method);
}

#[test]
fn what_is_accepted_is_only_asked_about_until_it_is_known() {
    let refunding = Held::after(&[captured(), vec![command(pay::refund("r-1", Some(300)))]].concat());
    let mut now = noon();
    let decided = refunding.when(&pending(), now);
    let mut held = refunding.then(&decided);
    // Long after anything else would have been given up.
    for _ in 0..5 {
        now = now.plus_ms(charge_policy().give_up_after_ms);
        assert_eq!(held.call.as_ref().unwrap().step(now, &charge_policy()), CallStep::LookUp);
        let decided = held.when(&pending(), now);
        assert_eq!((decided.decision.outcome, decided.decision.event.clone()), (Outcome::Pending, None));
        held = held.then(&decided);
    }
    let not_found = held.when(&Given::Answer(ProviderAnswer::NotFound), noon());
    let asked = held.clone().then(&not_found).call.unwrap();
    assert_eq!((asked.step(noon(), &charge_policy()), asked.due_at > noon()), (CallStep::LookUp, true));
    let failed = held.when(&refused(), now).decision.event.unwrap();
    let PaymentEvent::PaymentRefundFailed(failed) = failed else { panic!("{failed:?}") };
    assert_eq!(failed.outcome, "refused");
    assert!(matches!(held.when(&succeeded(), now).decision.event.unwrap(), PaymentEvent::PaymentRefunded(_)));
}

#[test]
fn what_is_about_to_lapse_is_held_again_once_under_a_key_of_its_own() {
    let near = noon().plus_ms(30_000);
    let mut authorize = pay::authorize(850);
    if let PaymentCommand::AuthorizePayment(command) = &mut authorize {
        command.payment_token = Some("tok-1".into());
    }
    let held = Held::after(&[command(authorize), held_for_a_minute()]);
    let renewing = held.clone().then(&held.when(&Given::Lapsing, near));
    let call = renewing.call.clone().unwrap();
    assert_eq!((call.key().as_str(), call.amount_minor), ("o-1/authorize/2", 850));
    assert_eq!(call.request().method.unwrap().token, "tok-1");
    let renewed = renewing.clone().then(&renewing.when(&held_for_a_minute(), near));
    let authorization = renewed.payment.as_ref().unwrap().authorization.as_ref().unwrap();
    assert_eq!((authorization.attempt, authorization.version), (2, 2));
    // For the second time it is given up, and says why.
    let Some(PaymentEvent::PaymentVoided(event)) = renewed.when(&Given::Lapsing, near).decision.event else { panic!() };
    assert_eq!((event.version, event.reason_code.as_deref()), (3, Some("expired")));
    // Where it cannot be held again, a capture that waits takes what is still held.
    let waits = renewing.clone().then(&renewing.when(&command(pay::capture()), near));
    let taken = waits.clone().then(&waits.when(&refused(), near)).call.unwrap();
    assert_eq!((taken.operation, taken.authorization.as_deref()), (Operation::Capture, Some("ref")));
}

#[test]
fn a_dispute_that_has_ended_is_not_opened_again_by_an_older_look() {
    let of = |statuses: &[&str]| {
        let seen: Vec<Given> = statuses.iter().map(|status| disputed(status)).collect();
        Held::after(&[captured(), seen].concat()).payment.unwrap()
    };
    assert_eq!(of(&["opened", "won", "opened"]), of(&["opened", "won"]));
    assert_eq!(of(&["lost", "opened", "lost"]), of(&["lost"]));
    assert_eq!(of(&["won", "lost"]).disputes[0].status, "lost", "a bank may think again");
    assert_eq!(of(&["needs a person"]).disputes[0].standing(), DisputeStatus::Opened);
}

#[test]
fn an_uncertain_answer_leads_to_the_same_key_after_a_doubling_pause() {
    let mut held = authorizing();
    let key = held.call.as_ref().unwrap().key();
    let mut pauses = Vec::new();
    for _ in 0..6 {
        let decided = held.when(&unknown(), noon());
        assert_eq!((decided.decision.outcome, decided.decision.event.clone()), (Outcome::Pending, None));
        held = held.then(&decided);
        let call = held.call.as_ref().unwrap();
        assert_eq!(call.key(), key);
        assert_eq!(call.unknown_since, Some(noon()));
        pauses.push((call.due_at.as_micros() - noon().as_micros()) / 1_000);
    }
    assert_eq!(pauses, [100, 200, 400, 800, 1_000, 1_000]);
}

#[test]
fn the_provider_may_say_how_long_to_wait() {
    let later = |after_ms| Given::Answer(ProviderAnswer::RetryLater { detail: "429".into(), after_ms: Some(after_ms) });
    for (asked, waited) in [(300, 300), (-5, 0), (86_400_000, 1_000)] {
        let held = authorizing();
        let decided = held.when(&later(asked), noon());
        let call = held.then(&decided).call.unwrap();
        assert_eq!(call.due_at, noon().plus_ms(waited));
        assert_eq!(call.unknown_since, None, "it was not done");
    }
}

#[test]
fn outside_the_providers_memory_it_is_asked_first() {
    let policy = charge_policy();
    let call = authorizing().call.unwrap();
    let end = noon().plus_ms(policy.idempotency_window_ms);
    assert_eq!(call.step(end.plus_ms(-1), &policy), CallStep::Execute);
    assert_eq!(call.step(end, &policy), CallStep::LookUp);
}

#[test]
fn times_taken_by_a_clock_that_was_ahead_are_not_waited_for_and_prove_nothing() {
    const DAY_MS: i64 = 86_400_000;
    let policy = charge_policy();
    let mut call = authorizing().call.unwrap();
    assert!(call.is_due(noon(), &policy) && !call.is_due(noon().plus_ms(-1), &policy));
    call.due_at = noon().plus_ms(DAY_MS);
    assert!(call.is_due(noon(), &policy), "no pause is that long");
    // How long the provider has remembered the key is not known: it is asked.
    call.opened_at = noon().plus_ms(DAY_MS);
    assert_eq!(call.step(noon(), &policy), CallStep::LookUp);
    call.not_found_at = Some(noon().plus_ms(DAY_MS));
    assert_eq!(call.step(noon(), &policy), CallStep::LookUp);
    call.not_found_at = Some(noon());
    assert_eq!(call.step(noon(), &policy), CallStep::Execute);
}

#[test]
fn what_was_not_found_is_sent_again_at_once_under_the_same_key() {
    let policy = charge_policy();
    let late = noon().plus_ms(policy.idempotency_window_ms);
    let held = authorizing();
    let call = held.call.clone().unwrap();
    let answer = Answer::to(&call, CallStep::LookUp, ProviderAnswer::NotFound);
    let decided = decide(None, Some(&call), Input::Answer(&answer), late, &policy);
    let CallChange::Set(next) = &decided.call else { panic!("{decided:?}") };
    assert_eq!((next.key(), next.due_at, next.look_ups, next.sends), (call.key(), late, 1, 0));
    assert_eq!(next.step(late, &policy), CallStep::Execute);
    assert_eq!(next.step(late.plus_ms(policy.idempotency_window_ms), &policy), CallStep::LookUp);
}

#[test]
fn in_the_end_a_person_is_asked() {
    let policy = charge_policy();
    let held = authorizing();
    let just_before = noon().plus_ms(policy.give_up_after_ms - 1);
    assert_eq!(held.when(&unknown(), just_before).decision.outcome, Outcome::Pending);
    let decided = held.when(&unknown(), noon().plus_ms(policy.give_up_after_ms));
    let Some(PaymentEvent::PaymentStuck(event)) = &decided.decision.event else { panic!("{decided:?}") };
    assert_eq!((event.version, event.operation), (1, PaymentOperation::Authorize));
    assert_eq!(event.detail, "no certain answer in 1 tries; the last: timed out");
    assert_eq!(decided.call, CallChange::Cleared);
}

#[test]
fn an_old_try_that_knows_nothing_changes_nothing() {
    let first = authorizing();
    let old = Answer::to(first.call.as_ref().unwrap(), CallStep::Execute, ProviderAnswer::NotFound);
    let decided = first.when(&unknown(), noon());
    let held = first.then(&decided);
    let late = decide(None, held.call.as_ref(), Input::Answer(&old), noon(), &charge_policy());
    assert_eq!(late.decision.outcome, Outcome::Late);
    assert_eq!(late.call, CallChange::Set(Box::new(held.call.unwrap())));
}

#[test]
fn an_old_try_that_knows_is_believed() {
    let first = authorizing();
    let call = first.call.clone().unwrap();
    let old =
        Answer::to(&call, CallStep::Execute, ProviderAnswer::Succeeded { reference: "ref".into(), expires_at: None });
    let decided = first.when(&unknown(), noon());
    let held = first.then(&decided);
    let believed = decide(None, held.call.as_ref(), Input::Answer(&old), noon(), &charge_policy());
    assert_eq!(believed.decision.outcome, Outcome::Applied);
    // The answer of the newer try says nothing new.
    let after = held.then(&believed);
    let again = decide(after.payment.as_ref(), None, Input::Answer(&old), noon(), &charge_policy());
    assert_eq!((again.decision.outcome, again.call), (Outcome::Late, CallChange::Unchanged));
}

#[test]
fn a_void_waits_for_the_authorization_and_then_goes_on() {
    let waiting = Held::after(&[command(pay::authorize(850)), command(pay::void())]);
    assert_eq!(waiting.call.as_ref().unwrap().queued, Some(Operation::Void));
    let decided = waiting.when(&succeeded(), noon());
    let held = waiting.then(&decided);
    let call = held.call.as_ref().unwrap();
    assert_eq!((call.operation, call.queued, call.tries()), (Operation::Void, None, 0));
    let decided = held.when(&succeeded(), noon());
    assert_eq!(held.then(&decided).payment.unwrap().status(), PaymentStatus::Voided);
}

#[test]
fn a_waiting_void_survives_uncertain_answers_and_is_settled_by_a_refusal() {
    let waiting = Held::after(&[command(pay::authorize(850)), command(pay::void()), unknown()]);
    assert_eq!(waiting.call.as_ref().unwrap().queued, Some(Operation::Void));
    let decided = waiting.when(&refused(), noon());
    assert!(matches!(decided.decision.event, Some(PaymentEvent::PaymentDeclined(_))));
    assert_eq!(decided.call, CallChange::Cleared);
}

#[test]
fn a_void_takes_the_place_of_a_waiting_capture_and_not_the_other_way_round() {
    let both = |first: PaymentCommand, second: PaymentCommand| {
        Held::after(&[command(pay::authorize(850)), command(first), command(second)]).call.unwrap().queued
    };
    assert_eq!(both(pay::capture(), pay::void()), Some(Operation::Void));
    assert_eq!(both(pay::void(), pay::capture()), Some(Operation::Void));
}

#[test]
fn nothing_to_pay_needs_no_provider() {
    let mut held = Held::default();
    for (given, status) in [(pay::authorize(0), PaymentStatus::Authorized), (pay::capture(), PaymentStatus::Captured)] {
        let decided = held.when(&command(given), noon());
        assert_eq!(decided.call, CallChange::Unchanged);
        held = held.then(&decided);
        assert_eq!(held.payment.as_ref().unwrap().status(), status);
    }
    let voided = Held::after(&[command(pay::authorize(0)), command(pay::void())]);
    assert_eq!(voided.payment.unwrap().status(), PaymentStatus::Voided);
    let negative = Held::after(&[command(pay::authorize(-1))]);
    assert_eq!(negative.payment.unwrap().status(), PaymentStatus::Declined);
}

#[test]
fn a_capture_moves_the_amount_once_and_nothing_else_does() {
    let history = captured();
    let mut held = Held::default();
    let mut posted = Vec::new();
    for given in &history {
        let decided = held.when(given, noon());
        if let Some(event) = decided.decision.change() {
            let evolved = evolve(held.payment.clone(), event).unwrap();
            posted.extend(evolved.postings);
            let again = evolve(evolved.payment, event).unwrap();
            assert!(again.postings.is_empty(), "posted twice");
        }
        held = held.then(&decided);
    }
    let rows: Vec<_> = posted.iter().map(|one| (one.version, one.account, one.amount_minor)).collect();
    assert_eq!(rows, [(2, Account::ProviderReceivable, 850), (2, Account::Sales, -850)]);
    assert!(posted.iter().all(|one| one.currency == "EUR"));
}

#[test]
fn what_cannot_follow_is_an_error() {
    assert_eq!(evolve(None, &pay::captured()).unwrap_err().why, Contradiction::Gap);
    let declined = evolve(None, &pay::declined()).unwrap().payment;
    assert_eq!(evolve(declined, &pay::captured()).unwrap_err().why, Contradiction::Impossible("declined"));
}

#[test]
fn a_repeated_command_is_answered_in_the_same_words() {
    let mut held = Held::default();
    let mut said = Vec::new();
    for given in captured() {
        let decided = held.when(&given, noon());
        said.extend(decided.decision.change().cloned());
        held = held.then(&decided);
    }
    for (index, repeated) in [pay::authorize(850), pay::capture()].into_iter().enumerate() {
        let decided = held.when(&command(repeated), noon().plus_ms(77));
        assert_eq!((decided.decision.outcome, decided.decision.event.as_ref()), (Outcome::Repeated, said.get(index)));
    }
}

/// A payment that is stuck at its capture, and when it was given up.
fn given_up() -> (Held, Time) {
    let capturing = Held::after(&captured()[..3]);
    let at = noon().plus_ms(charge_policy().give_up_after_ms);
    let decided = capturing.when(&unknown(), at);
    (capturing.then(&decided), at)
}

#[test]
fn what_is_tried_again_is_looked_up_first_and_sent_under_its_old_key() {
    let policy = charge_policy();
    let (stuck, at) = given_up();
    // The clock that opens it again may be behind the one that gave it up.
    for now in [at.plus_ms(5_000), at, at.plus_ms(-5_000)] {
        let call = stuck.clone().then(&stuck.when(&command(pay::retry("k")), now)).call.unwrap();
        assert_eq!((call.key().as_str(), call.due_at), ("o-1/capture/1", now));
        assert_eq!(call.step(now, &policy), CallStep::LookUp);
        let answer = Answer::to(&call, CallStep::LookUp, ProviderAnswer::NotFound);
        let decided = decide(stuck.payment.as_ref(), Some(&call), Input::Answer(&answer), now, &policy);
        let CallChange::Set(next) = decided.call else { panic!("{decided:?}") };
        assert_eq!((next.step(now, &policy), next.key()), (CallStep::Execute, call.key()));
    }
}

#[test]
fn a_payment_that_is_tried_again_goes_on_where_it_was_and_can_get_stuck_again() {
    let (stuck, at) = given_up();
    let retried = stuck.clone().then(&stuck.when(&command(pay::retry("k")), at));
    let succeeded = retried.clone().then(&retried.when(&succeeded(), at));
    let payment = succeeded.payment.unwrap();
    assert_eq!((payment.status(), payment.version), (PaymentStatus::Captured, 3));
    let again = retried.clone().then(&retried.when(&unknown(), at.plus_ms(charge_policy().give_up_after_ms)));
    let payment = again.payment.unwrap();
    assert_eq!((payment.status(), payment.version), (PaymentStatus::Stuck, 3));
    // What was commanded meanwhile is answered by that.
    let waiting = retried.clone().then(&retried.when(&command(pay::void()), at));
    assert_eq!(waiting.call.as_ref().unwrap().queued, Some(Operation::Void));
    let decided = waiting.when(&refused(), at);
    assert!(matches!(decided.call, CallChange::Set(call) if call.operation == Operation::Void));
}

/// What the payment of a captured order posts while this happens to it.
fn refunding(history: &[Given]) -> (Held, Vec<i64>) {
    let mut held = Held::after(&captured());
    let mut refunded = Vec::new();
    for given in history {
        let decided = held.when(given, noon());
        if let Some(event) = decided.decision.change() {
            let postings = evolve(held.payment.clone(), event).unwrap().postings;
            refunded.extend(postings.iter().filter(|one| one.account == Account::Refunds).map(|one| one.amount_minor));
        }
        held = held.then(&decided);
    }
    (held, refunded)
}

#[test]
fn each_refund_has_a_key_and_moves_its_amount_once() {
    let (held, _) = refunding(&[command(pay::refund("r-1", Some(300)))]);
    let call = held.call.unwrap();
    assert_eq!((call.key().as_str(), call.amount_minor), ("o-1/refund/r-1/1", 300));
    assert_eq!(call.request().authorization.as_deref(), Some("ref"), "of the capture");
    let both = [pay::refund("r-1", Some(300)), pay::refund("r-2", None)].map(command);
    let (held, refunded) = refunding(&[both[0].clone(), succeeded(), both[1].clone(), succeeded(), both[0].clone()]);
    assert_eq!(refunded, [300, 550]);
    assert_eq!(held.payment.unwrap().refundable_minor(), 0);
}

#[test]
fn a_repeated_refund_is_answered_in_the_same_words() {
    for answer in [succeeded(), refused()] {
        let (held, _) = refunding(&[command(pay::refund("r-1", Some(300))), answer.clone()]);
        let said =
            Held::after(&[&captured()[..], &[command(pay::refund("r-1", Some(300)))]].concat()).when(&answer, noon());
        let again = held.when(&command(pay::refund("r-1", Some(999))), noon().plus_ms(77));
        assert_eq!((again.decision.outcome, again.decision.event), (Outcome::Repeated, said.decision.event));
    }
}

#[test]
fn nothing_left_to_give_back_needs_no_provider() {
    let all = [command(pay::refund("r-1", None)), succeeded()];
    let (held, _) = refunding(&all);
    let decided = held.when(&command(pay::refund("r-2", None)), noon());
    let Some(PaymentEvent::PaymentRefunded(event)) = &decided.decision.event else { panic!("{decided:?}") };
    assert_eq!((event.amount_minor, event.provider_reference.as_ref()), (0, None));
    assert_eq!(decided.call, CallChange::Unchanged);
}

#[test]
fn an_unknown_refund_is_asked_about_again_where_nothing_else_is_left() {
    let (held, _) = refunding(&[command(pay::refund("r-1", None))]);
    let at = noon().plus_ms(charge_policy().give_up_after_ms);
    let unknown = held.clone().then(&held.when(&unknown(), at));
    assert_eq!(unknown.payment.as_ref().unwrap().refundable_minor(), 0);
    let asked = unknown.clone().then(&unknown.when(&command(pay::refund("r-2", None)), at));
    let call = asked.call.as_ref().unwrap();
    assert_eq!((call.key().as_str(), call.step(at, &charge_policy())), ("o-1/refund/r-1/1", CallStep::LookUp));
    let known = asked.clone().then(&asked.when(&succeeded(), at));
    let payment = known.payment.unwrap();
    assert_eq!((payment.refunds.len(), payment.refunded_minor()), (1, 850), "it took the place of the unknown one");
    let decided = asked.when(&refused(), at);
    assert_eq!(asked.then(&decided).payment.unwrap().refundable_minor(), 850);
}

#[test]
fn a_void_that_was_refused_for_good_is_a_further_attempt_where_it_is_tried_again() {
    let voiding = Held::after(&[command(pay::authorize(850)), succeeded(), command(pay::void())]);
    let stuck = voiding.clone().then(&voiding.when(&refused(), noon()));
    assert_eq!(stuck.payment.as_ref().unwrap().stuck.as_ref().unwrap().refused_attempts, 1);
    let retried = stuck.clone().then(&stuck.when(&command(pay::retry("k")), noon()));
    assert_eq!(retried.call.as_ref().unwrap().key().as_str(), "o-1/void/2");
    // Given up without certainty it is the same attempt once more.
    let given_up = retried.clone().then(&retried.when(&unknown(), noon().plus_ms(charge_policy().give_up_after_ms)));
    let again = given_up.clone().then(&given_up.when(&command(pay::retry("l")), noon()));
    assert_eq!(again.call.unwrap().key().as_str(), "o-1/void/2");
    let voided = retried.clone().then(&retried.when(&succeeded(), noon()));
    assert_eq!(voided.payment.unwrap().status(), PaymentStatus::Voided);
}
