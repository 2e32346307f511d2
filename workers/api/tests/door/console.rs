//! The console's pages on a real pipeline: what stands and what goes, a SKU and what is done to it, what was sold.

use http_body_util::BodyExt as _;
use hyper::Method;
use hyper::body::Incoming;

use crate::api::Api;
use crate::pipeline::{Door, Outcome, Pipeline, stop, until, until_state};

/// A page, or whatever a form is answered with.
#[derive(Debug)]
struct Page {
    status: u16,
    location: String,
    text: String,
}

impl Page {
    fn of(self, status: u16) -> Outcome<Self> {
        if self.status == status { Ok(self) } else { Err(format!("not {status}: {self:?}").into()) }
    }

    /// The same page, which says all of this.
    fn with(self, words: &[&str]) -> Outcome<Self> {
        match words.iter().find(|words| !self.text.contains(**words)) {
            None => Ok(self),
            Some(missing) => Err(format!("no {missing}: {}", self.text).into()),
        }
    }

    /// The value of the first field of this name behind `place`.
    fn field(&self, place: &str, name: &str) -> Outcome<String> {
        let behind = self.text.split_once(place).map_or(self.text.as_str(), |(_, behind)| behind);
        let found =
            behind.split_once(&format!("name=\"{name}\" value=\"")).and_then(|(_, rest)| rest.split('"').next());
        found.map(str::to_owned).ok_or_else(|| format!("no {name} behind {place}: {}", self.text).into())
    }
}

async fn ask(api: &Api, method: Method, path: &str, body: Option<(&str, String)>) -> Outcome<Page> {
    let response = api.send(method, path, body).await?;
    let location =
        response.headers().get("location").and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
    let status = response.status().as_u16();
    let text = String::from_utf8(response.into_body().collect().await?.to_bytes().to_vec())?;
    Ok(Page { status, location, text })
}

async fn get(api: &Api, path: &str) -> Outcome<Page> {
    ask(api, Method::GET, path, None).await
}

/// Sends a form of ours, as a browser would.
async fn send(api: &Api, path: &str, fields: &[(&str, &str)]) -> Outcome<Page> {
    let plain = |text: &str| text.bytes().map(|byte| format!("%{byte:02X}")).collect::<String>();
    let fields: Vec<String> = fields.iter().map(|(name, value)| format!("{name}={}", plain(value))).collect();
    ask(api, Method::POST, path, Some(("application/x-www-form-urlencoded", fields.join("&")))).await
}

/// A SKU's form, filled in.
async fn supply(api: &Api, sku: &str, act: &str, fields: &[(&str, &str)]) -> Outcome<Page> {
    let page = get(api, &format!("/console/stock/{sku}")).await?.of(200)?;
    let path = format!("/console/stock/{sku}/{act}");
    let place = format!("action=\"{path}\"");
    let (signature, command_id) = (page.field(&place, "signature")?, page.field(&place, "command_id")?);
    let own = [("signature", signature.as_str()), ("command_id", command_id.as_str())];
    let fields: Vec<(&str, &str)> = own.into_iter().chain(fields.iter().copied()).collect();
    let first = send(api, &path, &fields).await?;
    // A double click is one command.
    if first.status == 303 {
        send(api, &path, &fields).await?.of(303)?;
    }
    Ok(first)
}

/// Reads a stream until all of this has been in it, and forgets what was before.
async fn until_told(body: &mut Incoming, words: &[&str]) -> Outcome {
    let mut text = String::new();
    let reading = async {
        while !words.iter().all(|word| text.contains(word)) {
            let frame = body.frame().await.ok_or("the stream has ended")??;
            text.push_str(std::str::from_utf8(frame.data_ref().map(AsRef::as_ref).unwrap_or_default())?);
            if let Some((_, last)) =
                text.rsplit_once("\n\n").filter(|(whole, _)| !words.iter().all(|word| whole.contains(word)))
            {
                text = last.to_owned();
            }
        }
        Ok(())
    };
    tokio::time::timeout(crate::pipeline::PATIENCE, reading).await?
}

