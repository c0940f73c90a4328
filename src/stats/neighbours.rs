//! How far a vector lies from the nearest of a sample's: what no vector of the sample resembles is new, wherever it
//! lies. Distances from a centre miss what lies between groups, and what lies as far out as they do.
//!
//! The nearest neighbour's cosine distance as a measure of novelty is that of Sun, Ming, Zhu & Li (2022). It is looked
//! for in the few cells of the space that are nearest, among the few points whose leading coordinates are: a vector that
//! is compared later is searched for as those of the sample were, so what the search misses it misses for both.

use serde::{Deserialize, Serialize};

use super::principal::dot;

/// Points a cell holds on average.
const IN_CELL: usize = 48;
/// Cells that are searched, the nearest ones.
const SEARCHED: usize = 2;
/// Leading coordinates by which cells are told apart.
const BY: usize = 16;
/// Points of which the distance is taken in full, those with the nearest coordinates.
const COMPARED: usize = 4;
/// Points that differ by less than this along each coordinate, as a root mean square, are of the same text: whether a
/// sample repeats its texts, and later ones do, is not what this is about.
const SAME: f32 = 0.05;
/// Rounds that move cells to the middle of their points (Lloyd 1982).
const ROUNDS: usize = 8;
/// Rows whose distances are taken together.
const BLOCK: usize = 8;
/// An entry is kept in so many steps on either side of the centre.
const STEPS: f32 = 127.0;

/// Points of a sample, in cells of their leading coordinates.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Neighbours {
    /// Middle of the space, length [dimension].
    centre: Vec<f32>,
    /// Row-major [points, dimension]: what each is off the centre, in its own steps.
    entries: Vec<i8>,
    /// Length of a point's step.
    steps: Vec<f32>,
    /// Length of each point.
    lengths: Vec<f32>,
    /// The part of the sample each belongs to.
    parts: Vec<u8>,
    /// Middles of the cells, as one block after the other.
    middles: Vec<f32>,
    /// Where each cell's points end.
    ends: Vec<u32>,
    /// Of each cell: coordinates of its points, as one block after the other.
    coordinates: Vec<Vec<f32>>,
}

/// One vector of the sample.
#[derive(Clone, Debug)]
pub struct Point {
    /// The vector less the centre, length [dimension].
    pub centred: Vec<f32>,
    /// Its leading coordinates, length [axes].
    pub coordinates: Vec<f32>,
    /// The part of the sample it belongs to.
    pub part: u8,
}

impl Neighbours {
    /// Around points with coordinates, all finite and of the same lengths; `None` for no points.
    pub fn new(centre: &[f32], mut points: Vec<Point>) -> Option<Neighbours> {
        let axes = points.first()?.coordinates.len();
        let cells = points.len().div_ceil(IN_CELL);
        let middles = middles(&points, cells);
        let cell = |point: &Point| nearest_of(&middles, leading(&point.coordinates));
        points.sort_by_cached_key(cell);
        let mut coordinates = Vec::with_capacity(cells);
        let mut ends = Vec::with_capacity(cells);
        let mut end = 0;
        for own in 0..cells {
            let first = end;
            end += points[first..].iter().take_while(|point| cell(point) == own).count();
            coordinates.push(blocks(points[first..end].iter().map(|point| &point.coordinates[..]), axes));
            ends.push(end as u32);
        }
        let mut neighbours = Neighbours {
            centre: centre.to_vec(),
            entries: Vec::with_capacity(points.len() * centre.len()),
            steps: Vec::with_capacity(points.len()),
            lengths: Vec::with_capacity(points.len()),
            parts: points.iter().map(|point| point.part).collect(),
            middles: blocks(middles.chunks_exact(axes.clamp(1, BY)), axes.min(BY)),
            ends,
            coordinates,
        };
        points.iter().for_each(|point| neighbours.keep(&point.centred));
        Some(neighbours)
    }

    fn keep(&mut self, centred: &[f32]) {
        let largest = centred.iter().fold(0.0_f32, |most, v| most.max(v.abs()));
        let step = if largest > 0.0 { largest / STEPS } else { 1.0 };
        let first = self.entries.len();
        self.entries.extend(centred.iter().map(|v| (v / step).round() as i8));
        let kept = self.entries[first..].iter().zip(&self.centre).map(|(e, c)| c + f32::from(*e) * step);
        let square: f32 = kept.map(|v| v * v).sum();
        self.lengths.push(square.sqrt());
        self.steps.push(step);
    }

