//! References seen from the other end: which edges lead to a node, and where an edge comes from.

use rayon::prelude::*;

use super::columns::Columns;

pub(super) struct Reverse {
    /// Where each edge comes from.
    pub parents: Vec<u32>,
    /// One more than there are nodes: `into[starts[n]..starts[n + 1]]` lead to node n.
    starts: Vec<u32>,
    into: Vec<u32>,
}

impl Reverse {
    /// Sorts the edges by child, by counting. Every thread takes a range of children and goes through all edges: that
    /// reads more, but in order, and the scattered writes (which cost) are shared out without any locking.
    pub(super) fn of(columns: &Columns, nodes: u32) -> Reverse {
        let children = columns.children();
        let mut starts = vec![0u32; nodes as usize + 1];
        let chunk = (nodes as usize).div_ceil(rayon::current_num_threads()).max(1);
        starts[..nodes as usize].par_chunks_mut(chunk).enumerate().for_each(|(i, counts)| {
            count(children, (i * chunk) as u32, counts);
        });
        let mut sum = 0;
        for start in &mut starts {
            sum += std::mem::replace(start, sum);
        }
        let mut into = vec![0; children.len()];
        fill(children, &starts, &mut into);
        Reverse { parents: parents(columns), starts, into }
    }

    /// What [`Reverse::starts`] and [`Reverse::into`] gave for these columns.
    pub(super) fn from_parts(columns: &Columns, starts: Vec<u32>, into: Vec<u32>) -> Reverse {
        Reverse { parents: parents(columns), starts, into }
    }

    pub(super) fn starts(&self) -> &[u32] {
        &self.starts
    }

    pub(super) fn into(&self) -> &[u32] {
        &self.into
    }

    #[inline]
    pub(super) fn edges_into(&self, node: u32) -> &[u32] {
        match self.starts.get(node as usize..node as usize + 2) {
            Some(&[start, end]) => &self.into[start as usize..end as usize],
            _ => &[],
        }
    }
}

/// Counts the edges into each of the nodes from `first` on.
fn count(children: &[u32], first: u32, counts: &mut [u32]) {
    for &child in children {
        if let Some(count) = counts.get_mut(child.wrapping_sub(first) as usize) {
            *count += 1;
        }
    }
}

/// Puts every edge at its child's place. The work is split where about equally many edges lead to both sides.
fn fill(children: &[u32], starts: &[u32], into: &mut [u32]) {
    let nodes = starts.len() - 1;
    let threads = rayon::current_num_threads();
    let mut pieces = Vec::new();
    let (mut rest, mut first) = (into, 0);
    for thread in 1..=threads {
        let goal = (children.len() as u64 * thread as u64 / threads as u64) as u32;
        let end = if thread == threads { nodes } else { starts[..nodes].partition_point(|&start| start < goal) };
        let (piece, behind) = rest.split_at_mut((starts[end] - starts[first]) as usize);
        pieces.push((first, end, piece));
        (rest, first) = (behind, end);
    }
    pieces.into_par_iter().for_each(|(first, end, piece)| {
        let offset = starts[first];
        let mut next = starts[first..end].to_vec();
        for (edge, &child) in children.iter().enumerate() {
            if let Some(next) = next.get_mut(child.wrapping_sub(first as u32) as usize) {
                piece[(*next - offset) as usize] = edge as u32;
                *next += 1;
            }
        }
    });
}

fn parents(columns: &Columns) -> Vec<u32> {
    let mut parents = Vec::with_capacity(columns.children().len());
    for (node, ends) in columns.edge_starts().windows(2).enumerate() {
        parents.resize(parents.len() + (ends[1] - ends[0]) as usize, node as u32);
    }
    parents
}
