//! Who has which partition, from what the brokers tell of the group's members: lanes that nobody has. Pure.
//!
//! The layout is that of `ConsumerProtocolAssignment` in <https://kafka.apache.org/protocol.html>: version, then topics with
//! their partitions, then data of the user's.

use std::collections::{BTreeSet, HashSet};

/// The lanes of which some input partition is no member's. `assignments` holds one entry a member.
pub(crate) fn lanes_without_owner(assignments: &[&[u8]], inputs: &[impl AsRef<str>], lanes: i32) -> BTreeSet<i32> {
    let owned: HashSet<(String, i32)> = assignments.iter().filter_map(|bytes| parse(bytes)).flatten().collect();
    (0..lanes).filter(|lane| inputs.iter().any(|topic| !owned.contains(&(topic.as_ref().to_owned(), *lane)))).collect()
}

/// The topic partitions of one member; `None` where the bytes say something else.
fn parse(bytes: &[u8]) -> Option<Vec<(String, i32)>> {
    let mut rest = bytes;
    let _version: [u8; 2] = take(&mut rest)?;
    let topics = i32::from_be_bytes(take(&mut rest)?);
    let mut partitions = Vec::new();
    for _ in 0..topics {
        let length = usize::try_from(i16::from_be_bytes(take(&mut rest)?)).ok()?;
        let (name, after) = rest.split_at_checked(length)?;
        let name = std::str::from_utf8(name).ok()?;
        rest = after;
        for _ in 0..i32::from_be_bytes(take(&mut rest)?) {
            partitions.push((name.to_owned(), i32::from_be_bytes(take(&mut rest)?)));
        }
    }
    Some(partitions)
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, after) = rest.split_first_chunk::<N>()?;
    *rest = after;
    Some(*taken)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assignment(topics: &[(&str, &[i32])]) -> Vec<u8> {
        let mut bytes = vec![0, 3];
        bytes.extend(i32::try_from(topics.len()).unwrap().to_be_bytes());
        for (name, partitions) in topics {
            bytes.extend(i16::try_from(name.len()).unwrap().to_be_bytes());
            bytes.extend(name.as_bytes());
            bytes.extend(i32::try_from(partitions.len()).unwrap().to_be_bytes());
            partitions.iter().for_each(|partition| bytes.extend(partition.to_be_bytes()));
        }
        bytes.extend((-1_i32).to_be_bytes());
        bytes
    }

    #[test]
    fn a_lane_has_an_owner_when_all_its_partitions_have() {
        let (first, second) = (assignment(&[("a", &[0, 1]), ("b", &[0])]), assignment(&[("b", &[1]), ("c", &[2])]));
        let lanes = lanes_without_owner(&[&first, &second], &["a", "b"], 3);
        assert_eq!(lanes, BTreeSet::from([2]));
        assert_eq!(lanes_without_owner(&[&first], &["a", "b"], 3), BTreeSet::from([1, 2]));
        assert_eq!(lanes_without_owner(&[], &["a"], 2), BTreeSet::from([0, 1]));
    }

    #[test]
    fn bytes_that_end_early_are_nobodys_partitions() {
        let whole = assignment(&[("topic", &[0])]);
        assert_eq!(parse(&whole), Some(vec![("topic".to_owned(), 0)]));
        for length in 0..whole.len() - 4 {
            assert_eq!(parse(&whole[..length]), None, "{length} bytes");
        }
        assert_eq!(lanes_without_owner(&[b""], &["topic"], 1), BTreeSet::from([0]), "a member without partitions");
    }
}
