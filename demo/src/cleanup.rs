//! Removes what the demo left on servers of somebody else: its topics and its schemas, known by their names.
//!
//! On private servers there is nothing to do: they are gone with all that was on them.

use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use schemas::{ServiceName, TopicName};

use crate::error::DemoError;
use crate::guest;
use crate::scene::Scene;

const LIMIT: Duration = Duration::from_secs(30);

/// Removes the demo's topics, groups and schemas.
pub(crate) async fn remove_traces(scene: &Scene) -> Result<(), DemoError> {
    if scene.foreign_kafka && !scene.topic_prefix.is_empty() {
        remove_topics(scene).await?;
    }
    if scene.foreign_postgres {
        remove_schemas(scene).await?;
    }
    Ok(())
}

async fn remove_topics(scene: &Scene) -> Result<(), DemoError> {
    let failed = |error| DemoError::Words(format!("cannot remove the demo's topics {}*: {error}", scene.topic_prefix));
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", &scene.brokers);
    let admin: AdminClient<DefaultClientContext> = config.create().map_err(failed)?;
    let connection = scene.connection();
    let names: Vec<String> = TopicName::ALL
        .iter()
        .flat_map(|topic| [connection.topic(*topic), connection.dead_letter_topic(*topic)])
        .collect();
    let names = names.into_iter().chain(guest::TOPICS.map(|topic| format!("{}{topic}", scene.topic_prefix)));
    let names: Vec<String> = names.collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let options = AdminOptions::new().request_timeout(Some(LIMIT)).operation_timeout(Some(LIMIT));
    let gone = [RDKafkaErrorCode::UnknownTopicOrPartition, RDKafkaErrorCode::UnknownTopic];
    for result in admin.delete_topics(&names, &options).await.map_err(failed)? {
        if let Err((_, code)) = result
            && !gone.contains(&code)
        {
            return Err(failed(KafkaError::AdminOp(code)));
        }
    }
    let groups: Vec<String> =
        ServiceName::ALL.iter().map(|s| format!("{}{}-worker", scene.topic_prefix, s.as_str())).collect();
    let others = [guest::group(scene), format!("{}order-api", scene.topic_prefix)];
    let groups: Vec<String> = groups.into_iter().chain(others).collect();
    let groups: Vec<&str> = groups.iter().map(String::as_str).collect();
    // A group that never committed does not exist; one more or less does nobody harm.
    admin.delete_groups(&groups, &options).await.map_err(failed)?;
    Ok(())
}

async fn remove_schemas(scene: &Scene) -> Result<(), DemoError> {
    let schemas = ServiceName::ALL.map(|service| scene.schema(service));
    for schema in schemas.into_iter().chain([scene.guest_schema(), scene.view_schema()]) {
        let failed = |error: String| DemoError::Words(format!("cannot remove the demo's schema {schema}: {error}"));
        let database = provision::Database::open(&scene.database_url, None, schema, "demo")
            .map_err(|error| failed(error.to_string()))?;
        let client = database.client().await.map_err(|error| failed(error.to_string()))?;
        let dropped = client.batch_execute(&format!("drop schema if exists {schema} cascade")).await;
        dropped.map_err(|error| failed(error.to_string()))?;
    }
    Ok(())
}
