//! Clients on the ranks of an MPI job.

use mpi::environment::Universe;
use mpi::topology::SimpleCommunicator;
use mpi::traits::Communicator;

use mpi::datatype::PartitionMut;
use mpi::traits::CommunicatorCollectives;

use super::exchange::{Exchange, Packet};

/// The ranks of the job that this process was started in (`mpirun -n 4 …`). Packets of a round are gathered by all of them.
///
/// MPI ends the whole job, with an error, when a rank dies; the other ranks do not wait for it.
pub struct Ranks {
    world: SimpleCommunicator,
    /// Ends MPI when it goes.
    _universe: Universe,
}

impl Ranks {
    /// Joins the job; nothing if this process has joined one before.
    pub fn join() -> Option<Self> {
        let universe = mpi::initialize()?;
        Some(Self { world: universe.world(), _universe: universe })
    }

    /// The number of this rank, from 0.
    pub fn rank(&self) -> usize {
        usize::try_from(self.world.rank()).unwrap_or(0)
    }

    /// How many ranks there are.
    pub fn count(&self) -> usize {
        usize::try_from(self.world.size()).unwrap_or(1)
    }

    /// The clients of this rank, out of so many: consecutive ones, as many as on every other rank, up to one.
    pub fn share(&self, clients: usize) -> std::ops::Range<usize> {
        let (rank, count) = (self.rank(), self.count());
        rank * clients / count..(rank + 1) * clients / count
    }

    /// The exchange for vectors of this length.
    pub fn exchange(&self, dimension: usize) -> RankExchange<'_> {
        RankExchange { ranks: self, dimension }
    }
}

/// The exchange between the ranks of a job.
pub struct RankExchange<'a> {
    ranks: &'a Ranks,
    dimension: usize,
}

impl Exchange for RankExchange<'_> {
    fn gather(&mut self, own: Packet) -> Result<Vec<Packet>, String> {
        let bytes = own.to_bytes();
        let length = i32::try_from(bytes.len()).map_err(|_| {
            format!("a packet has {} bytes, but MPI takes at most 2^31 - 1; use more ranks", bytes.len())
        })?;
        let mut lengths = vec![0_i32; self.ranks.count()];
        self.ranks.world.all_gather_into(&length, &mut lengths[..]);
        let mut begins = Vec::with_capacity(lengths.len());
        let mut end = 0_i32;
        for length in &lengths {
            begins.push(end);
            end = end
                .checked_add(*length)
                .ok_or("the packets of all ranks together have more than 2^31 - 1 bytes")?;
        }
        let mut all = vec![0_u8; usize::try_from(end).map_err(|error| error.to_string())?];
        {
            let mut parts = PartitionMut::new(&mut all[..], lengths.clone(), &begins[..]);
            self.ranks.world.all_gather_varcount_into(&bytes[..], &mut parts);
        }
        let part = |(begin, length): (&i32, &i32)| {
            // Neither is negative: lengths of vectors and their sums.
            let (begin, length) = (*begin as usize, *length as usize);
            Packet::from_bytes(&all[begin..begin + length], self.dimension)
        };
        begins.iter().zip(&lengths).map(part).collect()
    }
}
