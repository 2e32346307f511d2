//! Can a topic lose what it has acknowledged? One rule for `doctor` and for the check of topics.

/// What decides how many copies an acknowledged record has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Copies {
    /// The fewest replicas that any of the topic's partitions has.
    pub replicas: usize,
    /// `min.insync.replicas` as the broker tells it.
    pub min_in_sync: i64,
    /// `unclean.leader.election.enable`.
    pub may_elect_unclean: bool,
}

/// A way to lose what was acknowledged: what was found, and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Weakness {
    /// What was found, without the topic's name.
    pub found: String,
    /// What to do.
    pub advice: &'static str,
}

impl Copies {
    /// In how many copies a record lies at least when it is acknowledged. Since Kafka 3.7 the broker takes the smaller of
    /// `min.insync.replicas` and the replication factor (3.6 refused every write where the former was larger).
    pub fn effective(&self) -> i64 {
        self.min_in_sync.min(i64::try_from(self.replicas).unwrap_or(i64::MAX))
    }

    /// Everything that can lose records.
    pub fn weaknesses(&self) -> Vec<Weakness> {
        let Copies { replicas, min_in_sync, may_elect_unclean } = *self;
        let mut weaknesses = Vec::new();
        let mut add = |found: String, advice| weaknesses.push(Weakness { found, advice });
        if replicas < 2 {
            let reads = match min_in_sync > 1 {
                true => format!(", though min.insync.replicas reads {min_in_sync} (the smaller of the two counts)"),
                false => String::new(),
            };
            add(
                format!("replication factor {replicas}: every write lies in one copy{reads}"),
                "with a broker's disk all of it is lost: create topics with 3 replicas in production, or add replicas \
                 with kafka-reassign-partitions.sh, and set min.insync.replicas=2",
            );
        } else if self.effective() < 2 {
            add(
                format!("min.insync.replicas is {min_in_sync} of {replicas} replicas"),
                "one broker alone may acknowledge and then be lost: set min.insync.replicas=2",
            );
        }
        if may_elect_unclean {
            add(
                "unclean.leader.election.enable is true".to_owned(),
                "a broker that lags may lead and cut off what was acknowledged: set it to false",
            );
        }
        weaknesses
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(replicas: usize, min_in_sync: i64) -> String {
        let copies = Copies { replicas, min_in_sync, may_elect_unclean: false };
        copies.weaknesses().into_iter().map(|weakness| weakness.found).collect()
    }

    #[test]
    fn one_replica_is_one_copy_whatever_the_setting_reads() {
        assert_eq!(found(1, 1), "replication factor 1: every write lies in one copy");
        let reads = "replication factor 1: every write lies in one copy, though min.insync.replicas reads 2 (the smaller \
                     of the two counts)";
        assert_eq!(found(1, 2), reads);
        assert_eq!(Copies { replicas: 1, min_in_sync: 2, may_elect_unclean: false }.effective(), 1);
    }

    #[test]
    fn two_copies_are_enough() {
        assert_eq!(found(2, 2), "");
        assert_eq!(found(3, 2), "");
        assert_eq!(found(2, 3), "");
        assert_eq!(found(3, 1), "min.insync.replicas is 1 of 3 replicas");
        let unclean = Copies { replicas: 3, min_in_sync: 2, may_elect_unclean: true };
        assert_eq!(unclean.weaknesses().len(), 1);
    }
}
