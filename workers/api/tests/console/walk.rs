//! All pages, one after the other: what holds for each of them.

use std::io::Read as _;

use flate2::read::GzDecoder;
use serde_json::{Value, json};

use crate::house::{House, LONG};
use crate::person::Person;
use crate::pipeline::Outcome;

/// The keys that move about, as WebDriver writes them.
const TAB: char = '\u{e004}';
const ENTER: char = '\u{e007}';

/// A tag with two classes of its own: a browser takes the first, and says nothing.
const TWICE: &str = r#"const request = new XMLHttpRequest();
    request.open("GET", location, false);
    request.send();
    return request.responseText.match(/<[a-z]+ [^>]*class="[^"]*"[^>]* class="[^>]*>/)?.[0] ?? null"#;

/// What a person reads here that is meant for programs: an amount in minor units, or a time as RFC 3339 has it. Messages and records
/// word for word are what they are, and so are command lines.
const RAW: &str = r#"const main = document.querySelector("main").cloneNode(true);
    main.querySelectorAll("pre, code, textarea, input, .verbatim").forEach(e => e.remove());
    const titles = [...main.querySelectorAll("[title], [aria-label]")].flatMap(e => [e.title, e.ariaLabel ?? ""]);
    return [main.textContent, ...titles].join(" ").match(/.{0,60}(minor units?|\d{4}-\d\d-\d\dT\d\d:\d\d).{0,20}/)?.[0] ?? null"#;

/// A page.
pub(crate) struct Page {
    /// What its pictures are called.
    name: &'static str,
    pub(crate) path: String,
    /// Whether one has to be somebody to see it.
    pub(crate) needs_sign_in: bool,
}

/// All pages, each with something on it, and some with nothing.
pub(crate) async fn pages(house: &House) -> Outcome<Vec<Page>> {
    let of = |name, path: &str| Page { name, path: path.to_owned(), needs_sign_in: true };
    let kim = &house.kim;
    kim.sees_in_time("/console/dead-letters", "tour-letter").await?;
    let letter = "return document.querySelector('main td a, main th a[href*=\"/dead-letters/\"]').pathname";
    let letter = kim.runs(letter).await?;
    Ok(vec![
        Page { needs_sign_in: false, ..of("sign-in", "/console/login") },
        of("overview", "/console"),
        of("orders", "/console/orders"),
        of("orders-none", "/console/orders?find=nobody"),
        of("order", "/console/orders/tour-returned?all=1"),
        of("order-held", "/console/orders/tour-held"),
        of("order-stuck", &format!("/console/orders/{}", house.stuck)),
        of("order-long", &format!("/console/orders/{}", LONG.as_str())),
        of("stuck", "/console/stuck"),
        of("dead-letters", "/console/dead-letters"),
        of("dead-letter", letter.as_str().ok_or("there is no letter")?),
        of("stock", "/console/stock"),
        of("sku", "/console/stock/pen"),
        of("sku-none", "/console/stock/nobody's"),
        of("business", "/console/business"),
        of("nothing", "/console/orders/nobody's"),
    ])
}

