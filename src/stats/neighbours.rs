//! How far a vector lies from the nearest of a sample's: what no vector of the sample resembles is new, wherever it
//! lies. Distances from a centre miss what lies between groups, and what lies as far out as they do.
//!
//! The nearest neighbour's cosine distance as a measure of novelty is that of Sun, Ming, Zhu & Li (2022). The sample is
//! in parts, and each vector is compared with all parts but one. It is looked for in the few cells of the space that are
//! nearest, among the few points whose leading coordinates are, along axes that were fitted without the one part: axes
//! that had seen a vector would find nearer ones for it than for any later vector.

use multiversion::multiversion;
use serde::{Deserialize, Serialize};

use super::bytes::{Bytes, Fine, LANES, whole};
use super::principal::{Principal, dot};

/// Points a cell holds on average.
const IN_CELL: usize = 32;
/// Cells that are searched, the nearest ones.
const SEARCHED: usize = 2;
/// Points of which the distance is taken in full, those with the nearest coordinates.
const COMPARED: usize = 3;
/// A coordinate is kept in so many steps a standard deviation.
const STEPS_A_DEVIATION: f32 = 16.0;
/// Points that differ by less than this along each coordinate, as a root mean square in standard deviations, are of the
/// same text: whether a sample repeats its texts, and later ones do, is not what this is about.
const SAME: f32 = 0.05;
/// Rounds that move cells to the middle of their points (Lloyd 1982).
const ROUNDS: usize = 4;
/// No point.
const NOTHING: u32 = u32::MAX;

/// Points of a sample in parts, with a search for each part that is left out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Neighbours {
    /// Middle of the space, length [dimension].
    centre: Vec<f32>,
    /// What each point is off the centre.
    points: Bytes,
    /// Length of each point.
    lengths: Vec<f32>,
    /// Inner product of the centre and what each point is off it.
    along: Vec<f32>,
    /// For each part the search among the others.
    searches: Vec<Search>,
}

/// Points of all parts but one, in cells of their coordinates along axes that were fitted without that part.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Search {
    axes: Bytes,
    /// Coordinates of the centre, length [axes].
    origin: Vec<f32>,
    /// Row-major [cells, width]: middles of the cells.
    middles: Vec<i8>,
    /// How many points the cells hold up to and with each.
    ends: Vec<u32>,
    /// Which points these are, one cell after the other.
    points: Vec<u32>,
    /// Row-major [points, width]: their coordinates.
    coordinates: Vec<i8>,
}

impl Neighbours {
    /// Around a sample's vectors, each with its part, and axes that were fitted without the first part, without the
    /// second and so on. All vectors are finite and as long as the centre. `None` if but one part holds any.
    pub fn new(centre: &[f32], vectors: &[(usize, &[f32])], without: &[Principal]) -> Option<Neighbours> {
        let off: Vec<(usize, Vec<f32>)> = vectors.iter().map(|(part, v)| (*part, less(v, centre))).collect();
        let points = Bytes::of(off.iter().map(|(_, vector)| &vector[..]));
        let kept = || (0..off.len()).map(|point| points.vector(point));
        let length = |off: Vec<f32>| off.iter().zip(centre).map(|(o, c)| (o + c) * (o + c)).sum::<f32>().sqrt();
        let searches = without.iter().enumerate().map(|(part, axes)| Search::new(&off, part, axes, centre));
        Some(Neighbours {
            lengths: kept().map(length).collect(),
            along: kept().map(|off| dot(&off, centre)).collect(),
            searches: searches.collect::<Option<_>>()?,
            centre: centre.to_vec(),
            points,
        })
    }

    /// Number of points.
    pub fn points(&self) -> usize {
        self.lengths.len()
    }

    /// The cosine distance, in [0, 2], of a finite vector from the nearest point that is not of this part and not of the
    /// same text; 1 where nothing is there, and for a vector without a direction.
    pub fn distance(&self, vector: &[f32], part: usize) -> f32 {
        let off = Fine::of(&less(vector, &self.centre));
        let (length, along) = (dot(vector, vector).sqrt(), dot(vector, &self.centre));
        let cosine = |point: usize| {
            let lengths = length * self.lengths[point];
            let product = along + self.along[point] + self.points.dot(point, &off);
            if lengths > 0.0 { product / lengths } else { 0.0 }
        };
        let near = self.searches[part].near(&off).into_iter().filter(|(_, point)| *point != NOTHING);
        let most = near.map(|(_, point)| cosine(point as usize)).fold(f32::NEG_INFINITY, f32::max);
        if most.is_finite() { (1.0 - most).max(0.0) } else { 1.0 }
    }
}

