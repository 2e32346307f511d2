//! Ranges read from the client library's own broker for tests.

use rdkafka::message::Message as _;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::{BaseProducer, BaseRecord, DefaultProducerContext, Producer as _};

use super::*;

const ANSWER: Duration = Duration::from_secs(20);

struct Bed {
    broker: MockCluster<'static, DefaultProducerContext>,
    producer: BaseProducer,
    client: BaseConsumer,
}

impl Bed {
    /// A broker with these topics of two partitions. A fetch brings hardly more than one record.
    fn new(topics: &[&str]) -> Self {
        let broker = MockCluster::new(1).unwrap();
        topics.iter().for_each(|topic| broker.create_topic(topic, 2, 1).unwrap());
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", broker.bootstrap_servers());
        let producer = config.create().unwrap();
        configure(&mut config, "nobody");
        let client = config
            .set("fetch.message.max.bytes", "1000")
            .set("queued.min.messages", "1")
            .set("fetch.queue.backoff.ms", "1")
            .set("fetch.wait.max.ms", "10")
            .create()
            .unwrap();
        Self { broker, producer, client }
    }

    fn write(&self, topic: &str, partition: i32, records: usize) {
        for _ in 0..records {
            let record = BaseRecord::<(), [u8]>::to(topic).partition(partition).payload(&[0; 2000]);
            self.producer.send(record).map_err(|(error, _)| error).unwrap();
            self.producer.flush(ANSWER).unwrap();
        }
    }

    /// The offsets that reading these ranges brings, by range.
    fn read(&self, ranges: &[Range], mut meanwhile: impl FnMut(usize)) -> Vec<Vec<i64>> {
        let mut found = vec![Vec::new(); ranges.len()];
        read(&self.client, ranges, ANSWER, |index, message| {
            found[index].push(message.offset());
            meanwhile(index);
            ControlFlow::Continue(())
        })
        .unwrap();
        found
    }
}

fn place(topic: &str, partition: i32) -> Partition {
    Partition { topic: topic.into(), partition }
}

fn range(topic: &str, partition: i32, from: i64, until: i64) -> Range {
    Range { place: place(topic, partition), from, until }
}

#[test]
fn bounds_and_times_are_told_in_the_order_that_was_asked() {
    let bed = Bed::new(&["a", "b"]);
    bed.write("a", 1, 3);
    bed.write("b", 0, 2);
    let places = [place("b", 0), place("a", 1), place("a", 0)];
    let highs: Vec<_> = bounds(&bed.client, &places, ANSWER).unwrap().into_iter().map(|b| (b.low, b.high)).collect();
    assert_eq!(highs, [(0, 2), (0, 3), (0, 0)]);
    assert_eq!(bounds(&bed.client, &[], ANSWER).unwrap(), []);
}

#[test]
fn each_range_is_read_from_its_beginning_to_its_end_and_no_further() {
    let bed = Bed::new(&["a", "b"]);
    for (topic, partition) in [("a", 0), ("a", 1), ("b", 0)] {
        bed.write(topic, partition, 5);
    }
    let ranges = [range("b", 0, 1, 4), range("b", 1, 3, 3), range("a", 1, 0, 5), range("a", 0, 4, 5)];
    assert_eq!(bed.read(&ranges, |_| {}), [vec![1, 2, 3], vec![], vec![0, 1, 2, 3, 4], vec![4]]);
}

#[test]
fn the_ends_of_a_log_that_grows_are_not_taken_for_those_of_another_topic() {
    let bed = Bed::new(&["a", "b"]);
    bed.write("a", 0, 1);
    bed.write("b", 0, 20);
    let ranges = [range("a", 0, 0, 1), range("b", 0, 0, 20)];
    // While `b` is read, record by record, the log of `a` goes on now and then, and ends again.
    let mut records = 0;
    let found = bed.read(&ranges, |_| {
        records += 1;
        bed.write("a", 0, usize::from(records % 4 == 0));
    });
    assert_eq!(found, [vec![0], (0..20).collect::<Vec<i64>>()]);
}

#[test]
fn a_log_that_ends_before_its_range_ends_the_range_and_says_so() {
    let bed = Bed::new(&["a", "b"]);
    bed.write("a", 0, 2);
    bed.write("b", 0, 2);
    let ranges = [range("a", 0, 0, 7), range("b", 0, 0, 2)];
    assert_eq!(bed.read(&ranges, |_| {}), [vec![0, 1], vec![0, 1]]);
    let mut reading = Ranges::begin(&bed.client, &ranges[..1]).unwrap();
    while !reading.are_read() {
        let came = bed.client.poll(ANSWER).expect("a record or an end");
        if let Taken::Ended(ended) = reading.take(&bed.client, came).unwrap() {
            assert_eq!(ended, [Unread { index: 0, place: place("a", 0), next: 2, until: 7 }]);
        }
    }
}

#[test]
fn a_range_may_be_left_at_another_offset() {
    let bed = Bed::new(&["a"]);
    bed.write("a", 0, 6);
    let mut reading = Ranges::begin(&bed.client, &[range("a", 0, 0, 6)]).unwrap();
    let mut found = Vec::new();
    while !reading.are_read() {
        let came = bed.client.poll(ANSWER).expect("a record");
        if let Taken::Record(_, message) = reading.take(&bed.client, came).unwrap() {
            found.push(message.offset());
            let next = if message.offset() == 0 { 3 } else { 6 };
            reading.pass(&bed.client, &place("a", 0), next).unwrap();
        }
    }
    assert_eq!(found, [0, 3]);
}

#[test]
fn brokers_that_are_gone_are_waited_for_only_so_long() {
    let bed = Bed::new(&["a"]);
    bed.write("a", 0, 1);
    bed.broker.broker_down(1).unwrap();
    let silent = read(&bed.client, &[range("a", 0, 0, 1)], Duration::from_secs(1), |_, _| ControlFlow::Continue(()));
    let words = silent.unwrap_err().to_string();
    assert!(words.starts_with("topic partitions that should have records gave none in time"), "{words}");
}
