//! What an instance remembers of its aggregates: it spares reading them, and is never believed against the rows.

use schemas::{Message, OrderEvent, ServiceName, TopicName};
use tests::{Outcome, Pipeline, Servers, Settings, order, stock_for, trouble};

use crate::DAEMON;

/// How many batches the instance has decided by memory that turned out so.
async fn recalled(pipeline: &Pipeline, service: ServiceName, memory: &str) -> Outcome<f64> {
    let label = format!("memory=\"{memory}\"");
    pipeline.daemon(service, 0)?.metric("worker_recalled_batches_total", &[&label]).await
}

async fn await_wrong(pipeline: &Pipeline, service: ServiceName) -> Outcome {
    pipeline
        .until(&format!("{service} has decided by memory that was wrong"), async || {
            let wrong = recalled(pipeline, service, "wrong").await?;
            if wrong > 0.0 { Ok(()) } else { Err(trouble(format!("{wrong}"))) }
        })
        .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_remembered_or_assumed_is_not_believed_against_the_rows() -> Outcome {
    let servers = Servers::shared().await?;
    let mut pipeline = Pipeline::start(DAEMON, &servers, Settings::default()).await?;
    let first = order("first", &["a", "b"])?;
    let second = order("second", &["a"])?;
    pipeline.receive(&stock_for(&[first.clone(), second.clone()])).await?;
    pipeline.publish(std::slice::from_ref(&first)).await?;
    pipeline.await_terminal(std::slice::from_ref(&first)).await?;
    for service in ServiceName::ALL {
        let (right, wrong) =
            (recalled(&pipeline, service, "right").await?, recalled(&pipeline, service, "wrong").await?);
        assert!(right > 0.0 && wrong == 0.0, "{service}: {right} {wrong}");
    }

    // Nobody has looked at the level: that there is nothing left is found when the pieces are taken, and told as it is.
    pipeline.tables().execute("update inventory.stock set received = reserved + shipped where sku = 'a'", &[]).await?;
    pipeline.publish(std::slice::from_ref(&second)).await?;
    let rows = pipeline.await_terminal(std::slice::from_ref(&second)).await?;
    assert_eq!(rows["second"].stage, "cancelled");
    await_wrong(&pipeline, ServiceName::Inventory).await?;

    // An instance that begins anew remembers nothing: an order that is placed again is not there, as far as it knows.
    pipeline.stop(ServiceName::Order, 0).await?;
    pipeline.spawn(ServiceName::Order, 0).await?;
    pipeline.daemon(ServiceName::Order, 0)?.await_ready().await?;
    pipeline.publish(std::slice::from_ref(&first)).await?;
    await_wrong(&pipeline, ServiceName::Order).await?;
    let third = order("third", &["b"])?;
    pipeline.receive(&stock_for(std::slice::from_ref(&third))).await?;
    pipeline.publish(std::slice::from_ref(&third)).await?;
    pipeline.await_terminal(std::slice::from_ref(&third)).await?;
    let mut placed = Vec::new();
    for record in pipeline.messages(TopicName::OrderEvents).await? {
        if let Message::OrderEvent(OrderEvent::OrderPlaced(event)) = record.message {
            placed.push(event.order_id.as_str().to_owned());
        }
    }
    placed.sort_unstable();
    assert_eq!(placed, ["first", "second", "third"], "a repeated order was placed again, or one was lost");
    pipeline.accept();
    Ok(())
}
