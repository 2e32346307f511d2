//! The console in real Chromium, on a real pipeline: what people do with it, one scenario after the other, with one browser for all of
//! them, because its start is slow. `cargo test -p order-api --test console -- NAME…` runs those with one of these words in their name.
//!
//! A scenario fails, whatever it found, when the browser complains of anything that it did not expect: a file that the content
//! security policy blocked, an error of a script. Deliberately absent: sleeping; whatever is waited for is a condition with an end.

mod browser;
mod goods;
mod house;
mod orders;
mod overview;
mod person;
mod sign_in;
mod standing;
mod strangers;
mod walk;

#[path = "../door/api.rs"]
#[expect(dead_code, reason = "shared with the test program door, which uses all of it")]
mod api;
#[path = "../door/pipeline.rs"]
#[expect(dead_code, reason = "shared with the test program door, which uses all of it")]
mod pipeline;

use std::future::Future;
use std::pin::Pin;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use house::House;
use pipeline::Outcome;

/// Longer than a scenario takes.
const LIMIT: Duration = Duration::from_secs(300);

type Course<'h> = Pin<Box<dyn Future<Output = Outcome> + 'h>>;

/// What is done, and its name.
struct Scenario {
    name: &'static str,
    course: for<'h> fn(&'h House) -> Course<'h>,
}

const SCENARIOS: [Scenario; 19] = [
    Scenario { name: "a_key_signs_in_and_out", course: |house| Box::pin(sign_in::in_and_out(house)) },
    Scenario { name: "who_may_only_look_is_offered_nothing", course: |house| Box::pin(sign_in::only_looking(house)) },
    Scenario { name: "the_overview_changes_by_itself", course: |house| Box::pin(overview::changes(house)) },
    Scenario { name: "an_order_is_found_by_its_id_and_customer", course: |house| Box::pin(orders::found(house)) },
    Scenario { name: "an_order_goes_from_placed_to_refunded", course: |house| Box::pin(orders::followed(house)) },
    Scenario { name: "an_order_is_cancelled", course: |house| Box::pin(orders::cancelled(house)) },
    Scenario { name: "many_orders_at_once_and_one_fails", course: |house| Box::pin(orders::many(house)) },
    Scenario { name: "all_orders_of_a_search_at_once", course: |house| Box::pin(orders::swept(house)) },
    Scenario {
        name: "an_order_is_found_from_every_page",
        course: |house| Box::pin(orders::found_from_every_page(house)),
    },
    Scenario { name: "two_operators_act_at_once", course: |house| Box::pin(orders::at_once(house)) },
    Scenario { name: "a_dead_letter_is_edited_and_redriven", course: |house| Box::pin(standing::dead_letter(house)) },
    Scenario { name: "a_stuck_order_is_freed", course: |house| Box::pin(standing::freed(house)) },
    Scenario { name: "goods_are_received", course: |house| Box::pin(goods::received(house)) },
    Scenario { name: "takings_are_told", course: |house| Box::pin(goods::taken(house)) },
    Scenario { name: "forged_forms_do_nothing", course: |house| Box::pin(strangers::forged(house)) },
    Scenario { name: "every_page_is_accessible_and_fits", course: |house| Box::pin(walk::accessible(house)) },
    Scenario { name: "every_page_is_there_without_scripts", course: |house| Box::pin(walk::without_scripts(house)) },
    Scenario { name: "the_keyboard_is_enough", course: |house| Box::pin(walk::by_keyboard(house)) },
    Scenario { name: "hostile_names_are_text", course: |house| Box::pin(strangers::hostile(house)) },
];

#[tokio::main]
async fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let is_asked_for = |name: &str| {
        let mut names = words.iter().filter(|word| !word.starts_with('-')).peekable();
        names.peek().is_none() || names.any(|word| name.contains(word.as_str()))
    };
    let asked: Vec<&Scenario> = SCENARIOS.iter().filter(|scenario| is_asked_for(scenario.name)).collect();
    if words.iter().any(|word| word == "--list") {
        asked.iter().for_each(|scenario| println!("{}: test", scenario.name));
        return ExitCode::SUCCESS;
    }
    if asked.is_empty() {
        return ExitCode::SUCCESS;
    }
    match run(&asked).await {
        Ok(0) => ExitCode::SUCCESS,
        Ok(failed) => {
            println!("{failed} of {} scenarios failed", asked.len());
            ExitCode::FAILURE
        }
        Err(error) => {
            println!("the console cannot be tested: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Runs them; how many failed.
async fn run(asked: &[&Scenario]) -> Outcome<usize> {
    let begun = Instant::now();
    let house = House::open().await?;
    println!("ready after {:.1?}", begun.elapsed());
    let mut failed = 0;
    for scenario in asked {
        let begun = Instant::now();
        let outcome = tokio::time::timeout(LIMIT, carried_out(scenario, &house)).await;
        let outcome = outcome.unwrap_or_else(|_| Err(format!("it is not over after {LIMIT:?}").into()));
        let took = begun.elapsed();
        match outcome {
            Ok(()) => println!("test {} ... ok ({took:.1?})", scenario.name),
            Err(error) => {
                failed += 1;
                println!("test {} ... FAILED ({took:.1?})\n{error}", scenario.name);
                println!("{}", shown(&house, scenario.name).await.unwrap_or_else(|error| error.to_string()));
            }
        }
    }
    if failed > 0 {
        println!("the door's log ends so:\n{}", house.door.daemon.tail());
    }
    println!("{} pictures; all of it took {:.1?}", house.kim.drawn(), begun.elapsed());
    Ok(failed)
}

/// From the same beginning each time: Kim, signed in, in light, with scripts, before a window of usual width.
async fn carried_out(scenario: &Scenario, house: &House) -> Outcome {
    let browser = &house.kim.browser;
    browser.allow_scripts(true).await?;
    browser.prefer("light").await?;
    browser.resize(1280, 900).await?;
    browser.forget().await?;
    house.kim.signs_in(&house.key).await?;
    browser.complaints().await?;
    (scenario.course)(house).await?;
    house.kim.has_no_complaint_but(&[]).await
}

/// What was on the screen where it failed.
async fn shown(house: &House, name: &str) -> Outcome<String> {
    house.kim.draws(&format!("failed-{name}")).await?;
    Ok(format!("at {}: {}", house.kim.path().await?, house.kim.reads().await?))
}
