//! Where a heap has grown: places of several dumps, the same ones made one, and of a growing place no more than is needed.
//!
//! What hangs from a place counts with it. A place is named if objects came or went there and that is what made it grow;
//! else one looks at what hangs from it. So no byte is in two rows, and all rows together are the whole difference.

use std::collections::HashMap;

use super::series::Grown;
use crate::graph::Amount;
use crate::naming::Places;

/// As many keys below one place are data, whatever they look like.
const MOST_KEYS: usize = 64;

/// Places of some dumps and what is there in each.
pub struct Growth<'p> {
    places: &'p mut Places,
    dumps: usize,
    /// By place: what is right there, a number for each dump.
    own: Vec<Vec<Amount>>,
    /// By place: the same with all that hangs from it.
    whole: Vec<Vec<Amount>>,
    children: Vec<Vec<u32>>,
}

/// A place that has grown or shrunk.
#[derive(Debug, PartialEq)]
pub struct Place {
    /// Which.
    pub place: u32,
    /// What is there, dump by dump.
    pub amounts: Vec<Amount>,
    /// Whether what hangs from it counts with it.
    pub whole: bool,
    /// Objects right at the place, dump by dump: how often the thing is there.
    pub times: Vec<u64>,
}

impl<'p> Growth<'p> {
    /// `own` are the amounts at each place, by dump.
    pub fn of(places: &'p mut Places, own: &[Vec<Amount>]) -> Growth<'p> {
        let dumps = own.len();
        let merged = merge(places);
        let count = places.len() as usize;
        let mut sums = vec![vec![Amount::default(); dumps]; count];
        for (dump, amounts) in own.iter().enumerate() {
            for (place, &amount) in amounts.iter().enumerate() {
                sums[merged[place] as usize][dump] += amount;
            }
        }
        let mut whole = sums.clone();
        let mut children = vec![Vec::new(); count];
        for place in (0..count as u32).rev() {
            let is_used = whole[place as usize].iter().any(|amount| amount.objects > 0);
            if let (Some(parent), true) = (places.parent(place), is_used) {
                children[parent as usize].push(place);
                let amounts = whole[place as usize].clone();
                whole[parent as usize].iter_mut().zip(amounts).for_each(|(sum, amount)| *sum += amount);
            }
        }
        Growth { places, dumps, own: sums, whole, children }
    }

    /// Every place that has changed, the most grown first.
    pub fn changed(&self) -> Vec<Place> {
        let mut found = Vec::new();
        let roots = (0..self.own.len() as u32).filter(|&place| self.places.parent(place).is_none());
        let mut waiting: Vec<u32> = roots.collect();
        while let Some(place) = waiting.pop() {
            let (own, whole) = (&self.own[place as usize], &self.whole[place as usize]);
            let (times, growth) = (Grown::between(own).objects, Grown::between(whole));
            if explains(times, own, whole) {
                found.push(self.row(place, true));
                continue;
            }
            if Grown::between(own) != Grown::default() {
                found.push(self.row(place, false));
            }
            // What adds up to nothing may still have ups and downs in it.
            if growth != Grown::default() || self.dumps > 1 {
                waiting.extend(&self.children[place as usize]);
            }
        }
        found.sort_by_key(|row| {
            let grown = Grown::between(&row.amounts);
            (std::cmp::Reverse((grown.bytes, grown.objects)), row.place)
        });
        found
    }

    fn row(&self, place: u32, whole: bool) -> Place {
        let own = &self.own[place as usize];
        let amounts = if whole { &self.whole[place as usize] } else { own };
        let times = own.iter().map(|amount| amount.objects).collect();
        Place { place, amounts: amounts.clone(), whole, times }
    }
}

/// Whether objects that came or went at a place are at least half of why it has changed, by what one of them holds on
/// average.
fn explains(times: i64, own: &[Amount], whole: &[Amount]) -> bool {
    let (Some(first), Some(last)) = (own.first(), own.last()) else { return false };
    let (Some(before), Some(after)) = (whole.first(), whole.last()) else { return false };
    let (count, bytes) = if times > 0 { (last.objects, after.bytes) } else { (first.objects, before.bytes) };
    let grown = Grown::between(whole).bytes;
    if times == 0 || count == 0 || grown.signum() != times.signum() {
        return false;
    }
    let each = bytes as f64 / count as f64;
    (times as f64 * each).abs() * 2.0 >= (grown as f64).abs()
}

/// By place: the place it is one with. Keys are data if some dump says so, or if there are many.
fn merge(places: &mut Places) -> Vec<u32> {
    let count = places.len();
    let mut depth = vec![0usize; count as usize];
    let mut levels: Vec<Vec<u32>> = Vec::new();
    for place in 0..count {
        let level = places.parent(place).map_or(0, |parent| depth[parent as usize] + 1);
        depth[place as usize] = level;
        if levels.len() <= level {
            levels.push(Vec::new());
        }
        levels[level].push(place);
    }
    let mut merged: Vec<u32> = (0..count).collect();
    for level in levels {
        // How many keys there are below a place, and whether there is `[*]`.
        let mut below: HashMap<u32, (usize, bool)> = HashMap::new();
        for &place in &level {
            if let Some(parent) = places.parent(place) {
                let found = below.entry(merged[parent as usize]).or_default();
                found.0 += usize::from(may_be_data(places, place));
                found.1 |= places.is_any(place);
            }
        }
        for &place in &level {
            let Some(parent) = places.parent(place) else { continue };
            let parent = merged[parent as usize];
            let (keys, any) = below.get(&parent).copied().unwrap_or_default();
            merged[place as usize] = if may_be_data(places, place) && (any || keys > MOST_KEYS) {
                places.any_below(place, parent)
            } else {
                places.moved(place, parent)
            };
        }
    }
    merged
}

fn may_be_data(places: &Places, place: u32) -> bool {
    places.has_key(place) && places.type_name(place) != "module"
}
