// What a stock consumer reads: `java -cp 'JARS/*' Arrivals.java create TOPIC` makes a topic of three partitions,
// `... read TOPIC COUNT` prints so many records of it, or fails after half a minute. KAFKA_BROKERS says where.

import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.StringDeserializer;

class Arrivals {
    public static void main(String[] arguments) throws Exception {
        Map<String, Object> brokers = Map.of("bootstrap.servers", System.getenv("KAFKA_BROKERS"));
        if (arguments[0].equals("create")) {
            try (Admin admin = Admin.create(brokers)) {
                admin.createTopics(List.of(new NewTopic(arguments[1], 3, (short) 1))).all().get();
            }
            return;
        }
        int wanted = Integer.parseInt(arguments[2]);
        try (var consumer = new KafkaConsumer<>(brokers, new StringDeserializer(), new StringDeserializer())) {
            var partitions = List.of(0, 1, 2).stream().map(n -> new TopicPartition(arguments[1], n)).toList();
            consumer.assign(partitions);
            consumer.seekToBeginning(partitions);
            Instant until = Instant.now().plusSeconds(30);
            int seen = 0;
            while (seen < wanted) {
                if (Instant.now().isAfter(until)) {
                    throw new IllegalStateException(seen + " of " + wanted + " records came");
                }
                for (ConsumerRecord<String, String> record : consumer.poll(Duration.ofSeconds(1))) {
                    System.out.println(record.partition() + "@" + record.offset() + " " + record.key() + " " + record.value()
                        + " " + text(record, "ce_type") + " " + text(record, "tenant") + " " + text(record, "outbox-position"));
                    seen++;
                }
            }
        }
    }

    private static String text(ConsumerRecord<String, String> record, String header) {
        return header + "=" + new String(record.headers().lastHeader(header).value());
    }
}