    /// Number of points.
    pub fn points(&self) -> usize {
        self.parts.len()
    }

    /// The cosine distance, in [0, 2], of a vector from the nearest point that is not of this part and not of the same
    /// text: it is given less the centre, with its leading coordinates. 1 where nothing is there, and for a vector without a direction.
    pub fn distance(&self, centred: &[f32], coordinates: &[f32], part: u8) -> f32 {
        let mut near = [(f32::INFINITY, usize::MAX); COMPARED];
        self.nearest_in(self.cells_near(leading(coordinates)), coordinates, part, &mut near);
        if near[0].1 == usize::MAX {
            // Those cells hold that part alone.
            self.nearest_in(0..self.ends.len(), coordinates, part, &mut near);
        }
        let vector: Vec<f32> = centred.iter().zip(&self.centre).map(|(v, c)| v + c).collect();
        let (length, along) = (dot(&vector, &vector).sqrt(), dot(&vector, &self.centre));
        let cosine = |point: usize| {
            let lengths = length * self.lengths[point];
            let entries = &self.entries[point * vector.len()..][..vector.len()];
            if lengths > 0.0 { (along + self.steps[point] * dot_entries(entries, &vector)) / lengths } else { 0.0 }
        };
        let points = near.iter().filter(|(_, point)| *point != usize::MAX);
        let most = points.map(|(_, point)| cosine(*point)).fold(f32::NEG_INFINITY, f32::max);
        if most.is_finite() { (1.0 - most).max(0.0) } else { 1.0 }
    }

    fn cells_near(&self, coordinates: &[f32]) -> impl Iterator<Item = usize> {
        let mut cells = [(f32::INFINITY, usize::MAX); SEARCHED];
        each_distance(&self.middles, coordinates, |cell, distance| insert(&mut cells, (distance, cell)));
        cells.into_iter().map(|(_, cell)| cell).filter(|cell| *cell != usize::MAX)
    }

    fn nearest_in(
        &self,
        cells: impl Iterator<Item = usize>,
        coordinates: &[f32],
        part: u8,
        near: &mut [(f32, usize); COMPARED],
    ) {
        let same = coordinates.len() as f32 * SAME * SAME;
        for cell in cells {
            let first = cell.checked_sub(1).map_or(0, |before| self.ends[before] as usize);
            each_distance(&self.coordinates[cell], coordinates, |at, distance| {
                if distance > same && distance < near[COMPARED - 1].0 && self.parts[first + at] != part {
                    insert(near, (distance, first + at));
                }
            });
        }
    }
}

/// Rows in blocks of eight, each block column-major: the compiler takes the differences of eight rows at a time. What
/// is left of the last block is infinitely far.
fn blocks<'a>(rows: impl ExactSizeIterator<Item = &'a [f32]>, axes: usize) -> Vec<f32> {
    let mut blocks = vec![f32::INFINITY; rows.len().div_ceil(BLOCK) * BLOCK * axes];
    for (i, row) in rows.enumerate() {
        let block = &mut blocks[i / BLOCK * BLOCK * axes..];
        row.iter().enumerate().for_each(|(axis, value)| block[axis * BLOCK + i % BLOCK] = *value);
    }
    blocks
}

/// Squared distances of all rows in these blocks, in their order.
fn each_distance(blocks: &[f32], coordinates: &[f32], mut take: impl FnMut(usize, f32)) {
    for (i, block) in blocks.chunks_exact(BLOCK * coordinates.len().max(1)).enumerate() {
        let mut lanes = [0.0_f32; BLOCK];
        for (column, c) in block.as_chunks::<BLOCK>().0.iter().zip(coordinates) {
            for (lane, value) in lanes.iter_mut().zip(column) {
                *lane += (value - c) * (value - c);
            }
        }
        lanes.into_iter().enumerate().for_each(|(lane, distance)| take(i * BLOCK + lane, distance));
    }
}

/// Puts a distance into its place among the least ones, in their order.
fn insert<const N: usize>(least: &mut [(f32, usize); N], found: (f32, usize)) {
    if found.0 < least[N - 1].0 {
        let at = least.partition_point(|(distance, _)| *distance <= found.0);
        least[at..].rotate_right(1);
        least[at] = found;
    }
}

