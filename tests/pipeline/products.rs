//! What a SKU is called and what it costs: said often, by workers that die in the middle, and refused.

use schemas::{
    CommandId, DescribeProduct, Message, ReceiveStock, ServiceName, Sku, StockCommandRefused, StockEvent, TopicName,
};
use tests::{Outcome, Pipeline, Servers, Settings, trouble};

use crate::DAEMON;

const SKUS: usize = 50;
const ROUNDS: usize = 4;

fn describe(sku: &str, id: &str, title: &str, price_minor: i64) -> Outcome<Message> {
    let (sku, command_id) = (Sku::new(sku)?, CommandId::new(id)?);
    let (title, currency, by) = (title.to_owned(), "EUR".to_owned(), Some("desk-3".to_owned()));
    Ok(DescribeProduct { sku, command_id, title, price_minor, currency, by, note: Some("season".to_owned()) }.into())
}

async fn await_receipts(pipeline: &Pipeline, count: usize) -> Outcome {
    pipeline
        .until(&format!("{count} stock commands are carried out"), async || {
            let found = pipeline.tables().number("select count(*) from inventory.stock_receipts").await?;
            if found >= i64::try_from(count)? { Ok(()) } else { Err(trouble(found.to_string())) }
        })
        .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_product_is_what_was_said_of_it_last_whoever_dies() -> Outcome {
    let servers = Servers::shared().await?;
    let mut pipeline = Pipeline::start(DAEMON, &servers, Settings::default()).await?;
    for round in 0..ROUNDS {
        let mut commands = Vec::new();
        for number in 0..SKUS {
            let (sku, id) = (format!("sku-{number:02}"), format!("say-{round}"));
            commands.push(describe(&sku, &id, &format!("Ware {number}, season {round}"), i64::try_from(round)?)?);
            commands.push(ReceiveStock::of(Sku::new(&*sku)?, CommandId::new(format!("in-{round}"))?, 1).into());
            // Sent again: the first answer, once more.
            commands.push(describe(&sku, &id, &format!("Ware {number}, season {round}"), i64::try_from(round)?)?);
        }
        pipeline.publish(&commands).await?;
        await_receipts(&pipeline, round * SKUS * 2 + 1).await?;
        pipeline.kill9(ServiceName::Inventory, round % 2)?;
        pipeline.spawn(ServiceName::Inventory, round % 2).await?;
    }
    await_receipts(&pipeline, ROUNDS * SKUS * 2).await?;
    pipeline.check_clean().await?;
    let last = ROUNDS - 1;
    let right = format!(
        "select count(*) from inventory.products p join inventory.stock s using (sku) \
         where title like 'Ware %, season {last}' and price_minor = {last} and s.version = {v} and p.version = {v} - 1",
        v = ROUNDS * 2
    );
    assert_eq!(pipeline.tables().number(&right).await?, i64::try_from(SKUS)?);
    let asked = "select count(*) from inventory.stock_receipts where kind = 'described' and asked_by = 'desk-3'";
    assert_eq!(pipeline.tables().number(asked).await?, i64::try_from(SKUS * ROUNDS)?);

    // A price that nobody has said is found: by the topics, and by what was said last.
    pipeline.tables().execute("update inventory.products set price_minor = 9 where sku = 'sku-07'", &[]).await?;
    let report = pipeline.verdict().await?;
    for invariant in [replay_tool::Invariant::Stock, replay_tool::Invariant::Rebuild] {
        assert!(report.violations.iter().any(|found| found.invariant == invariant), "{:#?}", report.violations);
    }
    pipeline.accept();
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_description_that_cannot_be_is_refused_with_every_reason() -> Outcome {
    let servers = Servers::shared().await?;
    let pipeline = Pipeline::start(DAEMON, &servers, Settings::default()).await?;
    let good = describe("a", "good", "Pen", 250)?;
    let wrong = [
        describe("a", "good", "Pencil", 250)?,
        describe("a", "nameless", " ", -1)?,
        describe("a", "long", &"x".repeat(257), i64::MAX)?,
    ];
    pipeline.publish(std::slice::from_ref(&good)).await?;
    pipeline.publish(&wrong).await?;
    pipeline.publish(&[good]).await?;
    pipeline.check_clean().await?;
    let (mut refused, mut told) = (Vec::new(), Vec::new());
    for record in pipeline.messages(TopicName::StockEvents).await? {
        let Message::StockEvent(event) = record.message else { continue };
        match event {
            StockEvent::StockCommandRefused(StockCommandRefused { command_id, reasons, .. }) => {
                let codes: Vec<String> = reasons.into_iter().map(|reason| reason.reason_code).collect();
                refused.push(format!("{command_id}: {}", codes.join(" ")));
            }
            StockEvent::ProductDescribed(event) => told.push((record.id, event)),
            other @ (StockEvent::StockReceived(_)
            | StockEvent::StockAdjusted(_)
            | StockEvent::StockCommandRejected(_)) => return Err(trouble(format!("{other:?}"))),
        }
    }
    assert_eq!(
        refused,
        ["good: ContentDiffers", "nameless: TitleEmpty PriceNegative", "long: TitleTooLong PriceTooLarge"]
    );
    assert_eq!(told.len(), 2);
    assert_eq!(told[0], told[1], "word for word, under the same id");
    assert_eq!(told[0].1.origin.as_ref().and_then(|origin| origin.by.as_deref()), Some("desk-3"));
    Ok(())
}
