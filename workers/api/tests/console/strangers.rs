//! What others put before an operator: forms of their own sites, and texts that would be more than texts.

use std::net::Ipv4Addr;

use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::house::House;
use crate::person::Person;
use crate::pipeline::Outcome;

type Fault = Box<dyn std::error::Error + Send + Sync>;

/// Another site on this machine, for which a browser sends the cookie as well: it shows this page, whatever it is asked.
async fn site(page: String) -> Outcome<String> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let address = format!("http://{}/", listener.local_addr()?);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = [0; 4096];
            if stream.read(&mut request).await.is_ok() {
                let head = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-type: text/html\r\ncontent-length";
                let answer = format!("{head}: {}\r\n\r\n{page}", page.len());
                // Who asks may be gone.
                drop(stream.write_all(answer.as_bytes()).await);
            }
        }
    });
    Ok(address)
}

/// What a form comes to that is sent by a script of the page itself: its status.
async fn sent(kim: &Person, path: &str, fields: &[(&str, &str); 3]) -> Outcome<u64> {
    let script = "const [path, fields, done] = arguments;
        fetch(path, { method: 'POST', body: new URLSearchParams(fields) }).then(answer => done(answer.status), error => done(0))";
    let status = kim.browser.run_until_told(script, json!([path, fields])).await?;
    status.as_u64().ok_or_else(|| format!("no status: {status}").into())
}

/// A form that another site sends is refused though the cookie comes with it and its signature is right. So is one of our own page
/// without the signature, with another's, and of somebody who may only look.
pub(crate) async fn forged(house: &House) -> Outcome {
    let (kim, path) = (&house.kim, "/console/orders/forged-1/cancel");
    let signature = "return document.querySelector('[name=signature]').value";
    house.order("forged-1").await?;
    kim.browser.forget().await?;
    kim.signs_in(&house.reader_key).await?;
    let others = kim.runs(signature).await?;
    let others = others.as_str().ok_or("no form is signed")?.to_owned();
    let sends = async |signature: &str| {
        sent(kim, path, &[("signature", signature), ("command_id", "c-1"), ("note", "forged")]).await
    };
    let by_reader = sends(&others).await?;
    kim.browser.forget().await?;
    kim.signs_in(&house.key).await?;
    let answers = [by_reader, sends("").await?, sends(&others).await?];
    let mut taken = Vec::new();
    if answers != [403; 3] {
        taken.push(format!("who may only look, without a signature, with another's: {answers:?}"));
    }

    let own = kim.runs(signature).await?;
    let own = own.as_str().ok_or("no form is signed")?;
    let form = format!(
        "<form method=post action='http://{}{path}'><input name=signature value='{own}'><input name=command_id value=c-2>\
         <input name=note value=forged><button>Win a pen</button></form>",
        house.door.api.address()
    );
    kim.browser.load(&site(form).await?).await?;
    kim.clicks("Win a pen").await?;
    if let Err(other) = kim.sees("this form was sent by another site; nothing was done").await {
        taken.push(format!("of another site: {other}"));
    }
    let order = house.api().get("/v1/orders/forged-1").await?.of(200)?;
    if order.text("state") != "ready_to_ship" {
        taken.push(format!("it was done: {order:?}"));
    }
    if !taken.is_empty() {
        return Err(taken.join("\n").into());
    }
    kim.has_no_complaint_but(&["403", "favicon.ico"]).await
}

/// An order, a customer and a SKU whose names would be more than names if they were not escaped.
pub(crate) async fn hostile(house: &House) -> Outcome {
    const ORDER: &str = "<img src=x onerror=hacked()>\"'&/\u{fc}";
    const CUSTOMER: &str = "<script>hacked()</script>";
    const SKU: &str = "\"><b onclick=hacked()>pen</b>";
    const NOTE: &str = "</pre><script>hacked()</script><img src=x onerror=hacked()>";
    let kim = &house.kim;
    house.pipeline.receive(SKU, 5).await?;
    let line = json!([{ "sku": SKU, "quantity": 1, "unit_price_minor": 250 }]);
    let order = json!({ "order_id": ORDER, "customer_id": CUSTOMER, "currency": "EUR", "lines": line });
    house.api().waiting().post("/v1/orders", order).await?.of(201)?;
    let is_text = async |place: &str| {
        let made = "return [...document.querySelectorAll('main :is(img, script, b, [onclick], [onerror])')].map(e => e.outerHTML)";
        let made = kim.runs(made).await?;
        let is_text = made.as_array().is_some_and(Vec::is_empty);
        if is_text { Ok(()) } else { Err::<(), Fault>(format!("{place}: {made}").into()) }
    };
    kim.goes_to("/console/orders").await?;
    kim.fills("Order or customer", ORDER).await?;
    kim.clicks("Find").await?;
    kim.sees(CUSTOMER).await?;
    is_text("the list").await?;
    kim.clicks(ORDER).await?;
    kim.sees(&format!("Order {ORDER}")).await?;
    kim.sees("Completed").await?;
    kim.clicks("Refund").await?;
    kim.fills_in("//form[contains(@action,'/refund')]", "Amount in EUR", "1.00").await?;
    kim.fills_in("//form[contains(@action,'/refund')]", "Note", NOTE).await?;
    kim.clicks_in("//form[contains(@action,'/refund')]", "Refund").await?;
    kim.sees("Order refunded").await?;
    kim.sees(NOTE).await?;
    is_text("the order").await?;
    for page in ["/console/stock", "/console"] {
        kim.sees_in_time(page, SKU).await?;
        is_text(page).await?;
    }
    kim.goes_to("/console/stock").await?;
    kim.clicks(SKU).await?;
    kim.sees(&format!("SKU {SKU}")).await?;
    is_text("the SKU").await?;
    let kind = kim.runs("return typeof window.hacked").await?;
    if kind == "undefined" { Ok(()) } else { Err(format!("a script has run: {kind}").into()) }
}
