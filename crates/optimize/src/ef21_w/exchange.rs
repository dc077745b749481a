//! What passes between clients and server, so that clients may live in one process or in many.
//!
//! Every rank holds some of the clients, in order, and a copy of the server: it receives the packets of all ranks, in the order of
//! ranks, and adds the messages up in the order of clients. All copies stay equal, bit for bit, to the server of a simulation in one
//! process, however the clients are spread.

use super::compressor::Compressed;
use crate::Error;

/// What the clients of one rank send in a round.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Packet {
    /// One message per client of the rank, in order; nothing from clients that do not take part. Weighted: what is added up is
    /// `share` times the vector.
    pub messages: Vec<Option<(f64, Compressed)>>,
    /// For the trace only, where it is measured: sums over the clients of the rank. They are not part of the method and not counted
    /// as communication.
    pub measured: Option<Measured>,
}

/// Sums over clients that a trace is made of.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Measured {
    /// Of the gradients.
    pub gradient: Vec<f64>,
    /// Of the values.
    pub value: f64,
    /// Of `‖g_i − ∇f_i/(n w_i)‖²` times its weight in the analysis.
    pub error: f64,
}

/// How the packets of all ranks come together.
pub trait Exchange {
    /// Gives every rank the packets of all ranks, in their order.
    ///
    /// # Errors
    /// What the transport says, for instance that a rank is gone.
    fn gather(&mut self, own: Packet) -> Result<Vec<Packet>, String>;
}

/// One process that holds all clients.
#[derive(Clone, Copy, Debug, Default)]
pub struct Alone;

impl Exchange for Alone {
    fn gather(&mut self, own: Packet) -> Result<Vec<Packet>, String> {
        Ok(vec![own])
    }
}

impl Packet {
    /// The packet as bytes, little-endian.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let count = |bytes: &mut Vec<u8>, count: usize| bytes.extend((count as u64).to_le_bytes());
        let numbers = |bytes: &mut Vec<u8>, numbers: &[f64]| {
            bytes.extend((numbers.len() as u64).to_le_bytes());
            numbers.iter().for_each(|number| bytes.extend(number.to_le_bytes()));
        };
        count(&mut bytes, self.messages.len());
        for message in &self.messages {
            match message {
                None => bytes.push(0),
                Some((share, Compressed::Sparse { indices, values })) => {
                    bytes.push(1);
                    bytes.extend(share.to_le_bytes());
                    numbers(&mut bytes, values);
                    indices.iter().for_each(|index| bytes.extend(index.to_le_bytes()));
                }
                Some((share, Compressed::Dense(values))) => {
                    bytes.push(2);
                    bytes.extend(share.to_le_bytes());
                    numbers(&mut bytes, values);
                }
            }
        }
        match &self.measured {
            None => bytes.push(0),
            Some(measured) => {
                bytes.push(1);
                bytes.extend(measured.value.to_le_bytes());
                bytes.extend(measured.error.to_le_bytes());
                numbers(&mut bytes, &measured.gradient);
            }
        }
        bytes
    }

    /// The packet in some bytes.
    ///
    /// # Errors
    /// If they are not what [`Self::to_bytes`] writes for vectors of this length.
    pub fn from_bytes(bytes: &[u8], dimension: usize) -> Result<Self, String> {
        let mut rest = Reader { rest: bytes };
        let mut packet = Self::default();
        for _ in 0..rest.count()? {
            let kind = rest.byte()?;
            packet.messages.push(match kind {
                0 => None,
                1 => {
                    let share = rest.number()?;
                    let values = rest.numbers(dimension)?;
                    let indices =
                        (0..values.len()).map(|_| rest.index(dimension)).collect::<Result<_, _>>()?;
                    Some((share, Compressed::Sparse { indices, values }))
                }
                2 => {
                    let share = rest.number()?;
                    let values = rest.numbers(dimension)?;
                    if values.len() != dimension {
                        return Err(format!(
                            "a vector has length {}, but must have {dimension}",
                            values.len()
                        ));
                    }
                    Some((share, Compressed::Dense(values)))
                }
                other => return Err(format!("a message is of kind {other}, but must be of kind 0, 1 or 2")),
            });
        }
        if rest.byte()? == 1 {
            let (value, error) = (rest.number()?, rest.number()?);
            let gradient = rest.numbers(dimension)?;
            if gradient.len() != dimension {
                return Err(format!("a gradient has length {}, but must have {dimension}", gradient.len()));
            }
            packet.measured = Some(Measured { gradient, value, error });
        }
        if rest.rest.is_empty() {
            Ok(packet)
        } else {
            Err(format!("{} bytes are left over", rest.rest.len()))
        }
    }
}

struct Reader<'a> {
    rest: &'a [u8],
}

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], String> {
        let (first, rest) = self.rest.split_first_chunk::<N>().ok_or("the packet is cut short")?;
        self.rest = rest;
        Ok(*first)
    }

    fn byte(&mut self) -> Result<u8, String> {
        self.take::<1>().map(|[byte]| byte)
    }

    fn number(&mut self) -> Result<f64, String> {
        self.take().map(f64::from_le_bytes)
    }

    fn count(&mut self) -> Result<usize, String> {
        let count = u64::from_le_bytes(self.take()?);
        usize::try_from(count).map_err(|error| error.to_string())
    }

    fn index(&mut self, dimension: usize) -> Result<u32, String> {
        let index = u32::from_le_bytes(self.take()?);
        if (index as usize) < dimension { Ok(index) } else { Err(format!("there is no coordinate {index}")) }
    }

    fn numbers(&mut self, most: usize) -> Result<Vec<f64>, String> {
        let count = self.count()?;
        if count > most {
            return Err(format!("a vector has length {count}, but at most {most} fit"));
        }
        (0..count).map(|_| self.number()).collect()
    }
}

/// An exchange that failed in a round.
pub(super) fn failed(round: usize) -> impl Fn(String) -> Error {
    move |problem| Error::Exchange { round, problem }
}