/// What axe finds of WCAG 2.2, levels A and AA; and that it was asked at all.
async fn barriers(kim: &Person, axe: &str) -> Outcome<Vec<String>> {
    kim.browser.run(&format!("{axe}; window.axe = axe;"), json!([])).await?;
    let ask = "const done = arguments[0];
        const only = { type: 'tag', values: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa'] };
        axe.run(document, { runOnly: only, resultTypes: ['violations'] }).then(found => done({
            rules: found.passes.length + found.violations.length,
            told: found.violations.flatMap(v => v.nodes.map(n => `${v.id}: ${n.target}: ${n.failureSummary}`)),
        }), error => done({ rules: 0, told: [String(error)] }))";
    let found = kim.browser.run_until_told(ask, json!([])).await?;
    if found["rules"].as_u64().is_none_or(|rules| rules == 0) {
        return Err(format!("axe tells nothing: {found}").into());
    }
    let told = |one: &Value| one.as_str().unwrap_or_default().to_owned();
    Ok(found["told"].as_array().into_iter().flatten().map(told).collect())
}

fn axe() -> Outcome<String> {
    let mut text = String::new();
    GzDecoder::new(&include_bytes!("axe.min.js.gz")[..]).read_to_string(&mut text)?;
    Ok(text)
}

/// What is wrong with what is shown now: a barrier in light or dark, or more width than the window has, from a telephone's to a wall's.
/// It is drawn.
async fn faults(kim: &Person, axe: &str, name: &str) -> Outcome<Vec<String>> {
    let mut found = Vec::new();
    for scheme in ["light", "dark"] {
        kim.browser.prefer(scheme).await?;
        for (width, height) in [(3840, 2160), (360, 740), (1280, 900)] {
            kim.browser.resize(width, height).await?;
            let needed = kim.runs("return document.documentElement.scrollWidth").await?;
            if needed.as_u64().is_none_or(|needed| needed > u64::from(width)) {
                found.push(format!("{name}: {needed} px wide in a window of {width} px"));
            }
            if width < 3840 {
                kim.draws(&format!("{name}-{scheme}-{width}")).await?;
            }
        }
        let barriers = barriers(kim, axe).await?;
        found.extend(barriers.into_iter().map(|barrier| format!("{name} in {scheme}: {barrier}")));
    }
    kim.browser.prefer("light").await?;
    Ok(found)
}

/// What is shown now has no fault.
pub(crate) async fn looks_well(house: &House, name: &str) -> Outcome {
    let found = faults(&house.kim, &axe()?, name).await?;
    if found.is_empty() { Ok(()) } else { Err(found.join("\n").into()) }
}

/// No page has a fault.
pub(crate) async fn accessible(house: &House) -> Outcome {
    let (kim, axe, mut found) = (&house.kim, axe()?, Vec::new());
    for page in pages(house).await? {
        if !page.needs_sign_in {
            kim.browser.forget().await?;
        }
        kim.goes_to(&page.path).await?;
        found.extend(faults(kim, &axe, page.name).await?);
        found.extend(kim.runs(TWICE).await?.as_str().map(|tag| format!("{} says a thing twice: {tag}", page.name)));
        found.extend(kim.runs(RAW).await?.as_str().map(|text| format!("{} speaks to programs: {text}", page.name)));
        if !page.needs_sign_in {
            kim.signs_in(&house.key).await?;
        }
    }
    found.extend(kim.has_no_complaint_but(&["404"]).await.err().map(|complaint| complaint.to_string()));
    if found.is_empty() { Ok(()) } else { Err(found.join("\n").into()) }
}

/// Every page says without scripts what it says with them.
pub(crate) async fn without_scripts(house: &House) -> Outcome {
    let kim = &house.kim;
    kim.browser.allow_scripts(false).await?;
    for page in pages(house).await? {
        if !page.needs_sign_in {
            kim.browser.forget().await?;
        }
        kim.goes_to(&page.path).await?;
        let shown = kim.runs(
            "return [document.querySelector('h1')?.innerText ?? '', document.querySelector('main').innerText.length]",
        );
        let shown = shown.await?;
        if shown[0] == "" || shown[1].as_u64().is_none_or(|length| length < 30) {
            return Err(format!("{} is empty: {shown}", page.path).into());
        }
        if !page.needs_sign_in {
            kim.signs_in(&house.key).await?;
        }
    }
    kim.has_no_complaint_but(&["404"]).await
}

/// With the keyboard alone: the way past the navigation comes first, each stop is seen, and all that can be clicked is a stop.
pub(crate) async fn by_keyboard(house: &House) -> Outcome {
    let kim = &house.kim;
    for page in pages(house).await?.into_iter().filter(|page| page.needs_sign_in) {
        kim.goes_to(&page.path).await?;
        kim.browser.press(TAB).await?;
        let first = kim.browser.focused().await?;
        if kim.browser.text(&first).await? != "Skip to the page" || !kim.browser.is_shown(&first).await? {
            return Err(format!("{}: the first stop is not the way past the navigation", page.path).into());
        }
        kim.browser.press(ENTER).await?;
        let target = kim.runs("return document.activeElement.id").await?;
        if target != "main" {
            return Err(format!("{}: it skips to {target}", page.path).into());
        }
        kim.goes_to(&page.path).await?;
        stops(kim, &page.path).await?;
    }
    kim.has_no_complaint_but(&["404"]).await
}

/// Goes from stop to stop until all that can be used was one; each shows that it has the focus.
async fn stops(kim: &Person, path: &str) -> Outcome {
    let count =
        "window.left = new Set([...document.querySelectorAll('a[href], button, input, select, textarea, summary')]
            .filter(e => e.checkVisibility() && !e.disabled && e.type != 'hidden' && e.type != 'radio'));
        return window.left.size";
    let all = kim.runs(count).await?.as_u64().unwrap_or_default();
    // A list for choosing a date has a stop for each part of it.
    for _ in 0..all * 3 + 20 {
        kim.browser.press(TAB).await?;
        let seen = "const e = document.activeElement, style = getComputedStyle(e), box = e.getBoundingClientRect();
            window.left.delete(e);
            const isSeen = e == document.body || style.outlineStyle != 'none' && parseFloat(style.outlineWidth) >= 2
                && box.width > 0 && box.height > 0 && box.bottom > 0 && box.top < innerHeight;
            return [isSeen, window.left.size, e.outerHTML.slice(0, 200)]";
        let stop = kim.runs(seen).await?;
        if stop[0] != true {
            return Err(format!("{path}: nobody sees where the focus is: {}", stop[2]).into());
        }
        if stop[1] == 0 {
            return Ok(());
        }
    }
    let left = kim.runs("return [...window.left].map(e => e.outerHTML.slice(0, 200))").await?;
    Err(format!("{path}: no key leads to {left}").into())
}