impl Search {
    /// Among vectors less the centre. `None` where the others hold no point.
    fn new(off: &[(usize, Vec<f32>)], part: usize, principal: &Principal, centre: &[f32]) -> Option<Search> {
        let (axes, origin) = (Bytes::of(principal.rows()), principal.position(centre)?.coordinates);
        let others = off.iter().enumerate().filter(|(_, (of, _))| *of != part);
        let others: Vec<(u32, Vec<i8>)> =
            others.map(|(i, (_, vector))| (i as u32, coordinates(&axes, &origin, &Fine::of(vector)))).collect();
        let middles = middles(&others, others.len().div_ceil(IN_CELL))?;
        let mut cells = vec![Vec::new(); others.len().div_ceil(IN_CELL)];
        for other in &others {
            cells[nearest(&middles, &other.1)].push(other);
        }
        let ends = cells.iter().scan(0, |end, cell| {
            *end += cell.len() as u32;
            Some(*end)
        });
        Some(Search {
            ends: ends.collect(),
            points: cells.iter().flatten().map(|(point, _)| *point).collect(),
            coordinates: cells.iter().flatten().flat_map(|(_, row)| row).copied().collect(),
            axes,
            origin,
            middles,
        })
    }

    /// Squared distances and numbers of the points that are nearest by their coordinates, and not the same.
    fn near(&self, off: &Fine) -> [(u32, u32); COMPARED] {
        let own = coordinates(&self.axes, &self.origin, off);
        let mut cells = [(u32::MAX, NOTHING); SEARCHED];
        let mut distances = Vec::with_capacity(self.ends.len());
        squared_distances(&self.middles, &own, &mut distances);
        distances.iter().zip(0..).for_each(|(distance, cell)| insert(&mut cells, (*distance, cell)));
        let same = (self.origin.len() as f32 * (SAME * STEPS_A_DEVIATION).powi(2)) as u32;
        let mut near = [(u32::MAX, NOTHING); COMPARED];
        for cell in cells.into_iter().filter(|(_, cell)| *cell != NOTHING).map(|(_, cell)| cell as usize) {
            let first = cell.checked_sub(1).map_or(0, |before| self.ends[before] as usize);
            let last = self.ends[cell] as usize;
            squared_distances(&self.coordinates[first * own.len()..last * own.len()], &own, &mut distances);
            for (distance, point) in distances.iter().zip(&self.points[first..last]) {
                if *distance > same {
                    insert(&mut near, (*distance, *point));
                }
            }
        }
        near
    }
}

/// Coordinates in steps, filled up to whole lanes with naught: of a vector less the centre.
#[multiversion(targets("x86_64+avx2"))]
fn coordinates(axes: &Bytes, origin: &[f32], off: &Fine) -> Vec<i8> {
    let mut coordinates = vec![0; origin.len().next_multiple_of(LANES)];
    for (i, origin) in origin.iter().enumerate() {
        let along = origin + axes.dot(i, off);
        coordinates[i] = whole((along * STEPS_A_DEVIATION).clamp(-127.0, 127.0)) as i8;
    }
    coordinates
}

/// Puts a distance into its place among the least ones, in their order.
fn insert<const N: usize>(least: &mut [(u32, u32); N], found: (u32, u32)) {
    if found.0 < least[N - 1].0 {
        let at = least.partition_point(|(distance, _)| *distance <= found.0);
        least[at..].rotate_right(1);
        least[at] = found;
    }
}

/// Middles of so many cells, from points spread over the sample; cells that lose all of their points stay. `None` for no
/// points.
fn middles(points: &[(u32, Vec<i8>)], cells: usize) -> Option<Vec<i8>> {
    let width = points.first()?.1.len();
    let mut middles: Vec<i8> =
        (0..cells).flat_map(|cell| points[cell * points.len() / cells].1.iter().copied()).collect();
    for _ in 0..ROUNDS {
        let mut sums = vec![(0_i32, vec![0_i32; width]); cells];
        for (_, row) in points {
            let (count, sums) = &mut sums[nearest(&middles, row)];
            *count += 1;
            sums.iter_mut().zip(row).for_each(|(sum, c)| *sum += i32::from(*c));
        }
        let moved = middles.chunks_exact_mut(width).zip(sums).filter(|(_, (count, _))| *count > 0);
        for (middle, (count, sums)) in moved {
            middle.iter_mut().zip(sums).for_each(|(c, sum)| *c = (sum as f32 / count as f32).round() as i8);
        }
    }
    Some(middles)
}

