//! `dead-letters redrive` and `discard` stopped among many letters: what is done is done and told, nothing is half done,
//! and the next run does the rest, each letter once.

use dev_stack::Child;
use outbox::position::POSITION_HEADER;
use schemas::TopicName;
use tests::{LONG, Outcome, Pipeline, Sent, Servers, Settings, Trouble, trouble, until};

use crate::DAEMON;
use crate::program::{command, run};

const TOPIC: TopicName = TopicName::OrderCommands;

/// Topics with so many letters that nobody could decode, and no daemon.
async fn letters(count: u32) -> Outcome<Pipeline> {
    let settings = Settings { partitions: 1, ..Settings::default() };
    let pipeline = Pipeline::prepare(DAEMON, &Servers::shared().await?, settings).await?;
    let letter = |number: u32| Sent {
        topic: TOPIC.dead_letter(),
        key: Some(number.to_string().into_bytes()),
        value: Some(b"no command".to_vec()),
        // As the order service's relay would publish it; without a position it is a stranger's, and no letter.
        headers: vec![(POSITION_HEADER.to_owned(), Some(format!("/order:1:1:{}", number + 1).into_bytes()))],
        ..Sent::default()
    };
    pipeline.broker().send_all(&(0..count).map(letter).collect::<Vec<_>>()).await?;
    Ok(pipeline)
}

async fn end(pipeline: &Pipeline, topic: String) -> Outcome<i64> {
    Ok(pipeline.broker().ends(&[topic]).await?.values().map(|(_, end)| end).sum())
}

async fn begun(pipeline: &Pipeline, words: &[&str], topic: &str, beyond: i64) -> Outcome<Child> {
    let verb = Child::spawn(command(pipeline, words), "verb", &pipeline.folder().join("verb.log"))?;
    until("it has begun", LONG, async || match end(pipeline, topic.to_owned()).await? {
        at if at > beyond => Ok(()),
        at => Err(trouble(format!("{at}; {}", verb.tail()))),
    })
    .await?;
    Ok(verb)
}

/// The last line of what it printed before it ended with 130.
async fn interrupt(verb: Child) -> Outcome<String> {
    verb.interrupt()?;
    let ended = tokio::task::spawn_blocking(move || Ok::<_, Trouble>((verb.wait_timeout(LONG)?, verb.output()?)));
    let (ended, output) = ended.await??;
    assert_eq!(ended.and_then(|ended| ended.code()), Some(130), "{ended:?}: {output}");
    let told = output.lines().rev().find(|line| line.ends_with(", 0 not"));
    told.map(str::to_owned).ok_or_else(|| trouble(format!("it does not say what it did: {output}")))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn letters_are_discarded_once_though_it_is_stopped_twice() -> Outcome {
    const COUNT: u32 = 3000;
    let all = i64::from(COUNT);
    let pipeline = letters(COUNT).await?;
    let words = ["dead-letters", "discard", "--all", "--reason", "a test"];
    let told = interrupt(begun(&pipeline, &words, &TOPIC.dead_letter(), all).await?).await?;
    let noted = end(&pipeline, TOPIC.dead_letter()).await? - all;
    assert!(noted < all, "it had ended before it was interrupted");
    assert_eq!(told, format!("{noted} discarded, 0 not"));
    begun(&pipeline, &words, &TOPIC.dead_letter(), all + noted).await?.kill9()?;
    let noted = end(&pipeline, TOPIC.dead_letter()).await? - all;
    assert!(noted < all, "it had ended before it was killed");
    let last = run(&pipeline, &words).await?.expect(0)?;
    assert!(last.stdout.ends_with(&format!("{} discarded, 0 not\n", all - noted)), "{}", last.stdout);
    assert_eq!(end(&pipeline, TOPIC.dead_letter()).await?, 2 * all, "one note for each letter");
    let listed = run(&pipeline, &["dead-letters", "list", "--json"]).await?.expect(0)?.json()?;
    assert_eq!((&listed["open"], &listed["handled"]), (&0.into(), &COUNT.into()));
    pipeline.accept();
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redrive_that_is_interrupted_ends_the_letter_that_it_has_in_hand() -> Outcome {
    const COUNT: u32 = 80;
    let pipeline = letters(COUNT).await?;
    let words = ["dead-letters", "redrive", "--all", "--unreadable", "--rate", "20"];
    let told = interrupt(begun(&pipeline, &words, TOPIC.as_str(), 0).await?).await?;
    let published = end(&pipeline, TOPIC.as_str().to_owned()).await?;
    assert!(published < i64::from(COUNT), "it had ended before it was interrupted");
    assert_eq!(told, format!("{published} redriven, 0 not"));
    // Each has the note that it begins and the note that it is done.
    assert_eq!(end(&pipeline, TOPIC.dead_letter()).await?, i64::from(COUNT) + 2 * published);
    let rest = [&words[..4], &["--rate", "1000"]].concat();
    run(&pipeline, &rest).await?.expect(0)?;
    assert_eq!(end(&pipeline, TOPIC.as_str().to_owned()).await?, i64::from(COUNT));
    pipeline.accept();
    Ok(())
}
