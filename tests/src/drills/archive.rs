//! The archive beside a drill's pipeline: copied while orders come in, and brought back into other topics.

use dev_stack::Child;
use schemas::TopicName;

use super::scene::Scene;
use crate::{LONG, Outcome, trouble, until};

/// `archive run --follow`, which has everything up to now when this returns.
pub(super) async fn follow(scene: &Scene) -> Outcome<Child> {
    let (folder, prefix) = (folder(scene), scene.pipeline.prefix());
    let brokers = scene.pipeline.servers().stack().brokers();
    let words = ["archive", "run", "--follow", "--segment-age", "1", "--to", &folder, "--brokers", &brokers];
    let command = scene.replay_command(&[&words[..], &["--topic-prefix", prefix]].concat());
    let archive = Child::spawn(command, "archive", &scene.pipeline.folder().join("archive.log"))?;
    let commands = TopicName::OrderCommands.as_str();
    let ends = scene.pipeline.broker().ends(&[commands.to_owned()]).await?;
    until("the archive has what is there", LONG, async || {
        let told = scene.pipeline.broker().committed("replay-archive", commands).await?;
        let is_behind = |((_, partition), (_, end)): &(&(String, i32), &(i64, i64))| {
            told.get(partition).copied().unwrap_or_default() < *end
        };
        match ends.iter().find(is_behind) {
            None => Ok(()),
            Some(_) => Err(trouble(format!("{told:?} of {ends:?}; {}", archive.tail()))),
        }
    })
    .await?;
    Ok(archive)
}

/// Ends it. It copies what is left, if that is there.
pub(super) async fn end(scene: &Scene, archive: Child) -> Outcome {
    scene.does("stop archive run");
    if archive.is_running() {
        archive.terminate()?;
    }
    let (ended, archive) = tokio::task::spawn_blocking(move || (archive.wait_timeout(LONG), archive)).await?;
    let code = ended?.and_then(|ended| ended.code()).map_or("a signal".to_owned(), |code| code.to_string());
    scene
        .story
        .tell("", &format!("archive run ends with {code}: {}", archive.tail().lines().last().unwrap_or_default()));
    Ok(())
}

/// Checks it, brings it back into topics under another prefix, and lets the services go over to them.
pub(super) async fn restore(scene: &mut Scene) -> Outcome {
    let (folder, old) = (folder(scene), scene.pipeline.prefix().to_owned());
    let new = format!("{old}again-");
    scene.replay(&["archive", "check", &folder], 0).await?;
    let (brokers, url) = (scene.pipeline.servers().stack().brokers(), scene.pipeline.database_url().to_owned());
    let from = ["archive", "restore", "--archive", &folder, "--archive-prefix", &old];
    let to = ["--brokers", &brokers, "--topic-prefix", &new, "--swap", "--database-url", &url];
    scene.replay(&[&from[..], &to].concat(), 0).await?;
    scene.does(&format!("TOPIC_PREFIX={new}, for the workers, the clients and a new archive"));
    scene.pipeline.move_to(&new)
}

fn folder(scene: &Scene) -> String {
    scene.pipeline.folder().join("archive").display().to_string()
}
