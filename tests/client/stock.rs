//! The verbs about goods, as people run them: received, corrected, described, shown.

use tests::{Outcome, Pipeline, Servers, Settings};

use crate::DAEMON;
use crate::program::run;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn goods_are_received_described_and_shown_and_each_says_who_asked() -> Outcome {
    let servers = Servers::shared().await?;
    let pipeline = Pipeline::start(DAEMON, &servers, Settings::default()).await?;
    let who = ["--by", "ann", "--note", "pallet 7"];
    run(&pipeline, &[&["stock", "receive", "pen", "9"][..], &who].concat()).await?.expect(0)?;
    let adjusted =
        run(&pipeline, &[&["stock", "adjust", "pen", "-2", "--json"][..], &who].concat()).await?.expect(0)?;
    let origin = &adjusted.json()?["answer"]["body"]["origin"];
    assert_eq!((origin["by"].as_str(), origin["note"].as_str()), (Some("ann"), Some("pallet 7")), "{origin}");
    let say = |title: &'static str, price: &'static str| {
        ["stock", "describe", "pen", "--title", title, "--price-minor", price, "--currency", "EUR", "--id", "say-1"]
    };
    let described = run(&pipeline, &say("Pen, blue", "250")).await?.expect(0)?;
    assert!(described.stdout.contains("pen is Pen, blue at EUR 2.50"), "{described:?}");
    run(&pipeline, &say("Pen, blue", "250")).await?.expect(0)?;
    let other = run(&pipeline, &say("Pen, red", "250")).await?.expect(1)?;
    assert!(other.stdout.contains("refused: ContentDiffers"), "{other:?}");
    let words = ["stock", "describe", "pen", "--title", "", "--price-minor", "-1", "--currency", "DEM"];
    let wrong = run(&pipeline, &words).await?.expect(1)?;
    for reason in ["TitleEmpty", "PriceNegative", "CurrencyUnknown"] {
        assert!(wrong.stdout.contains(reason), "{wrong:?}");
    }
    let shown = run(&pipeline, &["stock", "show", "pen", "--json"]).await?.expect(0)?.json()?;
    let told = (shown["available"].as_i64(), shown["title"].as_str(), shown["price_minor"].as_i64());
    assert_eq!(told, (Some(7), Some("Pen, blue"), Some(250)), "{shown}");
    let table = run(&pipeline, &["stock", "show"]).await?.expect(0)?.stdout;
    assert!(table.contains("EUR 2.50") && table.contains("Pen, blue"), "{table}");
    pipeline.check_clean().await
}