/// Middles of so many cells, from points spread over the sample; cells that lose all of their points stay.
fn middles(points: &[Point], cells: usize) -> Vec<f32> {
    let axes = leading(&points[0].coordinates).len();
    let mut middles: Vec<f32> =
        (0..cells).flat_map(|cell| leading(&points[cell * points.len() / cells].coordinates).iter().copied()).collect();
    for _ in 0..ROUNDS {
        let mut sums = vec![0.0_f64; middles.len()];
        let mut counts = vec![0_u32; cells];
        for point in points {
            let cell = nearest_of(&middles, leading(&point.coordinates));
            counts[cell] += 1;
            let sums = sums[cell * axes..].iter_mut();
            sums.zip(leading(&point.coordinates)).for_each(|(sum, c)| *sum += f64::from(*c));
        }
        for (cell, count) in counts.into_iter().enumerate().filter(|(_, count)| *count > 0) {
            for i in cell * axes..(cell + 1) * axes {
                middles[i] = (sums[i] / f64::from(count)) as f32;
            }
        }
    }
    middles
}

/// What tells cells apart.
fn leading(coordinates: &[f32]) -> &[f32] {
    &coordinates[..coordinates.len().min(BY)]
}

/// The row that is nearest, the first of equally near ones.
fn nearest_of(rows: &[f32], coordinates: &[f32]) -> usize {
    let distances = rows.chunks_exact(coordinates.len().max(1)).map(|row| squared_distance(row, coordinates));
    distances.enumerate().fold((0, f32::INFINITY), |best, (i, d)| if d < best.1 { (i, d) } else { best }).0
}

/// In eight independent lanes, as [`dot`].
fn squared_distance(a: &[f32], b: &[f32]) -> f32 {
    let mut lanes = [0.0_f32; 8];
    let ((a8, a_rest), (b8, b_rest)) = (a.as_chunks::<8>(), b.as_chunks::<8>());
    for (x, y) in a8.iter().zip(b8) {
        for i in 0..8 {
            lanes[i] += (x[i] - y[i]) * (x[i] - y[i]);
        }
    }
    lanes.iter().sum::<f32>() + a_rest.iter().zip(b_rest).map(|(x, y)| (x - y) * (x - y)).sum::<f32>()
}

