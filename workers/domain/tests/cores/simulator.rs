//! The simulated provider: the same for the same request, whoever asks and however often.

use std::collections::BTreeSet;

use domain::provider::{IdempotencyKey, Operation, ProviderAnswer, ProviderRequest};
use domain::simulator::{Simulator, SimulatorConfig};
use domain::statement::StatementOutcome;
use schemas::{CustomerId, OrderId};

fn request(order: &str, operation: Operation, sent_before: i32) -> ProviderRequest {
    let order_id = OrderId::new(order).unwrap();
    ProviderRequest {
        key: IdempotencyKey::new(&order_id, operation, 1),
        order_id,
        operation,
        customer_id: CustomerId::new("c-1").unwrap(),
        currency: "EUR".into(),
        amount_minor: 850,
        authorization: None,
        method: None,
        sent_before,
    }
}

fn simulator(config: SimulatorConfig) -> Simulator {
    Simulator::new(config)
}

fn faulty(seed: u64) -> SimulatorConfig {
    SimulatorConfig {
        seed,
        timeout_before_effect_per_million: 250_000,
        timeout_after_effect_per_million: 250_000,
        server_error_per_million: 100_000,
        conflict_per_million: 100_000,
        decline_per_million: 100_000,
        ..SimulatorConfig::default()
    }
}

#[test]
fn without_faults_everything_succeeds_at_once() {
    let provider = simulator(SimulatorConfig::default());
    for number in 0..200 {
        for operation in [Operation::Authorize, Operation::Capture, Operation::Void] {
            let plan = provider.plan(&request(&format!("o-{number}"), operation, 0));
            assert!(matches!(plan.answer, ProviderAnswer::Succeeded { .. }), "{plan:?}");
            assert_eq!((plan.effect, plan.latency_ms), (Some(StatementOutcome::Succeeded), 0));
        }
    }
}

#[test]
fn the_share_of_declines_is_about_what_was_asked_for_and_depends_on_the_seed() {
    let declined = |seed| -> BTreeSet<i32> {
        let provider = simulator(SimulatorConfig { seed, decline_per_million: 50_000, ..SimulatorConfig::default() });
        let is_declined = |number: &i32| {
            let plan = provider.plan(&request(&format!("o-{number}"), Operation::Authorize, 0));
            matches!(plan.answer, ProviderAnswer::Refused { .. })
        };
        (0..4_000).filter(is_declined).collect()
    };
    let first = declined(1);
    assert!((150..250).contains(&first.len()), "{}", first.len());
    assert_eq!(first, declined(1));
    assert_ne!(first, declined(2));
}

#[test]
fn a_large_amount_is_declined_where_there_is_a_limit() {
    let provider = simulator(SimulatorConfig { decline_above_minor: Some(849), ..SimulatorConfig::default() });
    let plan = provider.plan(&request("o-1", Operation::Authorize, 0));
    assert!(matches!(plan.answer, ProviderAnswer::Refused { .. }));
    let plan = provider.plan(&request("o-1", Operation::Capture, 0));
    assert!(matches!(plan.answer, ProviderAnswer::Succeeded { .. }));
}

/// Over all tries of a key there is one effect, a look-up knows of it from then on, and a certain answer comes in the end.
#[test]
fn a_key_takes_effect_once_and_the_faults_end() {
    let provider = simulator(faulty(3));
    let (mut lost_before, mut lost_after) = (0, 0);
    for number in 0..300 {
        let order = format!("o-{number}");
        let mut effects = 0;
        for sent_before in 0..=3 {
            let request = request(&order, Operation::Authorize, sent_before);
            let looked_up = provider.plan_look_up(&request);
            assert_eq!(looked_up.effect, None);
            assert_eq!(matches!(looked_up.answer, ProviderAnswer::NotFound), effects == 0, "{order}, {sent_before}");
            let plan = provider.plan(&request);
            assert_eq!(plan, provider.plan(&request));
            effects += i32::from(plan.effect.is_some());
            match (&plan.answer, effects) {
                (ProviderAnswer::Unknown { .. }, 0) => lost_before += 1,
                (ProviderAnswer::Unknown { .. }, _) => lost_after += 1,
                (ProviderAnswer::Succeeded { .. } | ProviderAnswer::Refused { .. }, done) => assert_eq!(done, 1),
                (ProviderAnswer::RetryLater { .. } | ProviderAnswer::NotFound, _) => {}
                (ProviderAnswer::ActionRequired { .. } | ProviderAnswer::Pending { .. }, _) => panic!("{plan:?}"),
            }
            if sent_before == 3 {
                let is_certain =
                    matches!(plan.answer, ProviderAnswer::Succeeded { .. } | ProviderAnswer::Refused { .. });
                assert!(is_certain, "{plan:?}");
            }
        }
        assert_eq!(effects, 1, "{order}");
    }
    assert!(lost_before > 50 && lost_after > 50, "{lost_before} {lost_after}");
}

#[test]
fn latency_stays_in_its_range_and_varies() {
    let config = SimulatorConfig { latency_min_ms: 5, latency_max_ms: 9, ..SimulatorConfig::default() };
    let provider = simulator(config);
    let latency = |number| provider.plan(&request(&format!("o-{number}"), Operation::Capture, 0)).latency_ms;
    let seen: BTreeSet<u64> = (0..200).map(latency).collect();
    assert_eq!(seen, BTreeSet::from([5, 6, 7, 8, 9]));
}

#[test]
fn configuration_has_defaults_and_refuses_what_it_does_not_know() {
    let config: SimulatorConfig = serde_json::from_str(r#"{"seed": 7, "decline_per_million": 50000}"#).unwrap();
    assert_eq!(config, SimulatorConfig { seed: 7, decline_per_million: 50_000, ..SimulatorConfig::default() });
    assert!(serde_json::from_str::<SimulatorConfig>(r#"{"declines": 1}"#).is_err());
}