async fn streams(door: &Door, count: f64) -> Outcome {
    door.until_metric("api_streams", count).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_overview_tells_what_stands_and_is_exchanged_while_somebody_looks() -> Outcome {
    let pipeline = Pipeline::start("overview").await?;
    let nobody = std::net::TcpListener::bind((std::net::Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
    let order = pipeline.daemon(schemas::ServiceName::Order)?.address();
    let door = pipeline.start_door_with("door", |command| {
        command.env("DAEMONS", format!("order={order},<b>ghost</b>={nobody}"));
    })?;
    let api = &door.api;
    let (mut first, mut second) = (api.body("/console/live").await?, api.body("/console/live").await?);
    streams(&door, 2.0).await?;
    pipeline.receive("pen", 12).await?;
    pipeline.place("o-1", "ada", &[("pen", 2)]).await?;
    pipeline.place("o-2", "ada", &[("none", 1)]).await?;
    until_state(api, "/v1/orders/o-1", "completed").await?;
    // Both are told the same, of their own accord: a daemon that is silent, a name that is text, orders and what became of them.
    let words = [
        "&lt;b&gt;ghost&lt;/b&gt; has not answered",
        "start it again",
        "Placed a second",
        "completed <tspan class=\"count\">1</tspan>",
        "cancelled: out of stock <tspan class=\"count\">1</tspan>",
        "Stock runs out",
        "/console/stock/pen\">pen</a> (10)",
        "leads",
    ];
    until_told(&mut first, &words).await?;
    until_told(&mut second, &words).await?;
    drop(second);
    streams(&door, 1.0).await?;
    until_told(&mut first, &["Placed a second"]).await?;
    drop(first);
    streams(&door, 0.0).await?;
    // Without any script the page has the same.
    let page = get(api, "/console").await?.of(200)?.with(&words)?.with(&["hx-sse:connect=\"/console/live\""])?;
    assert!(!page.text.contains("<b>ghost") && page.text.len() < 100 * 1024, "{}", page.text.len());
    stop(door)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sku_is_received_corrected_and_described_by_forms_each_once_with_who_and_why() -> Outcome {
    let pipeline = Pipeline::start("sku").await?;
    let door = pipeline.start_door("door")?;
    let api = &door.api;
    get(api, "/console/stock").await?.of(200)?.with(&["Nothing was ever received."])?;
    assert_eq!(get(api, "/console/stock?sku=a%2Fb").await?.of(303)?.location, "/console/stock/a%2Fb");
    get(api, "/console/stock/a%2Fb").await?.of(200)?.with(&["Nothing of it was ever received.", "no history"])?;

    let done = supply(api, "a%2Fb", "receive", &[("pieces", "9"), ("note", "pallet <7>")]).await?.of(303)?;
    let page = get(api, &done.location).await?.of(200)?;
    page.with(&["The goods are booked.", "<dt>Available</dt><dd>9</dd>", "pallet &lt;7&gt;", "<svg"])?;
    let done = supply(api, "a%2Fb", "adjust", &[("pieces", "-2"), ("note", "broken")]).await?.of(303)?;
    get(api, &done.location).await?.of(200)?.with(&["<dt>Available</dt><dd>7</dd>", "from 7 to 9, now 7"])?;
    let described = [("title", "Pen <b>"), ("price", "2.50"), ("currency", "EUR"), ("note", "new")];
    let done = supply(api, "a%2Fb", "describe", &described).await?.of(303)?;
    get(api, &done.location).await?.of(200)?.with(&["Pen &lt;b&gt;", "EUR 2.50", "value=\"2.50\""])?;
    get(api, "/console/stock").await?.of(200)?.with(&["/console/stock/a%2Fb", "Pen &lt;b&gt;"])?;
    let finer = [("title", "Pen"), ("price", "2.505"), ("currency", "EUR"), ("note", "new")];
    supply(api, "a%2Fb", "describe", &finer).await?.of(400)?.with(&["at most 2 decimals", "value=\"2.505\""])?;

    // What is refused is said, by the form or by inventory, and what was given stays.
    let refused = supply(api, "a%2Fb", "adjust", &[("pieces", "-200"), ("note", "gone <i>")]).await?.of(422)?;
    refused.with(&["role=\"alert\"", "value=\"-200\"", "gone &lt;i&gt;", "<dt>Available</dt><dd>7</dd>"])?;
    supply(api, "a%2Fb", "receive", &[("pieces", "1"), ("note", " ")]).await?.of(400)?.with(&["say why"])?;
    send(api, "/console/stock/a%2Fb/receive", &[("pieces", "1"), ("note", "x"), ("command_id", "c")]).await?.of(403)?;
    supply(&api.with("origin", "http://evil.example"), "a%2Fb", "receive", &[("pieces", "1"), ("note", "x")])
        .await?
        .of(403)?;
    until("each is kept once, with who and why", || async {
        let sql = "select kind || ' ' || asked_by || ' ' || note from inventory.stock_receipts order by 1";
        let kept = pipeline.query(sql).await?;
        let wanted = ["adjusted local broken", "described local new", "received local pallet <7>"];
        if kept == wanted { Ok(()) } else { Err(format!("{kept:?}").into()) }
    })
    .await?;
    stop(door)
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_only_read_is_offered_nothing_and_gets_nothing_done() -> Outcome {
    let pipeline = Pipeline::start("reader").await?;
    let (door, [key]) = pipeline.start_door_for([("reader", &["orders:read"])])?;
    for path in ["/console", "/console/stock", "/console/business", "/console/stock/pen"] {
        assert_eq!(get(&door.api, path).await?.of(303)?.location, "/console/login", "{path}");
    }
    let reader = door.api.with("cookie", &format!("console_key={key}"));
    let page = get(&reader, "/console/stock/pen").await?.of(200)?;
    assert!(!page.text.contains("What can be done"), "{}", page.text);
    let signature = page.field("<form", "signature")?;
    let fields = [("signature", signature.as_str()), ("command_id", "c"), ("pieces", "1"), ("note", "x")];
    send(&reader, "/console/stock/pen/receive", &fields).await?.of(403)?.with(&["stock:write"])?;
    stop(door)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_sold_is_counted_by_hour_and_currency() -> Outcome {
    let pipeline = Pipeline::start("business").await?;
    let door = pipeline.start_door("door")?;
    let api = &door.api;
    get(api, "/console/business").await?.of(200)?;
    pipeline.receive("pen", 100).await?;
    pipeline.place("o-1", "ada", &[("pen", 3)]).await?;
    pipeline.place("o-2", "ada", &[("none", 1)]).await?;
    pipeline.place("o-3", "ada", &[("pen", 1)]).await?;
    until_state(api, "/v1/orders/o-1", "completed").await?;
    until_state(api, "/v1/orders/o-3", "completed").await?;
    let refund = serde_json::json!({ "amount_minor": 100 });
    api.waiting().once("back").post("/v1/orders/o-1/refunds", refund).await?.of(200)?;
    let words = [
        "<dt>Orders</dt><dd>3</dd>",
        "<dt>Of those cancelled</dt><dd>1</dd>",
        "<dt>Ordered</dt><dd>EUR 12.50</dd>",
        "<dt>Called off</dt><dd>EUR 2.50</dd>",
        "<dt>Not taken</dt><dd>EUR 0.00</dd>",
        "<dt>Taken</dt><dd>EUR 10.00</dd>",
        "<dt>Given back</dt><dd>EUR 1.00</dd>",
        "<dt>Kept</dt><dd>EUR 9.00</dd>",
        "/console/stock/pen",
    ];
    until("it is counted", || async { get(api, "/console/business").await?.of(200)?.with(&words).map(drop) }).await?;
    // An hour that is not among the last ones is the present one.
    get(api, "/console/business?hour=-1").await?.of(200)?.with(&words[..1])?;
    stop(door)
}
