//! Turns: what is compared is measured again and again, one after another, so that what else the machine does falls on all.

use anyhow::Result;

/// For each of those that were compared, what was measured, round by round.
pub(super) struct Turns(Vec<Vec<f64>>);

impl Turns {
    /// Gives each its turn in every round, and another one the first. One more round goes before and does not count: it is for caches and windows.
    pub(super) fn take(count: usize, rounds: usize, mut measure: impl FnMut(usize) -> Result<f64>) -> Result<Self> {
        let mut turns = vec![Vec::new(); count];
        for round in 0..=rounds {
            for turn in 0..count {
                let index = (round + turn) % count;
                let time = measure(index)?;
                if round > 0 {
                    turns[index].push(time);
                }
            }
        }
        Ok(Self(turns))
    }

    /// What one has measured, in the middle of its rounds.
    pub(super) fn median(&self, index: usize) -> f64 {
        self.median_of(|round| round(index))
    }

    /// One by another, in the middle of their rounds.
    pub(super) fn ratio(&self, index: usize, to: usize) -> f64 {
        self.median_of(|round| round(index) / round(to))
    }

    /// The median of what is computed of each round, which says what each has measured in it.
    pub(super) fn median_of(&self, compute: impl Fn(&dyn Fn(usize) -> f64) -> f64) -> f64 {
        let rounds = 0..self.0[0].len();
        let mut numbers: Vec<f64> = rounds.map(|round| compute(&|index| self.0[index][round])).collect();
        numbers.sort_by(f64::total_cmp);
        numbers[numbers.len() / 2]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_has_a_turn_in_every_round_and_the_first_round_does_not_count() {
        let mut order = Vec::new();
        let turns = Turns::take(3, 3, |index| {
            order.push(index);
            Ok(order.len() as f64)
        });
        assert_eq!(order, [0, 1, 2, 1, 2, 0, 2, 0, 1, 0, 1, 2]);
        assert_eq!(turns.unwrap().0, [[6.0, 8.0, 10.0], [4.0, 9.0, 11.0], [5.0, 7.0, 12.0]]);
    }

    #[test]
    fn a_ratio_is_the_median_of_ratios_of_the_same_round() {
        let turns = Turns(vec![vec![10.0, 20.0, 90.0], vec![10.0, 10.0, 30.0]]);
        assert_eq!((turns.median(0), turns.median(1)), (20.0, 10.0));
        assert_eq!((turns.ratio(0, 1), turns.ratio(1, 1)), (2.0, 1.0));
    }
}
