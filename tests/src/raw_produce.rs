//! A record written to the broker byte by byte, for what no client library would send: header names that are no text.
//!
//! One Produce request (version 7) with one batch (magic 2) of one record; nothing of the protocol beyond that.
//! The layout is that of <https://kafka.apache.org/protocol.html> and <https://kafka.apache.org/documentation/#recordbatch>.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::{Outcome, trouble};

const LIMIT: Duration = Duration::from_secs(30);
const PRODUCE: [u8; 4] = [0, 0, 0, 7];

/// A record whose header names may be any bytes.
#[derive(Debug, Clone, Copy)]
pub struct RawRecord<'r> {
    /// The key.
    pub key: &'r [u8],
    /// The value.
    pub value: &'r [u8],
    /// Names and values of the headers.
    pub headers: &'r [(&'r [u8], &'r [u8])],
}

/// Sends it to the broker at this address, which leads the partition; its offset.
pub(crate) async fn produce(broker: &str, topic: &str, partition: i32, record: RawRecord<'_>) -> Outcome<i64> {
    let batch = batch(record)?;
    let mut request = Vec::new();
    request.extend(PRODUCE);
    request.extend(1_i32.to_be_bytes());
    // No client id, no transaction; acknowledged by all, within 30 s; one topic, one partition.
    request.extend((-1_i16).to_be_bytes());
    request.extend((-1_i16).to_be_bytes());
    request.extend((-1_i16).to_be_bytes());
    request.extend(30_000_i32.to_be_bytes());
    request.extend(1_i32.to_be_bytes());
    request.extend(i16::try_from(topic.len())?.to_be_bytes());
    request.extend(topic.as_bytes());
    request.extend(1_i32.to_be_bytes());
    request.extend(partition.to_be_bytes());
    request.extend(i32::try_from(batch.len())?.to_be_bytes());
    request.extend(batch);
    let asked = async {
        let mut stream = TcpStream::connect(broker).await?;
        stream.write_i32(i32::try_from(request.len())?).await?;
        stream.write_all(&request).await?;
        let mut answer = vec![0; usize::try_from(stream.read_i32().await?)?];
        stream.read_exact(&mut answer).await?;
        Outcome::Ok(answer)
    };
    let answer = timeout(LIMIT, asked).await.map_err(|_| trouble("the broker does not answer"))??;
    // Correlation, number of topics, the topic's name, number of partitions, partition: then the error and the offset.
    let at = 4 + 4 + 2 + topic.len() + 4 + 4;
    let part = answer.get(at..at + 10).ok_or_else(|| trouble(format!("a short answer: {answer:?}")))?;
    let (error, offset) = part.split_at(2);
    match i16::from_be_bytes(error.try_into()?) {
        0 => Ok(i64::from_be_bytes(offset.try_into()?)),
        code => Err(trouble(format!("the broker refuses with error {code}"))),
    }
}

fn batch(record: RawRecord<'_>) -> Outcome<Vec<u8>> {
    let mut body = vec![0, 0, 0];
    sized(&mut body, record.key)?;
    sized(&mut body, record.value)?;
    varint(&mut body, i64::try_from(record.headers.len())?);
    for (name, value) in record.headers {
        sized(&mut body, name)?;
        sized(&mut body, value)?;
    }
    // From the attributes on: what the checksum covers. No producer id, one record.
    let mut checked = vec![0; 2 + 4];
    let now_ms = i64::try_from(std::time::UNIX_EPOCH.elapsed()?.as_millis())?;
    checked.extend([now_ms.to_be_bytes(), now_ms.to_be_bytes(), [0xff; 8]].concat());
    checked.extend([0xff; 2 + 4]);
    checked.extend(1_i32.to_be_bytes());
    varint(&mut checked, i64::try_from(body.len())?);
    checked.extend(body);
    let mut batch = vec![0; 8];
    batch.extend(i32::try_from(4 + 1 + 4 + checked.len())?.to_be_bytes());
    batch.extend((-1_i32).to_be_bytes());
    batch.push(2);
    batch.extend(crc32c(&checked).to_be_bytes());
    batch.extend(checked);
    Ok(batch)
}

fn sized(to: &mut Vec<u8>, bytes: &[u8]) -> Outcome {
    varint(to, i64::try_from(bytes.len())?);
    to.extend(bytes);
    Ok(())
}

/// Zigzag, seven bits a byte, the lowest first.
fn varint(to: &mut Vec<u8>, number: i64) {
    let mut rest = ((number << 1) ^ (number >> 63)).cast_unsigned();
    loop {
        let low = u8::try_from(rest & 0x7f).unwrap_or_default();
        rest >>= 7;
        if rest == 0 {
            return to.push(low);
        }
        to.push(low | 0x80);
    }
}

/// CRC-32C (Castagnoli), bit by bit: these batches are small.
fn crc32c(bytes: &[u8]) -> u32 {
    let step = |crc: u32, _: u32| if crc & 1 == 1 { (crc >> 1) ^ 0x82f6_3b78 } else { crc >> 1 };
    !bytes.iter().fold(!0, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), step))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_that_of_the_standard() {
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
    }

    #[test]
    fn numbers_are_zigzag() {
        let of = |number| {
            let mut bytes = Vec::new();
            varint(&mut bytes, number);
            bytes
        };
        assert_eq!((of(0), of(-1), of(1), of(300)), (vec![0], vec![1], vec![2], vec![0xd8, 4]));
    }
}