/// In eight independent lanes, as [`dot`].
fn dot_entries(entries: &[i8], vector: &[f32]) -> f32 {
    let mut lanes = [0.0_f32; 8];
    let ((e8, e_rest), (v8, v_rest)) = (entries.as_chunks::<8>(), vector.as_chunks::<8>());
    for (x, y) in e8.iter().zip(v8) {
        for i in 0..8 {
            lanes[i] += f32::from(x[i]) * y[i];
        }
    }
    lanes.iter().sum::<f32>() + e_rest.iter().zip(v_rest).map(|(x, y)| f32::from(*x) * y).sum::<f32>()
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng, rngs::StdRng};

    use super::*;

    const DIMENSION: usize = 20;
    const AXES: usize = 5;

    /// Vectors of some groups, and their first entries as coordinates.
    fn points(n: usize, groups: usize, seed: u64) -> Vec<Point> {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut places = StdRng::seed_from_u64(9);
        let centres: Vec<Vec<f32>> =
            (0..groups).map(|_| (0..DIMENSION).map(|_| 6.0 * places.random::<f32>() - 3.0).collect()).collect();
        let point = |i: usize| {
            let centred: Vec<f32> = centres[i % groups].iter().map(|c| c + rng.random::<f32>()).collect();
            Point { coordinates: centred[..AXES].to_vec(), centred, part: (i * 8 / n) as u8 }
        };
        (0..n).map(point).collect()
    }

    fn centre() -> Vec<f32> {
        vec![1.0; DIMENSION]
    }

    /// By looking at all.
    fn exact(points: &[Point], centred: &[f32], part: u8) -> f32 {
        let whole = |centred: &[f32]| centred.iter().zip(centre()).map(|(v, c)| v + c).collect::<Vec<f32>>();
        let cosine = |p: &Point| {
            let (a, b) = (whole(&p.centred), whole(centred));
            dot(&a, &b) / (dot(&a, &a) * dot(&b, &b)).sqrt()
        };
        let same = |p: &Point| squared_distance(&p.coordinates, &centred[..AXES]) <= AXES as f32 * SAME * SAME;
        points.iter().filter(|p| p.part != part && !same(p)).map(|p| 1.0 - cosine(p)).fold(1.0, f32::min)
    }

    #[test]
    fn what_is_found_is_the_nearest_or_hardly_farther() {
        let sample = points(2_000, 30, 1);
        let neighbours = Neighbours::new(&centre(), sample.clone()).expect("points");
        assert_eq!((neighbours.points(), neighbours.ends.len()), (2_000, 42));
        let mut over = Vec::new();
        for (i, later) in points(300, 30, 2).into_iter().enumerate() {
            let part = (i % 8) as u8;
            let found = neighbours.distance(&later.centred, &later.coordinates, part);
            let nearest = exact(&sample, &later.centred, part);
            // An entry is off by half a step of a 127th at most.
            assert!(found > nearest - 2e-3, "{found} is nearer than the nearest, {nearest}");
            over.push(found - nearest);
        }
        over.sort_by(f32::total_cmp);
        assert!(over[150] < 2e-3 && over[285] < 0.02, "{:?}", &over[280..]);
    }

    #[test]
    fn a_point_of_the_sample_is_compared_with_the_other_parts() {
        let sample = points(800, 10, 3);
        let neighbours = Neighbours::new(&centre(), sample.clone()).expect("points");
        for point in &sample[..50] {
            let distance = |part| neighbours.distance(&point.centred, &point.coordinates, part);
            assert!((distance(0) - exact(&sample, &point.centred, 0)).abs() < 0.02);
            assert!(distance(7) > 2e-3, "not itself: {}", distance(7));
        }
    }

    #[test]
    fn what_resembles_nothing_is_far_though_it_lies_in_the_middle() {
        let neighbours = Neighbours::new(&centre(), points(2_000, 30, 4)).expect("points");
        let known = points(300, 30, 5).into_iter().map(|p| neighbours.distance(&p.centred, &p.coordinates, 8));
        let farthest = known.fold(0.0, f32::max);
        let mut rng = StdRng::seed_from_u64(6);
        let between: Vec<f32> = (0..DIMENSION).map(|_| 2.0 * rng.random::<f32>() - 1.0).collect();
        assert!(neighbours.distance(&between, &between[..AXES], 8) > 2.0 * farthest);
    }

    #[test]
    fn few_points_and_none_of_another_part() {
        assert_eq!(Neighbours::new(&centre(), Vec::new()), None);
        let one = Point { centred: vec![1.0; DIMENSION], coordinates: vec![1.0; AXES], part: 0 };
        let neighbours = Neighbours::new(&centre(), vec![one.clone()]).expect("a point");
        assert_eq!(neighbours.distance(&one.centred, &one.coordinates, 0), 1.0, "nothing is there");
        assert_eq!(neighbours.distance(&one.centred, &one.coordinates, 1), 1.0, "nor another text");
        let beside = vec![1.1; AXES];
        assert!(neighbours.distance(&one.centred, &beside, 1) < 1e-6);
        let nowhere = vec![-1.0; DIMENSION];
        assert_eq!(neighbours.distance(&nowhere, &beside, 1), 1.0, "a vector of length 0");
        // The part that is left out fills the cells that are near.
        let far = Point { centred: vec![-3.0; DIMENSION], coordinates: vec![-90.0; AXES], part: 1 };
        let mut crowd: Vec<Point> =
            (0..600).map(|i| Point { coordinates: vec![i as f32 / 600.0; AXES], ..one.clone() }).collect();
        crowd.push(far);
        let neighbours = Neighbours::new(&centre(), crowd).expect("points");
        assert!((neighbours.distance(&one.centred, &one.coordinates, 0) - 2.0).abs() < 1e-4);
    }

    #[test]
    fn it_can_be_stored() {
        let neighbours = Neighbours::new(&centre(), points(300, 4, 7)).expect("points");
        let bytes = postcard::to_stdvec(&neighbours).expect("encodes");
        assert_eq!(postcard::from_bytes::<Neighbours>(&bytes).expect("decodes"), neighbours);
    }
}
