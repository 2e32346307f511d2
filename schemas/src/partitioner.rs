//! Which partition a key belongs to: what Kafka's Java clients, Debezium and ksqlDB do (murmur2 of the key).
//!
//! librdkafka's own default differs (CRC32); a librdkafka client asks for `partitioner=murmur2_random`.

const SEED: u32 = 0x9747_b28c;
const M: u32 = 0x5bd1_e995;

/// The partition of a key among `partitions` (at least 1; 0 or fewer count as 1).
pub fn partition_of(key: &[u8], partitions: i32) -> i32 {
    let positive = (murmur2(key) & 0x7fff_ffff).cast_signed();
    positive % partitions.max(1)
}

/// MurmurHash2, 32 bits, little-endian words, as in `org.apache.kafka.common.utils.Utils.murmur2`.
fn murmur2(data: &[u8]) -> u32 {
    // The Java code mixes in the length as a 32-bit int; a key is never that long, and wrapping is what it would do.
    let length = u32::try_from(data.len() & 0xffff_ffff).unwrap_or(u32::MAX);
    let mut hash = SEED ^ length;
    let (words, rest) = data.as_chunks::<4>();
    for word in words {
        let mut k = u32::from_le_bytes(*word).wrapping_mul(M);
        k ^= k >> 24;
        hash = hash.wrapping_mul(M) ^ k.wrapping_mul(M);
    }
    if !rest.is_empty() {
        for (i, byte) in rest.iter().enumerate() {
            hash ^= u32::from(*byte) << (8 * i);
        }
        hash = hash.wrapping_mul(M);
    }
    hash ^= hash >> 13;
    hash = hash.wrapping_mul(M);
    hash ^ (hash >> 15)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first six are those of Kafka's `UtilsTest`, the others those of librdkafka's own test.
    #[test]
    fn murmur2_gives_what_the_java_client_gives() {
        let known: [(&[u8], i32); 13] = [
            (b"21", -973_932_308),
            (b"foobar", -790_332_482),
            (b"a-little-bit-long-string", -985_981_536),
            (b"a-little-bit-longer-string", -1_486_304_829),
            (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
            (b"abc", 479_470_107),
            (b"kafka", 0xd067_cf64_u32.cast_signed()),
            (b"giberish123456789", 0x8f55_2b0c_u32.cast_signed()),
            (b"1234", 0x9fc9_7b14_u32.cast_signed()),
            (b"234", 0xe7c0_09ca_u32.cast_signed()),
            (b"34", 0x8739_30da_u32.cast_signed()),
            (b"4", 0x5a4b_5ca1),
            (b"", 0x106e_08d9),
        ];
        for (key, hash) in known {
            assert_eq!(murmur2(key).cast_signed(), hash, "{}", String::from_utf8_lossy(key));
        }
    }

    #[test]
    fn a_partition_is_the_positive_hash_modulo_the_count() {
        // -790332482 & 0x7fffffff = 1357151166, and that modulo 6 is 0, modulo 11 is 8.
        assert_eq!(partition_of(b"foobar", 6), 0);
        assert_eq!(partition_of(b"foobar", 11), 8);
        assert_eq!(partition_of(b"21", 1), 0);
        assert_eq!(partition_of(b"21", 0), 0);
    }
}
