//! Who gets in, and as what.

use crate::house::House;
use crate::pipeline::Outcome;

/// A wrong key is told so, a right one is let in, and whoever leaves is out, also by the way back.
pub(crate) async fn in_and_out(house: &House) -> Outcome {
    let kim = &house.kim;
    kim.clicks("Sign out").await?;
    kim.sees("Key or token").await?;
    kim.goes_to("/console").await?;
    if !kim.path().await?.ends_with("/console/login") {
        return Err("a page is shown to somebody without a key".into());
    }
    for wrong in ["oak_0", "none\u{e9}", "a;b"] {
        kim.signs_in(wrong).await?;
        kim.sees("A key or a token is needed").await?;
    }
    kim.has_no_complaint_but(&["401"]).await?;
    kim.signs_in(&house.key).await?;
    kim.sees("Overview").await?;
    kim.sees("kim").await?;
    let cookies = kim.runs("return document.cookie").await?;
    if cookies != "" {
        return Err(format!("a script reads the key: {cookies}").into());
    }
    kim.clicks("Sign out").await?;
    kim.sees("Key or token").await?;
    kim.runs("history.back()").await?;
    kim.goes_to("/console").await?;
    kim.sees("Key or token").await
}

/// Whoever may only look sees all, and no button but the one to leave.
pub(crate) async fn only_looking(house: &House) -> Outcome {
    let kim = &house.kim;
    kim.browser.forget().await?;
    kim.signs_in(&house.reader_key).await?;
    kim.sees("reader").await?;
    for page in crate::walk::pages(house).await? {
        kim.goes_to(&page.path).await?;
        let forms =
            "return [...document.querySelectorAll('main form')].filter(f => f.method == 'post').map(f => f.action)";
        let offered = kim.runs(forms).await?;
        if page.needs_sign_in && offered.as_array().is_none_or(|forms| !forms.is_empty()) {
            return Err(format!("{} offers {offered}", page.path).into());
        }
    }
    kim.has_no_complaint_but(&["404"]).await
}
