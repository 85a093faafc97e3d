//! Where Java's producer puts a key, so that the lane can say which partition a row's changes are in and
//! notice a producer that places them otherwise.
//!
//! The hash is MurmurHash2 (32 bits, Austin Appleby) with the seed that Kafka's Java client uses
//! (`org.apache.kafka.common.utils.Utils.murmur2`). librdkafka's own default partitioner is another.

/// Kafka's seed.
const SEED: u32 = 0x9747_b28c;
const MULTIPLIER: u32 = 0x5bd1_e995;
const SHIFT: u32 = 24;

/// MurmurHash2 of a key's bytes as Java's client computes it: a signed 32-bit number.
pub fn murmur2(key: &[u8]) -> i32 {
    // Java's length is a 32-bit int; a record's key is far below that.
    let mut h = SEED ^ u32::try_from(key.len()).unwrap_or(u32::MAX);
    let (words, rest) = key.as_chunks::<4>();
    for word in words {
        let mut k = u32::from_le_bytes(*word).wrapping_mul(MULTIPLIER);
        k ^= k >> SHIFT;
        h = h.wrapping_mul(MULTIPLIER) ^ k.wrapping_mul(MULTIPLIER);
    }
    if !rest.is_empty() {
        for (i, byte) in rest.iter().enumerate() {
            h ^= u32::from(*byte) << (8 * i);
        }
        h = h.wrapping_mul(MULTIPLIER);
    }
    h ^= h >> 13;
    h = h.wrapping_mul(MULTIPLIER);
    h ^= h >> 15;
    h.cast_signed()
}

/// The partition, from 0, that Java's default partitioner gives a key that is not null, in a topic of
/// `partitions` partitions: the hash without its sign bit, modulo the partitions. A topic spec has at least
/// one partition; for less this is 0.
pub fn predicted_partition(key: &[u8], partitions: i32) -> i32 {
    let positive = murmur2(key) & i32::MAX;
    if partitions < 1 {
        return 0;
    }
    positive % partitions
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_the_one_of_kafkas_java_client() {
        // The vectors of org.apache.kafka.common.utils.UtilsTest#testMurmur2.
        for (key, hash) in [
            ("21", -973_932_308),
            ("foobar", -790_332_482),
            ("a-little-bit-long-string", -985_981_536),
            ("a-little-bit-longer-string", -1_486_304_829),
            (
                "lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8",
                -58_897_971,
            ),
            ("abc", 479_470_107),
        ] {
            assert_eq!(murmur2(key.as_bytes()), hash, "{key}");
        }
        // What kafka-clients 4.3.1 gives for these.
        assert_eq!(murmur2(b""), 275_646_681);
        assert_eq!(murmur2(br#"{"id":1}"#), -56_768_732);
        assert_eq!(
            murmur2(&[0xe5, 0xb0, 0x8f, 0xff, 0x80, 0xfe, 0xff]),
            1_029_322_127
        );
    }

    #[test]
    fn a_negative_hash_loses_its_sign_bit_before_the_modulo() {
        for (key, partition) in [("21", 4), ("foobar", 6), ("abc", 3), (r#"{"id":1}"#, 4)] {
            assert_eq!(predicted_partition(key.as_bytes(), 8), partition, "{key}");
        }
        assert_eq!(predicted_partition(b"anything", 1), 0);
        assert_eq!(predicted_partition(b"anything", 0), 0);
    }
}
