//! How far groups are behind, asked of the brokers, as an operator would.
//!
//! Blocking, so for threads of its own.

use std::time::Duration;

use outbox::log::{self, Bounds, Partition};
use rdkafka::consumer::BaseConsumer;
use rdkafka::error::KafkaResult;
use rdkafka::topic_partition_list::TopicPartitionListElem;
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use schemas::{ServiceName, TopicName};

use crate::error::DemoError;
use crate::scene::Scene;

const LIMIT: Duration = Duration::from_secs(10);

/// Measures how far the groups are behind.
pub(crate) struct LagGauge {
    /// One consumer per group: offsets are asked for in a group's name. None ever joins.
    groups: Vec<(Vec<TopicName>, BaseConsumer)>,
    scene: Scene,
}

impl LagGauge {
    /// Of the three services.
    pub(crate) fn open(scene: &Scene) -> Result<Self, DemoError> {
        let group = |service: ServiceName| {
            (format!("{}{}-worker", scene.topic_prefix, service.as_str()), service.inputs().to_vec())
        };
        Self::of(scene, ServiceName::ALL.map(group).to_vec())
    }

    /// Of these groups, with what they read. Connects.
    pub(crate) fn of(scene: &Scene, groups: Vec<(String, Vec<TopicName>)>) -> Result<Self, DemoError> {
        let open = |(group, topics): (String, _)| Ok((topics, consumer(scene, &group).map_err(failed)?));
        let groups = groups.into_iter().map(open).collect::<Result<_, DemoError>>()?;
        Ok(Self { groups, scene: scene.clone() })
    }

    /// Messages in the services' topics that their groups have not committed. Blocks.
    pub(crate) fn measure(&self) -> Result<u64, DemoError> {
        let mut lag = 0;
        for (topics, consumer) in &self.groups {
            lag += self.lag_of(topics, consumer).map_err(failed)?;
        }
        Ok(lag)
    }

    fn lag_of(&self, topics: &[TopicName], consumer: &BaseConsumer) -> KafkaResult<u64> {
        let connection = self.scene.connection();
        let mut wanted = TopicPartitionList::new();
        for topic in topics {
            wanted.add_partition_range(&connection.topic(*topic), 0, i32::from(self.scene.partitions) - 1);
        }
        let committed = outbox::kafka::committed(consumer, &wanted, LIMIT)?;
        let elements = committed.elements();
        let place = |element: &TopicPartitionListElem<'_>| Partition {
            topic: element.topic().into(),
            partition: element.partition(),
        };
        let places: Vec<Partition> = elements.iter().map(place).collect();
        let mut lag = 0;
        for (element, Bounds { low, high }) in elements.iter().zip(log::bounds(consumer, &places, LIMIT)?) {
            let next = match element.offset() {
                Offset::Offset(offset) => offset,
                Offset::Beginning | Offset::End | Offset::Stored | Offset::Invalid | Offset::OffsetTail(_) => low,
            };
            lag += u64::try_from(high - next).unwrap_or(0);
        }
        Ok(lag)
    }
}

fn consumer(scene: &Scene, group: &str) -> KafkaResult<BaseConsumer> {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", &scene.brokers).set("group.id", group).set("enable.auto.commit", "false");
    config.create()
}

fn failed(error: rdkafka::error::KafkaError) -> DemoError {
    DemoError::Words(format!("Kafka does not say how far everybody is: {error}"))
}