/// The row that is nearest, the first of equally near ones.
fn nearest(rows: &[i8], own: &[i8]) -> usize {
    let mut distances = Vec::new();
    squared_distances(rows, own, &mut distances);
    let mut nearest = [(u32::MAX, 0)];
    distances.into_iter().zip(0..).for_each(|(distance, i)| insert(&mut nearest, (distance, i)));
    nearest[0].1 as usize
}

/// Of rows of whole lanes, in whole numbers, which the compiler multiplies and adds by blocks.
#[multiversion(targets("x86_64+avx2"))]
fn squared_distances(rows: &[i8], own: &[i8], distances: &mut Vec<u32>) {
    distances.clear();
    for row in rows.chunks_exact(own.len()) {
        let mut sum = 0_i32;
        for (x, y) in row.as_chunks::<LANES>().0.iter().zip(own.as_chunks::<LANES>().0) {
            for i in 0..LANES {
                let off = i32::from(i16::from(x[i]) - i16::from(y[i]));
                sum += off * off;
            }
        }
        distances.push(sum.cast_unsigned());
    }
}

fn less(vector: &[f32], centre: &[f32]) -> Vec<f32> {
    vector.iter().zip(centre).map(|(v, c)| v - c).collect()
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng, rngs::StdRng};

    use super::*;

    const DIMENSION: usize = 20;
    const AXES: usize = 5;
    const PARTS: usize = 4;

    /// Vectors of some groups, around a middle of all.
    fn vectors(n: usize, groups: usize, seed: u64) -> Vec<Vec<f32>> {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut places = StdRng::seed_from_u64(9);
        let centres: Vec<Vec<f32>> =
            (0..groups).map(|_| (0..DIMENSION).map(|_| 6.0 * places.random::<f32>() - 2.0).collect()).collect();
        (0..n).map(|i| centres[i % groups].iter().map(|c| c + rng.random::<f32>()).collect()).collect()
    }

    /// In parts one after the other.
    fn parted(vectors: &[Vec<f32>]) -> Vec<(usize, &[f32])> {
        vectors.iter().enumerate().map(|(i, v)| (i * PARTS / vectors.len(), &v[..])).collect()
    }

    fn among(points: &[(usize, &[f32])]) -> Option<Neighbours> {
        let without = |part| {
            let others = points.iter().filter(|(of, _)| *of != part).map(|(_, vector)| *vector);
            Principal::fit(others, DIMENSION, AXES)
        };
        Neighbours::new(&[1.0; DIMENSION], points, &(0..PARTS).map(without).collect::<Option<Vec<_>>>()?)
    }

    /// By looking at all.
    fn exact(points: &[(usize, &[f32])], vector: &[f32], part: usize) -> f32 {
        let cosine = |v: &[f32]| dot(v, vector) / (dot(v, v) * dot(vector, vector)).sqrt();
        let others = points.iter().filter(|(of, v)| *of != part && *v != vector);
        others.map(|(_, v)| 1.0 - cosine(v)).fold(1.0, f32::min)
    }

    #[test]
    fn what_is_found_is_the_nearest_or_hardly_farther() {
        let sample = vectors(2_000, 30, 1);
        let points = parted(&sample);
        let neighbours = among(&points).expect("points");
        assert_eq!((neighbours.points(), neighbours.searches[3].ends.len()), (2_000, 47));
        let mut over = Vec::new();
        for (i, later) in vectors(300, 30, 2).iter().enumerate() {
            let found = neighbours.distance(later, i % PARTS);
            let nearest = exact(&points, later, i % PARTS);
            // An entry is off by half a step of a 127th at most.
            assert!(found > nearest - 2e-3, "{found} is nearer than the nearest, {nearest}");
            over.push(found - nearest);
        }
        over.sort_by(f32::total_cmp);
        assert!(over[150] < 3e-3 && over[285] < 0.02, "{} {:?}", over[150], &over[280..]);
    }

    #[test]
    fn a_vector_of_the_sample_is_compared_with_the_other_parts_and_other_texts() {
        let sample = vectors(800, 10, 3);
        let points = parted(&sample);
        let neighbours = among(&points).expect("points");
        for vector in &sample[..50] {
            for part in 0..PARTS {
                let found = neighbours.distance(vector, part);
                assert!(found > 2e-3, "not itself: {found}");
                assert!((found - exact(&points, vector, part)).abs() < 0.02);
            }
        }
    }

    #[test]
    fn what_resembles_nothing_is_far_though_it_lies_in_the_middle() {
        let sample = vectors(2_000, 30, 4);
        let neighbours = among(&parted(&sample)).expect("points");
        let farthest = vectors(300, 30, 5).iter().map(|v| neighbours.distance(v, 0)).fold(0.0, f32::max);
        let mut rng = StdRng::seed_from_u64(6);
        let between: Vec<f32> = (0..DIMENSION).map(|_| 2.0 * rng.random::<f32>()).collect();
        let found = neighbours.distance(&between, 0);
        assert!(found > 2.0 * farthest, "{found} for {farthest}");
    }

    #[test]
    fn axes_that_saw_a_vector_find_nearer_ones_for_it() {
        const N: usize = 400;
        let mut rng = StdRng::seed_from_u64(11);
        let mut noise = |n: usize| -> Vec<Vec<f32>> {
            let mut one = || (0..12).map(|_| rng.random::<f32>()).sum::<f32>() - 6.0;
            (0..n).map(|_| (0..96).map(|_| one()).collect()).collect()
        };
        let (sample, later) = (noise(N), noise(2_000));
        let points = parted(&sample);
        // How much farther off later vectors lie, in standard errors, by axes that saw what `seen` says of a part.
        let farther = |seen: fn(usize, usize) -> bool| {
            let axes = |part| {
                let fitted = points.iter().filter(|(of, _)| seen(*of, part)).map(|(_, vector)| *vector);
                Principal::fit(fitted, 96, 32).expect("varies")
            };
            let without: Vec<Principal> = (0..PARTS).map(axes).collect();
            let neighbours = Neighbours::new(&[0.0; 96], &points, &without).expect("points");
            let mean = |found: Vec<f64>| {
                let n = found.len() as f64;
                let mean = found.iter().sum::<f64>() / n;
                (mean, found.iter().map(|d| (d - mean).powi(2)).sum::<f64>() / n / n)
            };
            let own = mean(points.iter().map(|(part, v)| f64::from(neighbours.distance(v, *part))).collect());
            let other =
                mean(later.iter().enumerate().map(|(i, v)| f64::from(neighbours.distance(v, i % PARTS))).collect());
            (other.0 - own.0) / (other.1 + own.1).sqrt()
        };
        let (honest, flattered) = (farther(|of, part| of != part), farther(|_, _| true));
        assert!(honest.abs() < 3.5 && flattered > 5.0, "{honest} and {flattered}");
    }

    #[test]
    fn few_points_and_vectors_without_a_direction() {
        let sample = vectors(8, 3, 7);
        let points = parted(&sample);
        let neighbours = among(&points).expect("points");
        for later in vectors(20, 3, 8) {
            assert!((neighbours.distance(&later, 1) - exact(&points, &later, 1)).abs() < 0.05);
        }
        assert_eq!(neighbours.distance(&[0.0; DIMENSION], 1), 1.0);
        let axes = || Principal::fit(sample.iter().map(|v| &v[..]), DIMENSION, 1).expect("varies");
        assert_eq!(Neighbours::new(&[0.0; DIMENSION], &[], &[axes()]), None);
        let alone = [(0, &sample[0][..])];
        assert_eq!(Neighbours::new(&[0.0; DIMENSION], &alone, &[axes(), axes()]), None, "nothing but the part");
        let twice = [alone[0], (1, &sample[0])];
        let twins = Neighbours::new(&[0.0; DIMENSION], &twice, &[axes(), axes()]).expect("points");
        assert_eq!(twins.distance(&sample[0], 0), 1.0, "nothing but the same text");
        assert!((twins.distance(&sample[1], 0) - exact(&twice, &sample[1], 0)).abs() < 1e-3);
    }

    #[test]
    fn it_can_be_stored() {
        let sample = vectors(300, 4, 7);
        let neighbours = among(&parted(&sample)).expect("points");
        let bytes = postcard::to_stdvec(&neighbours).expect("encodes");
        assert_eq!(postcard::from_bytes::<Neighbours>(&bytes).expect("decodes"), neighbours);
    }
}
